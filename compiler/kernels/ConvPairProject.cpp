//===- ConvPairProject.cpp - A depthwise and the 1x1 that reads it --------===//
//
//   m[d, i, j] = f(bias[d] + sum over a, b of w[d, a, b] *
//                            x[d, i * stride + a * dilation - pad, ...])
//   y[c, i, j] = g(bias[c] + sum over d of u[c, d] * m[d, i, j])
//
// A task computes all channels of some rows of m, and multiplies them while
// they are in its caches. Nothing is computed twice, but every task reads all
// weights of the 1x1.
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

class DepthwiseProject : public ConvPair {
public:
  StringRef name() const override { return "depthwise_project"; }
  void build(KernelBuilder &b) const override;

protected:
  bool isOurs(const ConvShape &first, const ConvShape &second) const override {
    return isDepthwise(first) && isPointwise(second);
  }
  Plan planOf(const Group &group, const Target &target) const override;
};

/// Even work for the cores; few readings of the weights; rows that stay in L2.
ConvPair::Plan DepthwiseProject::planOf(const Group &group,
                                        const Target &target) const {
  ConvShape d = ConvShape::of(firstOf(group)), p = ConvShape::of(secondOf(group));
  const int from = ceilDiv(d.o, target.lanes), to = ceilDiv(p.o, target.lanes);
  Plan plan;
  plan.pointwise = chooseTile(target, p.ow, 1, to, /*coDivides=*/true);
  plan.depthwise = chooseTile(target, d.ow, 1, 1, false, 16);

  auto [between, behind] = mapFlops(group);
  double all = target.flops * target.cores;
  // Rows of a task are few for the weights that they meet. On Zen 5, two threads,
  // in us, the pair and the two apart: 384 -> 64 at 14x14 27 and 26, 960 -> 160
  // at 7x7 42 and 42, 144 -> 24 at 56x56 85 and 82, 32 -> 16 at 112x112 51 and 53.
  double row = (d.flops() * from * target.lanes / d.o / (0.75 * all) +
                p.flops() * to * target.lanes / p.o /
                    (0.85 * plan.pointwise.efficiency * all) +
                epilogueSeconds(target, between + behind)) /
               p.oh;
  double weights = 4.0 * p.o * p.c;
  double rowBytes = 4.0 * target.lanes * from * d.ow;
  double least = 1e30;
  for (int strips = 1; strips <= p.oh; ++strips) {
    int per = ceilDiv(p.oh, strips), count = ceilDiv(p.oh, per);
    double each = per * row * target.cores;
    // Where L2 keeps the weights they cost nothing beside the products.
    bool kept = weights + per * rowBytes < 0.6 * target.l2;
    if (!kept)
      each += weights / target.l2Bandwidth + per * rowBytes / target.l2Bandwidth;
    double few = count < 4 * target.cores ? 1.1 : 1.0;
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

void DepthwiseProject::build(KernelBuilder &b) const {
  cnn::ConvOp depthwise = firstOf(b.group), project = secondOf(b.group);
  ConvShape d = ConvShape::of(depthwise), p = ConvShape::of(project);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int tileCo =
      divisorUpTo(ceilDiv(p.o, b.target.lanes), param(b, defaults, "tile_co"));
  const int tileX = std::min(param(b, defaults, "tile_x"), p.ow);
  const int depthX = std::min(param(b, defaults, "tile_dx"), d.ow);
  const int rowsPerTask = param(b, defaults, "rows_per_task");
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;

  Func sum("sum"), m("m"), acc("acc");
  sum(c, x, y, cb, n) = biasOf(b, depthwise);
  RDom k(0, d.kw, 0, d.kh, "taps");
  sum(c, x, y, cb, n) +=
      b.input(depthwise.getWeight())(c, k[0], k[1], cb) *
      b.input(depthwise.getX())(c, x * d.sw + k[0] * d.dw - d.left,
                                y * d.sh + k[1] * d.dh - d.top, cb, n);
  b.bind(depthwise.getResult(), [=](const Point &q) {
    return sum(q.c, q.x, q.y, q.cb, q.n);
  });
  m(c, x, y, cb, n) = b.at(project.getX(), {n, cb, c, y, x});
  b.bind(project.getX(), [=](const Point &q) {
    return m(q.c, q.x, q.y, q.cb, q.n);
  });

  acc(c, x, y, cb, n) = biasOf(b, project);
  auto parts = addPointwise(b, project, acc, [&](Expr lane, Expr block) {
    return m(lane, x, y, block, n);
  });
  b.bind(project.getResult(), [=](const Point &q) {
    return acc(q.c, q.x, q.y, q.cb, q.n);
  });
  Func out = b.output();

  Var xi("xi"), xo("xo"), yi("yi"), yt("yt"), cbi("cbi"), cbo("cbo"), t("t");
  out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .split(y, yt, yi, rowsPerTask, TailStrategy::GuardWithIf)
      .split(cb, cbo, cbi, tileCo)
      .reorder(c, cbi, xi, xo, yi, cbo, yt, n)
      .vectorize(c)
      .unroll(cbi)
      .unroll(xi)
      .fuse(yt, n, t)
      .parallel(t);
  acc.compute_at(out, xo);
  schedulePointwise(b, project, acc, parts, tileCo, tileX,
                    {{out, yi, rowsPerTask}, {out, xo, ceilDiv(p.ow, tileX)}},
                    1);
  m.compute_at(out, t)
      .split(x, xo, xi, depthX, TailStrategy::ShiftInwards)
      .reorder(c, xi, xo, y, cb, n)
      .vectorize(c)
      .unroll(xi);
  sum.compute_at(m, xo);
  scheduleTaps(b, sum, k, d);
}

RegisterKernel<DepthwiseProject> depthwiseProject;

} // namespace
} // namespace halcyon
