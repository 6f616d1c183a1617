//===- JavaScript.h - Models whose session is JavaScript ------------------===//

#ifndef HALCYON_COMPILER_EMIT_JAVASCRIPT_H
#define HALCYON_COMPILER_EMIT_JAVASCRIPT_H

#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/Interface.h"

#include "llvm/Support/JSON.h"

namespace halcyon {

/// A program's table, as a loader reads it. `header` is what its weights' file begins
/// with.
llvm::json::Value tableOf(const Emission &emission, const Interface &interface,
                          const ProgramTables &tables, llvm::StringRef header);

/// What JavaScript has for the elements of a port.
llvm::StringRef arrayOf(const Port &port);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_JAVASCRIPT_H
