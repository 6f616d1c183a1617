//===- Log.h - What a run says --------------------------------------------===//
//
// On a terminal one line shows how far training is, and each epoch leaves one;
// elsewhere there are plain lines, one every few seconds. `log.jsonl` gets a
// line for every step and every epoch.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_LOG_H
#define HALCYON_TRAIN_LOG_H

#include "Tensor.h"

#include <cstdio>

namespace halcyon::train {

/// What one line is made of.
struct Standing {
  uint64_t epoch = 0, epochs = 0; ///< from 1
  uint64_t batch = 0, batches = 0;
  double loss = 0, rate = 0;
  std::vector<std::pair<std::string, double>> metrics;
  double imagesPerSecond = 0, secondsLeft = 0;
};

class Log {
public:
  /// A run that goes on appends to what its file has up to the step that it goes on
  /// from; 0: begins anew.
  Log(const std::string &path, uint64_t after, bool quiet);
  ~Log();

  void entry(const Json &line);
  /// While an epoch runs.
  void progress(const Standing &standing);
  /// A line that stays.
  void say(const std::string &text);
  void epoch(const Standing &standing, const Standing *validated, double seconds);

private:
  void clearLine();

  std::string path;
  FILE *file = nullptr;
  bool quiet, terminal, shown = false;
  double last = -1e9;
};

} // namespace halcyon::train

#endif // HALCYON_TRAIN_LOG_H
