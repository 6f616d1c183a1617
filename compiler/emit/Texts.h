//===- Texts.h - Files that outputs are made of ---------------------------===//

#ifndef HALCYON_COMPILER_EMIT_TEXTS_H
#define HALCYON_COMPILER_EMIT_TEXTS_H

#include "llvm/ADT/StringRef.h"

namespace halcyon {

/// The text of a file that was built into the compiler, by its name.
llvm::StringRef textOf(llvm::StringRef name);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_TEXTS_H
