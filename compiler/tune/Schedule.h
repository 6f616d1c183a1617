//===- Schedule.h - Schedule files ----------------------------------------===//
//
// A `.sched` file says how the kernels of a model run, a line a kernel:
//
//   target "x86-64-zen5" threads 2 halide 21.0.0
//   conv_1:           direct layout nchw -> nchw16c tile(co=2, x=14)  // 0.58 ms
//   layer1.0.conv_1:  winograd(4) layout nchw16c rows(14)
//
// Of models that are trained in turn every step has lines of its own, below a line
// with its name:
//
//   step d
//   d.conv_1: direct layout nchw16c
//
// Read with a message for every mistake, written with the same bytes for the
// same content, and put into a model between cnn-fuse and cnn-choose-algorithm.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_SCHEDULE_H
#define HALCYON_COMPILER_TUNE_SCHEDULE_H

#include "compiler/dsl/Diagnostics.h"
#include "compiler/kernels/Kernel.h"

namespace halcyon {

/// `name = value` of a kernel's schedule.
struct ScheduleTerm {
  std::string name; ///< "tile_x"
  int64_t value = 0;
  bool flag = false; ///< printed as yes or no
  bool fit = false;  ///< printed as this word; the value is 0
  llvm::SMRange where; ///< in the file, if it came from one
};

/// How one layer's kernel runs.
struct ScheduleLine {
  /// The path of the layer; "tower.conv_1#2" the second that has this path.
  /// Without a number it serves all of that path that have no line of theirs.
  std::string layer;
  std::string step;   ///< whose model it is of; empty: there is but one
  std::string kernel; ///< "winograd4"
  std::string layout; ///< as `layoutText` has it; empty: whichever fits best
  std::vector<ScheduleTerm> terms;
  std::string comment; ///< without its slashes
  llvm::SMRange layerAt, kernelAt, layoutAt;

  /// "direct layout nchw16c tile(co=2, x=14)".
  std::string text() const;
  cnn::ScheduleAttr attribute(mlir::MLIRContext *context) const;
};

/// The line above a step's lines.
struct ScheduleStep {
  std::string name; ///< "d" of `step d minimize ...`
  llvm::SMRange where;
};

struct Schedule {
  std::vector<std::string> comments; ///< above all else, without slashes
  std::string target;                ///< as `--target` names it, never "host"
  int threads = 0;                   ///< 0: not said
  std::string halide;                ///< version; empty: not said
  std::vector<ScheduleStep> steps;
  std::vector<ScheduleLine> lines; ///< those of a step together, as `steps` has them
  llvm::SMRange targetAt;

  /// Adds what another one has as the lines of a step; an empty name is none.
  void addStep(llvm::StringRef name, Schedule other);
};

/// "winograd4" as a schedule has it: "winograd(4)".
std::string kernelText(llvm::StringRef kernel);

/// The file's text.
std::string printSchedule(const Schedule &schedule);

/// Reads a text that lies in a buffer of the diagnostics' source manager.
/// Reports every mistake; false where there was one.
bool parseSchedule(llvm::StringRef text, dsl::Diagnostics &diags,
                   Schedule &schedule);

/// "0.58 ms, 97 % of peak": a time beside the machine's limit for the group.
std::string timeText(const Group &group, const Target &target, double seconds);

/// The schedule and the layout of a group on which both have been decided.
ScheduleLine scheduleLine(cnn::FusedOp fused, const Target &target);

/// The groups that a schedule has lines for, by the name of the line; in the
/// order of the model. The same before and after cnn-choose-algorithm and
/// cnn-assign-layout.
llvm::SmallVector<std::pair<std::string, cnn::FusedOp>>
scheduledGroups(cnn::ModelOp model);

/// A model that has a schedule, with the name of its step where several are
/// trained in turn.
struct ScheduledModel {
  std::string step;
  cnn::ModelOp model;
};

/// The models of a module whose schedule a file has: every step's of models in
/// turn, else the first.
llvm::SmallVector<ScheduledModel> scheduledModels(mlir::ModuleOp module);

/// What was chosen for a model, after cnn-assign-layout. `halide` is the
/// version for its first line.
Schedule scheduleOf(cnn::ModelOp model, const Target &target,
                    llvm::StringRef halide);

/// Fixes schedules and layouts of the groups of models, after cnn-fuse. Reports
/// every line that cannot hold, with its reason; false where there was one.
bool applySchedule(const Schedule &schedule, llvm::ArrayRef<ScheduledModel> models,
                   const Target &target, dsl::Diagnostics &diags);

/// Reads and applies the file at `path`; messages go to `errs`.
bool applyScheduleFile(llvm::StringRef path, llvm::ArrayRef<ScheduledModel> models,
                       const Target &target, llvm::raw_ostream &errs);

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_SCHEDULE_H
