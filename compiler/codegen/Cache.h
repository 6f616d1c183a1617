//===- Cache.h - Compiled kernels by content ------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_CACHE_H
#define HALCYON_COMPILER_CODEGEN_CACHE_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace halcyon {

/// The folder of compiled kernels: $HALCYON_CACHE, else `halcyon` in the
/// user's cache folder. Made if it is not there.
std::string cacheFolder();

/// A file of the cache for something with this text. The name hashes the text,
/// Halide's version and this build of the compiler.
std::string cachePath(llvm::StringRef text, llvm::StringRef extension);

/// Whether a device or a pipe has this name: /dev/null, which renaming a file
/// to would destroy.
bool isSpecialFile(const std::string &path);

/// Writes a file whole or not at all. False, with errno set, if it can't.
bool writeWhole(const std::string &path, llvm::StringRef bytes);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_CACHE_H
