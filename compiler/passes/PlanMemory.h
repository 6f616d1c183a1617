//===- PlanMemory.h - What an arena comes to ------------------------------===//

#ifndef HALCYON_COMPILER_PASSES_PLANMEMORY_H
#define HALCYON_COMPILER_PASSES_PLANMEMORY_H

#include "dialects/exec/Exec.h"

#include <map>

namespace halcyon {

struct ArenaPlan {
  int64_t growing = 0; ///< bytes per image
  int64_t chains = 0;  ///< behind them, for what chains keep
  int64_t fixed = 0;   ///< behind both, the same for every batch
  int64_t bound = 0;   ///< the least that `growing + chains` could be
  /// Of every buffer: bytes per image before it, and the same for every batch.
  std::map<int64_t, std::pair<int64_t, int64_t>> places;
};

/// A place for every buffer of a function.
ArenaPlan planArena(exec::FunctionOp function);

} // namespace halcyon

#endif // HALCYON_COMPILER_PASSES_PLANMEMORY_H
