//===- LayerCase.h - Layers to test, and what they should give ------------===//

#ifndef HALCYON_TEST_KERNELS_LAYERCASE_H
#define HALCYON_TEST_KERNELS_LAYERCASE_H

#include "test/kernels/KernelHarness.h"

namespace halcyon::test {

struct LayerCase {
  std::string name, kernel, text;
  std::vector<std::vector<int64_t>> shapes; ///< of the inputs; -1 is the batch
  std::function<std::vector<Tensor>(const std::vector<Tensor> &)> reference;
  double tolerance = 1e-5;

  std::vector<Tensor> inputs(int64_t batch) const;
};

std::vector<LayerCase> layerCases();

/// Pictures of several sizes to tensors, against Pillow's algorithm; returns
/// what is wrong, empty where nothing is.
std::string checkImages(mlir::MLIRContext &context, const Target &target);

} // namespace halcyon::test

#endif // HALCYON_TEST_KERNELS_LAYERCASE_H
