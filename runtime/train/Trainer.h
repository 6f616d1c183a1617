//===- Trainer.h - The loop -----------------------------------------------===//

#ifndef HALCYON_TRAIN_TRAINER_H
#define HALCYON_TRAIN_TRAINER_H

#include "Log.h"
#include "Metrics.h"
#include "Model.h"
#include "Rate.h"

#include <optional>

namespace halcyon::train {

struct TrainerOptions {
  std::string folder;   ///< of the run
  std::string weights;  ///< to start from, in place of the plan's
  std::string data, validate; ///< in place of the plan's paths
  uint64_t seed = 1;
  uint64_t steps = 0;   ///< ends after so many, if not 0
  uint32_t threads = 0, dataThreads = 2;
  int64_t epochs = 0, batch = 0; ///< 0: the plan's
  bool resume = false, quiet = false, profile = false;
};

class Trainer {
public:
  Trainer(const halcyon_trainer &trainer, const TrainerOptions &options);

  /// Trains to the end, or until it is interrupted: then false.
  bool run();

  /// Tries rates from small to large on copies of the weights, and says which
  /// are worth taking.
  void findRate();
  /// Times steps of growing batches.
  void findBatch();

private:
  /// Where training stands; all of it is in a checkpoint.
  struct Place {
    uint64_t epoch = 0, batch = 0, step = 0; ///< of what comes next, from 0
    double best = 0, kept = 0;
    bool anyBest = false, anyKept = false;
    int64_t waited = 0; ///< epochs since the best
    uint64_t averaged = 0;
    double seconds = 0;
  };
  /// Sums over the batches of an epoch.
  struct Sums {
    double loss = 0, images = 0;
    std::map<std::string, double> turns; ///< losses of models in turn
    std::map<std::string, double> squares; ///< of the weights' gradients
    double meanLoss() const { return images ? loss / images : 0; }
  };

  void openData();
  std::shared_ptr<Dataset> openSource(const Json &chain, bool validation);
  void startWeights();
  void setScalars();
  Batch *nextBatch();
  void takeStep(Batch &batch);
  void trainEpochs();
  double trainOn(const Batch &batch, Sums &sums, Json *line = nullptr);
  double evaluateOn(const Batch &batch, Sums &sums);
  void addMetrics(const Tensors &outputs, const Batch &batch);
  void average();
  State *averagedWeights();
  Standing standing(const Sums &sums) const;
  Standing validate();
  bool endEpoch(const Sums &sums, double seconds);
  double metricOf(const std::string &name, const Standing &standing, bool &larger) const;

  // Files (Checkpoint.cpp).
  void saveState();
  void saveWeights(const std::string &name);
  std::string weightFiles(const std::string &name) const;
  void loadState();
  std::string file(const std::string &name) const { return options.folder + "/" + name; }

  // For the report (Review.cpp).
  Json reviewWeights(const Sums &sums);
  void reviewPictures();
  Json worstOf(const std::shared_ptr<Dataset> &data, const Json &chain, Json &about);

  TrainerOptions options;
  Json plan;
  Model model;
  std::unique_ptr<Log> log;
  std::shared_ptr<Dataset> training, validation;
  std::unique_ptr<Loader> loader, validationLoader;
  std::vector<std::unique_ptr<Metric>> metrics;
  std::unique_ptr<Rate> rate;
  State averages;
  Tensors previous; ///< weights of the epoch before
  uint32_t batchSize;
  uint64_t epochs;
  std::vector<std::string> turnNames; ///< of models in turn
  Place place;
  Sums soFar; ///< of this epoch
  double started = 0, lastSaved = 0, currentRate = 0, speed = 0;
};

/// Set by SIGINT and SIGTERM: training saves where it is and ends.
extern volatile bool interrupted;

} // namespace halcyon::train

#endif // HALCYON_TRAIN_TRAINER_H
