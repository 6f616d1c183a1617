//===- CostModel.h - How fast a candidate will be, before it is timed -----===//
//
// A kernel's own estimate knows arithmetic and bytes; what tiles, tasks and
// unrolling make of them on this machine is learned from what has been measured
// here: boosted regression trees of the logarithm of measured by estimated time.
// They are trusted only as far as they have been right about kernels that they
// were not fitted to.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_COSTMODEL_H
#define HALCYON_COMPILER_TUNE_COSTMODEL_H

#include "compiler/kernels/Kernel.h"
#include "compiler/tune/Store.h"

#include <map>

namespace halcyon {

/// Named numbers of a candidate, most of them logarithms.
using Features = std::map<std::string, double>;

/// The feature that is the kernel's own estimate: log of seconds.
inline constexpr const char *kEstimate = "estimate";

/// What can be known of a candidate without compiling it.
Features featuresOf(const Group &group, const Kernel &kernel,
                    cnn::ScheduleAttr schedule, llvm::StringRef layout,
                    const Target &target);

std::string featuresText(const Features &features);
Features parseFeatures(llvm::StringRef text);

/// The rank correlation of two lists of equal length, ties sharing their rank;
/// 0 where one is constant.
double spearman(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b);

/// Regression trees, each fitted to what those before it left over. The same
/// data give the same trees.
class BoostedTrees {
public:
  void fit(const std::vector<std::vector<double>> &rows,
           const std::vector<double> &targets);
  double predict(llvm::ArrayRef<double> row) const;

private:
  struct Node {
    int feature = -1; ///< -1: a leaf
    double threshold = 0, value = 0;
    int left = -1, right = -1;
  };
  int grow(const std::vector<std::vector<double>> &rows,
           const std::vector<double> &residuals, std::vector<int> &&members,
           int depth, const std::vector<std::vector<double>> &thresholds);
  std::vector<Node> nodes;
  std::vector<int> roots;
};

class CostModel {
public:
  /// Refits to all that has been timed on this machine.
  void fit(llvm::ArrayRef<Measurement> measured);

  /// Comparable among candidates of one group: less is faster.
  double score(const Features &features) const;

  /// Rank correlation on kernels that were left out of the fit, the mean over
  /// them; nothing where there are too few.
  std::optional<double> correlation() const { return learned; }
  /// The same of the kernels' own estimates.
  std::optional<double> estimateCorrelation() const { return estimated; }
  /// Kernels behind these numbers.
  int kernels() const { return judged; }
  bool usesLearned() const { return learned && *learned >= kLeastCorrelation; }

  static constexpr double kLeastCorrelation = 0.7;

private:
  std::vector<double> row(const Features &features) const;
  std::vector<std::string> names;
  BoostedTrees trees;
  std::optional<double> learned, estimated;
  int judged = 0;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_COSTMODEL_H
