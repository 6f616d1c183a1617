//===- ConvTransposeFip.cpp - Transposed convolution, fast inner product --===//
//
// Output pixel X = x + pad has phase X mod S and lies above input column X div S. With
// kernels of J * S taps that do not spread, each phase is a convolution of J taps
// without strides, and all of them read the same windows (see ConvTranspose.cpp): these
// are packed once, for all phases and output channels, and their sums are made by
// FastProduct.h.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/FastProduct.h"

#include <cmath>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class TransposedFip : public Kernel {
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

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    ConvShape s = ConvShape::of(conv);
    Tile tile = tileOf(s, target);
    FastCut cut = cutOf(s, tile, target);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"rows_per_task", cut.rows},
                         {"tiles_per_task", cut.blocks},
                         {"prefetch", 1}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    int blocks = ceilDiv(s.o, target.lanes), rows = s.oh / s.sh;
    return {{"tile_x", 1, s.ow / s.sw, {}},
            {"tile_y", 1, rows, {}},
            {"rows_per_task", 1, rows, taskSizes(rows)},
            {"tiles_per_task", 1, blocks, taskSizes(blocks)},
            {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
  }

  bool holds(const Group &, const Target &target, cnn::ScheduleAttr schedule,
             std::string &why) const override {
    return tileFits(target, 1, int(schedule.param("tile_x") * schedule.param("tile_y")),
                    why);
  }

  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile : tilesToTry(fastProductTarget(target), s.ow / s.sw,
                                       s.oh / s.sh, /*blocks=*/1))
      for (int64_t rows : taskSizes(ceilDiv(s.oh / s.sh, tile.y)))
        tiles.push_back(
            {{"tile_x", tile.x}, {"tile_y", tile.y}, {"rows_per_task", rows}});
    return spaceFrom(group, target, tiles);
  }

  double error(const Group &group, const Target &) const override {
    return kFastError * std::sqrt(groupTerms(group));
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    Tile tile = tileOf(s, target);
    FastCut cut = cutOf(s, tile, target);
    const double parts = ceilDiv(ceilDiv(s.o, target.lanes), cut.blocks);
    return convSeconds(group, target, productFlops(s, target), 0.93 * tile.efficiency) +
           parts * packingCycles(s, target) / (cyclesPerSecond(target) * target.cores);
  }

  void build(KernelBuilder &b) const override;

private:
  static int tapsOf(const ConvShape &s) { return s.kh / s.sh * (s.kw / s.sw); }
  /// Windows of an axis: phases of a padded one begin in two of them.
  static int windowsOf(int out, int stride, int pad) {
    return out / stride + (pad % stride + stride - 1) / stride;
  }

  static Tile tileOf(const ConvShape &s, const Target &target) {
    return chooseTile(fastProductTarget(target), s.ow / s.sw, s.oh / s.sh, /*blocks=*/1);
  }

  static auto unitsOf(const ConvShape &s, const Target &target) {
    return cnn::fastRuns(s.c, tapsOf(s), target.lanes, /*inThrees=*/true);
  }

  /// Vectors of a window.
  static int runOf(const ConvShape &s, const Target &target) {
    return ceilDiv(s.c, target.lanes) * tapsOf(s);
  }

  /// The products' operations, as many as take their time in multiply-adds.
  static double productFlops(const ConvShape &s, const Target &target) {
    double vectors = double(ceilDiv(s.o, target.lanes)) * runOf(s, target);
    return 2.0 * vectors * target.lanes * target.lanes * s.oh * s.ow *
           fastProductTime(unitsOf(s, target), target);
  }

  static double packingCycles(const ConvShape &s, const Target &target) {
    return double(windowsOf(s.oh, s.sh, s.top)) * windowsOf(s.ow, s.sw, s.left) *
           FastWindows::cycles(runOf(s, target));
  }

  static FastCut cutOf(const ConvShape &s, const Tile &tile, const Target &target) {
    return cutFast(target, ceilDiv(s.oh / s.sh, tile.y), ceilDiv(s.o, target.lanes),
                   4.0 * runOf(s, target) * target.lanes * s.ow / s.sw * tile.y,
                   4.0 * s.o * s.c * s.kh * s.kw, productFlops(s, target) / target.flops, packingCycles(s, target));
  }
};

void TransposedFip::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvTransposeOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes, across = s.kw / s.sw, taps = tapsOf(s);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v), run = runOf(s, b.target);
  const int columns = s.ow / s.sw, rows = s.oh / s.sh;
  const int tileX = std::min(param(b, defaults, "tile_x"), columns);
  const int tileY = std::min(param(b, defaults, "tile_y"), rows);
  const int taskRows = std::min(rows, tileY * param(b, defaults, "rows_per_task"));
  const int coPerTask = std::min(param(b, defaults, "tiles_per_task"), blocks);
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  // Column q and row r of those of x = u and y = w modulo the strides.
  Var q("q"), r("r"), u("u"), w("w");
  Type type = conv.getResult().getType();

  // The algorithm. Windows are counted from the first that a pixel reads.
  const auto units = unitsOf(s, b.target);
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
