//===- Review.cpp - What a report shows of weights and pictures -----------===//
//
// With each epoch the log gets the norms of weights and of their gradients, how far
// they moved, their histograms and rows that did not move at all; at the end `pictures.json` gets
// the worst mistakes of validation, and pictures of training whose label the
// model is sure is another.
//
//===----------------------------------------------------------------------===//

#include "Trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <png.h>

namespace halcyon::train {

static constexpr size_t histogramBins = 40, shownPictures = 24;
/// Pictures of training that are looked at again.
static constexpr size_t reviewedImages = 10000;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Json Trainer::reviewWeights(const Sums &sums) {
  Json result = Json::object();
  for (auto &[name, tensor] : model.weights) {
    if (!model.changes(name) || tensor.shape.size() < 2)
      continue;
    size_t count = tensor.size(), rows = size_t(tensor.shape[0]), row = count / rows;
    Tensor &before = previous[name];
    bool first = !before.data();
    if (first)
      before = Tensor(tensor.element, tensor.shape);
    double squares = 0, moved = 0, least = INFINITY, most = -INFINITY;
    size_t still = 0;
    for (size_t r = 0; r < rows; ++r) {
      double movedRow = 0;
      for (size_t i = r * row; i < (r + 1) * row; ++i) {
        double value = tensor.at(i), way = value - before.at(i);
        squares += value * value;
        movedRow += way * way;
        least = std::min(least, value);
        most = std::max(most, value);
      }
      moved += movedRow;
      still += movedRow == 0;
    }
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

static std::string base64(const std::vector<uint8_t> &bytes) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < count ? bytes[i + k] : 0);
    for (size_t k = 0; k < 4; ++k)
      text += k <= count ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

static std::string pngOf(const Raw &raw) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = png_uint_32(raw.width);
  image.height = png_uint_32(raw.height);
  image.format = raw.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t bytes = 0;
  if (!png_image_write_to_memory(&image, nullptr, &bytes, 0, raw.bytes.data(), 0, nullptr))
    return "";
  std::vector<uint8_t> file(bytes);
  if (!png_image_write_to_memory(&image, file.data(), &bytes, 0, raw.bytes.data(), 0,
                                 nullptr))
    return "";
  file.resize(bytes);
  return base64(file);
}

/// The images of a loader whose labels the model finds least likely.
Json Trainer::worstOf(Loader &images) {
  const Metric *classes = nullptr;
  for (auto &metric : metrics)
    if (!metric->right.empty() && !classes)
      classes = metric.get();
  if (!classes)
    return Json::array();
  struct Found {
    double loss;
    uint32_t index;
    int64_t guess, label;
  };
  std::vector<Found> worst;
  images.begin(0);
  while (Batch *batch = images.next()) {
    const Tensors &outputs = model.evaluate(*batch, averagedWeights());
    auto lost = outputs.find("loss"), value = outputs.find(classes->value);
    if (lost == outputs.end() || lost->second.size() < batch->images ||
        value == outputs.end() || value->second.shape.size() != 2)
      return Json::array();
    const Tensor &loss = lost->second;
    const Tensor &right = batch->inputs.at(classes->right);
    for (uint32_t n = 0; n < batch->images; ++n) {
      int64_t of = value->second.shape[1];
      int64_t guess = predicted(value->second, n * size_t(of), of, 1);
      if (guess != int64_t(right.at(n)))
        worst.push_back({loss.at(n), batch->indices[n], guess, int64_t(right.at(n))});
    }
  }
  std::sort(worst.begin(), worst.end(), [](const Found &a, const Found &b) {
    return a.loss != b.loss ? a.loss > b.loss : a.index < b.index;
  });
  if (worst.size() > shownPictures)
    worst.resize(shownPictures);
  Json result = Json::array();
  const Dataset &data = images.dataset();
  auto nameOf = [&](int64_t which) {
    return which >= 0 && size_t(which) < data.classes.size() ? data.classes[size_t(which)]
                                                             : std::to_string(which);
  };
  for (const Found &one : worst) {
    Raw raw = data.read(one.index);
    Json entry = {{"name", data.name(one.index)}, {"loss", one.loss},
                  {"label", nameOf(one.label)},   {"guess", nameOf(one.guess)}};
    if (!raw.bytes.empty() && (raw.channels == 1 || raw.channels == 3))
      entry["png"] = pngOf(raw);
    result.push_back(std::move(entry));
  }
  return result;
}

void Trainer::reviewPictures() {
  Json pictures = {{"classes", training->classes}};
  if (validationLoader)
    pictures["mistakes"] = worstOf(*validationLoader);
  LoaderOptions how;
  how.batch = batchSize;
  how.threads = std::max(options.dataThreads, 1u);
  how.training = false;
  how.preparer = model.trainer.eval;
  std::vector<uint32_t> some =
      permutation(training->size(), Random(options.seed, Random::Split, 1));
  some.resize(std::min(some.size(), reviewedImages));
  // Normalized as in training, but not augmented.
  Pipeline plain;
  for (const Json &call : plan.at("data"))
    if (call.at("call") == "normalize")
      plain.steps.push_back(makeAugmentation(call));
  Loader again(subset(training, some), plain, model.inputs, how);
  pictures["doubtful"] = worstOf(again);
  writeWhole(file("pictures.json"), pictures.dump() + "\n");
}

} // namespace halcyon::train
