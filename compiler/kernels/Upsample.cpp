//===- Upsample.cpp - Maps enlarged by whole factors ----------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;

namespace halcyon {

namespace {

/// Where an output coordinate reads along one axis: between `low` and `high`,
/// `part` of the way. In whole numbers, so that it is exact.
struct Between {
  Expr low, high, part;
};

static Between halfPixel(Expr o, int size, int factor) {
  // (o + 1/2) / factor - 1/2, not below 0.
  Expr twice = Halide::max(2 * o + 1 - factor, 0);
  Expr low = twice / (2 * factor);
  return {low, Halide::min(low + 1, size - 1),
          Halide::cast<float>(twice % (2 * factor)) / float(2 * factor)};
}

static Between cornerToCorner(Expr o, int size, int factor) {
  int steps = std::max(1, size * factor - 1);
  Expr at = o * (size - 1);
  Expr low = at / steps;
  return {low, Halide::min(low + 1, size - 1),
          Halide::cast<float>(at % steps) / float(steps)};
}

class Upsample : public LayerKernel<cnn::UpsampleOp> {
public:
  Upsample() : LayerKernel("upsample", 0.1) {}

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::UpsampleOp>();
    Value x = op.getX();
    int height = (int)cnn::sizeOf(x, 2), width = (int)cnn::sizeOf(x, 3);
    int sy = (int)op.getScale()[0], sx = (int)op.getScale()[1];
    bool nearest = op.getMode() == cnn::Resample::nearest;
    auto between = op.getAlignCorners() ? cornerToCorner : halfPixel;
    b.bind(op.getResult(), [&, x](const Point &p) {
      auto read = [&](Expr y, Expr x_) {
        Point q = p;
        q.y = y;
        q.x = x_;
        return b.at(x, q);
      };
      if (nearest)
        return read(p.y / sy, p.x / sx);
      Between y = between(p.y, height, sy), c = between(p.x, width, sx);
      auto mix = [](Expr a, Expr v, Expr part) { return a + (v - a) * part; };
      return mix(mix(read(y.low, c.low), read(y.low, c.high), c.part),
                 mix(read(y.high, c.low), read(y.high, c.high), c.part), y.part);
    });
    Type type = b.group.outputs().front().getType();
    scheduleRows(b, b.output(), type, {rowBytesOf(b, type)});
  }
};

} // namespace

static RegisterKernel<Upsample> upsample;

} // namespace halcyon
