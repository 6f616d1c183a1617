//===- PixelObjects.h - What training programs do to pictures -------------===//

#ifndef HALCYON_COMPILER_CODEGEN_PIXELOBJECTS_H
#define HALCYON_COMPILER_CODEGEN_PIXELOBJECTS_H

#include "compiler/codegen/KernelCompiler.h"

namespace halcyon {

/// The objects of all kernels for pictures, in the cache, for the target's CPU. Those
/// that are not there yet will be when the jobs added to `jobs` have run.
std::vector<std::string> pixelObjects(const Target &target, bool useCache,
                                      std::vector<ForkedJob> &jobs);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_PIXELOBJECTS_H
