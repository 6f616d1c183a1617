//===- ConvFip.cpp - Convolution by the fast inner product ----------------===//
//
// The windows of a tile of pixels are packed, each in one run in the order of the
// packed weights and scaled by a power of two of its own; all output channels follow,
// by FastProduct.h. For any window, stride and dilation, and for maps before a 1x1
// convolution, which are computed as they are packed.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/FastConv.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class FipConv : public FastConv {
public:
  StringRef name() const override { return "im2col_fip"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if (!conv)
      return false;
    ConvShape s = ConvShape::of(conv);
    const bool padded = llvm::any_of(s.halo(), [](int64_t h) { return h != 0; });
    if (!isPlainGroup<cnn::ConvOp>(group, s.kh == 1 && s.kw == 1 && !padded, why))
      return false;
    if (s.groups > 1)
      why = "channels are in groups";
    else if (s.c < target.lanes)
      why = "fewer channels than a vector has lanes";
    else
      return takesFastProduct(group, why) && hasZeroPadding(conv, why);
    return false;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return {blockedChoice(group, target, sourceOf(conv.getX()),
                          ConvShape::of(conv).halo())};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    return cnn::PackedAttr::get(conv.getContext(), "OIhw" + blockTag(group, target), 0,
                                /*fip=*/true);
  }

  void build(KernelBuilder &b) const override;

protected:
  Layer layerOf(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    return {s, s.kh * s.kw, s.ow, s.oh, double(s.oh) * s.ow, s.o, target.lanes};
  }
};

void FipConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const Layer layer = layerOf(b.group, b.target);
  const int v = b.target.lanes, taps = layer.taps;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v), run = layer.run();
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int tileY = std::min(param(b, defaults, "tile_y"), s.oh);
  const int rowsPerTask =
      tilesPerTask(s.oh, tileY, param(b, defaults, "rows_per_task"));
  const int coPerTask = std::min(param(b, defaults, "tiles_per_task"), blocks);
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Type type = conv.getResult().getType();

  // The algorithm.
  const bool computed = b.group.hasPrologue();
  Func cells("cells"), acc("acc");
  Var lane("lane"), q("q");
  if (computed)
    cells(lane, q, x, y, n) =
        b.at(conv.getX(), {n, q, lane, y * s.sh - s.top, x * s.sw - s.left});
  const auto units = layer.units();
  FastWindows windows(v, run, s.ow, units, [&](Expr lane, Expr q, Expr x, Expr y, Expr n) {
    if (computed)
      return Expr(cells(lane, q, x, y, n));
    Expr tap = q % taps;
    return b.read(conv.getX(), {lane, x * s.sw + tap % s.kw * s.dw - s.left,
                                y * s.sh + tap / s.kw * s.dh - s.top, q / taps, n});
  });
  Func packed = windows.packed, total = windows.total;
  auto input = [&](Expr lane, Expr q) { return packed(lane, q, x, y, n); };
  auto weight = [&](Expr row) { return b.read(conv.getWeight(), {c, row, cb}); };
  acc(c, x, y, cb, n) = weight(run * v) - total(x, y, n);
  SmallVector<RDom> sums;
  for (const cnn::FastRun &each : units)
    llvm::append_range(sums, addFastProducts(
        acc, {c, x, y, cb, n}, each, input,
        [&](Expr lane, Expr q) { return weight(q * v + lane); }));
  Value filters = conv.getWeight(), bias = conv.getBias();
  b.bind(conv.getResult(), [=, &b](const Point &p) {
    Expr value = acc(p.c, p.x, p.y, p.cb, p.n) *
                 (b.read(filters, {p.c, run * v + 1, p.cb}) *
                  windows.unscale(p.x, p.y, p.n));
    return bias ? value + b.load(bias, p, type) : value;
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule. Tails shift inwards: they repeat work, and all tiles are whole.
  Var xi("xi"), xo("xo"), yi("yi"), yo("yo"), yt("yt"), cbt("cbt"), t("t");
  out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .split(y, yo, yi, tileY, TailStrategy::ShiftInwards)
      .split(yo, yt, yo, rowsPerTask, TailStrategy::GuardWithIf)
      .split(cb, cbt, cb, coPerTask, TailStrategy::GuardWithIf)
      .reorder(c, xi, yi, xo, yo, cb, yt, cbt, n)
      .vectorize(c)
      .unroll(xi)
      .unroll(yi)
      .fuse(yt, cbt, t)
      .fuse(t, n, t)
      .parallel(t);
  windows.computeAt(out, t);
  if (computed)
    cells.compute_at(packed, windows.row).vectorize(lane).reorder(lane, x, y, q);
  acc.compute_at(out, xo).bound_extent(c, v).vectorize(c).unroll(x).unroll(y);
  for (auto [index, k] : llvm::enumerate(sums))
    acc.update((int)index)
        .reorder(c, x, y, k[0], k[1])
        .vectorize(c)
        .unroll(x)
        .unroll(y);
  if (param(b, defaults, "prefetch")) {
    b.streamAhead({acc,
                   {{out, yo, rowsPerTask},
                    {out, xo, ceilDiv(s.ow, tileX)},
                    {acc, sums.front()[1], (int)units.front().count}},
                   b.input(filters),
                   4 * (run * v + 2) * v,
                   coPerTask > 1 ? 1 : b.target.cores});
    fetchAdded(b, {out, xo, ceilDiv(s.ow, tileX)}, sourceOf(conv.getX()), {tileX, 1, 1, 1, tileX}, {tileY});
  }
}

RegisterKernel<FipConv> fip;

} // namespace
} // namespace halcyon
