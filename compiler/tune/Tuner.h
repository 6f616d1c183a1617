//===- Tuner.h - Better schedules for a model, by measurement -------------===//
//
// First the untuned program runs, call by call, which says where time goes.
// Then kernels that promise most are searched in turn until the budget ends.
// Then layouts are assigned over the whole graph at measured costs, and the
// program that comes out runs beside the untuned one: what does not hold there
// is taken back.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_TUNER_H
#define HALCYON_COMPILER_TUNE_TUNER_H

#include "compiler/pipelines/Pipeline.h"
#include "compiler/tune/Progress.h"
#include "compiler/tune/Schedule.h"
#include "compiler/tune/Search.h"

namespace halcyon {

struct TuneOptions {
  PipelineOptions pipeline;
  double budget = 600;      ///< seconds, for all of it
  unsigned threads = 0;     ///< of the program
  unsigned images = 1;      ///< of a run
  std::string halide;       ///< version, for the schedule's first line
  double hangSeconds = 5;   ///< what is taken for a hang
  std::function<bool()> interrupted; ///< ends the search; what is known is kept
};

/// What came out.
struct TuneResult {
  Schedule schedule;
  bool kept = false;     ///< false: it is the untuned one
  Comparison comparison; ///< untuned first
  int kernels = 0, changed = 0;
  int measured = 0, known = 0; ///< candidates now, and by earlier runs
  std::map<Outcome, int> failures; ///< of candidates, in this run
};

class Tuner {
public:
  /// `graph` is a module after the graph pipeline. It is not changed.
  Tuner(mlir::ModuleOp graph, const Target &target, const WeightSource &weights,
        Store &store, Progress &progress, const TuneOptions &options);

  /// False, with one line in `error`, where nothing can be measured.
  bool run(TuneResult &result, std::string &error);

  const CostModel &model() const { return costs; }

private:
  using Choices = std::map<std::string, Choice>;

  /// The model lowered, with what its calls compute.
  struct Network {
    mlir::OwningOpRef<mlir::ModuleOp> module;
    std::vector<std::string> names; ///< per call; empty for conversions
    Choices choices;
    Schedule schedule;
    exec::ProgramOp program() const;
  };

  std::optional<Network> lower(const Choices &choices);
  bool runUntuned(std::string &error);
  void collectGroups();
  void search();
  bool searchGroup(GroupSearch &group);
  void refit(bool always);
  Choices solveLayouts();
  bool judge(Choices choices, TuneResult &result, std::string &error);
  void report(const GroupSearch &group, int before);
  void comment(Schedule &schedule, const std::map<std::string, double> &seconds);
  double timeLeft() const { return options.budget - (clockSeconds() - begun); }
  MeasureOptions measuring(bool stoppable) const;

  mlir::ModuleOp graph;
  const Target &target;
  const WeightSource &weights;
  std::unique_ptr<WeightSource> seeded;
  Store &store;
  Progress &progress;
  const TuneOptions &options;
  std::string folder;

  double begun = clockSeconds();
  double reserve = 0;       ///< seconds for the end
  uint64_t coldBytes = 0;
  Network untuned;
  std::map<std::string, double> callSeconds; ///< untuned, by layer
  double runSeconds = 0;                     ///< all calls of a run
  std::vector<std::unique_ptr<GroupSearch>> groups;
  std::map<std::string, GroupSearch *> groupOf; ///< by layer
  CostModel costs;
  int measured = 0, fitted = 0;
  std::map<Outcome, int> failures;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_TUNER_H
