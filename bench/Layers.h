//===- Layers.h - The layers that kernels are timed on ---------------------===//

#ifndef HALCYON_BENCH_LAYERS_H
#define HALCYON_BENCH_LAYERS_H

#include "test/kernels/KernelHarness.h"

#include <functional>

namespace halcyon::bench {

/// A layer of a real network, as an exec.kernel.
struct Layer {
  std::string name; ///< "resnet/3x3/1_28_128-128"
  std::string text;
  std::function<std::vector<test::Tensor>()> inputs;
  int batch = 1;
  double flops = 0;   ///< of the layer's definition
  double bytes = 0;   ///< inputs, outputs and weights, each once
  double weights = 0; ///< of those, the weights'
};

std::vector<Layer> layers();

} // namespace halcyon::bench

#endif // HALCYON_BENCH_LAYERS_H
