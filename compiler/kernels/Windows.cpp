//===- Windows.cpp - Which cells windows read -----------------------------===//

#include "compiler/kernels/Windows.h"

using Halide::Expr;

namespace halcyon {

Expr standIn(Expr i, Expr size, cnn::PadMode mode) {
  if (mode == cnn::PadMode::circular)
    return i % size;
  if (mode == cnn::PadMode::reflect)
    i = Halide::select(i < 0, -i, i >= size, 2 * (size - 1) - i, i);
  return Halide::clamp(i, 0, size - 1);
}

Expr Windows::count(Expr window, bool pad) const {
  int low = pad ? before : 0, high = pad ? after : 0;
  if (all([&](int i) { return i >= -low && i < size + high; }))
    return kernel;
  Expr taps = 0;
  for (int k = 0; k < kernel; ++k)
    taps += Halide::cast<int>(at(window, k) >= -low && at(window, k) < size + high);
  // A window that lies outside altogether divides its zeros.
  return Halide::max(taps, 1);
}

} // namespace halcyon
