//===- PixelKernels.h - Kernels for pictures to object code ---------------===//

#ifndef HALCYON_COMPILER_PIXELS_PIXELKERNELS_H
#define HALCYON_COMPILER_PIXELS_PIXELKERNELS_H

#include <string>
#include <vector>

namespace halcyon {

/// The symbols of all kernels for pictures, in their order.
std::vector<std::string> pixelKernels();

/// Compiles one for a target of Halide's into an object file; with `asserts` it
/// checks its buffers. Returns what went wrong, or nothing. To be called in a
/// process that has not used Halide before: only then are its bytes the same
/// every time.
std::string compilePixelKernel(const std::string &symbol, const std::string &target,
                               bool asserts, const std::string &path);

} // namespace halcyon

#endif // HALCYON_COMPILER_PIXELS_PIXELKERNELS_H
