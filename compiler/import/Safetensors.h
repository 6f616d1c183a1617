//===- Safetensors.h - Weights as a safetensors file ----------------------===//

#ifndef HALCYON_COMPILER_IMPORT_SAFETENSORS_H
#define HALCYON_COMPILER_IMPORT_SAFETENSORS_H

#include "compiler/import/Weights.h"

#include <map>
#include <string>

namespace halcyon {

/// Writes weights, each under a name and by that of the source, one after the other.
/// Returns what went wrong, or nothing.
std::string writeSafetensors(const std::map<std::string, std::string> &names,
                             const WeightSource &weights, llvm::StringRef path);

} // namespace halcyon

#endif // HALCYON_COMPILER_IMPORT_SAFETENSORS_H
