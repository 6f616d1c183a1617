//===- Find.cpp - Which rate, which batch ---------------------------------===//

#include "Trainer.h"

#include <algorithm>
#include <cmath>
#include <unistd.h>

namespace halcyon::train {

/// From a rate at which nothing happens to one at which all is lost.
static constexpr double leastRate = 1e-7, mostRate = 10;
static constexpr unsigned rateSteps = 100;
/// How much of the mean of past losses stays with each step.
static constexpr double smoothing = 0.9;

/// Smith, 2017: the rate grows with every step; where the loss falls fastest it
/// is right, and where it rises it is too large.
void Trainer::findRate() {
  std::vector<std::pair<double, double>> curve;
  double mean = 0, least = INFINITY;
  uint64_t epoch = 0;
  loader->begin(epoch);
  for (unsigned i = 0; i < rateSteps && !interrupted; ++i) {
    Batch *batch = loader->next();
    if (!batch) {
      loader->begin(++epoch);
      batch = loader->next();
    }
    currentRate = leastRate * std::pow(mostRate / leastRate, i / double(rateSteps - 1));
    setScalars();
    Sums sums;
    double loss = trainOn(*batch, sums);
    ++place.step;
    mean = smoothing * mean + (1 - smoothing) * loss;
    double smooth = mean / (1 - std::pow(smoothing, i + 1));
    if (!std::isfinite(smooth) || smooth > 4 * least)
      break;
    least = std::min(least, smooth);
    curve.push_back({currentRate, smooth});
    printf("%.3g %.5g\n", currentRate, smooth);
  }
  double steepest = 0, best = 0, bottom = 0;
  for (size_t i = 1; i < curve.size(); ++i) {
    double slope = curve[i].second - curve[i - 1].second;
    if (slope < steepest) {
      steepest = slope;
      best = curve[i].first;
    }
    if (curve[i].second == least)
      bottom = curve[i].first;
  }
  if (best == 0)
    throw Failure("the loss falls at no rate");
  printf("the loss falls fastest at %.2g, and is least at %.2g: try %.2g\n", best, bottom,
         std::min(best, bottom / 10));
}

/// Doubles the batch until more images at once are no faster, or do not fit; a batch
/// that was asked for is timed alone.
void Trainer::findBatch() {
  const double most = 0.8 * double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
  double bestSpeed = 0;
  uint32_t best = 0;
  for (uint32_t images = uint32_t(std::max<int64_t>(options.batch, 1));
       images <= training->size() && !interrupted; images *= 2) {
    double bytes = double(model.stepBytes(images));
    if (bytes > most) {
      printf("%6u images need %.1f GB\n", images, bytes / 1e9);
      break;
    }
    LoaderOptions how;
    how.batch = images;
    how.seed = options.seed;
    how.threads = 1;
    Loader once(training, Pipeline::of(plan.at("data")), model.inputs, how);
    once.begin(0);
    Batch *batch = once.next();
    currentRate = 0;
    setScalars();
    double fastest = INFINITY, first = now();
    for (int i = 0; i < 4 || now() - first < 0.2; ++i) {
      double begun = now();
      for (size_t turn = 0; turn < model.turns(); ++turn)
        model.step(*batch, turn);
      fastest = std::min(fastest, now() - begun);
    }
    double perSecond = images / fastest;
    printf("%6u images: %9.3f ms, %9.0f images/s, %8.1f MB\n", images, 1e3 * fastest,
           perSecond, bytes / 1e6);
    if (options.batch)
      return;
    // Less than a tenth faster is not worth a batch twice as large.
    if (perSecond < 1.1 * bestSpeed)
      break;
    bestSpeed = perSecond;
    best = images;
  }
  printf("batch %u\n", best);
}

} // namespace halcyon::train
