//===- Mistakes.cpp - What a model gets most wrong, as pictures -----------===//

#include "Mistakes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <png.h>

namespace halcyon::train {

/// Of a picture's longer side, in a report.
static constexpr int mostPixels = 320;

std::vector<uint32_t> Judge::worst(size_t most) {
  std::erase_if(found, [](const Found &one) { return !(one.badness > 0); });
  std::sort(found.begin(), found.end(), [](const Found &a, const Found &b) {
    return a.badness != b.badness ? a.badness > b.badness : a.index < b.index;
  });
  std::vector<uint32_t> indices;
  for (size_t i = 0; i < std::min(most, found.size()); ++i)
    indices.push_back(found[i].index);
  return indices;
}

static std::string nameOf(const Dataset &data, int64_t which) {
  return which >= 0 && size_t(which) < data.classes.size() ? data.classes[size_t(which)]
                                                           : std::to_string(which);
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

/// Every so many pixels the first.
static Raw thinned(const Raw &raw, int step) {
  Raw small;
  small.channels = raw.channels;
  small.height = (raw.height + step - 1) / step;
  small.width = (raw.width + step - 1) / step;
  for (int y = 0; y < raw.height; y += step)
    for (int x = 0; x < raw.width; x += step)
      for (int c = 0; c < raw.channels; ++c)
        small.bytes.push_back(
            raw.bytes[(size_t(y) * size_t(raw.width) + size_t(x)) * size_t(raw.channels) +
                      size_t(c)]);
  return small;
}

std::string pngOf(const Raw &picture) {
  if (picture.bytes.empty() || (picture.channels != 1 && picture.channels != 3))
    return "";
  int longer = std::max(picture.height, picture.width);
  Raw raw = thinned(picture, (longer + mostPixels - 1) / mostPixels);
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

Raw pictureOf(const Seen &seen, const std::vector<DataInput> &inputs, const Json &chain) {
  const DataInput *input = nullptr;
  for (const DataInput &one : inputs)
    if (!input && one.shape.size() == 3 && (one.shape[0] == 1 || one.shape[0] == 3))
      input = &one;
  if (!input)
    return {};
  Raw raw;
  raw.channels = int(input->shape[0]);
  raw.height = int(input->shape[1]);
  raw.width = int(input->shape[2]);
  // What was done to the picture's numbers last: value = (number - mean) / deviation.
  std::vector<double> mean, deviation;
  double scale = 1;
  for (const Json &call : chain)
    if (call.at("call") == "normalize") {
      mean = call.at("by").at("mean").get<std::vector<double>>();
      deviation = call.at("by").at("std").get<std::vector<double>>();
    }
  if (mean.empty() && input->image.is_object() &&
      !seen.data.read(seen.index()).bytes.empty()) {
    mean = input->image.at("mean").get<std::vector<double>>();
    deviation = input->image.at("std").get<std::vector<double>>();
    scale = input->image.at("scale").get<double>() * 255;
  }
  const Tensor &tensor = seen.batch.inputs.at(input->name);
  size_t count = input->size(), plane = count / size_t(raw.channels);
  std::vector<double> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    auto of = [&](const std::vector<double> &values) {
      return values[values.size() == 1 ? 0 : i / plane];
    };
    double value = tensor.at(seen.place * count + i);
    numbers[i] = mean.empty() ? value : (value * of(deviation) + of(mean)) / scale;
  }
  // Numbers that are no brightnesses are spread from black to white.
  auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  double low = 0, range = 1;
  if (*least < -0.05 || *most > 1.05) {
    low = *least;
    range = std::max(*most - low, 1e-12);
  }
  raw.bytes.resize(count);
  for (size_t i = 0; i < count; ++i)
    raw.bytes[i % plane * size_t(raw.channels) + i / plane] =
        uint8_t(std::lround(255 * std::clamp((numbers[i] - low) / range, 0.0, 1.0)));
  return raw;
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

namespace {

void count(Confusions &counts, int64_t label, int64_t guess) {
  if (size_t classes = size_t(std::max(label, guess)) + 1; counts.size() < classes) {
    counts.resize(classes);
    for (auto &row : counts)
      row.resize(classes);
  }
  ++counts[size_t(label)][size_t(guess)];
}

class ClassJudge : public Judge {
public:
  explicit ClassJudge(const Metric &metric) : metric(metric) {}

  void hear(const Seen &seen) override {
    auto [guess, label] = verdict(seen);
    if (label < 0)
      return;
    count(confusions, label, guess);
    if (guess != label)
      found.push_back({lossOf(seen), seen.index()});
  }

  void describe(const Dataset &, Json &all) const override {
    all["confusion"] = confusions;
  }

  void show(const Seen &seen, Json &entry) const override {
    auto [guess, label] = verdict(seen);
    entry["label"] = nameOf(seen.data, label);
    entry["guess"] = nameOf(seen.data, guess);
    entry["loss"] = lossOf(seen);
  }

private:
  std::pair<int64_t, int64_t> verdict(const Seen &seen) const {
    const Tensor &value = seen.outputs.at(metric.value);
    int64_t classes = value.shape[1];
    return {predicted(value, seen.place * size_t(classes), classes, 1),
            int64_t(seen.batch.inputs.at(metric.right).at(seen.place))};
  }
  /// Of the image, or of the batch where it has one in all.
  static double lossOf(const Seen &seen) {
    const Tensor &loss = seen.outputs.at("loss");
    return loss.at(loss.size() < seen.batch.images ? 0 : seen.place);
  }

  const Metric &metric;
  Confusions confusions;
};

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// The colour of a class's pixels: none is black, others go around the circle of
/// hues by golden angles, so that neighbours differ.
std::array<uint8_t, 3> colourOf(int64_t which) {
  if (which < 0)
    return {128, 128, 128};
  if (which == 0)
    return {24, 24, 24};
  double hue = std::fmod(0.58 + 0.618034 * double(which - 1), 1.0) * 6;
  std::array<uint8_t, 3> colour;
  for (int c = 0; c < 3; ++c) {
    double away = std::abs(std::fmod(hue - 2 * c + 9, 6.0) - 3);
    colour[size_t(c)] = uint8_t(60 + 180 * std::clamp(2 - away, 0.0, 1.0));
  }
  return colour;
}

class MaskJudge : public Judge {
public:
  MaskJudge(const Metric &metric, int64_t outputs)
      : metric(metric), classes(std::max<int64_t>(outputs, 2)) {}

  void hear(const Seen &seen) override {
    Masks masks = masksOf(seen);
    for (size_t p = 0; p < masks.wanted.size(); ++p)
      if (masks.wanted[p] >= 0)
        count(confusions, masks.wanted[p], masks.given[p]);
    found.push_back({1 - overlapOf(masks), seen.index()});
  }

  void show(const Seen &seen, Json &entry) const override {
    Masks masks = masksOf(seen);
    entry["iou"] = overlapOf(masks);
    entry["wanted"] = coloured(masks, masks.wanted);
    entry["given"] = coloured(masks, masks.given);
  }

  void describe(const Dataset &data, Json &all) const override {
    all["confusion"] = confusions;
    Json &pairs = all["legend"] = Json::array();
    for (int64_t which = 0; which < classes; ++which) {
      char text[8];
      auto [r, g, b] = colourOf(which);
      snprintf(text, sizeof text, "#%02x%02x%02x", r, g, b);
      pairs.push_back({nameOf(data, which), text});
    }
  }

private:
  struct Masks {
    int height, width;
    std::vector<int64_t> wanted, given; ///< -1: does not count
  };

  Masks masksOf(const Seen &seen) const {
    const Tensor &value = seen.outputs.at(metric.value);
    const Tensor &right = seen.batch.inputs.at(metric.right);
    Masks masks{int(value.shape[2]), int(value.shape[3]), {}, {}};
    size_t places = size_t(masks.height) * size_t(masks.width);
    int64_t outputs = value.shape[1];
    for (size_t p = 0; p < places; ++p) {
      int64_t wanted = int64_t(right.at(seen.place * places + p));
      masks.wanted.push_back(wanted);
      masks.given.push_back(
          predicted(value, seen.place * size_t(outputs) * places + p, outputs, places));
    }
    return masks;
  }

  /// The mean over the classes that are there; 1 where nothing counts.
  static double overlapOf(const Masks &masks) {
    std::map<int64_t, std::pair<double, double>> counts; // both, either
    for (size_t p = 0; p < masks.wanted.size(); ++p) {
      int64_t wanted = masks.wanted[p], given = masks.given[p];
      if (wanted < 0)
        continue;
      ++counts[wanted].second;
      if (wanted == given)
        ++counts[wanted].first;
      else
        ++counts[given].second;
    }
    double sum = 0;
    for (auto &[which, count] : counts)
      sum += count.first / count.second;
    return counts.empty() ? 1 : sum / double(counts.size());
  }

  static std::string coloured(const Masks &masks, const std::vector<int64_t> &mask) {
    Raw raw;
    raw.channels = 3;
    raw.height = masks.height;
    raw.width = masks.width;
    for (int64_t which : mask)
      for (uint8_t part : colourOf(which))
        raw.bytes.push_back(part);
    return pngOf(raw);
  }

  const Metric &metric;
  int64_t classes;
  Confusions confusions;
};

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// What is found counts from a score on that serves all images best: the one with
/// the largest F1.
class BoxJudge : public Judge {
public:
  explicit BoxJudge(const Metric &metric) : metric(metric) {}

  void hear(const Seen &seen) override {
    Boxes boxes = boxesOf(seen);
    objects += double(boxes.wanted.size());
    for (const Guess &guess : boxes.guesses)
      guesses.push_back({guess.score, guess.hit < boxes.wanted.size()});
    images.push_back({seen.index(), std::move(boxes)});
  }

  void finish() override {
    std::sort(guesses.begin(), guesses.end(), std::greater<>());
    double hits = 0, most = 0;
    threshold = INFINITY;
    for (size_t i = 0; i < guesses.size(); ++i) {
      hits += guesses[i].second;
      if (double f1 = 2 * hits / (double(i + 1) + objects); f1 > most) {
        most = f1;
        threshold = guesses[i].first;
      }
    }
    for (auto &[index, boxes] : images) {
      Count count = countOf(boxes);
      found.push_back({double(boxes.wanted.size()) - count.right + count.wrong, index});
    }
  }

  void show(const Seen &seen, Json &entry) const override {
    Boxes boxes = boxesOf(seen);
    Count count = countOf(boxes);
    entry["objects"] = boxes.wanted.size();
    entry["right"] = count.right;
    entry["wrong"] = count.wrong;
    Json &list = entry["boxes"] = Json::array();
    std::vector<bool> hit(boxes.wanted.size());
    for (const Guess &guess : boxes.guesses) {
      if (guess.score < threshold)
        continue;
      bool right = guess.hit < hit.size();
      if (right)
        hit[guess.hit] = true;
      list.push_back(boxed(guess.box, right ? "right" : "wrong", seen.data));
      list.back()["score"] = guess.score;
    }
    for (size_t i = 0; i < hit.size(); ++i)
      list.push_back(boxed(boxes.wanted[i], hit[i] ? "wanted" : "missed", seen.data));
  }

private:
  struct Guess {
    Marked box;
    double score;
    size_t hit; ///< which of the wanted ones; their number where none
  };
  struct Boxes {
    std::vector<Marked> wanted;
    std::vector<Guess> guesses; ///< the surest first
  };
  struct Count {
    double right = 0, wrong = 0;
  };

  static Json boxed(const Marked &box, const char *how, const Dataset &data) {
    return {{"at", {box.left, box.top, box.right, box.bottom}},
            {"what", nameOf(data, box.kind)},
            {"how", how}};
  }

  Boxes boxesOf(const Seen &seen) const {
    const Tensor &at = seen.outputs.at(metric.value),
                 &scores = seen.outputs.at(metric.more.at(0)),
                 &kinds = seen.outputs.at(metric.more.at(1)),
                 &right = seen.batch.inputs.at(metric.right);
    auto boxOf = [](const Tensor &from, size_t i, double kind) {
      return Marked{from.at(i), from.at(i + 1), from.at(i + 2), from.at(i + 3),
                    int32_t(kind)};
    };
    Boxes boxes;
    size_t marked = size_t(right.shape[1]), many = size_t(scores.shape[1]);
    for (size_t i = seen.place * marked; i < (seen.place + 1) * marked; ++i)
      if (double kind = right.at(5 * i + 4); kind >= 0)
        boxes.wanted.push_back(boxOf(right, 5 * i, kind));
    for (size_t i = seen.place * many; i < (seen.place + 1) * many; ++i)
      if (kinds.at(i) >= 0)
        boxes.guesses.push_back({boxOf(at, 4 * i, kinds.at(i)), scores.at(i), 0});
    std::stable_sort(boxes.guesses.begin(), boxes.guesses.end(),
                     [](const Guess &a, const Guess &b) { return a.score > b.score; });
    std::vector<bool> taken(boxes.wanted.size());
    for (Guess &guess : boxes.guesses) {
      double best = 0.5; // the overlap from which a box is found
      guess.hit = taken.size();
      for (size_t i = 0; i < taken.size(); ++i)
        if (double own = overlap(guess.box, boxes.wanted[i]);
            !taken[i] && boxes.wanted[i].kind == guess.box.kind && own >= best) {
          best = own;
          guess.hit = i;
        }
      if (guess.hit < taken.size())
        taken[guess.hit] = true;
    }
    return boxes;
  }

  Count countOf(const Boxes &boxes) const {
    Count count;
    for (const Guess &guess : boxes.guesses)
      if (guess.score >= threshold)
        ++(guess.hit < boxes.wanted.size() ? count.right : count.wrong);
    return count;
  }

  const Metric &metric;
  double objects = 0, threshold = 0;
  std::vector<std::pair<double, bool>> guesses; ///< of all images: score, hit
  std::vector<std::pair<uint32_t, Boxes>> images;
};

} // namespace

std::unique_ptr<Judge> makeJudge(const std::vector<std::unique_ptr<Metric>> &metrics,
                                 const Tensors &outputs, const Batch &batch) {
  for (const auto &metric : metrics) {
    auto value = outputs.find(metric->value);
    auto right = batch.inputs.find(metric->right);
    if (value == outputs.end() || right == batch.inputs.end())
      continue;
    size_t rank = value->second.shape.size(), places = right->second.shape.size();
    if (metric->more.size() == 2)
      return std::make_unique<BoxJudge>(*metric);
    if (rank == 4 && right->second.size() * size_t(value->second.shape[1]) ==
                         value->second.size())
      return std::make_unique<MaskJudge>(*metric, value->second.shape[1]);
    if (rank == 2 && (places == 1 || right->second.size() == size_t(value->second.shape[0])))
      return std::make_unique<ClassJudge>(*metric);
  }
  return nullptr;
}

} // namespace halcyon::train
