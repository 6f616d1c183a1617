//===- Machine.cpp - What a machine can do at most -------------------------===//

#include "bench/Machine.h"

#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <functional>
#include <sched.h>
#include <thread>

namespace halcyon::bench {

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kLanes = kVectorBytes / sizeof(float);
typedef float Vector __attribute__((vector_size(kVectorBytes)));
/// More than latency times throughput of any core, few enough for registers.
constexpr int kChains = kVectorBytes == 64 ? 20 : 12;

const double kMultiplyAddFlops = 2.0 * kLanes * kChains;

/// Numbers that the compiler can't foresee, and that keep sums finite.
static volatile float kFactor = 0.999f, kAddend = 0.001f;

/// Makes the compiler believe that every lane is of use. Adding them up would
/// take longer than reading what lies in the first cache.
template <int N> static void use(const Vector (&values)[N]) {
  Vector total = values[0];
  for (int i = 1; i != N; ++i)
    total += values[i];
  benchmark::DoNotOptimize(total);
}

void multiplyAdds(int64_t steps) {
  Vector factor = Vector{} + kFactor, addend = Vector{} + kAddend;
  Vector sums[kChains];
  for (int i = 0; i != kChains; ++i)
    sums[i] = Vector{} + float(i);
  for (int64_t step = 0; step != steps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i != kChains; ++i)
      sums[i] = sums[i] * factor + addend;
  use(sums);
}

#if defined(__AVX512BF16__)
typedef __bf16 Pairs __attribute__((vector_size(64)));

const double kDotFlops = 2 * kMultiplyAddFlops;

void dots(int64_t steps) {
  Pairs a = Pairs{} + __bf16(kFactor), b = Pairs{} + __bf16(kAddend);
  Vector sums[kChains] = {};
  for (int64_t step = 0; step != steps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i != kChains; ++i)
      sums[i] = __builtin_ia32_dpbf16ps_512(sums[i], a, b);
  use(sums);
}
#else
const double kDotFlops = 0;
void dots(int64_t) {}
#endif

void sum(const float *from, size_t count) {
  Vector sums[8] = {};
  constexpr size_t step = 8 * kLanes;
  for (size_t at = 0; at + step <= count; at += step)
#pragma clang loop unroll(full)
    for (int i = 0; i != 8; ++i)
      sums[i] += *reinterpret_cast<const Vector *>(from + at + i * kLanes);
  use(sums);
}

void scale(float *to, const float *from, size_t count) {
  Vector factor = Vector{} + kFactor;
  constexpr size_t step = 4 * kLanes;
  for (size_t at = 0; at + step <= count; at += step)
#pragma clang loop unroll(full)
    for (int i = 0; i != 4; ++i)
      *reinterpret_cast<Vector *>(to + at + i * kLanes) =
          *reinterpret_cast<const Vector *>(from + at + i * kLanes) * factor;
}

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

std::vector<Level> levels(int threads) {
  std::vector<Level> all;
  size_t last = 0;
  for (const auto &cache : benchmark::CPUInfo::Get().caches) {
    if (cache.type == "Instruction")
      continue;
    size_t sharers = std::clamp(cache.num_sharing, 1, threads);
    // Half of it: the rest is other data's, and a mapping is never perfect.
    last = cache.size;
    all.push_back({"L" + std::to_string(cache.level), last / 2 / sharers});
  }
  // So large that the last cache holds next to nothing of it.
  size_t beyond = std::max<size_t>(8 * last, 64 << 20);
  all.push_back({"memory", beyond / threads});
  return all;
}

/// The process's CPUs, as the first caller finds them: a pinned thread, and all
/// that it starts, have one left.
static const cpu_set_t &allCpus() {
  static const cpu_set_t all = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  return all;
}

int countCpus() { return std::max(1, CPU_COUNT(&allCpus())); }

void pinTo(int index) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu != CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allCpus()) && index-- == 0)
      CPU_SET(cpu, &one);
  if (CPU_COUNT(&one))
    sched_setaffinity(0, sizeof one, &one);
}

/// Seconds that the slowest of the threads takes, at best of some tries.
static double together(int threads, const std::function<void(int)> &body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int attempt = 0; attempt != 8; ++attempt) {
    std::atomic<int> ready{0};
    std::vector<double> seconds(threads);
    std::vector<std::thread> workers;
    for (int index = 0; index != threads; ++index)
      workers.emplace_back([&, index] {
        pinTo(index);
        for (++ready; ready != threads;)
          ;
        auto start = Clock::now();
        body(index);
        seconds[index] =
            std::chrono::duration<double>(Clock::now() - start).count();
      });
    for (std::thread &worker : workers)
      worker.join();
    best = std::min(best, *std::max_element(seconds.begin(), seconds.end()));
  }
  return best;
}

double measurePeak(int threads) {
  const int64_t steps = 1 << 20;
  double seconds = together(threads, [&](int) { multiplyAdds(steps); });
  return threads * steps * kMultiplyAddFlops / seconds / 1e9;
}

double measureBandwidth(size_t bytes, int threads) {
  size_t count = std::max<size_t>(bytes / threads / 2 / 64 * 16, 1024);
  std::vector<std::vector<float>> memory(threads);
  for (auto &own : memory)
    own.assign(2 * count + 16, 1.0f);
  int64_t times = std::max<int64_t>(1, (64 << 20) / (8 * count));
  double seconds = together(threads, [&](int index) {
    auto address = reinterpret_cast<uintptr_t>(memory[index].data());
    float *from = reinterpret_cast<float *>((address + 63) / 64 * 64);
    for (int64_t i = 0; i != times; ++i) {
      scale(from + count, from, count);
      benchmark::ClobberMemory();
    }
  });
  return 8.0 * count * times * threads / seconds / 1e9;
}

} // namespace halcyon::bench
