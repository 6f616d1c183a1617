//===- PrepareWeights.h - Evaluates a program's `prepare` -----------------===//

#ifndef HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H
#define HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H

#include "compiler/import/Weights.h"
#include "dialects/exec/Exec.h"

#include <functional>

namespace halcyon {

/// Evaluates `prepare`: folds and packs the weights of `source` and hands out
/// the bytes of each stored value, in the order of offsets. Of `parts` parts of about equal
/// size it does number `part`, so that processes can share the work. Values are
/// dropped as soon as nothing needs them. False where `sink` returned false.
bool prepareWeights(
    exec::ProgramOp program, const WeightSource &source, unsigned part,
    unsigned parts,
    llvm::function_ref<bool(int64_t offset, llvm::StringRef bytes)> sink);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H
