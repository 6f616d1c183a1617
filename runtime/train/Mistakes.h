//===- Mistakes.h - What a model gets most wrong, as pictures -------------===//

#ifndef HALCYON_TRAIN_MISTAKES_H
#define HALCYON_TRAIN_MISTAKES_H

#include "Loader.h"
#include "Metrics.h"

namespace halcyon::train {

/// An image of a batch, what the model says of it, and where it comes from.
struct Seen {
  const Tensors &outputs;
  const Batch &batch;
  uint32_t place; ///< in the batch
  const Dataset &data;

  uint32_t index() const { return batch.indices[place]; }
};

/// Judges what the model says of single images, by the tensors of one metric.
class Judge {
public:
  virtual ~Judge() = default;
  /// Hears of all images, one by one.
  virtual void hear(const Seen &seen) = 0;
  /// After the last of them.
  virtual void finish() {}
  /// The worst of those that are wrong, at most so many.
  std::vector<uint32_t> worst(size_t most);
  /// How one looks, its picture aside.
  virtual void show(const Seen &seen, Json &entry) const = 0;
  /// What all images share: `confusion`, how many of each class (rows) were taken for
  /// which (columns), and `legend`, classes and their colours.
  virtual void describe(const Dataset &, Json &) const {}

protected:
  struct Found {
    double badness; ///< 0: nothing is wrong
    uint32_t index;
  };
  std::vector<Found> found;
};

/// Counts of right classes (rows) and guesses (columns), as many as there are.
using Confusions = std::vector<std::vector<uint64_t>>;

/// For the first of the metrics whose tensors say what is right of an image: its
/// class, the class of each pixel, or boxes. Null where none does.
std::unique_ptr<Judge> makeJudge(const std::vector<std::unique_ptr<Metric>> &metrics,
                                 const Tensors &outputs, const Batch &batch);

/// The picture that an image's model input was made of. `chain`: the calls that made
/// the input.
Raw pictureOf(const Seen &seen, const std::vector<DataInput> &inputs, const Json &chain);

/// As PNG in base64, no larger than reports show it.
std::string pngOf(const Raw &raw);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_MISTAKES_H
