//===- Metrics.h - What is counted beside the loss ------------------------===//

#ifndef HALCYON_TRAIN_METRICS_H
#define HALCYON_TRAIN_METRICS_H

#include "Picture.h"
#include "Tensor.h"

#include <cmath>

namespace halcyon::train {

/// One metric over the batches of an epoch.
class Metric {
public:
  virtual ~Metric() = default;
  /// Takes the first `images` of a batch: what the model says, what is right.
  virtual void add(const Tensor &value, const Tensor *right, uint32_t images) = 0;
  /// Where the model says it in several tensors.
  virtual void addAll(const std::vector<const Tensor *> &values, const Tensor *right,
                      uint32_t images) {
    add(*values.front(), right, images);
  }
  virtual double result() const = 0;
  virtual void clear() = 0;
  /// What was counted so far, for a checkpoint within an epoch.
  virtual Json state() const = 0;
  virtual void restore(const Json &state) = 0;
  /// How many of each class (rows) were taken for which (columns), if counted.
  virtual Json table() const { return nullptr; }

  std::string name, value, right; ///< of the metric, of its two tensors
  std::vector<std::string> more;  ///< of what the model says, behind `value`
  bool larger = true;             ///< is better
};

/// What two boxes share, of all that they cover.
double overlap(const Marked &a, const Marked &b);

/// Mean average precision, by COCO's or VOC's rule (Detection.cpp).
std::unique_ptr<Metric> makePrecision(const std::string &rule);

/// A number of a state; JSON has none that are not finite.
inline double numberOf(const Json &json) {
  return json.is_number() ? json.get<double>() : NAN;
}

/// From an entry of the plan's `metrics`.
std::unique_ptr<Metric> makeMetric(const Json &entry);

/// The class with the largest score of one image or pixel: `classes` scores,
/// `stride` apart. A single score is of class 1 where it is positive.
int64_t predicted(const Tensor &value, size_t at, int64_t classes, size_t stride);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_METRICS_H
