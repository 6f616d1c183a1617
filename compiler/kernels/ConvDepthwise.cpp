//===- ConvDepthwise.cpp - Every channel with its own filter --------------===//
//
//   y[c, i, j] = bias[c] + sum over u, v of w[c, u, v] *
//                          x[c, i * stride + u * dilation - pad, ...]
//
// Lanes are channels, so nothing is broadcast: a tile of pixels shares its
// vectors of weights, and memory is the limit beyond L2.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class DepthwiseConv : public Kernel {
public:
  StringRef name() const override { return "depthwise"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    return isDepthwise(conv, why) && hasZeroPadding(conv, why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return {blockedChoice(group, target, conv.getX(),
                          ConvShape::of(conv).halo())};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    return cnn::PackedAttr::get(conv.getContext(),
                                "Ohw" + std::to_string(target.lanes) + "o");
  }

  // Zen 5, one thread, 3x3: 56x56x144 233 GFLOP/s, 28x28x192 239, 14x14x384
  // 252, 7x7x960 208; 5x5 at 28x28x240 with silu 145.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    auto [tileX, tileY] = tileOf(s, target);
    // Memory decides: seconds at the rate of the level that holds it.
    double seconds = cost(group, target) * target.cores;
    int rowsPerTask = unitsPerTask(target, ceilDiv(s.oh, tileY),
                                   ceilDiv(s.o, target.lanes), seconds);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_x", tileX},
                         {"tile_y", tileY},
                         {"unroll_taps", s.kh * s.kw <= 9},
                         {"rows_per_task", rowsPerTask}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<int64_t, 8> widths;
    for (int x = std::min(s.ow, 16); x > 0; --x)
      if (ceilDiv(s.ow, x) != ceilDiv(s.ow, x + 1) || s.ow % x == 0)
        widths.push_back(x);
    return {{"tile_x", 1, s.ow, widths},
            {"tile_y", 1, s.oh, {1, 2, 3, 4}},
            {"unroll_taps", 0, 1, {0, 1}, /*flag=*/true},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    return tileFits(target, 1,
                    int(schedule.param("tile_x") * schedule.param("tile_y")),
                    why);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    // Zen 5, from L2: 3x3 at 28x28x192 90 % of peak, 5x5 at 28x28x240 55 %.
    return convSeconds(group, target, s.flops() * vectors,
                       s.kh * s.kw <= 9 ? 0.85 : 0.5);
  }

  void build(KernelBuilder &b) const override;

private:
  /// Pixels and rows of a tile: about 14 accumulators, least waste.
  static std::pair<int, int> tileOf(const ConvShape &s, const Target &target) {
    int room = target.registers >= 32 ? 16 : 8;
    std::pair<int, int> best = {1, 1};
    double most = 0;
    for (int y = 1; y <= std::min(s.oh, 2); ++y)
      for (int x = 1; x <= std::min(s.ow, room / y); ++x) {
        double useful = double(s.ow) / (ceilDiv(s.ow, x) * x) *
                        double(s.oh) / (ceilDiv(s.oh, y) * y);
        // Few accumulators wait for each other.
        double worth = useful * std::min(1.0, (x * y + 4) / 14.0) +
                       0.001 * x + (y == 2 && s.sh == 1 ? 0.03 : 0);
        if (worth > most) {
          most = worth;
          best = {x, y};
        }
      }
    return best;
  }
};

void DepthwiseConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int tileY = std::min(param(b, defaults, "tile_y"), s.oh);
  const int rowsPerTask =
      tilesPerTask(s.oh, tileY, param(b, defaults, "rows_per_task"));
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Type type = conv.getResult().getType();

  Func acc("acc");
  acc(c, x, y, cb, n) = conv.getBias()
                            ? b.load(conv.getBias(), {n, cb, c, y, x}, type)
                            : Expr(0.0f);
  RDom k(0, s.kw, 0, s.kh, "k");
  acc(c, x, y, cb, n) +=
      b.read(conv.getWeight(), {c, k[0], k[1], cb}) *
      b.read(conv.getX(), {c, x * s.sw + k[0] * s.dw - s.left,
                           y * s.sh + k[1] * s.dh - s.top, cb, n});
  b.bind(conv.getResult(), [=](const Point &p) {
    return acc(p.c, p.x, p.y, p.cb, p.n);
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  Var xi("xi"), xo("xo"), yi("yi"), yo("yo"), yt("yt"), t("t");
  out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .split(y, yo, yi, tileY, TailStrategy::ShiftInwards)
      .split(yo, yt, yo, rowsPerTask, TailStrategy::GuardWithIf)
      .reorder(c, xi, yi, xo, yo, yt, cb, n)
      .vectorize(c)
      .unroll(xi)
      .unroll(yi)
      .fuse(yt, cb, t)
      .fuse(t, n, t)
      .parallel(t);
  acc.compute_at(out, xo).vectorize(c).unroll(x).unroll(y);
  acc.update().reorder(c, x, y, k[0], k[1]).vectorize(c).unroll(x).unroll(y);
  if (s.kw <= 7)
    acc.update().unroll(k[0]);
  if (s.kw <= 7 && param(b, defaults, "unroll_taps"))
    acc.update().unroll(k[1]);
}

RegisterKernel<DepthwiseConv> depthwise;

} // namespace
} // namespace halcyon
