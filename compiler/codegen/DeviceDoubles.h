//===- DeviceDoubles.h - Double precision on devices ----------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_DEVICEDOUBLES_H
#define HALCYON_COMPILER_CODEGEN_DEVICEDOUBLES_H

namespace Halide {
class Pipeline;
struct Target;
} // namespace Halide

namespace halcyon {

/// Halide writes numbers of double precision as floats: they become their bits. Of
/// SPIR-V's square roots, exponentials, logarithms and powers it has those of floats
/// alone: in double precision they are computed from those.
void mendDoubles(Halide::Pipeline &pipeline, const Halide::Target &machine);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_DEVICEDOUBLES_H
