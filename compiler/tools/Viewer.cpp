//===- View.cpp - Pictures of what a network does -------------------------===//

#include "compiler/tools/Viewer.h"
#include "compiler/tools/Embedding.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <random>

using namespace llvm;

namespace halcyon {

static constexpr int64_t shownSize = 224; ///< pixels that a small picture gets
static constexpr int64_t leastTile = 40, mostTile = 128;

/// A layer's path, or a picture's name, as part of a file's name.
static std::string fileName(StringRef text) {
  std::string result;
  for (char c : text)
    result += isAlnum(c) || c == '.' || c == '_' || c == '-' ? c : '-';
  return result;
}

static int64_t enlarging(int64_t height, int64_t width, int64_t size) {
  return std::max<int64_t>(1, size / std::max<int64_t>(1, std::max(height, width)));
}

bool Viewer::chosen(StringRef path) const {
  if (options.layers.empty())
    return true;
  return any_of(options.layers, [&](const std::string &text) {
    auto pattern = GlobPattern::create(text);
    if (pattern)
      return pattern->match(path);
    consumeError(pattern.takeError());
    return path == text;
  });
}

std::string Viewer::className(int64_t index) const {
  std::string text = std::to_string(index);
  return index < int64_t(labels.size()) && !labels[index].empty() && labels[index] != text
             ? labels[index] + " (" + text + ")"
             : text;
}

bool Viewer::add(const std::string &file, const Pixels &pixels,
                 const std::string &caption) {
  std::string png = pixels.png();
  if (png.empty())
    return fail("this build's LLVM has no zlib, which PNG files need");
  std::string error = folder.write(file, png);
  if (!error.empty())
    return fail(error);
  page += "<figure><img src=\"" + escaped(file) + "\" alt=\"\"><figcaption>" +
          escaped(caption) + "</figcaption></figure>\n";
  return true;
}

//===----------------------------------------------------------------------===//
// Filters
//===----------------------------------------------------------------------===//

void Viewer::findFilters() {
  driver.module->walk([&](cnn::AffineOpInterface op) {
    auto weight = op.getWeight().getDefiningOp<cnn::WeightOp>();
    std::string path = cnn::layerLocation(op.getLoc()).path;
    if (!weight || !chosen(path))
      return;
    auto shape = mlir::cast<mlir::RankedTensorType>(weight.getType()).getShape();
    // Shared ones are shown once.
    if (shape.size() == 4 &&
        none_of(filters, [&](auto &f) { return f.weight == weight.getName(); }))
      filters.push_back({path, weight.getName().str(), shape.vec()});
  });
}

bool Viewer::showFilters() {
  for (const Filters &f : filters) {
    std::vector<float> storage;
    ArrayRef<float> all = driver.weights->read(f.weight, f.shape, storage);
    int64_t outside = f.shape[0], inside = f.shape[1], h = f.shape[2], w = f.shape[3];
    std::string caption = formatv("{0}: {1} filters of {2} x {3} x {4}", f.path, outside,
                                  inside, h, w);
    Pixels picture;
    if (h * w == 1) {
      // A matrix: a row for each filter.
      picture = signedGrey(all, outside, inside);
      picture = picture.enlarged(enlarging(outside, inside, shownSize));
      caption += ", a row for each";
    } else {
      bool colour = inside == 3, single = colour || inside == 1;
      int64_t columns = single ? 8 : std::min<int64_t>(inside, 16);
      int64_t rows = std::min(outside, single ? options.most
                                              : std::max<int64_t>(1, options.most / columns));
      std::vector<Pixels> tiles;
      for (int64_t o = 0; o < rows; ++o)
        for (int64_t i = 0; i < (single ? 1 : columns); ++i) {
          ArrayRef<float> one =
              all.slice((o * inside + i) * h * w, (colour ? 3 : 1) * h * w);
          Pixels tile = colour ? photo(one, 3, h, w) : signedGrey(one, h, w);
          tiles.push_back(tile.enlarged(enlarging(h, w, leastTile)));
        }
      picture = grid(tiles, columns);
      if (!single)
        caption += ", a row for each, a column for a channel";
      if (rows < outside || (!single && columns < inside))
        caption += "; the first of them";
    }
    if (!add("filters/" + fileName(f.path) + ".png", picture, caption))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

bool Viewer::findUnits() {
  for (const std::string &text : options.units) {
    auto [path, number] = StringRef(text).rsplit(':');
    const ProbedLayer *layer = probe.find(path);
    int64_t channel;
    if (!layer)
      return fail("--maximise " + text + ": there is no layer '" + path + "'");
    if (number.getAsInteger(10, channel) || channel < 0 || channel >= layer->sizes[0])
      return fail("--maximise " + text + ": it takes layer:channel, and '" + path +
                  "' has channels 0 to " + Twine(layer->sizes[0] - 1));
    units.push_back({layer, channel, ""});
  }
  return true;
}

bool Viewer::findClass() {
  SmallVector<StringRef> lines;
  StringRef(probe.labels()).split(lines, '\n');
  for (StringRef line : lines)
    labels.push_back(line.trim().str());
  if (options.classAsked.empty())
    return true;
  int64_t count = probe.output()->sizes[0];
  for (int64_t i = 0; i < std::min<int64_t>(count, labels.size()); ++i)
    if (labels[i] == options.classAsked)
      classIndex = i;
  if (classIndex < 0 && (StringRef(options.classAsked).getAsInteger(10, classIndex) ||
                         classIndex < 0 || classIndex >= count))
    return fail("--class " + options.classAsked + ": the classes are 0 to " +
                Twine(count - 1) + (labels.size() > 1 ? ", or their labels" : ""));
  return true;
}

bool Viewer::prepare() {
  const ProbedLayer *output = probe.output();
  auto named = [&](const std::string &path, StringRef option,
                   const ProbedLayer *&layer) {
    layer = probe.find(path);
    return layer || fail("--" + option + ": there is no layer '" + path + "'");
  };
  bool decides = output->isMap() || output->sizes.size() == 1;
  if (!decides && options.byDefault)
    for (const char *kind : {"cam", "saliency", "map"})
      options.kinds.erase(kind);
  bool gradients = wants("cam") || wants("saliency");
  if (!decides && gradients)
    return fail("what explains a class or a channel needs an output of them, and '" +
                output->path + "' is " + cnn::shapeText(output->value.getType()));
  if (!findClass() || !findUnits())
    return false;
  if (wants("cam")) {
    // The last maps: what is behind them does not know where anything is.
    for (const ProbedLayer &layer : probe.layers())
      if (layer.isMap() && layer.sizes[1] * layer.sizes[2] > 1 && &layer != output)
        cam = &layer;
    if (!options.camLayer.empty() && !named(options.camLayer, "cam-layer", cam))
      return false;
    if (!cam || !cam->isMap())
      return fail("a class activation map needs a layer of maps: --cam-layer");
    camGradient = probe.watch(*cam);
  }
  if (wants("map")) {
    // What the last layer decides by.
    for (const ProbedLayer &layer : probe.layers())
      if (&layer != output && layer.kind != "dropout")
        embedded = &layer;
    for (const ProbedLayer &layer : probe.layers())
      if (is_contained(output->value.getDefiningOp()->getOperands(), layer.value))
        embedded = &layer;
    if (!options.mapLayer.empty() && !named(options.mapLayer, "map-layer", embedded))
      return false;
    if (!embedded)
      return fail("a map needs a layer before the output: --map-layer");
  }
  inputValue = probe.showInput();
  std::map<std::string, std::string> shown;
  auto show = [&](const ProbedLayer &layer) {
    std::string &name = shown[layer.path];
    return name.empty() ? name = probe.show(layer.value, layer.path) : name;
  };
  outputValue = show(*output);
  if (cam)
    camValue = show(*cam);
  if (embedded)
    embeddedValue = show(*embedded);
  if (wants("features"))
    for (const ProbedLayer &layer : probe.layers())
      // Of several with one path, the last is the layer's result.
      if (layer.isMap() && layer.sizes[1] * layer.sizes[2] > 1 && chosen(layer.path) &&
          probe.find(layer.path) == &layer)
        features.emplace_back(&layer, show(layer));
  std::map<const ProbedLayer *, std::string> mixes;
  if (gradients || (wants("maximise") && units.empty()))
    outputMix = mixes[output] = probe.aim(*output, Probe::Element::Mean);
  for (Unit &unit : units) {
    std::string &mix = mixes[unit.layer];
    if (mix.empty())
      mix = probe.aim(*unit.layer, Probe::Element::Mean);
    unit.mix = mix;
  }
  return probe.compile();
}

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

/// The channel of an output whose mean is the largest.
static int64_t likeliest(const Numbers &values) {
  int64_t channels = values.shape[1], each = values.count() / channels, best = 0;
  double most = -INFINITY;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < each; ++i)
      sum += values.values[c * each + i];
    if (sum > most) {
      most = sum;
      best = c;
    }
  }
  return best;
}

bool Viewer::showPicture(const std::string &path, size_t number) {
  std::string name =
      (number < 10 ? "0" : "") + std::to_string(number) + "-" + fileName(sys::path::stem(path));
  names.push_back(name);
  std::vector<std::string> wanted = {inputValue, outputValue};
  if (embedded)
    wanted.push_back(embeddedValue);
  for (auto &[layer, value] : features)
    wanted.push_back(value);
  llvm::sort(wanted);
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  NamedNumbers seen;
  if (!probe.run(1, path, {}, wanted, seen))
    return false;
  const Numbers &input = seen[inputValue];
  if (input.shape[0] != 1)
    return fail(path + ": holds " + Twine(input.shape[0]) + " images; view takes one a file");
  int64_t c = input.shape[1], h = input.shape[2], w = input.shape[3];
  Pixels photograph = photo(input.values, c, h, w);
  int64_t factor = enlarging(h, w, shownSize);
  int64_t wantedClass = classIndex >= 0 ? classIndex : likeliest(seen[outputValue]);
  page += "<h2>" + escaped(path) + "</h2>\n";
  if (probe.output()->isMap() || probe.output()->sizes.size() == 1)
    page += (probe.output()->isMap() ? "<p>channel " : "<p>class ") +
            escaped(className(wantedClass)) + "</p>\n";
  page += "<div>";
  if (!add(name + "/input.png", photograph.enlarged(factor), "what the network gets"))
    return false;
  thumbnails.push_back(photograph.reduced(48));
  if (embedded) {
    // Of maps, the mean of each channel.
    const Numbers &values = seen[embeddedValue];
    int64_t channels = values.shape[1], each = values.count() / channels;
    embeddings.emplace_back(channels);
    for (int64_t i = 0; i < values.count(); ++i)
      embeddings.back()[i / each] += values.values[i] / each;
  }
  if (!outputMix.empty() && (wants("cam") || wants("saliency")) &&
      !explainPicture(path, name, wantedClass, input))
    return false;
  page += "</div>\n<div>";
  for (auto &[layer, value] : features) {
    const Numbers &maps = seen[value];
    int64_t count = maps.shape[1], high = maps.shape[2], wide = maps.shape[3];
    std::vector<Pixels> tiles;
    for (int64_t i = 0; i < std::min(count, options.most); ++i)
      tiles.push_back(grey(ArrayRef(maps.values).slice(i * high * wide, high * wide), high, wide)
                          .enlarged(enlarging(high, wide, leastTile))
                          .reduced(mostTile));
    std::string caption = formatv("{0} ({1}): {2} x {3} x {4}", layer->path, layer->kind,
                                  count, high, wide);
    if (count > options.most)
      caption += formatv("; the first {0}", options.most);
    if (!add(name + "/features/" + fileName(layer->path) + ".png", grid(tiles, 8), caption))
      return false;
  }
  page += "</div>\n";
  return true;
}

bool Viewer::explainPicture(const std::string &path, const std::string &name,
                            int64_t wanted, const Numbers &input) {
  std::vector<std::string> outputs = {probe.watchInput()};
  if (cam)
    outputs.insert(outputs.end(), {camGradient, camValue});
  Numbers mix = Numbers::zeros({1, probe.output()->sizes[0]});
  mix.values[wanted] = 1;
  NamedNumbers seen;
  if (!probe.run(1, path, {{outputMix, mix}}, outputs, seen))
    return false;
  int64_t c = input.shape[1], h = input.shape[2], w = input.shape[3];
  int64_t factor = enlarging(h, w, shownSize);
  if (wants("saliency")) {
    const Numbers &gradient = seen[probe.watchInput()];
    numbers["saliency:" + name] = gradient;
    // Of the channels, the one that matters most.
    std::vector<float> strongest(h * w);
    for (int64_t i = 0; i < gradient.count(); ++i)
      strongest[i % (h * w)] = std::max(strongest[i % (h * w)], std::fabs(gradient.values[i]));
    if (!add(name + "/saliency.png", grey(strongest, h, w).enlarged(factor),
             "saliency: how much a pixel changes the class"))
      return false;
  }
  if (!cam)
    return true;
  // Selvaraju and others, 2017: channels by their mean gradient, what speaks for it.
  const Numbers &maps = seen[camValue], &gradient = seen[camGradient];
  int64_t channels = maps.shape[1], high = maps.shape[2], wide = maps.shape[3];
  Numbers heatMap = Numbers::zeros({high, wide});
  for (int64_t k = 0; k < channels; ++k) {
    double weight = 0;
    for (int64_t i = 0; i < high * wide; ++i)
      weight += gradient.values[k * high * wide + i] / (high * wide);
    for (int64_t i = 0; i < high * wide; ++i)
      heatMap.values[i] += weight * maps.values[k * high * wide + i];
  }
  float most = 0;
  for (float &value : heatMap.values) {
    value = std::max(value, 0.0f);
    most = std::max(most, value);
  }
  numbers["cam:" + name] = heatMap;
  std::vector<float> large = resized(heatMap.values, high, wide, h, w);
  Pixels picture = photo(input.values, c, h, w);
  for (int64_t i = 0; i < h * w; ++i) {
    Colour hot = heat(most > 0 ? large[i] / most : 0);
    int light = (picture.at[i][0] + picture.at[i][1] + picture.at[i][2]) / 3;
    for (int k = 0; k < 3; ++k)
      picture.at[i][k] = (light + hot[k]) / 2;
  }
  return add(name + "/cam.png", picture.enlarged(factor),
             "class activation map at " + cam->path);
}

//===----------------------------------------------------------------------===//
// What a unit likes best
//===----------------------------------------------------------------------===//

/// Each map a little smoother: 1 2 1 in both directions.
static void smooth(MutableArrayRef<float> map, int64_t height, int64_t width) {
  std::vector<float> from(map.begin(), map.end());
  auto along = [&](int64_t step, int64_t index, int64_t size, int64_t at) {
    float before = from[index > 0 ? at - step : at], after = from[index + 1 < size ? at + step : at];
    return (before + 2 * from[at] + after) / 4;
  };
  for (int64_t at = 0; at < height * width; ++at)
    map[at] = along(1, at % width, width, at);
  from.assign(map.begin(), map.end());
  for (int64_t at = 0; at < height * width; ++at)
    map[at] = along(width, at / width, height, at);
}

/// Ascent from noise, along the gradient's direction, towards less noise.
bool Viewer::maximise() {
  const std::vector<int64_t> &sizes = probe.inputSizes();
  if (units.empty()) {
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < std::min<int64_t>(probe.output()->sizes[0], 10); ++i)
      classes.push_back(i);
    if (classIndex >= 0)
      classes = {classIndex};
    for (int64_t index : classes)
      units.push_back({probe.output(), index, outputMix});
  }
  page += "<h2>What units like best</h2>\n<div>";
  int64_t each = sizes[0] * sizes[1] * sizes[2], plane = sizes[1] * sizes[2];
  for (const Unit &unit : units) {
    Numbers x = Numbers::zeros({1, sizes[0], sizes[1], sizes[2]});
    Numbers mix = Numbers::zeros({1, unit.layer->sizes[0]});
    mix.values[unit.channel] = 1;
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.1f);
    for (float &value : x.values)
      value = normal(random);
    float first = 0, last = 0;
    for (int64_t step = 0; step <= options.steps; ++step) {
      NamedNumbers seen;
      std::string gradient = probe.watchInput();
      if (!probe.run(1, "", {{probe.nameOfInput(), x}, {unit.mix, mix}}, {gradient, "loss"},
                     seen))
        return false;
      last = seen["loss"].values[0];
      if (step == 0)
        first = last;
      if (step == options.steps)
        break;
      ArrayRef<float> slope = seen[gradient].values;
      double square = 0;
      for (float value : slope)
        square += double(value) * value / each;
      float rate = 0.1f / std::max(std::sqrt(square), 1e-12);
      for (int64_t i = 0; i < each; ++i)
        x.values[i] = 0.99f * x.values[i] + rate * slope[i];
      // Fine noise is what gradients find first; the last steps sharpen.
      if (step % 4 == 3 && step + 8 < options.steps)
        for (int64_t c = 0; c < sizes[0]; ++c)
          smooth(MutableArrayRef(x.values).slice(c * plane, plane), sizes[1], sizes[2]);
    }
    std::string name = fileName(unit.layer->path) + "-" + std::to_string(unit.channel);
    numbers["maximised:" + unit.layer->path + ":" + std::to_string(unit.channel)] = x;
    Pixels picture = photo(x.values, sizes[0], sizes[1], sizes[2]);
    bool isClass = unit.layer == probe.output();
    std::string caption = formatv("{0} {1}: from {2:F3} to {3:F3}",
                                  isClass ? "class" : unit.layer->path + ", channel",
                                  isClass ? className(unit.channel) : std::to_string(unit.channel),
                                  first, last);
    if (!add("maximised/" + name + ".png",
             picture.enlarged(enlarging(sizes[1], sizes[2], shownSize)), caption))
      return false;
  }
  page += "</div>\n";
  return true;
}

