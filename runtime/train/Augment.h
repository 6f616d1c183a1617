//===- Augment.h - What is done to a sample before it is trained on -------===//

#ifndef HALCYON_TRAIN_AUGMENT_H
#define HALCYON_TRAIN_AUGMENT_H

#include "Picture.h"
#include "Tensor.h"

#include <memory>

namespace halcyon::train {

/// Changes a sample; every draw comes from the generator that is given.
using Augmentation = std::function<void(Sample &, Random &)>;

/// From calls of the plan, such as {"call": "flip", "p": 0.5, ...}. Those that
/// mix samples of a batch are not among them: see Mixing.
Augmentation makeAugmentation(const Json &call);

/// How samples of one batch are mixed, if at all.
struct Mixing {
  enum Kind { None, Mixup, Cutmix } kind = None;
  double alpha = 0;
};

struct Pipeline {
  std::vector<Augmentation> steps;
  Mixing mixing;

  /// `calls` without the source, which comes first in the plan.
  static Pipeline of(const Json &calls);
  void apply(Sample &sample, Random &random) const {
    for (const Augmentation &step : steps)
      step(sample, random);
  }
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_AUGMENT_H
