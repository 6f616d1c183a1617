//===- GpuLoops.h - Grids of threads that kernels share -------------------===//

#ifndef HALCYON_COMPILER_KERNELS_GPULOOPS_H
#define HALCYON_COMPILER_KERNELS_GPULOOPS_H

#include "compiler/kernels/Builder.h"

namespace halcyon {

/// Cuts the loops over `vars`, innermost first, into blocks of threads: a thread
/// for each element, neighbours in the innermost dimension in one warp. `extents`
/// are those of the first dimensions, the others are large. Without variables
/// there is one thread.
void scheduleThreads(Halide::Stage stage, std::vector<Halide::Var> vars,
                     std::vector<int64_t> extents);

/// Computes a Func as a whole, a thread for each element that an update reaches
/// without a sum.
void storeOnDevice(Halide::Func func);

/// Computes so everything before `outputs` that has updates.
void storeSumsOnDevice(const std::vector<Halide::Func> &outputs);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_GPULOOPS_H