//===----------------------------------------------------------------------===//
// A map of all pictures
//===----------------------------------------------------------------------===//

bool Viewer::showMap() {
  std::vector<Point> points = options.neighbours ? neighbourhoods(embeddings, 30)
                                                 : principalComponents(embeddings);
  Numbers table = Numbers::zeros({int64_t(points.size()), 2});
  Point low = {INFINITY, INFINITY}, high = {-INFINITY, -INFINITY};
  for (auto [i, point] : enumerate(points))
    for (int axis : {0, 1}) {
      table.values[2 * i + axis] = point[axis];
      low[axis] = std::min(low[axis], point[axis]);
      high[axis] = std::max(high[axis], point[axis]);
    }
  numbers["map"] = table;
  const int64_t size = 720, border = 32;
  Pixels picture(size, size, {250, 250, 252});
  for (auto [point, small] : zip(points, thumbnails)) {
    int64_t place[2];
    for (int axis : {0, 1}) {
      double range = high[axis] - low[axis];
      double part = range > 0 ? (point[axis] - low[axis]) / range : 0.5;
      place[axis] = border + std::lround((axis ? 1 - part : part) * (size - 2 * border));
    }
    picture.put(small, place[1] - small.height / 2, place[0] - small.width / 2);
  }
  page += "<h2>Which pictures are alike</h2>\n<div>";
  if (!add("map.png", picture,
           formatv("{0} by {1}", embedded->path,
                   options.neighbours ? "t-SNE" : "their two principal components")))
    return false;
  page += "<table><tr><th>picture</th><th>x</th><th>y</th></tr>\n";
  for (auto [name, point] : zip(names, points))
    page += formatv("<tr><td>{0}</td><td>{1:F3}</td><td>{2:F3}</td></tr>\n", escaped(name),
                    point[0], point[1]);
  page += "</table></div>\n";
  return true;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

bool Viewer::finish() {
  std::string error = folder.write(
      "index.html",
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
          escaped(sys::path::filename(driver.options.model)) +
          "</title>\n<style>body{font:15px sans-serif;margin:24px;color:#222}"
          "figure{display:inline-block;margin:8px 16px 8px 0;vertical-align:top}"
          "img{image-rendering:pixelated;max-width:100%}figcaption{color:#555;max-width:640px}"
          "td,th{padding:2px 10px;text-align:right}table{display:inline-block}</style></head><body>\n<h1>" +
          escaped(sys::path::filename(driver.options.model)) + "</h1>\n" + page +
          "</body></html>\n");
  if (!error.empty())
    return fail(error);
  return numbers.empty() || writeNumbers(folder.file("numbers.safetensors"), numbers);
}

bool Viewer::run() {
  if (wants("filters"))
    findFilters();
  bool inside = wants("features") || wants("cam") || wants("saliency") ||
                wants("maximise") || wants("map");
  if (inside && (!probe.begin() || !prepare()))
    return false;
  for (auto [number, picture] : enumerate(options.pictures))
    if (inside && !showPicture(picture, number + 1))
      return false;
  if ((wants("map") && !showMap()) || (wants("maximise") && !maximise()))
    return false;
  if (wants("filters")) {
    page += "<h2>Filters</h2>\n<div>";
    if (!showFilters())
      return false;
    page += "</div>\n";
  }
  return finish();
}

} // namespace halcyon
