//===- training.h - The table that a training program consists of ---------===//
//
// The compiler writes one `halcyon_trainer` per trained model, as constant
// data; runtime/train reads it.
//
// A training has one step, or, of models that are trained in turn, one for each,
// which follow one another on the same batch. All programs name their inputs and outputs alike:
//
//   image, label, mask ...  what the data yield, N images of it
//   param:NAME              a weight, or a running statistic
//   slot:SLOT:NAME          what the optimizer keeps beside a weight
//   train.rate, train.step, train.seed   f32[1], f32[1] from 1, i32[1]
//   rate:NAME               f32[1], in place of train.rate, where the plan has
//                           the weight in `rates`
//   loss                    per image or one in all
//
// `eval` has "loss:NAME" for each of several steps, in place of "loss".
//
// Of a step, `param:` and `slot:` are outputs as well: the new values. The
// trainer binds an output to the memory of the input of its name, so that a
// program reads such an input before it writes the output. `eval` has no slots.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAINING_H
#define HALCYON_TRAINING_H

#include "halcyon/program.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HALCYON_TRAINER_VERSION 2

typedef struct halcyon_trainer {
  uint32_t version; ///< HALCYON_TRAINER_VERSION
  uint32_t num_steps;
  const halcyon_program *const *steps; ///< forward, backward, update
  const halcyon_program *eval; ///< loss and metrics, norms as in inference
  const char *plan;            ///< JSON: the model's cnn.train
} halcyon_trainer;

/// The table of a training program.
extern const halcyon_trainer halcyon_trainer_main;

#ifdef __cplusplus
}
#endif

#endif // HALCYON_TRAINING_H
