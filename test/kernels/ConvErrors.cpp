//===- ConvErrors.cpp - What Kernel::error says, against measurements ------===//

#include "test/kernels/ConvErrors.h"
#include "test/kernels/ConvCase.h"

#include <cmath>
#include <random>

namespace halcyon::test {

namespace {

/// What the inputs of a convolution are like. Weights are unit normal.
enum class Data {
  Normal,  ///< unit normal
  Relu,    ///< the same, negative ones cut off
  Shifted, ///< far from zero and alike: sums cancel
  Scaled,  ///< channels of sizes from 1/30 to 30
  Smooth,  ///< neighbours alike, as in a picture
  Huge,    ///< unit normal, 1e20 times as large
  Tiny     ///< and 1e-20 times
};
constexpr std::pair<Data, const char *> kData[] = {
    {Data::Normal, "normal"},   {Data::Relu, "relu"},
    {Data::Shifted, "shifted"}, {Data::Scaled, "scaled"},
    {Data::Smooth, "smooth"},   {Data::Huge, "huge"},
    {Data::Tiny, "tiny"}};

Tensor normal(std::vector<int64_t> shape, unsigned seed) {
  Tensor result(std::move(shape));
  std::mt19937 generator(seed);
  std::normal_distribution<float> draw;
  for (float &value : result.data)
    value = draw(generator);
  return result;
}

Tensor maps(const ConvCase &test, int batch, Data data) {
  Tensor x = normal({batch, test.c, test.h, test.w}, 1);
  std::mt19937 generator(2);
  std::normal_distribution<float> draw;
  const size_t plane = size_t(test.h) * test.w;
  for (size_t first = 0; first < x.data.size(); first += plane) {
    float scale = std::exp(1.5f * std::clamp(draw(generator), -2.2f, 2.2f));
    float slope[] = {draw(generator), draw(generator)}, level = draw(generator);
    for (size_t i = 0; i < plane; ++i) {
      float &value = x.data[first + i];
      float up = float(i / test.w) / test.h, along = float(i % test.w) / test.w;
      value = data == Data::Relu      ? std::max(value, 0.0f)
              : data == Data::Shifted ? 1 + 0.1f * value
              : data == Data::Scaled  ? scale * value
              : data == Data::Smooth  ? level + slope[0] * up +
                                           slope[1] * along + 0.03f * value
              : data == Data::Huge ? 1e20f * value
              : data == Data::Tiny ? 1e-20f * value
                                      : value;
    }
  }
  return x;
}

/// Reductions of a few to a few thousand terms, as every kind of kernel does.
std::vector<ConvCase> cases() {
  std::vector<ConvCase> all;
  auto add = [&](ConvCase c) {
    c.bias = false;
    all.push_back(c);
  };
  for (int c : {16, 64, 256, 512})
    add(ConvCase::square(14, c, 32, 3));
  for (int c : {64, 512, 2048})
    add(ConvCase::square(7, c, 32, 1));
  for (int c : {48, 256})
    add(ConvCase::square(12, c, 32, 5));
  add(ConvCase::square(31, 3, 32, 7, 2));
  // Windows of other forms, which Winograd's kernels take.
  for (auto [kh, kw] : {std::pair{1, 7}, {3, 1}, {1, 5}, {2, 2}, {3, 5}})
    for (int c : {16, 256}) {
      ConvCase window = ConvCase::square(13, c, 32, 1);
      window.kh = kh, window.kw = kw;
      add(window);
    }
  ConvCase c = ConvCase::square(14, 64, 64, 3);
  c.groups = 64;
  add(c);
  c = ConvCase::square(14, 64, 64, 3);
  c.groups = 8;
  add(c);
  for (int k : {2, 4}) {
    c = ConvCase::square(7, 128, 32, k, 2);
    c.transposed = true;
    for (int &side : c.pad)
      side = (k - 2) / 2;
    add(c);
  }
  return all;
}

} // namespace

void checkErrors(const Target &target, bool verbose,
                 std::vector<std::string> &problems) {
  // Stated errors hold, and by no more than this: data of few channels is
  // kinder than the formula, which knows no data.
  const double slack = 8;
  auto context = makeContext();
  for (const ConvCase &test : cases()) {
    std::vector<std::pair<std::vector<Tensor>, Tensor>> runs;
    for (auto [data, name] : kData) {
      std::vector<Tensor> inputs = test.inputs(2);
      inputs[0] = maps(test, 2, data);
      inputs[1] = normal(inputs[1].shape, 3);
      Tensor exact = test.reference(inputs);
      runs.push_back({std::move(inputs), std::move(exact)});
    }
    for (const Kernel *algorithm : allKernels()) {
      HarnessOptions options;
      options.kernel = algorithm->name().str();
      std::string error;
      auto kernel = CompiledKernel::make(*context, test.text(), target, options,
                                         error);
      if (!kernel)
        continue;
      double worst = 0;
      std::string line = options.kernel + " " + test.name();
      for (size_t i = 0; i < runs.size(); ++i) {
        kernel->setInputs(runs[i].first);
        kernel->run();
        Tensor result = kernel->outputs(error)[0], exact = runs[i].second;
        if (kData[i].first == Data::Tiny)
          for (Tensor *tensor : {&result, &exact})
            for (float &value : tensor->data)
              value *= 1e20f;
        double measured = relativeError(result, exact);
        worst = std::max(worst, measured);
        char text[64];
        snprintf(text, sizeof text, " %s %.1e", kData[i].second, measured);
        line += text;
      }
      char text[64];
      snprintf(text, sizeof text, ": stated %.1e", kernel->error());
      line += text;
      if (verbose)
        printf("%s\n", line.c_str());
      if (!(worst <= kernel->error()) || worst * slack < kernel->error())
        problems.push_back("error of " + line);
    }
  }
}

} // namespace halcyon::test
