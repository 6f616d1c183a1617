//===- Review.cpp - What a report shows of weights and pictures -----------===//
//
// With each epoch the log gets the norms of weights and of their gradients, how far
// they moved, their histograms and rows that no gradient moved; at the end
// `pictures.json` gets the worst mistakes of validation, and pictures of training of
// which the model is sure that their labels, masks or boxes are others.
//
//===----------------------------------------------------------------------===//

#include "Mistakes.h"
#include "Trainer.h"

#include <algorithm>
#include <cmath>

namespace halcyon::train {

static constexpr size_t histogramBins = 40, shownPictures = 24;
/// Pictures of training that are looked at again.
static constexpr size_t reviewedImages = 10000;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Json Trainer::reviewWeights(const Sums &sums) {
  Json result = Json::object();
  for (auto &[name, tensor] : model.weights.get()) {
    if (!model.changes(name) || tensor.shape.size() < 2)
      continue;
    size_t count = tensor.size(), rows = size_t(tensor.shape[0]), row = count / rows;
    Tensor &before = previous[name];
    bool first = !before.data();
    if (first)
      before = Tensor(tensor.element, tensor.shape);
    double squares = 0, moved = 0, least = INFINITY, most = -INFINITY;
    // Decay alone moves a row along itself: what is left counts.
    std::vector<double> aside;
    double asideOfAll = 0;
    for (size_t r = 0; r < rows; ++r) {
      double movedRow = 0, along = 0, length = 0;
      for (size_t i = r * row; i < (r + 1) * row; ++i) {
        double value = tensor.at(i), way = value - before.at(i);
        squares += value * value;
        movedRow += way * way;
        along += way * value;
        length += value * value;
        least = std::min(least, value);
        most = std::max(most, value);
      }
      moved += movedRow;
      double left = movedRow - (length > 0 ? along * along / length : 0);
      aside.push_back(left > 1e-10 * length ? left : 0);
      asideOfAll += aside.back();
    }
    size_t still = size_t(std::count_if(aside.begin(), aside.end(), [&](double left) {
      return left <= 1e-4 * asideOfAll / double(rows);
    }));
    std::vector<uint64_t> bins(histogramBins);
    for (size_t i = 0; i < count && most > least; ++i)
      ++bins[std::min(size_t((tensor.at(i) - least) / (most - least) * histogramBins),
                      histogramBins - 1)];
    result[name] = {{"norm", std::sqrt(squares)}, {"least", least}, {"most", most},
                    {"bins", bins},               {"rows", rows}};
    if (!first) {
      result[name]["moved"] = std::sqrt(moved);
      result[name]["still"] = still;
    }
    // The root of the mean square over the epoch's steps.
    if (auto found = sums.squares.find(name);
        found != sums.squares.end() && std::isfinite(found->second))
      result[name]["gradient"] = std::sqrt(found->second / sums.images);
    std::copy_n(tensor.data(), tensor.bytes(), before.data());
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

/// The images that the model gets most wrong, whether that is its mistake or the
/// label's. `chain`: the calls that make inputs of them; `about` gets what they share.
Json Trainer::worstOf(const std::shared_ptr<Dataset> &data, const Json &chain,
                      Json &about) {
  LoaderOptions how;
  how.batch = batchSize;
  how.threads = std::max(options.dataThreads, 1u);
  how.training = false;
  how.preparer = model.trainer.eval;
  std::unique_ptr<Judge> judge;
  auto each = [&](const std::shared_ptr<Dataset> &images, auto look) {
    Loader batches(images, Pipeline::of(chain), model.inputs, how);
    batches.begin(0);
    while (Batch *batch = batches.next()) {
      const Tensors &outputs = model.evaluate(*batch, averagedWeights());
      if (!judge)
        judge = makeJudge(metrics, outputs, *batch);
      for (uint32_t n = 0; judge && n < batch->images; ++n)
        look(Seen{outputs, *batch, n, *images});
    }
  };
  each(data, [&](const Seen &seen) { judge->hear(seen); });
  Json result = Json::array();
  if (!judge)
    return result;
  judge->finish();
  std::shared_ptr<Dataset> worst = subset(data, judge->worst(shownPictures));
  each(worst, [&](const Seen &seen) {
    Json entry = {{"name", worst->name(seen.index())}};
    judge->show(seen, entry);
    // As the file has it, or as the model sees it, where places in it count.
    Raw raw = worst->read(seen.index());
    bool whole = !raw.bytes.empty() && raw.mask.empty() && raw.boxes.empty();
    if (!whole)
      raw = pictureOf(seen, model.inputs, chain);
    if (std::string png = pngOf(raw); !png.empty()) {
      entry["png"] = png;
      entry["size"] = {raw.width, raw.height};
    }
    result.push_back(std::move(entry));
  });
  judge->describe(*data, about);
  return result;
}

void Trainer::reviewPictures() {
  Json pictures = {{"classes", training->classes}};
  std::vector<uint32_t> some =
      permutation(training->size(), Random(options.seed, Random::Split, 1));
  some.resize(std::min(some.size(), reviewedImages));
  // Normalized as in training, but not augmented.
  Json plain = Json::array();
  for (const Json &call : plan.at("data"))
    if (plain.empty() || call.at("call") == "normalize")
      plain.push_back(call);
  pictures["doubtful"] = worstOf(subset(training, some), plain, pictures);
  if (validation)
    pictures["mistakes"] = worstOf(validation, plan.at("validate"), pictures);
  writeWhole(file("pictures.json"), pictures.dump() + "\n");
}

} // namespace halcyon::train
