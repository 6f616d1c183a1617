//===- Loader.h - Batches, made ahead of the step -------------------------===//
//
// Threads of the loader's own read, decode and augment while the model
// computes. Which samples a batch has and what is done to them depends on the
// seed, the epoch and the batch's number alone, never on the threads.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_LOADER_H
#define HALCYON_TRAIN_LOADER_H

#include "Augment.h"
#include "Data.h"

#include "halcyon/halcyon.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace halcyon::train {

/// An input of the model that the data fill.
struct DataInput {
  std::string name;
  Element element = Element::F32;
  std::vector<int64_t> shape; ///< of one image
  Json image;                 ///< how a picture becomes it; null where it is none
  size_t size() const;
};

struct Batch {
  uint32_t images = 0;
  std::map<std::string, Tensor> inputs;
  std::vector<uint32_t> indices; ///< in the dataset
  std::string failure;
};

struct LoaderOptions {
  uint32_t batch = 32;
  uint64_t seed = 0;
  unsigned threads = 2;
  bool training = true;  ///< shuffled, augmented, whole batches alone
  bool balanced = false; ///< classes equally often
  /// Turns pictures into the input as the model's own program does; null where
  /// it has no such input.
  const halcyon_program *preparer = nullptr;
};

class Loader {
public:
  Loader(std::shared_ptr<const Dataset> data, Pipeline pipeline,
         std::vector<DataInput> inputs, LoaderOptions options);
  ~Loader();

  uint64_t batches() const;
  size_t images() const { return data->size(); }
  const Dataset &dataset() const { return *data; }

  /// Goes through an epoch from a batch on.
  void begin(uint64_t epoch, uint64_t firstBatch = 0);
  /// The next batch, or null after the last. It is the caller's until the next
  /// call. Throws what went wrong with its samples.
  Batch *next();

private:
  struct Slot {
    Batch batch;
    uint64_t number = 0;
    bool ready = false;
  };
  class Preparer;

  void stop();
  void work();
  void choose();
  void make(Batch &batch, uint64_t number, Preparer *preparer) const;
  void fill(Batch &batch, uint32_t place, uint32_t index, Preparer *preparer) const;
  void put(const Sample &sample, const Raw &raw, Batch &batch, uint32_t place) const;
  void mix(Batch &batch, uint64_t number) const;

  std::shared_ptr<const Dataset> data;
  Pipeline pipeline;
  std::vector<DataInput> inputs;
  LoaderOptions options;

  std::vector<uint32_t> order; ///< of this epoch's samples
  uint64_t epoch = 0;
  std::vector<std::vector<uint32_t>> byClass;

  std::vector<std::thread> threads;
  std::vector<Slot> slots;
  std::mutex mutex;
  std::condition_variable made, taken;
  uint64_t nextToMake = 0, nextToTake = 0;
  bool stopping = false, holding = false;
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_LOADER_H
