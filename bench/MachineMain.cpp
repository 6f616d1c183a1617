//===- MachineMain.cpp - halcyon-bench-machine -----------------------------===//
//
//   halcyon-bench-machine [Google Benchmark's options]
//
// The machine's limits, for one thread and for all: multiply-adds, dot products
// of bf16, and bytes read, or read and written, at each level of the memory.
//
//===----------------------------------------------------------------------===//

#include "bench/Machine.h"

#include <benchmark/benchmark.h>
#include <functional>

using namespace halcyon::bench;

static void flops(benchmark::State &state, void (*loop)(int64_t),
                  double perStep) {
  const int64_t steps = 1 << 14;
  pinTo(state.thread_index());
  for (auto _ : state)
    loop(steps);
  state.counters["GFLOP/s"] =
      benchmark::Counter(state.iterations() * steps * perStep / 1e9,
                         benchmark::Counter::kIsRate);
}

static void bytes(benchmark::State &state, const Level &level, bool writes) {
  pinTo(state.thread_index());
  size_t count = level.bytes / 64 * 16;
  std::vector<float> memory(count + 16, 1.0f);
  auto address = reinterpret_cast<uintptr_t>(memory.data());
  float *from = reinterpret_cast<float *>((address + 63) / 64 * 64);
  for (auto _ : state) {
    if (writes)
      scale(from + count / 2, from, count / 2);
    else
      sum(from, count);
    benchmark::ClobberMemory();
  }
  state.counters["GB/s"] = benchmark::Counter(state.iterations() * 4e-9 * count,
                                              benchmark::Counter::kIsRate);
}

static void add(const std::string &name, int threads,
                const std::function<void(benchmark::State &)> &run) {
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->Threads(threads)
      ->UseRealTime()
      ->MinTime(0.03);
}

int main(int argc, char **argv) {
  int all = countCpus();
  for (int threads : all > 1 ? std::vector<int>{1, all} : std::vector<int>{1}) {
    add("multiply-add/f32", threads, [](benchmark::State &state) {
      flops(state, multiplyAdds, kMultiplyAddFlops);
    });
    if (kDotFlops > 0)
      add("dot/bf16", threads,
          [](benchmark::State &state) { flops(state, dots, kDotFlops); });
    for (const Level &level : levels(threads))
      for (bool writes : {false, true})
        add((writes ? "copy/" : "read/") + level.name, threads,
            [=](benchmark::State &state) { bytes(state, level, writes); });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
