//===- Model.h - The programs that a trainer runs, and their memory -------===//

#ifndef HALCYON_TRAIN_MODEL_H
#define HALCYON_TRAIN_MODEL_H

#include "Loader.h"
#include "State.h"

#include "halcyon/training.h"

namespace halcyon::train {

/// Numbers that change from step to step, by the names of their inputs.
using Scalars = std::map<std::string, double>;

/// Weights, slots, and the two programs bound to them.
class Model {
public:
  Model(const halcyon_trainer &trainer, const Json &plan, uint32_t threads);
  ~Model();

  const halcyon_trainer &trainer;
  State weights;             ///< by their own names
  State slots;               ///< by "SLOT:NAME"
  std::vector<DataInput> inputs; ///< what the data fill
  Scalars scalars;

  /// Which of the weights the step changes.
  bool changes(const std::string &weight) const { return changed.contains(weight); }

  /// Steps that follow one another on a batch: more than one where models are
  /// trained in turn.
  size_t turns() const { return steppers.size(); }
  /// One of them. What it gives holds the loss, and the last what metrics need.
  const Tensors &step(const Batch &batch, size_t turn = 0);
  /// The same without a change, with other weights if some are given.
  const Tensors &evaluate(const Batch &batch, State *others = nullptr);

  /// Bytes that a whole step with so many images needs beside weights and slots.
  uint64_t stepBytes(uint32_t images) const;
  /// Of both programs, with weights and slots.
  uint64_t bytes(uint32_t images) const;
  /// Times the step's kernels from here on; then prints them, the slowest first.
  void startProfile();
  void printProfile() const;
  uint32_t threads() const { return halcyon_session_threads(evaluator.session); }

private:
  struct Side {
    const halcyon_program *program = nullptr;
    halcyon_session *session = nullptr;
    Tensors outputs, numbers;
    uint32_t capacity = 0; ///< images that the outputs have room for
  };

  void open(Side &side, const halcyon_program *program, uint32_t threads);
  void bindState(Side &side, State &from);
  const Tensors &run(Side &side, const Batch &batch);
  void printTraffic() const;

  std::vector<Side> steppers;
  Side evaluator;
  State *evaluated = nullptr; ///< the weights that the evaluator is bound to
  std::set<std::string> changed;
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_MODEL_H
