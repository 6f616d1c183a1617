//===- TrainSettings.cpp - What the lines of a train block call ------------===//

#include "TrainSettings.h"

#include "llvm/ADT/STLExtras.h"

using namespace halcyon::dsl;
using namespace llvm;

using Kind = SettingKind;
using List = std::vector<double>;

const Setting *SettingFamily::find(StringRef name) const {
  auto it = llvm::find_if(settings,
                          [&](const Setting &s) { return s.name == name; });
  return it == settings.end() ? nullptr : &*it;
}

std::vector<StringRef> SettingFamily::names() const {
  std::vector<StringRef> result;
  for (const Setting &setting : settings)
    result.push_back(setting.name);
  return result;
}

//===----------------------------------------------------------------------===//
// Kinds of parameters that recur
//===----------------------------------------------------------------------===//

static constexpr double large = 1e9;

static SettingParam chance(double otherwise) {
  return {"p", Kind::Number, otherwise, 0, 1};
}
static SettingParam size() { return {"size", Kind::Numbers, {}, 1, 65536}; }
static SettingParam sideOrSize() {
  SettingParam made = size();
  made.alone = true;
  return made;
}
static SettingParam range(StringRef name, double from, double to, double least,
                          double most) {
  return {name, Kind::Numbers, List{from, to}, least, most};
}
static SettingParam path(StringRef name) { return {name, Kind::Path}; }
static SettingParam learningRate(StringRef name = "rate") {
  return {name, Kind::Number, {}, 0, large};
}
static SettingParam factor(double otherwise) {
  return {"factor", Kind::Number, otherwise, 0, 1};
}
static SettingParam metric() { return {"metric", Kind::Metric, StringRef()}; }

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

const SettingFamily &halcyon::dsl::sources() {
  static const SettingFamily family = [] {
    SettingFamily made = {
        "a source of data",
        {{"images", {path("path")}},
         {"pairs", {path("images"), path("masks")}},
         {"coco",
          {path("images"), path("boxes"), {"most", Kind::Whole, 50.0, 1, 10000}}},
         {"mnist", {{"path", Kind::Path, StringRef()}}},
         {"cifar10", {path("path")}},
         {"cifar100", {path("path")}},
         {"npy", {path("images"), {"labels", Kind::Path, StringRef()}}},
         {"safetensors",
          {path("path"),
           {"image", Kind::Text, StringRef("image")},
           {"label", Kind::Text, StringRef("label")}}},
         {"split", {{"part", Kind::Number, {}, 0, 1}}}}};
    // What every source takes: classes drawn equally often; its first images.
    for (Setting &source : made.settings) {
      source.params.push_back({"balanced", Kind::Flag, false});
      source.params.push_back({"take", Kind::Whole, 0.0, 0, large});
    }
    return made;
  }();
  return family;
}

