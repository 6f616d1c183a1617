//===- PixelKernel.h - What defines a kernel for pictures -----------------===//
//
// Kernels for pictures have no operation of a model behind them and no shape but at
// run time. Each is a Halide algorithm with its schedule, defined with PIXEL_KERNEL
// under the name and the parameters that runtime/train/Pixels.h declares.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_PIXELS_PIXELKERNEL_H
#define HALCYON_COMPILER_PIXELS_PIXELKERNEL_H

#include "Halide.h"
#include "runtime/train/Pixels.h"

#include <string>
#include <vector>

namespace halcyon {

/// Arguments in their order, then the outputs in theirs.
struct Pixels {
  std::vector<Halide::Argument> arguments;
  std::vector<Halide::Func> outputs;
};

class PixelKernel {
public:
  using Build = Pixels (*)(int lanes);

  template <class... Parameters>
  PixelKernel(const char *symbol, int (*)(Parameters...), Build build)
      : symbol(symbol), build(build), parameters{typeOf<Parameters>()...} {
    all().push_back(this);
  }

  const char *const symbol;

  /// Compiles it to an object. Throws std::exception with what went wrong, which
  /// includes parameters other than the declared ones.
  void compile(const Halide::Target &target, const std::string &path) const;

  static std::vector<const PixelKernel *> &all();

private:
  /// No bits stand for a buffer.
  template <class T> static Halide::Type typeOf() {
    if constexpr (std::is_pointer_v<T>)
      return Halide::Type();
    else
      return Halide::type_of<T>();
  }

  Build build;
  std::vector<Halide::Type> parameters;
};

/// Of a picture: across a row, down, and its channels.
inline const Halide::Var x("x"), y("y"), c("c");

/// A vector of a row at a time, whatever its width.
inline void alongRows(Halide::Func f, int lanes) {
  f.vectorize(x, lanes, Halide::TailStrategy::GuardWithIf);
}

/// A picture of `value` at each (x, y, c), a vector of a row at a time.
inline Pixels ofEach(std::vector<Halide::Argument> arguments, const Halide::Expr &value,
                     int lanes) {
  Halide::Func out("out");
  out(x, y, c) = value;
  alongRows(out, lanes);
  return {std::move(arguments), {out}};
}

#define PIXEL_KERNEL(name)                                                     \
  static Pixels name(int lanes);                                               \
  static const PixelKernel name##Kernel(                                       \
      "halcyon_pixels_" #name,                                                 \
      static_cast<decltype(&halcyon_pixels_##name)>(nullptr), name);           \
  static Pixels name(int lanes)

} // namespace halcyon

#endif // HALCYON_COMPILER_PIXELS_PIXELKERNEL_H
