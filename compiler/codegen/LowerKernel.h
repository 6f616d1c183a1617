//===- LowerKernel.h - One kernel through Halide --------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_LOWERKERNEL_H
#define HALCYON_COMPILER_CODEGEN_LOWERKERNEL_H

#include "compiler/codegen/KernelCompiler.h"

namespace halcyon {

/// Compiles a kernel into a file, written whole or not at all. To be called in
/// a process that has not used Halide before. Returns what went wrong, or
/// nothing.
std::string lowerKernel(exec::KernelOp kernel, const Target &target,
                        const KernelCompilerOptions &options,
                        const std::string &path);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_LOWERKERNEL_H
