//===- ConvTransposeFip.cpp - Transposed convolution, fast inner product --===//
//
// Output pixel X = x + pad has phase X mod S and lies above input column X div S. With
// kernels of J * S taps that do not spread, each phase is a convolution of J taps
// without strides, and all of them read the same windows (see ConvTranspose.cpp): these
// are packed once, for all phases and output channels, and their sums are made by
// FastProduct.h.
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

class TransposedFip : public FastConv {
public:
  StringRef name() const override { return "conv_transpose_fip"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvTransposeOp>(group, /*prologue=*/false, why))
      return false;
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    if (s.groups > 1)
      why = "channels are in groups";
    else if (s.c < target.lanes)
      why = "fewer channels than a vector has lanes";
    else if (s.kh % s.sh || s.kw % s.sw || s.dh > 1 || s.dw > 1)
      why = "its phases do not have as many taps";
    else if (s.oh % s.sh || s.ow % s.sw)
      why = "its phases do not have as many pixels";
    else
      return takesFastProduct(group, why);
    return false;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    return {blockedChoice(group, target, conv.getX(),
                          transposedHalo(ConvShape::of(conv)))};
  }

  // Dimension 0 of the weight is the input's channels, dimension 1 the output's.
  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    ConvShape s = ConvShape::of(conv);
    std::string v = std::to_string(target.lanes);
    return cnn::PackedAttr::get(conv.getContext(),
                                "I%" + std::to_string(s.sh) + "h%" +
                                    std::to_string(s.sw) + "wOhw" + v + "o" + v + "i",
                                0, /*fip=*/true);
  }

  void build(KernelBuilder &b) const override;

protected:
  Layer layerOf(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    return {s,
            s.kh / s.sh * (s.kw / s.sw),
            s.ow / s.sw,
            s.oh / s.sh,
            double(windowsOf(s.oh, s.sh, s.top)) * windowsOf(s.ow, s.sw, s.left),
            ceilDiv(s.o, target.lanes) * target.lanes,
            target.lanes};
  }

private:
  /// Windows of an axis: phases of a padded one begin in two of them.
  static int windowsOf(int out, int stride, int pad) {
    return out / stride + (pad % stride + stride - 1) / stride;
  }
};

void TransposedFip::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvTransposeOp>();
  ConvShape s = ConvShape::of(conv);
  const Layer layer = layerOf(b.group, b.target);
  const int v = b.target.lanes, across = s.kw / s.sw, taps = layer.taps;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v), run = layer.run();
  const int columns = layer.columns, rows = layer.rows;
  const int tileX = std::min(param(b, defaults, "tile_x"), columns);
  const int tileY = std::min(param(b, defaults, "tile_y"), rows);
  const int taskRows = std::min(rows, tileY * param(b, defaults, "rows_per_task"));
  const int coPerTask = std::min(param(b, defaults, "tiles_per_task"), blocks);
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  // Column q and row r of those of x = u and y = w modulo the strides.
  Var q("q"), r("r"), u("u"), w("w");
  Type type = conv.getResult().getType();

  // The algorithm. Windows are counted from the first that a pixel reads.
  const auto units = layer.units();
  FastWindows windows(
      v, run, windowsOf(s.ow, s.sw, s.left), units,
      [&](Expr lane, Expr k, Expr x, Expr y, Expr n) {
        Expr tap = k % taps;
        return b.read(conv.getX(), {lane, x + s.left / s.sw - tap % across,
                                    y + s.top / s.sh - tap / across, k / taps, n});
      });
  Value filters = conv.getWeight(), bias = conv.getBias();
  auto weight = [&, filters](Expr c, Expr row, Expr cb, Expr u, Expr w) {
    return b.read(filters, {c, row, (u + s.left) % s.sw, (w + s.top) % s.sh, cb});
  };
  auto column = [=](Expr q, Expr u) { return q + (u + s.left % s.sw) / s.sw; };
  auto row = [=](Expr r, Expr w) { return r + (w + s.top % s.sh) / s.sh; };
  Func acc("acc");
  acc(c, q, u, r, w, cb, n) =
      weight(c, run * v, cb, u, w) - windows.total(column(q, u), row(r, w), n);
  SmallVector<RDom> sums;
  for (const cnn::FastRun &each : units)
    llvm::append_range(
        sums, addFastProducts(
                  acc, {c, q, u, r, w, cb, n}, each,
                  [&](Expr lane, Expr k) {
                    return windows.packed(lane, k, column(q, u), row(r, w), n);
                  },
                  [&](Expr lane, Expr k) { return weight(c, k * v + lane, cb, u, w); }));
  Func phases("phases");
  phases(c, q, u, r, w, cb, n) =
      acc(c, q, u, r, w, cb, n) * (weight(c, run * v + 1, cb, u, w) *
                                   windows.unscale(column(q, u), row(r, w), n));
  b.bind(conv.getResult(), [=, &b](const Point &p) {
    Expr value =
        phases(p.c, p.x / s.sw, p.x % s.sw, p.y / s.sh, p.y % s.sh, p.cb, p.n);
    return bias ? value + b.load(bias, p, type) : value;
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule. Tails shift inwards: they repeat work, and all tiles are whole.
  Var qi("qi"), qo("qo"), ri("ri"), ro("ro"), yi("yi"), yt("yt"), cbt("cbt"), t("t");
  out.split(y, yt, yi, taskRows * s.sh, TailStrategy::ShiftInwards)
      .split(cb, cbt, cb, coPerTask, TailStrategy::GuardWithIf)
      .reorder(c, x, yi, cb, yt, cbt, n)
      .vectorize(c)
      .unroll(x, divisorUpTo(s.ow, 2 * s.sw))
      .fuse(yt, cbt, t)
      .fuse(t, n, t)
      .parallel(t)
      .never_partition(t); // one code for a row that two tasks compute
  windows.computeAt(out, t);
  phases.compute_at(out, cb)
      .bound(u, 0, s.sw)
      .bound(w, 0, s.sh)
      .split(q, qo, qi, tileX, TailStrategy::ShiftInwards)
      .split(r, ro, ri, tileY, TailStrategy::ShiftInwards)
      .reorder({c, qi, ri, qo, ro, u, w, cb, n})
      .vectorize(c)
      .unroll(qi)
      .unroll(ri);
  acc.compute_at(phases, qo).bound_extent(c, v).vectorize(c).unroll(q).unroll(r);
  for (auto [index, k] : llvm::enumerate(sums))
    acc.update((int)index)
        .reorder({c, q, r, k[0], k[1]})
        .vectorize(c)
        .unroll(q)
        .unroll(r);
  if (param(b, defaults, "prefetch"))
    b.streamAhead({acc,
                   {{phases, ro, ceilDiv(taskRows, tileY)},
                    {phases, qo, ceilDiv(columns, tileX)},
                    {acc, sums.front()[1], (int)units.front().count}},
                   b.input(filters),
                   4 * (run * v + 2) * v,
                   1});
}

RegisterKernel<TransposedFip> transposedFip;

} // namespace
} // namespace halcyon
