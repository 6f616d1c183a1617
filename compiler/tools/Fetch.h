//===- Fetch.h - Data sets that come by themselves ------------------------===//

#ifndef HALCYON_COMPILER_TOOLS_FETCH_H
#define HALCYON_COMPILER_TOOLS_FETCH_H

#include "llvm/Support/JSON.h"

namespace halcyon {

/// Gives sources of a training's plan that name no folder one with their files,
/// which are fetched where they are not there. Says what went wrong.
bool fetchData(llvm::json::Object &plan);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_FETCH_H
