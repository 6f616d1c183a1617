//===- Windows.h - Which cells windows read -------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_WINDOWS_H
#define HALCYON_COMPILER_KERNELS_WINDOWS_H

#include "dialects/cnn/Support.h"

#include "Halide.h"

namespace halcyon {

/// The cell inside [0, size) that stands for `i`. Padding by zeros reads any.
/// `i` lies outside by less than the map's size.
Halide::Expr standIn(Halide::Expr i, Halide::Expr size, cnn::PadMode mode);

/// The windows of a convolution or a pool along one axis.
struct Windows {
  int size, out, kernel, stride, before, after, dilation;

  /// Those of an operation with input, output and `kernel` attribute.
  template <typename Pool> static Windows of(Pool pool, int axis) {
    return of(pool, axis, cnn::sizeOf(pool.getX(), axis + 2),
              cnn::sizeOf(pool.getResult(), axis + 2), pool.getKernel()[axis]);
  }
  /// Those of an operation with stride, padding and dilation.
  template <typename Op>
  static Windows of(Op op, int axis, int64_t size, int64_t out, int64_t kernel) {
    return {(int)size,
            (int)out,
            (int)kernel,
            (int)op.getStride()[axis],
            (int)op.getPad()[axis],
            (int)op.getPad()[axis + 2],
            (int)op.getDilation()[axis]};
  }

  /// The cell that a window reads with a tap; it may lie outside.
  Halide::Expr at(Halide::Expr window, Halide::Expr tap) const {
    return window * stride - before + tap * dilation;
  }
  Halide::Expr isInside(Halide::Expr i) const { return i >= 0 && i < size; }
  Halide::Expr clamped(Halide::Expr i) const {
    return Halide::clamp(i, 0, size - 1);
  }
  /// The window in which cell `i` is this tap, and whether there is one.
  Halide::Expr window(Halide::Expr i, int tap) const {
    return Halide::clamp((i + before - tap * dilation) / stride, 0, out - 1);
  }
  Halide::Expr isTap(Halide::Expr i, int tap) const {
    Halide::Expr from = i + before - tap * dilation;
    return from % stride == 0 && from >= 0 && from <= (out - 1) * stride;
  }
  /// Taps of a window in the map, or where `pad`, in the map or its padding:
  /// what a mean divides by.
  Halide::Expr count(Halide::Expr window, bool pad) const;

  /// Whether a test holds for every tap of every window.
  template <typename Test> bool all(Test test) const {
    for (int o = 0; o < out; ++o)
      for (int k = 0; k < kernel; ++k)
        if (!test(o * stride - before + k * dilation))
          return false;
    return true;
  }
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_WINDOWS_H
