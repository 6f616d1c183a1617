//===- Folder.h - A folder of results, whole or not at all ----------------===//

#ifndef HALCYON_COMPILER_EMIT_FOLDER_H
#define HALCYON_COMPILER_EMIT_FOLDER_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace halcyon {

/// A folder that is filled under another name and takes its own at the end.
/// Removed if it never does.
class OutputFolder {
public:
  /// Starts a folder that will be `path`. What is there is replaced only if it
  /// is empty or was written by this class, unless `force`. `error` says what
  /// is wrong.
  OutputFolder(llvm::StringRef path, bool force, std::string &error);
  ~OutputFolder();

  /// Where a file lies until the end; its folder exists.
  std::string file(llvm::StringRef relative);
  std::string write(llvm::StringRef relative, llvm::StringRef text);
  /// Gives the folder its name. Returns what went wrong, or nothing.
  std::string finish();

private:
  std::string path, temporary;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_FOLDER_H
