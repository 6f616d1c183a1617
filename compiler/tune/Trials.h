//===- Trials.h - One thing computed in several ways, as one program ------===//
//
// A trial is a model of one group with a schedule and a layout: the passes that
// serve whole models pack its weights, convert its tensors and lower it. The
// trials of a group become functions of one program, so that their kernels run
// in one process, on the same threads and the same values. Two whole networks
// are put together in the same way.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_TRIALS_H
#define HALCYON_COMPILER_TUNE_TRIALS_H

#include "compiler/kernels/Kernel.h"
#include "dialects/exec/Exec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace halcyon {

/// A way to compute a group.
struct Choice {
  cnn::ScheduleAttr schedule;
  std::string layout; ///< as layoutText has it

  /// As a schedule file has it: "direct layout nchw16c tile(co=2, x=14)".
  std::string text() const;
  bool operator==(const Choice &other) const = default;
};

/// A group as text, without schedule and layouts: what is computed.
std::string groupText(cnn::FusedOp group);

/// A program whose functions compute the same.
struct TrialProgram {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// Per trial: the call of its function that runs the group.
  std::vector<int> calls;

  exec::ProgramOp program() const;
};

/// A program with a function for each choice, in order. Fails where a pass
/// does, which has then reported why.
mlir::FailureOr<TrialProgram> makeTrials(cnn::FusedOp group,
                                         llvm::ArrayRef<Choice> choices,
                                         const Target &target);

/// Moves the functions and kernels of `second` into `first`, whose ports it
/// shares: `infer` of the second becomes the last function. Weights that both
/// prepare in one way are stored once.
void mergePrograms(exec::ProgramOp first, exec::ProgramOp second);

/// Removes a function; kernels that nothing calls go with it.
void removeFunction(exec::ProgramOp program, unsigned number);

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_TRIALS_H
