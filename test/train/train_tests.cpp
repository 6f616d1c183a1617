//===- train_tests.cpp - Parts of the trainer, one by one -----------------===//

#include "check.h"
#include "train/Augment.h"
#include "train/Initialize.h"
#include "train/Loader.h"
#include "train/Metrics.h"
#include "train/Rate.h"

#include <algorithm>
#include <cmath>

using namespace halcyon::train;

static bool near(double a, double b, double error = 1e-9) {
  return std::abs(a - b) <= error * std::max(1.0, std::abs(b));
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

static void numbersAreOfTheirPlace() {
  Random a(1, Random::Augment, 5), b(1, Random::Augment, 5), c(1, Random::Augment, 6),
      d(1, Random::Mix, 5), e(2, Random::Augment, 5);
  uint64_t first = a.next();
  CHECK(first == b.next());
  CHECK(first != c.next() && first != d.next() && first != e.next());
}

static void numbersAreSpreadEvenly() {
  Random random(3, Random::Shuffle, 0);
  double sum = 0, squares = 0, beta = 0;
  const int count = 100000;
  int small = 0;
  for (int i = 0; i < count; ++i) {
    double x = random.normal();
    sum += x;
    squares += x * x;
    small += random.below(10) == 3;
    beta += std::abs(random.beta(0.2) - 0.5);
  }
  CHECK(std::abs(sum / count) < 0.02);
  CHECK(near(squares / count, 1, 0.02));
  CHECK(near(small / double(count), 0.1, 0.01));
  // E|x - 1/2| of Beta(a, a) is 1 / (a 4^a B(a, a)).
  double a = 0.2, b = std::tgamma(a) * std::tgamma(a) / std::tgamma(2 * a);
  CHECK(near(beta / count, 1 / (a * std::pow(4, a) * b), 0.01));
}

static void permutationsAreWhole() {
  std::vector<uint32_t> order = permutation(1000, Random(1, Random::Shuffle, 0));
  std::vector<int> seen(1000);
  int moved = 0;
  for (uint32_t i = 0; i < 1000; ++i) {
    ++seen[order[i]];
    moved += order[i] != i;
  }
  CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  CHECK(moved > 980);
}

//===----------------------------------------------------------------------===//
// Rates
//===----------------------------------------------------------------------===//

static Rate rateOf(const char *text) { return Rate(Json::parse(text), 10, 100); }

static void ratesFollowTheirCurves() {
  Rate cosine = rateOf(R"([{"call": "cosine", "rate": 2, "end": 0}])");
  CHECK(near(cosine.at(0), 2) && near(cosine.at(50), 1) && near(cosine.at(100), 0));
  Rate step = rateOf(
      R"([{"call": "step", "rate": 1, "every": {"epochs": 3}, "factor": 0.1}])");
  CHECK(near(step.at(29), 1) && near(step.at(30), 0.1) && near(step.at(60), 0.01));
  Rate many = rateOf(R"([{"call": "multistep", "rate": 1, "at": [2, 5], "factor": 0.5}])");
  CHECK(near(many.at(19), 1) && near(many.at(20), 0.5) && near(many.at(50), 0.25));
  Rate power = rateOf(R"([{"call": "polynomial", "rate": 1, "power": 2, "end": 0}])");
  CHECK(near(power.at(50), 0.25));
  Rate falls = rateOf(R"([{"call": "exponential", "rate": 1, "factor": 0.5}])");
  CHECK(near(falls.at(9), 1) && near(falls.at(25), 0.25));
  Rate again = rateOf(R"([{"call": "restarts", "rate": 1, "period": {"steps": 20},
                           "grow": 2, "end": 0}])");
  CHECK(near(again.at(10), 0.5) && near(again.at(20), 1) && near(again.at(40), 0.5));
  Rate cycle = rateOf(
      R"([{"call": "one_cycle", "peak": 1, "rise": 0.3, "start": 25, "end": 1e4}])");
  CHECK(near(cycle.at(0), 1.0 / 25) && near(cycle.at(30), 1) && near(cycle.at(100), 4e-6));
}

