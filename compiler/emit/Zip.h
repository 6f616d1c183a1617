//===- Zip.h - Archives ---------------------------------------------------===//

#ifndef HALCYON_COMPILER_EMIT_ZIP_H
#define HALCYON_COMPILER_EMIT_ZIP_H

#include "llvm/ADT/StringRef.h"

#include <string>
#include <utility>
#include <vector>

namespace halcyon {

/// A zip archive of files as they are, not packed, the same bytes each time. Empty
/// where they are too large for one.
std::string zipOf(const std::vector<std::pair<std::string, std::string>> &files);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_ZIP_H
