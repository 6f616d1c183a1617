// A C++ host of three libraries, which defines functions of Halide's runtime itself.

#include "lenet.h"
#include "mlp.h"
#include "ports.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

static std::atomic<int> calls{0};
extern "C" {
void *halide_malloc(void *, size_t) { return ++calls, nullptr; }
void halide_free(void *, void *) { ++calls; }
int halide_do_par_for(void *, int (*)(void *, int, uint8_t *), int, int, uint8_t *) {
  return ++calls, -1;
}
int halcyon_session_run(void *) { return ++calls, 9; }
}

static std::vector<float> image(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i != count; ++i)
    values[i] = float(i % 29) / 29;
  return values;
}

#define CREATE(NAME, THREADS)                                                  \
  [] {                                                                         \
    halcyon_options options = {};                                              \
    options.abi_version = HALCYON_ABI_VERSION;                                 \
    options.threads = THREADS;                                                 \
    halcyon_error error;                                                       \
    halcyon_session *session = nullptr;                                        \
    if (NAME##_session_create(&NAME##_program, &options, &session, &error))    \
      std::printf("%s\n", error.text);                                         \
    return session;                                                            \
  }()

static std::vector<float> lenet(int runs) {
  halcyon_session *session = CREATE(lenet, 2);
  std::vector<float> in = image(2 * 784);
  uint64_t bytes = 0;
  lenet_session_set_batch(session, 2);
  lenet_session_set_input(session, "image", in.data(), in.size() * sizeof(float));
  std::vector<float> out;
  for (int run = 0; run != runs; ++run) {
    if (lenet_session_run(session))
      std::printf("%s\n", lenet_session_error(session));
    auto *logits = static_cast<const float *>(lenet_session_output(session, "logits", &bytes));
    out.assign(logits, logits + bytes / sizeof(float));
  }
  lenet_session_destroy(session);
  return out;
}

static std::vector<float> mlp(uint32_t) {
  halcyon_session *session = CREATE(mlp, 1);
  const halcyon_port &port = mlp_program.inputs[0];
  std::vector<float> in = image(mlp_port_bytes(&port, 1) / sizeof(float));
  mlp_session_bind_input(session, 0, in.data());
  std::vector<float> out(mlp_port_bytes(&mlp_program.outputs[0], 1) / sizeof(float));
  mlp_session_bind_output(session, 0, out.data());
  mlp_session_run(session);
  mlp_session_destroy(session);
  return out;
}

int main() {
  const std::vector<float> expected = lenet(1), other = mlp(0);
  std::vector<std::thread> threads;
  std::atomic<int> agreeing{0}, beside{0};
  for (int i = 0; i != 4; ++i)
    threads.emplace_back([&] {
      agreeing += expected.size() == 20 && lenet(20) == expected;
      beside += mlp(0) == other;
    });
  for (std::thread &thread : threads)
    thread.join();
  std::printf("lenet: %d threads agree\n", agreeing.load());
  std::printf("mlp beside it %s\n", beside == 4 ? "agrees" : "differs");

  halcyon_session *session = CREATE(ports, 0);
  std::vector<float> left = image(2 * 64), right = image(2 * 128);
  uint64_t pair = 0, odds = 0;
  ports_session_set_batch(session, 2);
  ports_session_set_input(session, "left", left.data(), left.size() * 4);
  ports_session_set_input(session, "right", right.data(), right.size() * 4);
  if (ports_session_run(session))
    std::printf("%s\n", ports_session_error(session));
  auto *values = static_cast<const float *>(ports_session_output(session, "pair", &pair));
  auto *shares = static_cast<const float *>(ports_session_output(session, "odds", &odds));
  float sum = 0;
  for (int k = 0; k != 12; ++k)
    sum += shares[k];
  bool same_order = (values[0] < values[1]) == (shares[0] < shares[1]);
  std::printf("ports: pair 2 x %d, odds %s\n", int(pair / 8),
              odds == 48 && sum > 1.999f && sum < 2.001f && same_order ? "right" : "wrong");
  ports_session_destroy(session);
  std::printf("the host's halide_malloc %s\n", calls ? "was called" : "was not called");
}
