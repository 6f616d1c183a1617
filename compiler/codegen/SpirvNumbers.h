//===- SpirvNumbers.h - Quotients as Halide's SPIR-V has them right -------===//

#ifndef HALCYON_COMPILER_CODEGEN_SPIRVNUMBERS_H
#define HALCYON_COMPILER_CODEGEN_SPIRVNUMBERS_H

namespace Halide {
class Pipeline;
} // namespace Halide

namespace halcyon {

/// Halide 21 shifts negative numbers to the right as if they were large ones, in
/// SPIR-V, and so divides them by constants. Grids divide and shift what is not
/// negative instead.
void mendQuotients(Halide::Pipeline &pipeline);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_SPIRVNUMBERS_H
