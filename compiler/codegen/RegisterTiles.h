//===- RegisterTiles.h - What a thread of a device keeps in registers -----===//

#ifndef HALCYON_COMPILER_CODEGEN_REGISTERTILES_H
#define HALCYON_COMPILER_CODEGEN_REGISTERTILES_H

namespace Halide {
class Pipeline;
} // namespace Halide

namespace halcyon {

/// What Halide stores in registers outside of the loop over threads, every thread has
/// for itself, but as large as for all of them, and finds its part by its number: an
/// index that no compiler knows, so that the whole lies in memory. Every thread gets
/// its own part alone, at indices that don't depend on it.
void keepTilesInRegisters(Halide::Pipeline &pipeline);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_REGISTERTILES_H
