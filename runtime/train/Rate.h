//===- Rate.h - The learning rate over time -------------------------------===//

#ifndef HALCYON_TRAIN_RATE_H
#define HALCYON_TRAIN_RATE_H

#include "Tensor.h"

namespace halcyon::train {

/// A schedule of the plan: a function of the step alone, but for `plateau`,
/// which also hears how training goes.
class Rate {
public:
  /// `chain` is the schedule, then what changes it.
  Rate(const Json &chain, uint64_t stepsPerEpoch, uint64_t steps);

  double at(uint64_t step) const;
  /// Hears a metric's value after an epoch; whether more is better.
  void hear(double value, bool larger);
  /// The metric that `plateau` watches; "" for the loss or what is none.
  std::string metric() const;

  /// What `plateau` remembers, for a checkpoint.
  Json state() const;
  void restore(const Json &state);

private:
  double base(double step) const;
  double stepsOf(const Json &duration) const;

  Json call, warmup;
  double perEpoch, total;
  double factor = 1, best = 0;
  int64_t waited = 0;
  bool heard = false;
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_RATE_H
