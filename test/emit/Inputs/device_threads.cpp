// Sessions of one library for a device, in several threads: each with images and a batch of its own,
// made and destroyed while others run. What they compute is what one session alone does, and they read
// one copy of the weights, which is given back with the last of them.

#include "lenet.h"

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

static constexpr int Threads = 6, Sessions = 2, Runs = 4;

/// What a library calls of Halide's table for a device; the arguments of a buffer's are its own.
struct Interface {
  int (*take)(void *, void *, const Interface *);
  int (*give)(void *, void *);
  int (*wait)(void *, void *);
  void (*release)(void *, const Interface *);
  int (*copyOut)(void *, void *);
  int (*copyIn)(void *, void *, const Interface *);
};

static std::atomic<int> blocks{0}, copies{0};

static const Interface *theirs() { return static_cast<const Interface *>(lenet_program.device()); }

/// The device's own functions, counted.
static const void *counted() {
  static const Interface ours = {
      [](void *context, void *buffer, const Interface *) {
        ++blocks;
        return theirs()->take(context, buffer, theirs());
      },
      [](void *context, void *buffer) {
        --blocks;
        return theirs()->give(context, buffer);
      },
      theirs()->wait,
      nullptr,
      theirs()->copyOut,
      [](void *context, void *buffer, const Interface *) {
        ++copies;
        return theirs()->copyIn(context, buffer, theirs());
      }};
  return &ours;
}

static const halcyon_program program = [] {
  halcyon_program same = lenet_program;
  same.device = counted;
  return same;
}();

static std::vector<float> imagesOf(int thread, int run) {
  std::vector<float> values((1 + thread % 3) * 784);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = float((i * (2 * thread + 3) + 7 * run) % 31) / 31;
  return values;
}

/// The outputs of all runs of a session; nothing if something fails.
static std::vector<float> outputsOf(int thread) {
  halcyon_session *session = nullptr;
  halcyon_error error;
  if (lenet_session_create(&program, nullptr, &session, &error)) {
    std::printf("%s\n", error.text);
    return {};
  }
  std::vector<float> outputs;
  lenet_session_set_batch(session, 1 + thread % 3);
  for (int run = 0; run != Runs; ++run) {
    std::vector<float> images = imagesOf(thread, run);
    lenet_session_set_input(session, "image", images.data(), images.size() * sizeof(float));
    if (lenet_session_run(session)) {
      std::printf("%s\n", lenet_session_error(session));
      outputs.clear();
      break;
    }
    uint64_t bytes = 0;
    auto *logits = static_cast<const float *>(lenet_session_output(session, "logits", &bytes));
    outputs.insert(outputs.end(), logits, logits + bytes / sizeof(float));
  }
  lenet_session_destroy(session);
  return outputs;
}

/// Copies to the device while sessions are made in as many threads, all of which are there at once.
static int copiesOfWeights() {
  const int before = copies;
  halcyon_session *sessions[Threads] = {};
  std::vector<std::thread> threads;
  for (halcyon_session *&session : sessions)
    threads.emplace_back([&] { lenet_session_create(&program, nullptr, &session, nullptr); });
  for (std::thread &thread : threads)
    thread.join();
  for (halcyon_session *session : sessions)
    lenet_session_destroy(session);
  return copies - before;
}

int main() {
  std::vector<std::vector<float>> expected;
  for (int thread = 0; thread != Threads; ++thread)
    expected.push_back(outputsOf(thread));
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread != Threads; ++thread)
    threads.emplace_back([&, thread] {
      for (int session = 0; session != Sessions; ++session)
        equal += !expected[thread].empty() && outputsOf(thread) == expected[thread];
    });
  for (std::thread &thread : threads)
    thread.join();
  const bool differ = expected[0] != expected[3]; // two threads with one image each
  std::printf("%d of %d sessions equal, images %s\n", equal.load(), Threads * Sessions,
              differ ? "differ" : "are the same");
  std::printf("%d sessions at once, weights copied %d time(s)\n", Threads, copiesOfWeights());
  std::printf("%d blocks left\n", blocks.load());
  return equal != Threads * Sessions;
}
