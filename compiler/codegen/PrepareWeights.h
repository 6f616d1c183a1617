//===- PrepareWeights.h - Evaluates a program's `prepare` -----------------===//

#ifndef HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H
#define HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H

#include "compiler/import/Weights.h"
#include "dialects/exec/Exec.h"

#include <functional>

namespace halcyon {

/// Evaluates `prepare`: folds and packs the weights of `source` and hands out
/// each stored value, in the order of offsets. Values are dropped as soon as
/// nothing needs them. False where `sink` returned false.
bool prepareWeights(
    exec::ProgramOp program, const WeightSource &source,
    llvm::function_ref<bool(int64_t offset, llvm::ArrayRef<float>)> sink);

/// Writes the weights as a relocatable ELF object whose symbol
/// `halcyon_weights` begins at a multiple of 4096. Whole or not at all;
/// returns what went wrong. `machine` is ELF's e_machine.
std::string writeWeightsObject(exec::ProgramOp program,
                               const WeightSource &source, unsigned machine,
                               const std::string &path);

/// Writes the weights as a file beside the program (see runtime/weights).
std::string writeWeightsFile(exec::ProgramOp program,
                             const WeightSource &source, uint64_t id,
                             const std::string &path);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_PREPAREWEIGHTS_H
