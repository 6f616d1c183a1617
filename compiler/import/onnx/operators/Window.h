//===- Window.h - Operators that slide a window over maps -----------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_WINDOW_H
#define HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_WINDOW_H

#include "compiler/import/onnx/Graph.h"

namespace halcyon::onnx {

/// A window, a number per spatial dimension.
struct Window {
  Shape inputs, kernel, stride, dilation, before, after, outputs;
  bool ceil = false;

  size_t rank() const { return kernel.size(); }
  /// Where tap `u` of the window of output `i` lies along dimension `d`.
  Expr place(unsigned d, Expr i, Expr u) const {
    return i * Expr(stride[d]) + u * Expr(dilation[d]) - Expr(before[d]);
  }
  /// Whether the taps lie inside the map, given their places.
  Expr inside(Coords places) const;
  /// The places of taps `u` of the window at `i`.
  llvm::SmallVector<Expr> places(Coords i, Coords u) const;
  /// The nearest places inside the map: no test is needed to read there.
  llvm::SmallVector<Expr> nearest(Coords places) const;
  bool isPadded() const;
};

/// The same as (height, width), (top, left, bottom, right).
struct Window2d {
  Shape kernel, stride, dilation, pad;
};
Window2d twoDimensional(const Window &window);

/// Reads kernel_shape, strides, pads, dilations, auto_pad and ceil_mode, and
/// finds the sizes of the output. `kernel` is that of the weights, where there
/// are some. Nothing, and reported, where they make no sense.
std::optional<Window> readWindow(NodeContext &node, const Tensor &x,
                                 llvm::ArrayRef<int64_t> kernel = {});

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_WINDOW_H
