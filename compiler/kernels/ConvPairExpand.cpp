//===- ConvPairExpand.cpp - A 1x1 and the depthwise that reads it ---------===//
//
//   m[c, i, j] = f(bias[c] + sum over d of u[c, d] * x[d, i, j])
//   y[c, i, j] = g(bias[c] + sum over a, b of w[c, a, b] *
//                            m[c, i * stride + a * dilation - pad, ...])
//
// A task computes some blocks of channels in some rows of m, as many as stay in
// its L2, and reads them there. Rows that two tasks read are computed by both.
// Outside the map m is zero, not f(bias).
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvPair.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class ExpandDepthwise : public ConvPair {
public:
  StringRef name() const override { return "expand_depthwise"; }
  void build(KernelBuilder &b) const override;

protected:
  bool isOurs(const ConvShape &first, const ConvShape &second) const override {
    return isPointwise(first) && isDepthwise(second);
  }
  Plan planOf(const Group &group, const Target &target) const override;
};

/// Few rows that two tasks compute, even work for the cores, and no more than
/// L2 keeps.
ConvPair::Plan ExpandDepthwise::planOf(const Group &group,
                                       const Target &target) const {
  ConvShape e = ConvShape::of(firstOf(group)), d = ConvShape::of(secondOf(group));
  const int blocks = ceilDiv(e.o, target.lanes);
  const double vectors = double(blocks) * target.lanes / e.o;
  Plan plan;
  plan.pointwise = chooseTile(target, e.w, 1, blocks, /*coDivides=*/true);
  plan.depthwise = chooseTile(target, d.ow, d.oh, 1, false, 16);

  // Seconds on all cores, all channels, of a row of m, which is written to L2
  // and read from it, and of a row of tiles of the output.
  auto [between, behind] = mapFlops(group);
  double all = target.flops * target.cores;
  // Of MobileNetV2 on Zen 5, two threads, in us, the pair and the two apart:
  // 16 -> 96 at 112x112 stride 2 116 and 127, 24 -> 144 at 56x56 74 and 70,
  // 64 -> 384 at 14x14 25 and 28, 160 -> 960 at 7x7 34 and 37; of
  // EfficientNet, with silu, 80 -> 480 at 14x14 5x5 98 and 102.
  double rowOfM = (e.flops() * vectors / (0.96 * plan.pointwise.efficiency * all) +
                   epilogueSeconds(target, between)) /
                  e.h;
  int tiles = ceilDiv(d.oh, plan.depthwise.y);
  double rowOfTiles = (d.flops() * vectors / (0.85 * all) +
                       epilogueSeconds(target, behind)) /
                      tiles;
  int groups = blocks / plan.pointwise.co;
  double rowBytes = 4.0 * target.lanes * plan.pointwise.co * e.w;
  double least = 1e30;
  for (int strips = 1; strips <= tiles; ++strips) {
    int per = tilesPerTask(d.oh, plan.depthwise.y, ceilDiv(tiles, strips));
    int count = ceilDiv(tiles, per) * groups;
    int rows = std::min(e.h, (per * plan.depthwise.y - 1) * d.sh +
                                 (d.kh - 1) * d.dh + 1);
    double each =
        (rows * rowOfM + per * rowOfTiles) * target.cores / groups;
    // From beyond L2 the rows come at half the rate.
    if (rows * rowBytes > 0.6 * target.l2)
      each *= 1.3;
    double few = count < 4 * target.cores ? 1.02 : 1.0;
    double time = ceilDiv(count, target.cores) * each * few;
    if (double ranked = time + count * 0.05 * target.callSeconds;
        ranked < least) {
      least = ranked;
      plan.seconds = time;
      plan.rowsPerTask = per;
    }
  }
  return plan;
}

