//===- cpu.h - What this CPU can do ---------------------------------------===//

#ifndef HALCYON_RUNTIME_CPU_H
#define HALCYON_RUNTIME_CPU_H

#include <cstddef>

namespace halcyon {

/// Whether the CPU and the system offer an LLVM feature ("avx512vl"). A name
/// that is not known here counts as missing: better a refusal than a fault.
bool cpuHas(const char *Feature, size_t Length);

/// Asks the system, once in a process, to let it use AMX's tiles. False where
/// it refuses: a tile instruction would then end the process.
bool requestTiles();

} // namespace halcyon

#endif // HALCYON_RUNTIME_CPU_H
