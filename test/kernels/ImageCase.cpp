//===- ImageCase.cpp - Pictures to tensors, against Pillow's algorithm -----===//

#include "test/kernels/LayerCase.h"

#include "dialects/exec/Exec.h"

#include "mlir/Parser/Parser.h"

#include <cmath>
#include <random>

using namespace mlir;

namespace halcyon::test {

namespace {

/// Height x width x channels of bytes.
struct Picture {
  int width, height, channels;
  std::vector<uint8_t> bytes;

  Picture(int width, int height, int channels)
      : width(width), height(height), channels(channels),
        bytes((size_t)width * height * channels) {}
  uint8_t &at(int x, int y, int c) {
    return bytes[((size_t)y * width + x) * channels + c];
  }
};

/// Pillow's resampling along one axis, with weights of 22 bits as Resample.c
/// has them.
Picture resized(Picture &from, int to, bool horizontal) {
  int size = horizontal ? from.width : from.height;
  Picture out(horizontal ? to : from.width, horizontal ? from.height : to,
              from.channels);
  double scale = (double)size / to, reach = std::max(scale, 1.0);
  for (int o = 0; o < to; ++o) {
    double center = (o + 0.5) * scale;
    int first = std::max(0, (int)(center - reach + 0.5));
    int last = std::min(size, (int)(center + reach + 0.5));
    std::vector<double> weights;
    double total = 0;
    for (int i = first; i < last; ++i) {
      double t = std::abs((i - center + 0.5) / reach);
      weights.push_back(t < 1 ? 1 - t : 0);
      total += weights.back();
    }
    for (int other = 0; other < (horizontal ? from.height : from.width); ++other)
      for (int c = 0; c < from.channels; ++c) {
        int sum = 1 << 21;
        for (int i = first; i < last; ++i)
          sum += (int)(0.5 + weights[i - first] / total * (1 << 22)) *
                 (horizontal ? from.at(i, other, c) : from.at(other, i, c));
        uint8_t value = (uint8_t)std::clamp(sum >> 22, 0, 255);
        (horizontal ? out.at(o, other, c) : out.at(other, o, c)) = value;
      }
  }
  return out;
}

} // namespace

/// A kernel for an image of these sizes; `side` 0 resizes to them.
static std::string checkImage(MLIRContext &context, const Target &target,
                              int channels, int height, int width, int side,
                              std::vector<std::pair<int, int>> pictures) {
  std::string result = "tensor<?x" + std::to_string(channels) + "x" +
                       std::to_string(height) + "x" + std::to_string(width) +
                       "xf32>";
  std::string from = "tensor<?x?x" + std::to_string(channels) + "xui8>";
  std::string text =
      "exec.kernel @k <\"image\", {}> {\n^bb0(%a: " + from +
      "):\n  %y = cnn.image %a {resize = " + std::to_string(side) +
      " : i64, mean = array<f64: 0.5, 0.25, 0.125>, std = array<f64: 0.5, 0.25, "
      "0.75>} : (" + from + ") -> " + result + "\n  cnn.yield %y : " + result +
      "\n}\n";
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return "does not parse";
  auto op = *module->getOps<exec::KernelOp>().begin();
  Group group(op.getBody().front());
  const Kernel *kernel = findKernel("image");
  KernelBuilder builder(group, kernel->schedule(group, target), target);
  kernel->build(builder);
  // As in a program: nothing is checked, nothing asked.
  Halide::Callable callable = builder.finish().compile_to_callable(
      builder.arguments(), builder.halideTarget()
                               .with_feature(Halide::Target::NoAsserts)
                               .with_feature(Halide::Target::NoBoundsQuery));
  const double mean[] = {0.5, 0.25, 0.125}, std[] = {0.5, 0.25, 0.75};
  for (auto [w, h] : pictures) {
    Picture picture(w, h, channels);
    std::mt19937 generator(w * 131 + h);
    for (uint8_t &byte : picture.bytes)
      byte = (uint8_t)generator();
    Halide::Buffer<uint8_t> in = Halide::Buffer<uint8_t>::make_interleaved(
        picture.bytes.data(), w, h, channels);
    in.transpose(std::vector<int>{1, 2, 0});
    Halide::Buffer<float> out(width, height, channels, 1);
    callable(in, out);

    int shorter = std::min(w, h);
    int toWidth = side ? (int)((int64_t)w * side / shorter) : width;
    int toHeight = side ? (int)((int64_t)h * side / shorter) : height;
    Picture narrow = resized(picture, toWidth, true);
    Picture small = resized(narrow, toHeight, false);
    int left = toWidth >= width ? (int)std::nearbyint((toWidth - width) / 2.0)
                                : -((width - toWidth) / 2);
    int top = toHeight >= height ? (int)std::nearbyint((toHeight - height) / 2.0)
                                 : -((height - toHeight) / 2);
    for (int c = 0; c < channels; ++c)
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
          int i = y + top, j = x + left;
          bool inside = i >= 0 && i < toHeight && j >= 0 && j < toWidth;
          double value = inside ? small.at(j, i, c) : 0;
          double want = (value / 255 - mean[c]) / std[c];
          double difference = std::abs(out(x, y, c, 0) - want) * std[c] * 255;
          if (!(difference < 0.01))
            return std::to_string(w) + "x" + std::to_string(h) + " to " +
                   std::to_string(width) + "x" + std::to_string(height) +
                   ": another byte at " + std::to_string(x) + ", " +
                   std::to_string(y);
        }
  }
  return "";
}

std::string checkImages(MLIRContext &context, const Target &target) {
  for (std::string error :
       {checkImage(context, target, 3, 32, 40, 48, {{97, 61}, {50, 200}, {64, 64}}),
        checkImage(context, target, 3, 32, 32, 0, {{97, 61}, {20, 30}, {32, 32}}),
        checkImage(context, target, 1, 28, 28, 0, {{28, 28}, {100, 57}}),
        checkImage(context, target, 3, 40, 40, 31, {{97, 61}, {9, 7}})})
    if (!error.empty())
      return error;
  return "";
}

} // namespace halcyon::test
