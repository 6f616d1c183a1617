//===- Search.h - Candidates of one group, and which to time next ---------===//

#ifndef HALCYON_COMPILER_TUNE_SEARCH_H
#define HALCYON_COMPILER_TUNE_SEARCH_H

#include "compiler/tune/CostModel.h"
#include "compiler/tune/Measure.h"
#include "compiler/tune/Trials.h"

#include <random>

namespace halcyon {

/// A way to compute a group, and what is known of it.
struct Candidate {
  Choice choice;
  std::string text;
  const Kernel *kernel = nullptr;
  Features features;
  std::optional<Measurement> known;

  bool timed() const { return known && known->outcome == Outcome::Timed; }
  /// Time by that of the default; a large number where it is not known.
  double relative() const { return timed() ? known->relative : 1e9; }
  /// What it is surely below: of many candidates the best by `relative` is often
  /// only the luckiest.
  double surely() const { return timed() ? known->relative + known->spread : 1e9; }
};

/// The distinct kernels of a model: one group, as often as the model has it.
class GroupSearch {
public:
  /// `chosen` is what the compiler does untuned. Takes over what the store
  /// knows.
  GroupSearch(cnn::FusedOp group, std::string name, const Choice &chosen,
              const Target &target, Store &store);

  /// What to time next, at most `count`: first every algorithm as it is by
  /// default, then what the model ranks first and neighbours of the best, and
  /// some at random so that the model sees more than it already likes.
  std::vector<int> next(unsigned count, const CostModel &model, Store &store);

  /// Times these beside the best so far. False where that was stopped or could
  /// not be built; `error` then says why.
  bool measure(llvm::ArrayRef<int> numbers, const WeightSource &weights,
               const MeasureOptions &options, Store &store,
               llvm::function_ref<void(llvm::StringRef)> trying,
               std::string &error);

  /// The fastest that is known; 0, the default, where nothing is faster.
  int best() const;
  /// The fastest of each layout; the default's layout is always there.
  std::vector<int> bestOfLayouts() const;
  bool hasMore() const;

  cnn::FusedOp group;
  std::string name;  ///< of its first layer
  std::string text;  ///< groupText
  std::vector<Candidate> candidates; ///< the default first
  std::vector<cnn::FusedOp> groups;  ///< all that are alike
  double seconds = 0; ///< of all of them in a run, untuned
  int rounds = 0;     ///< of measurements in this run
  int stale = 0;      ///< of them, without a gain, since the last one

private:
  bool areNeighbours(const Choice &a, const Choice &b) const;
  void record(Candidate &candidate, Measurement measurement, Store &store);

  const Target &target;
  double tolerance(const Candidate &candidate) const;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_SEARCH_H
