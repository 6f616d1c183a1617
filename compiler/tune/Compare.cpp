//===- Compare.cpp - Which of two is faster, surely -----------------------===//

#include "compiler/tune/Compare.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>

namespace halcyon {

static double median(std::vector<double> &sorted) {
  size_t n = sorted.size();
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/// The most that may be left out at either end of `n` sorted values so that the
/// median lies between the rest with 99 % confidence; -1 where n is too small.
static int leftOut(int n) {
  double tail = std::pow(0.5, n), term = tail;
  int k = -1;
  while (tail <= 0.005 && k + 1 < n / 2) {
    ++k;
    term *= double(n - k) / (k + 1);
    tail += term;
  }
  return k;
}

Comparison compareTimes(llvm::ArrayRef<TimePair> pairs) {
  Comparison result;
  if (pairs.empty())
    return result;
  result.pairs = (int)llvm::count_if(
      pairs, [](const TimePair &pair) { return !pair.disturbed; });
  std::vector<double> ratios, first, second;
  for (const TimePair &pair : pairs) {
    if (pair.disturbed && result.pairs)
      continue;
    ratios.push_back(pair.second / pair.first);
    first.push_back(pair.first);
    second.push_back(pair.second);
  }
  llvm::sort(ratios);
  llvm::sort(first);
  llvm::sort(second);
  result.ratio = median(ratios);
  result.first = median(first);
  result.second = median(second);
  int k = leftOut(result.pairs);
  result.low = k < 0 ? 0 : ratios[k];
  result.high = k < 0 ? 1e30 : ratios[ratios.size() - 1 - k];
  return result;
}

Comparison compareUntilSure(
    const CompareLimits &limits,
    llvm::function_ref<bool(int, std::vector<TimePair> &)> measure) {
  std::vector<TimePair> pairs;
  Comparison known;
  double spent = 0, spentInVain = 0;
  for (int more = 3; known.pairs < limits.pairs &&
                     (int)pairs.size() < limits.patience * limits.pairs;
       more = 8) {
    size_t before = pairs.size();
    if (!measure(std::min(more, limits.pairs - known.pairs), pairs))
      break;
    for (const TimePair &pair : llvm::ArrayRef(pairs).drop_front(before))
      (pair.disturbed ? spentInVain : spent) += pair.first + pair.second;
    known = compareTimes(pairs);
    // So much slower, every time: no need for more.
    if (llvm::all_of(pairs, [](const TimePair &pair) {
          return pair.second > 1.3 * pair.first;
        }))
      break;
    bool precise = known.spread() < limits.precision;
    bool equal = known.low > 1 - limits.precision &&
                 known.high < 1 + limits.precision;
    if (known.surelySlower() || equal || (known.surelyFaster() && precise) ||
        spent > limits.seconds ||
        spent + spentInVain > limits.patience * limits.seconds)
      break;
  }
  return known;
}

} // namespace halcyon
