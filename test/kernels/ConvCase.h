//===- ConvCase.h - One convolution with its neighbours --------------------===//
//
// A convolution with an optional prologue and epilogue, as the text that a
// kernel takes, as random inputs, and as a plain loop that gives the result.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TEST_KERNELS_CONVCASE_H
#define HALCYON_TEST_KERNELS_CONVCASE_H

#include "test/kernels/KernelHarness.h"

namespace halcyon::test {

enum class Epilogue { None, Relu, ScaleSilu, ResidualRelu, Gate };

struct ConvCase {
  int c = 16, h = 8, w = 8, o = 16, kh = 1, kw = 1, sh = 1, sw = 1;
  int pad[4] = {0, 0, 0, 0};
  int dh = 1, dw = 1, groups = 1;
  bool bias = true;
  bool prologue = false; ///< relu(x * scale + shift) before it
  Epilogue epilogue = Epilogue::None;
  std::string padMode = "zero";
  bool transposed = false;
  bool bf16In = false;  ///< input and weights are stored in bf16
  bool bf16Out = false; ///< and the output, and what is added to it
  int outputPad[2] = {0, 0};

  /// A square case with padding that keeps the size where the stride is 1.
  static ConvCase square(int size, int c, int o, int k, int s = 1);

  int outH() const;
  int outW() const;
  double flops() const; ///< of the layer's definition
  std::string name() const;
  std::string text() const;
  std::vector<Tensor> inputs(int batch) const;
  Tensor reference(const std::vector<Tensor> &inputs) const;
};

} // namespace halcyon::test

#endif // HALCYON_TEST_KERNELS_CONVCASE_H