static void ratesWarmUp() {
  Rate rate = rateOf(R"([{"call": "constant", "rate": 1},
                         {"call": "warmup", "over": {"steps": 4}, "start": 0}])");
  CHECK(near(rate.at(0), 0.25) && near(rate.at(3), 1) && near(rate.at(50), 1));
}

static void ratesHearOfPlateaus() {
  Rate rate = rateOf(R"([{"call": "plateau", "rate": 1, "factor": 0.1, "patience": 1,
                          "metric": ""}])");
  for (double loss : {3.0, 2.0, 2.0, 2.5})
    rate.hear(loss, false);
  CHECK(near(rate.at(0), 0.1));
  Rate other = rateOf(R"([{"call": "plateau", "rate": 1, "factor": 0.1, "patience": 1,
                           "metric": ""}])");
  other.restore(rate.state());
  other.hear(2.5, false);
  CHECK(near(other.at(0), 0.1));
  other.hear(2.5, false);
  CHECK(near(other.at(0), 0.01));
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static void weightsBeginAsAsked() {
  Tensor w(Element::F32, {64, 16, 3, 3});
  auto deviation = [&] {
    double squares = 0;
    for (size_t i = 0; i < w.size(); ++i)
      squares += w.at(i) * w.at(i);
    return std::sqrt(squares / double(w.size()));
  };
  initialize(w, "conv.weight", Json::parse(R"([{"call": "kaiming", "fan": "fan_out",
             "drawn": "normal", "gain": 1.4142135623730951}])"), {}, 1);
  CHECK(near(deviation(), std::sqrt(2.0 / (64 * 9)), 0.01));
  initialize(w, "conv.weight", Json::parse(R"([{"call": "xavier", "gain": 1,
             "drawn": "uniform"}])"), {}, 1);
  CHECK(near(deviation(), std::sqrt(2.0 / (80 * 9)), 0.01));
  initialize(w, "conv.weight", Json::array(), {}, 1);
  CHECK(near(deviation(), std::sqrt(1.0 / (3 * 16 * 9)), 0.01));
  Tensor norm(Element::F32, {4}), bias(Element::F32, {4});
  initialize(norm, "norm.weight", Json::array(), {}, 1);
  initialize(bias, "norm.bias", Json::array(), {}, 1);
  CHECK(norm.at(3) == 1 && bias.at(3) == 0);
  initialize(norm, "norm.weight", Json::array(), {"norm.weight"}, 1);
  CHECK(norm.at(3) == 0);
}

static void orthogonalRowsAre() {
  for (std::vector<int64_t> shape : {std::vector<int64_t>{5, 12}, {12, 5}}) {
    Tensor w(Element::F64, shape);
    initialize(w, "w", Json::parse(R"([{"call": "orthogonal", "gain": 2}])"), {}, 1);
    size_t rows = size_t(shape[0]), columns = size_t(shape[1]);
    for (size_t a = 0; a < 5; ++a)
      for (size_t b = 0; b < 5; ++b) {
        double dot = 0;
        for (size_t k = 0; k < 12; ++k)
          dot += rows < columns ? w.at(a * columns + k) * w.at(b * columns + k)
                                : w.at(k * columns + a) * w.at(k * columns + b);
        CHECK(near(dot, a == b ? 4 : 0, 1e-12));
      }
  }
}

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

namespace {
/// Nine samples of class 0 for each of class 1.
struct Uneven : Dataset {
  size_t size() const override { return 100; }
  int32_t label(size_t i) const override { return i % 10 == 0; }
  std::string name(size_t i) const override { return std::to_string(i); }
  Raw read(size_t i) const override {
    Raw raw;
    raw.channels = raw.height = raw.width = 1;
    raw.numbers = {float(i)};
    raw.label = label(i);
    return raw;
  }
};
} // namespace

