//===- Pixels.cpp - What augmentations cost -------------------------------===//
//
// halcyon-bench-pixels: time of each augmentation on one thread, on a photograph's
// size, 500x375, or on 224x224 where a crop has come before it.
//
//===----------------------------------------------------------------------===//

#include "train/Augment.h"

#include <benchmark/benchmark.h>

using namespace halcyon::train;

static void augment(benchmark::State &state, const char *call, int height, int width,
                    bool mask) {
  Augmentation augmentation = makeAugmentation(Json::parse(call));
  Sample original;
  original.picture = Picture(3, height, width);
  Random fill(1, Random::Noise, 0);
  for (float &value : original.picture.values)
    value = float(fill.uniform());
  if (mask)
    original.mask.resize(size_t(height) * size_t(width));
  uint64_t item = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Sample sample = original;
    Random random(1, Random::Augment, item++);
    state.ResumeTiming();
    augmentation(sample, random);
    benchmark::DoNotOptimize(sample.picture.values.data());
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name, *call;
    int height, width;
  } calls[] = {
      {"random_resized_crop", R"({"call": "random_resized_crop", "size": [224, 224],
          "scale": [0.08, 1], "ratio": [0.75, 1.333]})", 375, 500},
      {"resize", R"({"call": "resize", "size": [256, 256]})", 375, 500},
      {"random_crop", R"({"call": "random_crop", "size": [224, 224], "pad": 4})", 224, 224},
      {"flip", R"({"call": "flip", "p": 1, "axis": "horizontal"})", 224, 224},
      {"rotate", R"({"call": "rotate", "degrees": 30, "fill": 0})", 224, 224},
      {"affine", R"({"call": "affine", "degrees": 10, "translate": 0.1,
          "scale": [0.8, 1.2], "shear": 10, "fill": 0})", 224, 224},
      {"perspective", R"({"call": "perspective", "distortion": 0.5, "p": 1})", 224, 224},
      {"elastic", R"({"call": "elastic", "alpha": 34, "sigma": 4})", 224, 224},
      {"color_jitter", R"({"call": "color_jitter", "strength": 0.4, "hue": 0.1})", 224, 224},
      {"noise", R"({"call": "noise", "deviation": 0.1})", 224, 224},
      {"blur", R"({"call": "blur", "sigma": [0.1, 2], "p": 1})", 224, 224},
      {"erasing", R"({"call": "erasing", "p": 1, "scale": [0.02, 0.33],
          "ratio": [0.3, 3.3], "value": 0})", 224, 224},
      {"cutout", R"({"call": "cutout", "size": [56, 56], "count": 1})", 224, 224},
      {"randaugment", R"({"call": "randaugment", "count": 2, "magnitude": 9})", 224, 224},
      {"normalize", R"({"call": "normalize", "by": {"mean": [0.485, 0.456, 0.406],
          "std": [0.229, 0.224, 0.225]}})", 224, 224}};
  for (auto &call : calls)
    for (bool mask : {false, true})
      benchmark::RegisterBenchmark(
          (std::string(call.name) + (mask ? "/mask" : "")).c_str(), augment, call.call,
          call.height, call.width, mask)
          ->Unit(benchmark::kMicrosecond);
  keepFreedMemory(); // as training programs do
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  benchmark::RunSpecifiedBenchmarks();
}
