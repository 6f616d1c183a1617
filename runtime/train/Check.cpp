//===- Check.cpp - Gradients against central differences ------------------===//

#include "Check.h"
#include "Model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

namespace halcyon::train {

namespace {
/// What came of the comparisons of one tensor.
struct Outcome {
  int compared = 0, kinks = 0;
  double worst = 0; ///< beyond what rounding explains
  double shown = 0; ///< with it, where it is right
};

class Checker {
public:
  Checker(const halcyon_trainer &trainer, const CheckOptions &options)
      : plan(Json::parse(trainer.plan)), model(trainer, plan, options.threads),
        options(options) {}

  bool run();

private:
  void fillWeights();
  void fillInputs();
  double loss();
  Outcome check(Tensor &tensor, const Tensor &gradient, Random random);
  void compare(Tensor &tensor, const std::vector<double> &start,
               const std::vector<std::pair<size_t, double>> &direction,
               double slope, double scale, Outcome &outcome);

  Json plan;
  Model model;
  Batch batch;
  CheckOptions options;
  double limit = 1e-6, step = 1e-5;
};
} // namespace

/// Weights of a size at which no layer saturates; norms near the identity.
void Checker::fillWeights() {
  TensorFile file;
  if (!options.weights.empty())
    file = readSafetensors(options.weights);
  uint64_t item = 0;
  for (auto &[name, tensor] : model.weights.change()) {
    Random random(options.seed, Random::Initialize, item++);
    auto found = file.tensors.find(name);
    if (found != file.tensors.end()) {
      if (found->second.shape != tensor.shape)
        throw Failure(options.weights + ": '" + name + "' has another shape than the model's");
      for (size_t i = 0, count = tensor.size(); i < count; ++i)
        tensor.set(i, found->second.at(i));
      continue;
    }
    if (!options.weights.empty())
      throw Failure(options.weights + ": there is no '" + name + "'");
    bool vector = tensor.shape.size() < 2;
    double fan = vector ? 1 : double(tensor.size()) / double(tensor.shape[0]);
    bool spread = name.ends_with("running_var");
    bool scale = vector && name.ends_with(".weight");
    for (size_t i = 0, count = tensor.size(); i < count; ++i)
      tensor.set(i, spread || scale ? random.uniform(0.5, 1.5)
                    : vector        ? 0.2 * random.normal()
                                    : random.normal() / std::sqrt(fan));
  }
}

void Checker::fillInputs() {
  // Labels are below the least number of classes that any output has.
  int64_t classes = INT32_MAX;
  const halcyon_program &step = *model.trainer.steps[0];
  for (uint32_t i = 0; i < step.num_outputs; ++i)
    if (step.outputs[i].rank > 1 && step.outputs[i].shape[0] == HALCYON_BATCH &&
        step.outputs[i].shape[1] > 1)
      classes = std::min(classes, step.outputs[i].shape[1]);
  if (classes == INT32_MAX)
    classes = 2;
  uint64_t item = 1000000;
  for (const DataInput &input : model.inputs) {
    Random random(options.seed, Random::Initialize, item++);
    std::vector<int64_t> shape = input.shape;
    shape.insert(shape.begin(), options.batch);
    Tensor &tensor = batch.inputs[input.name] = Tensor(input.element, shape);
    bool real = input.element == Element::F32 || input.element == Element::F64;
    for (size_t i = 0, count = tensor.size(); i < count; ++i)
      tensor.set(i, real ? random.normal() : double(random.below(uint64_t(classes))));
  }
  batch.images = options.batch;
  model.scalars["train.seed"] = double(options.seed & 0x7fffffff);
  model.scalars["train.step"] = 1;
}

/// The mean loss of the batch, as gradients are of.
double Checker::loss() {
  model.weights.change(); // what is checked may be one of them
  const Tensors &outputs = model.evaluate(batch);
  const Tensor &values = outputs.at("loss");
  double sum = 0;
  for (size_t i = 0, count = values.size(); i < count; ++i)
    sum += values.at(i);
  return sum / double(values.size());
}

/// One derivative along a direction; the tensor is as before afterwards.
void Checker::compare(Tensor &tensor, const std::vector<double> &start,
                      const std::vector<std::pair<size_t, double>> &direction,
                      double slope, double scale, Outcome &outcome) {
  auto at = [&](double h) {
    for (auto [index, way] : direction)
      tensor.set(index, start[index] + h * way);
    double value = loss();
    for (auto [index, way] : direction)
      tensor.set(index, start[index]);
    return value;
  };
  auto difference = [&](double h) { return (at(h) - at(-h)) / (2 * h); };
  double error = 0, seen = 0;
  bool smooth = false;
  // Rounding is a part of the loss, and counts for more the closer the points.
  double h = step, rounding = std::abs(loss()) * (limit > 1e-4 ? 1e-6 : 4e-15);
  for (int attempt = 0; attempt < 4 && !smooth; ++attempt, h /= 8) {
    double coarse = difference(h), fine = difference(h / 2);
    // The differences' own error falls with h^2: what is left without it.
    double value = fine + (fine - coarse) / 3;
    double size = std::max({std::abs(value), std::abs(slope), scale});
    double noise = rounding / h;
    seen = std::abs(value - slope) / size;
    error = std::max(0.0, std::abs(value - slope) - noise) / size;
    if (error <= limit)
      smooth = true;
    else if (std::abs(coarse - fine) <= 4 * limit * size + noise)
      break; // smooth here, and wrong
  }
  // Without a kink, differences at two distances agree.
  double coarse = difference(h), fine = difference(h / 2);
  double size = std::max({std::abs(fine), std::abs(slope), scale});
  if (!smooth && std::abs(coarse - fine) > 4 * limit * size + rounding / h) {
    ++outcome.kinks;
    return;
  }
  ++outcome.compared;
  outcome.worst = std::max(outcome.worst, error);
  outcome.shown = std::max(outcome.shown, error > limit ? error : std::min(seen, limit));
}

Outcome Checker::check(Tensor &tensor, const Tensor &gradient, Random random) {
  Outcome outcome;
  size_t count = tensor.size();
  std::vector<double> start(count), slope(count);
  double norm = 0;
  for (size_t i = 0; i < count; ++i) {
    start[i] = tensor.at(i);
    slope[i] = gradient.at(i);
    norm += slope[i] * slope[i];
  }
  norm = std::sqrt(norm);
  for (int k = 0; k < 4; ++k) {
    std::vector<std::pair<size_t, double>> direction(count);
    double length = 0, along = 0;
    for (size_t i = 0; i < count; ++i) {
      direction[i] = {i, random.normal()};
      length += direction[i].second * direction[i].second;
    }
    for (auto &[index, way] : direction) {
      way /= std::sqrt(length);
      along += way * slope[index];
    }
    compare(tensor, start, direction, along, norm / std::sqrt(double(count)), outcome);
  }
  for (int k = 0; k < 16; ++k) {
    size_t index = count <= 16 ? size_t(k) : size_t(random.below(count));
    if (index >= count)
      break;
    compare(tensor, start, {{index, 1.0}}, slope[index],
            norm / std::sqrt(double(count)), outcome);
  }
  return outcome;
}

bool Checker::run() {
  fillWeights();
  fillInputs();
  Tensors gradients;
  for (const auto &[name, tensor] : model.step(batch))
    if (name.starts_with("grad:")) {
      Tensor &copy = gradients[name.substr(5)] = Tensor(tensor.element, tensor.shape);
      for (size_t i = 0, count = copy.size(); i < count; ++i)
        copy.set(i, tensor.at(i));
      if (tensor.element == Element::F32) {
        limit = 1e-2;
        step = 1e-2;
      }
    }
  int wrong = 0, kinks = 0;
  uint64_t item = 0;
  for (auto &[name, gradient] : gradients) {
    auto input = batch.inputs.find(name);
    Tensor &tensor = input != batch.inputs.end() ? input->second : model.weights.change().at(name);
    Outcome outcome =
        check(tensor, gradient, Random(options.seed, Random::Mix, item++));
    bool right = outcome.worst <= limit;
    wrong += !right;
    kinks += outcome.kinks;
    printf("%-40s %2d derivatives, off by %.1e at most", name.c_str(),
           outcome.compared, outcome.shown);
    if (outcome.kinks)
      printf(", %d at kinks skipped", outcome.kinks);
    puts(right ? "" : "  WRONG");
    fflush(stdout);
    if (!right) {
      std::string line = plan.value("lines", Json::object()).value(name, "");
      fprintf(stderr, "%s%serror: the gradient of '%s' is off by %.1e\n", line.c_str(),
              line.empty() ? "" : ": ", name.c_str(), outcome.worst);
    }
  }
  printf("%zu gradients, %d wrong, %d derivatives at kinks skipped\n",
         gradients.size(), wrong, kinks);
  return wrong == 0;
}

bool checkGradients(const halcyon_trainer &trainer, const CheckOptions &options) {
  return Checker(trainer, options).run();
}

} // namespace halcyon::train