static void balancedClassesAreAlike() {
  for (bool balanced : {false, true}) {
    LoaderOptions how;
    how.batch = 10;
    how.balanced = balanced;
    Loader loader(std::make_shared<Uneven>(), {}, {{"label", Element::I32, {}, nullptr}}, how);
    int rare = 0, images = 0, repeated = 0;
    std::vector<int> seen(100);
    loader.begin(0);
    while (Batch *batch = loader.next())
      for (uint32_t i = 0; i < batch->images; ++i) {
        rare += batch->inputs.at("label").at(i) == 1;
        repeated += seen[batch->indices[i]]++ > 0;
        ++images;
      }
    CHECK(images == 100 && rare == (balanced ? 50 : 10));
    CHECK(balanced == (repeated > 0));
  }
}

//===----------------------------------------------------------------------===//
// Metrics
//===----------------------------------------------------------------------===//

static double metricOf(const char *entry, std::vector<int64_t> shape,
                       std::vector<double> values, std::vector<double> right) {
  Json json = Json::parse(entry);
  json["name"] = "m";
  json["value"] = "v";
  std::unique_ptr<Metric> metric = makeMetric(json);
  Tensor value(Element::F32, shape), wanted(Element::I32, {int64_t(right.size())});
  for (size_t i = 0; i < values.size(); ++i)
    value.set(i, values[i]);
  for (size_t i = 0; i < right.size(); ++i)
    wanted.set(i, right[i]);
  metric->add(value, &wanted, uint32_t(shape[0]));
  return metric->result();
}

static void metricsCount() {
  std::vector<double> scores = {3, 1, 2, /**/ 1, 3, 2, /**/ 1, 2, 3, /**/ 3, 2, 1};
  std::vector<double> right = {0, 1, 0, 1};
  CHECK(near(metricOf(R"({"call": "accuracy", "k": 1})", {4, 3}, scores, right), 0.5));
  CHECK(near(metricOf(R"({"call": "accuracy", "k": 2})", {4, 3}, scores, right), 0.75));
  // Class 0: one of two found, one of two meant; class 1 one of one, one of two.
  CHECK(near(metricOf(R"({"call": "precision"})", {4, 3}, scores, right),
             (0.5 + 1 + 0) / 3));
  CHECK(near(metricOf(R"({"call": "recall"})", {4, 3}, scores, right), (0.5 + 0.5) / 3));
  CHECK(near(metricOf(R"({"call": "f1", "average": "micro"})", {4, 3}, scores, right), 0.5));
  CHECK(near(metricOf(R"({"call": "iou"})", {4, 3}, scores, right),
             (1.0 / 3 + 0.5 + 0) / 3));
  CHECK(near(metricOf(R"({"call": "dice"})", {4, 3}, scores, right),
             (0.5 + 2.0 / 3 + 0) / 3));
  CHECK(near(metricOf(R"({"call": "mean"})", {4, 1}, {1, 2, 3, 6}, {}), 3));
  // An image of two classes and 2 x 2 pixels.
  CHECK(near(metricOf(R"({"call": "accuracy", "k": 1})", {1, 2, 2, 2},
                      {1, 0, 1, 0, 0, 1, 0, 1}, {0, 1, 1, 1}),
             0.75));
}

static void areaUnderTheCurveIsAChance() {
  // Of 2 x 3 pairs one is the wrong way round and one is even.
  CHECK(near(metricOf(R"({"call": "auc"})", {5, 1}, {0.9, 0.4, 0.1, 0.4, 0.5},
                      {1, 1, 0, 0, 0}),
             (6 - 1 - 0.5) / 6));
}

