// Sessions of one library for a device, in several threads: each with images and a batch of its own,
// made and destroyed while others run. What they compute is what one session alone does.

#include "lenet.h"

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

static constexpr int Threads = 6, Sessions = 2, Runs = 4;

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
  if (lenet_session_create(&lenet_program, nullptr, &session, &error)) {
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
  return equal != Threads * Sessions;
}
