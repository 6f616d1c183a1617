//===- WgslNumbers.h - Numbers that WGSL has no literals for --------------===//

#ifndef HALCYON_COMPILER_CODEGEN_WGSLNUMBERS_H
#define HALCYON_COMPILER_CODEGEN_WGSLNUMBERS_H

namespace Halide {
class Pipeline;
} // namespace Halide

namespace halcyon {

/// Halide prints infinities and what is no number as their bits: WGSL takes
/// `let x : f32 = 0xFF800000;` for the number 4286578688, and lets no constant
/// expression be infinite. Grids call the functions instead that Halide writes
/// before them, whose results are not constant. And its powers of 0 are no numbers.
void mendNumbers(Halide::Pipeline &pipeline);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_WGSLNUMBERS_H
