//===- Compare.h - Which of two is faster, surely -------------------------===//
//
// Other programs, clocks and caches make single times worthless. Two candidates
// run in turn; the ratios of neighbouring times are nearly free of what disturbs
// both, and their median has an interval that needs no assumption about noise:
// it lies between two of the sorted ratios, by the binomial distribution. Pairs
// in which another program took a core away don't count: what they disturb is
// not alike for both, and favours whoever cuts its work into more tasks.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_COMPARE_H
#define HALCYON_COMPILER_TUNE_COMPARE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <vector>

namespace halcyon {

/// Times of two sides, in seconds, one after the other.
struct TimePair {
  double first = 0, second = 0;
  bool disturbed = false; ///< a thread lost its core meanwhile
};

/// How the second side's time relates to the first's.
struct Comparison {
  double ratio = 1;         ///< median of second / first
  double low = 0, high = 1e30; ///< with 99 % confidence
  double first = 0, second = 0; ///< median seconds
  int pairs = 0; ///< that count

  bool surelyFaster() const { return high < 1; }
  bool surelySlower() const { return low > 1; }
  double spread() const { return (high - low) / 2; }
};

/// Where all pairs were disturbed they give the medians, and nothing is sure.
Comparison compareTimes(llvm::ArrayRef<TimePair> pairs);

struct CompareLimits {
  int pairs = 120;       ///< that count
  double seconds = 0.25; ///< that they take
  int patience = 4;      ///< times as many, as long, with those that don't
  double precision = 0.005; ///< of the ratio, where the second is faster
};

/// Takes more pairs until the difference is sure: the second is slower, or it
/// is faster and the ratio is known to `precision`, or they differ by less than
/// that; at most as long as the limits say. `measure` takes a number of pairs
/// and appends them; false ends it.
Comparison
compareUntilSure(const CompareLimits &limits,
                 llvm::function_ref<bool(int, std::vector<TimePair> &)> measure);

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_COMPARE_H
