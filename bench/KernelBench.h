//===- KernelBench.h - What the modes of halcyon-bench-kernels share -------===//

#ifndef HALCYON_BENCH_KERNELBENCH_H
#define HALCYON_BENCH_KERNELBENCH_H

#include "bench/Layers.h"

namespace halcyon::bench {

struct Options {
  int threads = 1;
  bool rank = false, cold = false, summary = false;
  std::string kernel, layer, assembly;
  test::HarnessOptions harness;
};

class KernelBench {
public:
  explicit KernelBench(Options options);

  const Options options;

  /// Layers and kernels that the options ask for.
  std::vector<Layer> layers() const;
  std::vector<std::string> kernels(const Layer &layer) const;

  /// The kernel with its inputs; null where it refuses, reported where it
  /// should not have.
  std::unique_ptr<test::CompiledKernel> prepare(const Layer &layer,
                                                const std::string &kernel) const;

  /// The least seconds of a run, over about `budget` seconds. Weights come
  /// from memory where `cold`.
  double measure(test::CompiledKernel &kernel, double budget, bool cold) const;

  /// GFLOP/s that the threads reach at most.
  double peak = 0;

  /// Times and estimates of all kernels of each layer.
  void rank() const;
  /// Each class of kernels as part of what the machine can do, beside what is
  /// wanted of it.
  void summary() const;

private:
  std::unique_ptr<mlir::MLIRContext> context;
  Target target;
};

} // namespace halcyon::bench

#endif // HALCYON_BENCH_KERNELBENCH_H
