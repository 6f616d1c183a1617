//===- Cost.h - What a kernel costs where a batch is known ----------------===//

#ifndef HALCYON_COMPILER_KERNELS_COST_H
#define HALCYON_COMPILER_KERNELS_COST_H

#include "compiler/kernels/Kernel.h"

namespace halcyon {

/// On a call of a training, f64: seconds for one image, as its kernel estimates them.
constexpr llvm::StringLiteral kSecondsAttr = "exec.seconds";

/// Seconds for one image that a roofline gives for all that a group computes, reads
/// and writes. The images of a training step share what has no batch itself: weights,
/// their gradients, and the start of the loop.
double groupSeconds(const Group &group, const Target &target, double efficiency);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_COST_H