/// Of weights that the last step spoiled, say.
static void scoresThatAreNoNumbersAreTheLeast() {
  CHECK(near(metricOf(R"({"call": "accuracy", "k": 1})", {3, 3},
                      {NAN, 1, 5, /**/ 5, NAN, 1, /**/ 1, 5, NAN}, {2, 0, 1}),
             1));
  CHECK(near(metricOf(R"({"call": "iou"})", {2, 2}, {NAN, NAN, /**/ NAN, 1}, {0, 1}), 1));
  CHECK(near(metricOf(R"({"call": "auc"})", {4, 1}, {NAN, 0.5, 0.4, NAN}, {0, 1, 0, 1}),
             (1 + 1 + 0.5) / 4));
  CHECK(near(metricOf(R"({"call": "auc"})", {2, 2}, {NAN, 1, /**/ INFINITY, 1}, {0, 1}), 0.5));
}

/// Boxes, right and found, and what pycocotools says of them (make_precision.py).
static void precisionIsCocosAndVocs() {
  std::string path = HALCYON_TEST_FOLDER "/precision.json";
  std::vector<uint8_t> bytes = readFile(path);
  Json data = Json::parse(bytes.begin(), bytes.end());
  auto tensorOf = [&](const char *name) {
    std::vector<int64_t> shape;
    for (const Json *at = &data[name]; at->is_array(); at = &at->at(0))
      shape.push_back(int64_t(at->size()));
    Tensor tensor(Element::F32, shape);
    size_t next = 0;
    for (const auto &item : data[name].flatten())
      tensor.set(next++, item);
    return tensor;
  };
  Tensor right = tensorOf("right"), boxes = tensorOf("found"), scores = tensorOf("scores"),
         kinds = tensorOf("kinds");
  for (const char *rule : {"coco", "coco50", "voc", "voc07"}) {
    std::unique_ptr<Metric> metric = makeMetric(
        {{"call", "average_precision"}, {"rule", rule}, {"name", "m"}, {"value", "b"},
         {"more", {"s", "c"}}, {"right", "boxes"}});
    CHECK(metric->more.size() == 2);
    metric->addAll({&boxes, &scores, &kinds}, &right, uint32_t(right.shape[0]));
    CHECK(near(metric->result(), data[rule], 1e-6));
  }
}

//===----------------------------------------------------------------------===//
// Augmentations
//===----------------------------------------------------------------------===//

/// A slope from left to right, and a mask that says where each pixel was.
static Sample slope(int height, int width) {
  Sample sample;
  sample.picture = Picture(1, height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      sample.picture.row(0, y)[x] = float(x) / float(width);
      sample.mask.push_back(y * width + x);
    }
  return sample;
}

static Sample augmented(const char *call, Sample sample, uint64_t item = 0) {
  Random random(1, Random::Augment, item);
  makeAugmentation(Json::parse(call))(sample, random);
  return sample;
}

static void flipsTurnPicturesAndMasks() {
  Sample s = augmented(R"({"call": "flip", "p": 1, "axis": "horizontal"})", slope(3, 4));
  CHECK(s.picture.row(0, 1)[0] == 0.75f && s.mask[0] == 3 && s.mask[4] == 7);
  s = augmented(R"({"call": "flip", "p": 1, "axis": "vertical"})", slope(3, 4));
  CHECK(s.picture.row(0, 1)[0] == 0 && s.mask[0] == 8 && s.mask[11] == 3);
  s = augmented(R"({"call": "flip", "p": 0, "axis": "vertical"})", slope(3, 4));
  CHECK(s.mask[0] == 0);
}

static void cropsKeepMasksInPlace() {
  for (uint64_t item = 0; item < 20; ++item) {
    Sample s = augmented(R"({"call": "random_crop", "size": [5, 6], "pad": 2})",
                         slope(8, 8), item);
    CHECK(s.picture.height == 5 && s.picture.width == 6 && s.mask.size() == 30);
    for (int y = 0; y < 5; ++y)
      for (int x = 0; x < 6; ++x) {
        float value = s.picture.row(0, y)[x];
        int was = s.mask[size_t(y * 6 + x)];
        CHECK(value == 0 || near(value, was % 8 / 8.0));
      }
  }
  Sample s = augmented(R"({"call": "center_crop", "size": [2, 2]})", slope(6, 6));
  CHECK(s.mask[0] == 14 && s.mask[3] == 21);
}