void ExpandDepthwise::build(KernelBuilder &b) const {
  cnn::ConvOp expand = firstOf(b.group), depthwise = secondOf(b.group);
  ConvShape e = ConvShape::of(expand), d = ConvShape::of(depthwise);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int tileCo =
      divisorUpTo(ceilDiv(e.o, b.target.lanes), param(b, defaults, "tile_co"));
  const int tileX = std::min(param(b, defaults, "tile_x"), e.w);
  const int outX = std::min(param(b, defaults, "tile_dx"), d.ow);
  const int outY = std::min(param(b, defaults, "tile_dy"), d.oh);
  const int rowsPerTask =
      tilesPerTask(d.oh, outY, param(b, defaults, "rows_per_task"));
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;

  Func acc("acc"), m("m"), sum("sum");
  acc(c, x, y, cb, n) = biasOf(b, expand);
  auto parts = addPointwise(b, expand, acc, [&](Expr lane, Expr block) {
    return b.input(expand.getX())(lane, x, y, block, n);
  });
  b.bind(expand.getResult(), [=](const Point &p) {
    return acc(p.c, p.x, p.y, p.cb, p.n);
  });
  m(c, x, y, cb, n) = b.at(depthwise.getX(), {n, cb, c, y, x});
  b.bind(depthwise.getX(), [=](const Point &q) {
    return m(q.c, q.x, q.y, q.cb, q.n);
  });

  // The depthwise sum. Few of the unrolled taps can leave the map: only those
  // are tested. Rows of zeros around m would be computed.
  sum(c, x, y, cb, n) = biasOf(b, depthwise);
  RDom k(0, d.kw, 0, d.kh, "taps");
  Expr column = x * d.sw + k[0] * d.dw - d.left;
  Expr row = y * d.sh + k[1] * d.dh - d.top;
  Expr inside = Halide::Internal::const_true();
  SmallVector<int64_t> halo = d.halo();
  if (halo[1] || halo[3]) {
    inside = column >= 0 && column < e.w;
    column = Halide::clamp(column, 0, e.w - 1);
  }
  if (halo[0] || halo[2]) {
    inside = inside && row >= 0 && row < e.h;
    row = Halide::clamp(row, 0, e.h - 1);
  }
  Expr tap = Halide::select(inside, m(c, column, row, cb, n), 0.0f);
  sum(c, x, y, cb, n) += b.input(depthwise.getWeight())(c, k[0], k[1], cb) * tap;
  b.bind(depthwise.getResult(), [=](const Point &p) {
    return sum(p.c, p.x, p.y, p.cb, p.n);
  });
  Func out = b.output();

  Var xi("xi"), xo("xo"), yi("yi"), yo("yo"), yt("yt"), cbi("cbi"), cbo("cbo"),
      t("t");
  out.split(x, xo, xi, outX, TailStrategy::ShiftInwards)
      .split(y, yo, yi, outY, TailStrategy::ShiftInwards)
      .split(cb, cbo, cbi, tileCo)
      .split(yo, yt, yo, rowsPerTask, TailStrategy::GuardWithIf)
      .reorder(c, xi, yi, xo, yo, cbi, yt, cbo, n)
      .vectorize(c)
      .unroll(xi)
      .unroll(yi)
      .fuse(yt, cbo, t)
      .fuse(t, n, t)
      .parallel(t);
  sum.compute_at(out, xo);
  scheduleTaps(b, sum, k, d);
  m.compute_at(out, t)
      .bound_extent(cb, tileCo)
      .split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .reorder(c, cb, xi, xo, y, n)
      .vectorize(c)
      .unroll(cb)
      .unroll(xi);
  acc.compute_at(m, xo);
  // Tasks of the same channels follow each other.
  const int strips = ceilDiv(ceilDiv(d.oh, outY), rowsPerTask);
  const int rows = std::min(e.h, (rowsPerTask * outY - 1) * d.sh +
                                     (d.kh - 1) * d.dh + 1);
  schedulePointwise(b, expand, acc, parts, tileCo, tileX,
                    {{m, y, rows}, {m, xo, ceilDiv(e.w, tileX)}},
                    std::max(1, b.target.cores / strips));
}

RegisterKernel<ExpandDepthwise> expandDepthwise;

} // namespace
} // namespace halcyon
