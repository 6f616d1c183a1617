//===- Library.h - The language's own .cnn files --------------------------===//

#ifndef HALCYON_COMPILER_DSL_LIBRARY_H
#define HALCYON_COMPILER_DSL_LIBRARY_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace halcyon::dsl {

struct LibraryFile {
  llvm::StringLiteral name; ///< "activations.cnn"
  llvm::StringLiteral text;
};

/// The files of compiler/library, as they were when this was built.
llvm::ArrayRef<LibraryFile> libraryFiles();

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_LIBRARY_H
