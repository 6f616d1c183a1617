//===- Train.h - See Train.td ------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_TRAIN_H
#define HALCYON_DIALECTS_CNN_TRAIN_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Train.h.inc"

namespace halcyon::cnn {

/// How a model is trained, on the model: a dictionary. What the compiler reads
/// of it:
///
///   decay   {weight's name: f64}: the rule's `decay` of that weight; 0 of others
///   rates   {weight's name: {scale, offset}}: its rate is an input
///           "rate:NAME", f32[1], in place of "train.rate"
///   frozen  [names of weights that never change]
///   clip    [{call = "norm" or "value", largest = f64}], of gradients before
///           the rule
///   accumulate  i64: steps whose gradients are added up; left out where 1
///   precision   "bf16": layers compute on rounded copies of the weights
///   turns   [{name, weights = [names]}]: steps that follow one another, each of
///           the loss "loss:NAME" and of its weights alone
///
/// The rest is the trainer's; docs/training.md lists it.
constexpr llvm::StringLiteral kTrainAttr = "cnn.train";

/// The programs of steps: "step", or "step1", "step2" ... of models in turn.
inline std::vector<std::string> stepNames(size_t turns) {
  if (turns == 0)
    return {"step"};
  std::vector<std::string> names;
  for (size_t i = 1; i <= turns; ++i)
    names.push_back("step" + std::to_string(i));
  return names;
}

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_TRAIN_H
