//===- DeviceRuntime.h - What programs for a device link ------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_DEVICERUNTIME_H
#define HALCYON_COMPILER_CODEGEN_DEVICERUNTIME_H

#include "compiler/codegen/KernelCompiler.h"

namespace halcyon {

/// Why no program can be linked for the target's device; empty if one can, or if
/// there is no device.
std::string refuseDevice(const Target &target);

/// The runtime for the target's device: ours where there is one, or Halide's, an
/// object in the cache. Returns where it is, or will be when the job, which is
/// added to `jobs` where it is not there yet, has run. The functions of Halide's
/// are weak: those of our own runtime win.
std::string deviceRuntime(const Target &target, std::vector<ForkedJob> &jobs);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_DEVICERUNTIME_H
