//===- Measure.h - Candidates in a process of their own -------------------===//
//
// Compiles the functions of a trial program, links them with the runtime and
// the main program of runtime/measure, and asks that process for values and
// times. What crashes or hangs there is found out here.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_MEASURE_H
#define HALCYON_COMPILER_TUNE_MEASURE_H

#include "compiler/import/Weights.h"
#include "compiler/targets/Target.h"
#include "compiler/tune/Compare.h"
#include "compiler/tune/Store.h"
#include "dialects/exec/Exec.h"

#include <functional>
#include <string>
#include <vector>

namespace halcyon {

/// What all measurements of a run have in common.
struct MeasureOptions {
  Target target;
  unsigned threads = 0;     ///< of a program
  unsigned images = 1;      ///< of a run, where the program leaves that open
  uint64_t coldBytes = 0;   ///< that pass through the caches between two calls
  unsigned compileSeconds = 60; ///< for one kernel
  double hangSeconds = 5;   ///< what is taken for a hang, beyond 50 times the
                            ///< reference's time
  std::string folder;       ///< for what is built
  std::function<bool()> stop; ///< asked often; ends what is going on
};

/// A folder for what one run builds, removed with it. Those of runs that were
/// killed go when the next one begins.
class WorkFolder {
public:
  explicit WorkFolder(std::string &error);
  ~WorkFolder();
  std::string path;
};

/// A function of a trial program, or one call of it.
struct Timed {
  unsigned function = 0;
  int call = -1; ///< -1: all of it
};

/// What became of a function that can't be timed.
struct Failure {
  Outcome outcome;
  std::string reason;
};

/// One trial program in its process, which is started anew after a crash.
class Measurer {
public:
  Measurer(exec::ProgramOp program, const WeightSource &weights,
           const MeasureOptions &options);
  ~Measurer();
  Measurer(const Measurer &) = delete;

  /// Compiles and links. Functions whose kernels fail to compile are left out.
  /// False, with `error` set, where nothing can be run, or it was stopped.
  bool build(std::string &error);

  /// Runs a function once and compares its outputs with those of function 0.
  std::optional<Failure> check(unsigned function, double tolerance);
  /// Times two sides, both checked before, until the difference is sure.
  std::optional<Failure> compare(Timed first, Timed second,
                                 const CompareLimits &limits,
                                 Comparison &result);
  /// The least time of every call of a function, in seconds.
  std::optional<Failure> timeCalls(unsigned function, int runs,
                                   std::vector<double> &seconds);
  /// Whether it was told to stop: failures then mean nothing.
  bool stopped() const { return options.stop && options.stop(); }

private:
  struct Answer;
  bool start(std::string &error);
  void end();
  Answer ask(const std::string &command, double seconds);
  std::optional<Failure> failureOf(const Answer &answer);
  std::optional<Failure> ready();
  std::string command(llvm::StringRef name, llvm::ArrayRef<long> numbers) const;
  /// The number of a function in the table, without those left out.
  long numberOf(unsigned function) const;

  exec::ProgramOp program;
  const WeightSource &weights;
  const MeasureOptions &options;
  std::string executable, weightsFile;
  std::vector<std::string> temporaries;
  std::vector<std::string> notCompiled; ///< per function: why
  std::vector<double> checkSeconds; ///< of the first run of each, 0: not run
  int pid = -1, toChild = -1, fromChild = -1;
  std::string buffered;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_MEASURE_H
