//===- Effective.cpp - What elements really depend on, by gradients -------===//

#include "compiler/tools/Explanation.h"
#include "compiler/tools/Probe.h"

#include <cmath>
#include <random>

using namespace llvm;

namespace halcyon {

/// Weights and inputs that are drawn, of which the mean is taken.
static constexpr int weightSeeds = 3, inputsPerSeed = 4;
/// The part of the gradient that lies inside of the effective field.
static constexpr double insidePart = 0.95;

/// The shortest stretch that holds so much of the sum.
static std::pair<int64_t, int64_t> shortest(ArrayRef<double> parts) {
  double total = 0, sum = 0;
  for (double part : parts)
    total += part;
  std::pair<int64_t, int64_t> best = {0, parts.size()};
  for (size_t first = 0, end = 0; first < parts.size(); ++first) {
    while (end < parts.size() && sum < insidePart * total)
      sum += parts[end++];
    if (sum < insidePart * total)
      break;
    if (int64_t(end - first) < best.second - best.first)
      best = {first, end};
    sum -= parts[first];
  }
  return best;
}

/// Whether the layer sees more than what it reads.
static bool widens(const LayerFacts &layer, ArrayRef<LayerFacts> all) {
  if (layer.sizes.size() != 3 || layer.field[0].whole || layer.field[1].whole)
    return false;
  auto size = [](const LayerFacts &l, int axis) {
    return l.field[axis].end - l.field[axis].first;
  };
  if (layer.reads.size() > 1)
    return true;
  for (int axis : {0, 1})
    if (size(layer, axis) != (layer.reads.empty() ? 1 : size(all[layer.reads[0]], axis)))
      return true;
  return false;
}

bool measureFields(const ModelOptions &options, Explanation &facts) {
  struct Measured {
    LayerFacts *layer;
    std::string mix;
    std::vector<double> parts[2]; ///< of the rows, of the columns
  };
  std::vector<Measured> measured;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  bool given = !options.weights.empty();
  for (int seed = 1; seed <= (given ? 1 : weightSeeds); ++seed) {
    Driver driver(options);
    std::string error;
    if (!driver.findMachine() || !driver.parse())
      return false;
    if (given && !driver.checkModelWeights())
      return false;
    // An ONNX file has weights of its own.
    if (!driver.weights)
      driver.weights = openWeights("seed:" + std::to_string(seed), error);
    Probe probe(driver);
    if (!probe.begin())
      return false;
    for (LayerFacts &layer : facts.layers) {
      if (!widens(layer, facts.layers))
        continue;
      const ProbedLayer *found = nullptr;
      for (const ProbedLayer &candidate : probe.layers())
        if (candidate.path == layer.at.path && candidate.kind == layer.kind)
          found = &candidate;
      if (!found)
        continue;
      std::string mix = probe.aim(*found, Probe::Element::Middle);
      if (seed == 1)
        measured.push_back({&layer, mix, {std::vector<double>(probe.inputSizes()[1]),
                                          std::vector<double>(probe.inputSizes()[2])}});
    }
    if (measured.empty())
      return true;
    if (!probe.compile())
      return false;
    std::vector<int64_t> shape = probe.inputSizes();
    shape.insert(shape.begin(), given ? inputsPerSeed * weightSeeds : inputsPerSeed);
    Numbers input = Numbers::zeros(shape);
    for (float &value : input.values)
      value = normal(random);
    for (Measured &m : measured) {
      Numbers mix = Numbers::zeros({shape[0], m.layer->sizes[0]});
      for (float &value : mix.values)
        value = normal(random);
      NamedNumbers results;
      std::string wanted = probe.watchInput();
      if (!probe.run(shape[0], "", {{probe.nameOfInput(), input}, {m.mix, mix}}, wanted,
                     results))
        return false;
      ArrayRef<float> gradient = results[wanted].values;
      for (int64_t i = 0; i < int64_t(gradient.size()); ++i) {
        m.parts[0][i / shape[3] % shape[2]] += std::fabs(gradient[i]);
        m.parts[1][i % shape[3]] += std::fabs(gradient[i]);
      }
    }
  }
  for (Measured &m : measured)
    for (int axis : {0, 1}) {
      auto [first, end] = shortest(m.parts[axis]);
      int64_t middle = m.layer->sizes[axis + 1] / 2;
      m.layer->effective[axis] = {first - middle * m.layer->field[axis].step,
                                  double(end - first)};
    }
  return true;
}

} // namespace halcyon
