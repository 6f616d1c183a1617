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

/// Elements of a tensor, and how far each goes.
using Direction = std::vector<std::pair<size_t, double>>;

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
  double along(Tensor &tensor, const std::vector<double> &start,
               const Direction &direction, double h);
  double roundingOf(Tensor &tensor, const std::vector<double> &start,
                    const Direction &direction);
  void compare(Tensor &tensor, const std::vector<double> &start,
               const Direction &direction, double slope, double scale,
               double rounding, Outcome &outcome);

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

/// The loss at `h` along a direction; the tensor is as before afterwards.
double Checker::along(Tensor &tensor, const std::vector<double> &start,
                      const Direction &direction, double h) {
  for (auto [index, way] : direction)
    tensor.set(index, start[index] + h * way);
  double value = loss();
  for (auto [index, way] : direction)
    tensor.set(index, start[index]);
  return value;
}

/// The deviation of the loss by rounding, its own and of where it is taken: what
/// fourth differences of close points are made of, for those of a smooth function
/// are nothing there. Half of them tell, so that a kink does not.
double Checker::roundingOf(Tensor &tensor, const std::vector<double> &start,
                           const Direction &direction) {
  const double apart = step * 1e-2;
  std::vector<double> values, differences;
  for (int k = -8; k <= 8; ++k)
    values.push_back(along(tensor, start, direction, k * apart));
  for (size_t i = 0; i + 4 < values.size(); ++i)
    differences.push_back(std::abs(values[i] - 4 * values[i + 1] + 6 * values[i + 2] -
                                   4 * values[i + 3] + values[i + 4]));
  auto middle = differences.begin() + long(differences.size() / 2);
  std::nth_element(differences.begin(), middle, differences.end());
  // Of normal errors half are below 0.67 deviations; 1 + 16 + 36 + 16 + 1 = 70. A last
  // digit, of which neighbours may have the same error, is never known better.
  double digit = std::abs(values[8]) * (limit > 1e-4 ? 0x1p-23 : 0x1p-52);
  return std::max(*middle / (0.67 * std::sqrt(70.0)), 0.3 * digit);
}

/// One derivative along a direction.
///
/// With differences d(h) = (f(h) - f(-h)) / 2h the value (4 d(h/2) - d(h)) / 3 is off by
/// h^4, and by 1.9 deviations of f's rounding over h: 8 are beyond chance. A kink that
/// the points lie across, of which a ReLU has one and a network many, shows in d(h) -
/// d(h/2), or, where it is close to the middle, in the slopes to either side: their
/// difference s(h) = (f(h) - 2 f(0) + f(-h)) / h falls with h where f is smooth. Of both
/// at least one is 0.6 of what it costs the value; an eighth is for several that cancel
/// in part. Then closer points are taken, as long as rounding leaves them a meaning.
void Checker::compare(Tensor &tensor, const std::vector<double> &start,
                      const Direction &direction, double slope, double scale,
                      double rounding, Outcome &outcome) {
  const double middle = along(tensor, start, direction, 0);
  double least = HUGE_VAL, seen = 0;
  bool smooth = false;
  double h = step;
  for (int attempt = 0; attempt < 6 && least > limit; ++attempt, h /= 4) {
    double difference[2], bend[2];
    for (int half : {0, 1}) {
      double at = half ? h / 2 : h;
      double up = along(tensor, start, direction, at), down = along(tensor, start, direction, -at);
      difference[half] = (up - down) / (2 * at);
      bend[half] = (up - 2 * middle + down) / at;
    }
    double value = difference[1] + (difference[1] - difference[0]) / 3;
    double size = std::max({std::abs(value), std::abs(slope), scale});
    double noise = 8 * rounding / h;
    if (attempt > 0 && noise > limit * size)
      break;
    double error = std::max(0.0, std::abs(value - slope) - noise) / size;
    smooth |= std::max(std::abs(difference[0] - difference[1]),
                       std::abs(bend[1] - bend[0] / 2)) <= limit / 8 * size + noise;
    if (error < least) {
      least = error;
      seen = std::abs(value - slope) / size;
    }
  }
  if (least > limit && !smooth) {
    ++outcome.kinks;
    return;
  }
  ++outcome.compared;
  outcome.worst = std::max(outcome.worst, least);
  outcome.shown = std::max(outcome.shown, least > limit ? least : std::min(seen, limit));
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
  double rounding = 0;
  for (int k = 0; k < 4; ++k) {
    Direction direction(count);
    double length = 0, whole = 0;
    for (size_t i = 0; i < count; ++i) {
      direction[i] = {i, random.normal()};
      length += direction[i].second * direction[i].second;
    }
    for (auto &[index, way] : direction) {
      way /= std::sqrt(length);
      whole += way * slope[index];
    }
    if (k == 0)
      rounding = roundingOf(tensor, start, direction);
    compare(tensor, start, direction, whole, norm / std::sqrt(double(count)), rounding,
            outcome);
  }
  for (int k = 0; k < 16; ++k) {
    size_t index = count <= 16 ? size_t(k) : size_t(random.below(count));
    if (index >= count)
      break;
    compare(tensor, start, {{index, 1.0}}, slope[index],
            norm / std::sqrt(double(count)), rounding, outcome);
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