static void scalingKeepsSlopes() {
  Sample s = augmented(R"({"call": "resize", "size": [4, 8]})", slope(8, 16));
  CHECK(s.picture.height == 4 && s.picture.width == 8);
  // The middle of every pixel lies where it was.
  for (int x = 1; x < 7; ++x)
    CHECK(near(s.picture.row(0, 2)[x], (2 * x + 0.5) / 16, 1e-5));
  s = augmented(R"({"call": "resize", "size": [32, 32]})", slope(8, 16));
  CHECK(s.picture.height == 32 && s.picture.width == 32);
  s = augmented(R"({"call": "resize", "size": [32]})", slope(8, 16));
  CHECK(s.picture.height == 32 && s.picture.width == 64);
  for (int x = 8; x < 56; ++x)
    CHECK(near(s.picture.row(0, 9)[x], ((x + 0.5) / 4 - 0.5) / 16, 1e-5));
}

static void turningBackGivesThePicture() {
  Sample s = slope(9, 9);
  s.picture.row(0, 2)[3] = 1;
  // By a quarter: (y, x) goes to (8 - x, y).
  Sample turned = augmented(R"({"call": "affine", "degrees": 0, "translate": 0,
      "scale": [1, 1], "shear": 0, "fill": 0})", s);
  CHECK(turned.picture.values == s.picture.values && turned.mask == s.mask);
}

static void valuesStayWithinTheirRange() {
  for (const char *call :
       {R"({"call": "color_jitter", "strength": 0.8, "hue": 0.5})",
        R"({"call": "noise", "deviation": 0.5})",
        R"({"call": "blur", "sigma": [0.5, 2], "p": 1})",
        R"({"call": "erasing", "p": 1, "scale": [0.1, 0.3], "ratio": [0.5, 2], "value": 1})",
        R"({"call": "cutout", "size": [3, 3], "count": 2})",
        R"({"call": "rotate", "degrees": 180, "fill": 0})",
        R"({"call": "perspective", "distortion": 1, "p": 1})",
        R"({"call": "elastic", "alpha": 34, "sigma": 4})",
        R"({"call": "random_resized_crop", "size": [10, 12], "scale": [0.08, 1],
            "ratio": [0.75, 1.3333]})",
        R"({"call": "randaugment", "count": 3, "magnitude": 30})",
        R"({"call": "choice", "of": [{"call": "cutout", "size": [3, 3], "count": 1}]})"})
    for (uint64_t item = 0; item < 20; ++item) {
      Sample s = slope(10, 12), colored = s;
      colored.picture = Picture(3, 10, 12);
      for (size_t i = 0; i < colored.picture.values.size(); ++i)
        colored.picture.values[i] = float(i % 7) / 7;
      for (Sample &from : std::vector<Sample>{s, colored}) {
        Sample made = augmented(call, from, item);
        size_t plane = size_t(made.picture.height) * size_t(made.picture.width);
        CHECK(made.picture.height == 10 && made.picture.width == 12);
        CHECK(made.mask.size() == plane);
        bool within = true;
        for (float value : made.picture.values)
          within &= value >= -1e-5f && value <= 1 + 1e-5f;
        CHECK(within);
      }
    }
}

/// A picture that is bright in a box, and the box.
static Sample boxed(int left, int top, int right, int bottom) {
  Sample sample;
  sample.picture = Picture(1, 24, 32);
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x)
      sample.picture.row(0, y)[x] = 1;
  sample.boxes.push_back({double(left), double(top), double(right), double(bottom), 3});
  return sample;
}