const SettingFamily &halcyon::dsl::augmentations() {
  static const SettingFamily family = {
      "an augmentation",
      {{"random_resized_crop",
        {size(), range("scale", 0.08, 1, 0, 1),
         range("ratio", 3.0 / 4, 4.0 / 3, 0.01, 100)}},
       {"random_crop", {size(), {"pad", Kind::Whole, 0.0, 0, 65536}}},
       {"resize", {sideOrSize()}},
       {"center_crop", {size()}},
       {"flip",
        {chance(0.5),
         {"axis", Kind::Word, StringRef("horizontal"), 0, 0, 0,
          {"horizontal", "vertical"}}}},
       {"rotate",
        {{"degrees", Kind::Number, {}, 0, 180},
         {"fill", Kind::Number, 0.0, 0, 1}}},
       {"affine",
        {{"degrees", Kind::Number, 0.0, 0, 180},
         {"translate", Kind::Number, 0.0, 0, 1},
         range("scale", 1, 1, 0.01, 100),
         {"shear", Kind::Number, 0.0, 0, 89},
         {"fill", Kind::Number, 0.0, 0, 1}}},
       {"perspective",
        {{"distortion", Kind::Number, 0.5, 0, 1}, chance(0.5)}},
       {"elastic",
        {{"alpha", Kind::Number, 34.0, 0, large},
         {"sigma", Kind::Number, 4.0, 0.1, 100}}},
       {"color_jitter",
        {{"strength", Kind::Number, 0.4, 0, 10},
         {"hue", Kind::Number, 0.0, 0, 0.5}}},
       {"noise", {{"deviation", Kind::Number, 0.1, 0, 10}}},
       {"blur", {range("sigma", 0.1, 2, 0.01, 100), chance(0.5)}},
       {"erasing",
        {chance(0.5), range("scale", 0.02, 0.33, 0, 1),
         range("ratio", 0.3, 3.3, 0.01, 100),
         {"value", Kind::Number, 0.0, 0, 1}}},
       {"cutout", {size(), {"count", Kind::Whole, 1.0, 1, 1000}}},
       {"mixup", {{"alpha", Kind::Number, 0.2, 0, 100}}},
       {"cutmix", {{"alpha", Kind::Number, 1.0, 0, 100}}},
       {"randaugment",
        {{"count", Kind::Whole, 2.0, 1, 14},
         {"magnitude", Kind::Number, 9.0, 0, 30}}},
       {"choice", {{"of", Kind::Settings}}},
       {"normalize", {{"by", Kind::Normalize}}}}};
  return family;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

const SettingFamily &halcyon::dsl::rates() {
  static const SettingFamily family = {
      "a schedule of the rate",
      {{"constant", {learningRate()}},
       {"step", {learningRate(), {"every", Kind::Duration}, factor(0.1)}},
       {"multistep", {learningRate(), {"at", Kind::List, {}, 0}, factor(0.1)}},
       {"exponential", {learningRate(), factor(0.95)}},
       {"polynomial",
        {learningRate(), {"power", Kind::Number, 1.0, 0, 100}, {"end", Kind::Number, 0.0, 0, large}}},
       {"cosine", {learningRate(), {"end", Kind::Number, 0.0, 0, large}}},
       {"restarts",
        {learningRate(),
         {"period", Kind::Duration},
         {"grow", Kind::Number, 1.0, 1, 100},
         {"end", Kind::Number, 0.0, 0, large}}},
       {"one_cycle",
        {learningRate("peak"),
         {"rise", Kind::Number, 0.3, 0, 1},
         {"start", Kind::Number, 25.0, 1, large},
         {"end", Kind::Number, 1e4, 1, large}}},
       {"plateau",
        {learningRate(), factor(0.1),
         {"patience", Kind::Whole, 10.0, 0, large},
         metric()}}}};
  return family;
}

const SettingFamily &halcyon::dsl::rateChanges() {
  static const SettingFamily family = {
      "a change of the rate",
      {{"warmup",
        {{"over", Kind::Duration}, {"start", Kind::Number, 0.0, 0, 1}}}}};
  return family;
}

const SettingFamily &halcyon::dsl::optimizerChanges() {
  static const SettingFamily family = {
      "a change of the optimizer", {{"sam", {{"rho", Kind::Number, 0.05, 0, large}}}}};
  return family;
}

const SettingFamily &halcyon::dsl::clippings() {
  static const SettingFamily family = {
      "a way to clip gradients",
      {{"norm", {{"largest", Kind::Number, {}, 1e-30, large}}},
       {"value", {{"largest", Kind::Number, {}, 1e-30, large}}}}};
  return family;
}

const SettingFamily &halcyon::dsl::averages() {
  static const SettingFamily family = {
      "an average of weights",
      {{"ema", {{"decay", Kind::Number, 0.999, 0, 1}}},
       {"swa", {{"start", Kind::Number, {}, 0, large}}}}};
  return family;
}

//===----------------------------------------------------------------------===//
// Weights, and when to stop
//===----------------------------------------------------------------------===//

const SettingFamily &halcyon::dsl::initializations() {
  static const SettingParam gain = {"gain", Kind::Number, 1.0, 0, large};
  static const SettingParam drawn = {
      "drawn", Kind::Word, StringRef("normal"), 0, 0, 0, {"normal", "uniform"}};
  static const SettingFamily family = {
      "an initialization",
      {{"xavier", {gain, drawn}},
       {"kaiming",
        {{"fan", Kind::Word, StringRef("fan_in"), 0, 0, 0, {"fan_in", "fan_out"}},
         {"gain", Kind::Number, 1.4142135623730951, 0, large},
         drawn}},
       {"orthogonal", {gain}},
       {"zero_last_norm", {}}}};
  return family;
}

const SettingFamily &halcyon::dsl::keeps() {
  static const SettingFamily family = {
      "a way to keep weights",
      {{"best", {metric()}}, {"every", {{"time", Kind::Duration}}}}};
  return family;
}

const SettingFamily &halcyon::dsl::stops() {
  static const SettingFamily family = {
      "a reason to stop",
      {{"patience", {{"epochs", Kind::Whole, {}, 1, large}, metric()}}}};
  return family;
}

const SettingFamily &halcyon::dsl::metrics() {
  static const SettingParam average = {
      "average", Kind::Word, StringRef("macro"), 0, 0, 0, {"macro", "micro"}};
  static const SettingFamily family = {
      "a metric",
      {{"accuracy", {{"k", Kind::Whole, 1.0, 1, large}}},
       {"precision", {average}},
       {"recall", {average}},
       {"f1", {average}},
       {"confusion", {}},
       {"auc", {}},
       {"average_precision",
        {{"rule", Kind::Word, StringRef("coco"), 0, 0, 0,
          {"coco", "coco50", "voc", "voc07"}}},
        4},
       {"iou", {}},
       {"dice", {}}}};
  return family;
}