static void boxesGoWithTheirPixels() {
  for (const char *call :
       {R"({"call": "flip", "p": 1, "axis": "horizontal"})",
        R"({"call": "flip", "p": 1, "axis": "vertical"})",
        R"({"call": "resize", "size": [48, 64]})",
        R"({"call": "random_crop", "size": [22, 28], "pad": 2})",
        R"({"call": "random_resized_crop", "size": [30, 30], "scale": [0.6, 1],
            "ratio": [0.75, 1.3333]})",
        R"({"call": "rotate", "degrees": 90, "fill": 0})",
        R"({"call": "affine", "degrees": 10, "translate": 0.1, "scale": [0.8, 1.2],
            "shear": 10, "fill": 0})",
        R"({"call": "perspective", "distortion": 0.3, "p": 1})",
        R"({"call": "elastic", "alpha": 20, "sigma": 4})"})
    for (uint64_t item = 0; item < 20; ++item) {
      Sample s = augmented(call, boxed(10, 6, 20, 15), item);
      CHECK(s.boxes.size() == 1 && s.boxes[0].kind == 3);
      if (s.boxes.size() != 1)
        continue;
      double left = 99, top = 99, right = 0, bottom = 0;
      for (int y = 0; y < s.picture.height; ++y)
        for (int x = 0; x < s.picture.width; ++x)
          if (s.picture.row(0, y)[x] > 0.5f) {
            left = std::min(left, double(x));
            right = std::max(right, x + 1.0);
            top = std::min(top, double(y));
            bottom = std::max(bottom, y + 1.0);
          }
      const Marked &box = s.boxes[0];
      CHECK(std::abs(box.left - left) <= 1 && std::abs(box.top - top) <= 1);
      CHECK(std::abs(box.right - right) <= 1 && std::abs(box.bottom - bottom) <= 1);
    }
  // What is cut away is no object.
  Sample s = augmented(R"({"call": "center_crop", "size": [8, 8]})", boxed(0, 0, 6, 6));
  CHECK(s.boxes.empty());
}

static void normalizationIsPerChannel() {
  Sample s;
  s.picture = Picture(2, 1, 1, 0.5f);
  s = augmented(R"({"call": "normalize", "by": {"mean": [0.5, 0.25], "std": [1, 0.5]}})", s);
  CHECK(s.picture.values[0] == 0 && s.picture.values[1] == 0.5f && s.normalized);
}

int main() {
  return runTests({{"numbers are of their place", numbersAreOfTheirPlace},
                   {"numbers are spread evenly", numbersAreSpreadEvenly},
                   {"permutations are whole", permutationsAreWhole},
                   {"rates follow their curves", ratesFollowTheirCurves},
                   {"rates warm up", ratesWarmUp},
                   {"rates hear of plateaus", ratesHearOfPlateaus},
                   {"weights begin as asked", weightsBeginAsAsked},
                   {"orthogonal rows are", orthogonalRowsAre},
                   {"balanced classes are alike", balancedClassesAreAlike},
                   {"metrics count", metricsCount},
                   {"the area under the curve is a chance", areaUnderTheCurveIsAChance},
                   {"scores that are no numbers are the least",
                    scoresThatAreNoNumbersAreTheLeast},
                   {"precision is COCO's and VOC's", precisionIsCocosAndVocs},
                   {"boxes go with their pixels", boxesGoWithTheirPixels},
                   {"flips turn pictures and masks", flipsTurnPicturesAndMasks},
                   {"crops keep masks in place", cropsKeepMasksInPlace},
                   {"scaling keeps slopes", scalingKeepsSlopes},
                   {"turning by nothing gives the picture", turningBackGivesThePicture},
                   {"values stay within their range", valuesStayWithinTheirRange},
                   {"normalization is per channel", normalizationIsPerChannel},
                   {"worst classes come first", worstClassesComeFirst},
                   {"worst masks come first", worstMasksComeFirst},
                   {"worst boxes come first", worstBoxesComeFirst},
                   {"pictures are as they were", picturesAreAsTheyWere}});
}
