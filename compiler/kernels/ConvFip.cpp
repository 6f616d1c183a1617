//===- ConvFip.cpp - Convolution by the fast inner product ----------------===//
//
// The windows of a tile of pixels are packed, each in one run in the order of the
// packed weights and scaled by a power of two of its own; all output channels follow,
// by FastProduct.h. For any window, stride and dilation, and for maps before a 1x1
// convolution, which are computed as they are packed.
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

class FipConv : public Kernel {
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

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Tile tile = tileOf(s, target);
    Cut cut = cutOf(s, tile, target);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"rows_per_task", cut.rows},
                         {"tiles_per_task", cut.blocks},
                         {"prefetch", 1}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    int blocks = ceilDiv(s.o, target.lanes);
    return {{"tile_x", 1, s.ow, {}},
            {"tile_y", 1, s.oh, {}},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)},
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
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile :
         tilesToTry(fastProductTarget(target), s.ow, s.oh, /*blocks=*/1))
      for (int64_t rows : taskSizes(ceilDiv(s.oh, tile.y)))
        tiles.push_back(
            {{"tile_x", tile.x}, {"tile_y", tile.y}, {"rows_per_task", rows}});
    return spaceFrom(group, target, tiles);
  }

  double error(const Group &group, const Target &) const override {
    return kFastError * std::sqrt(groupTerms(group));
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    Tile tile = tileOf(s, target);
    Cut cut = cutOf(s, tile, target);
    const double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    const double parts = ceilDiv(ceilDiv(s.o, target.lanes), cut.blocks);
    const double hertz = target.flops / (2 * target.lanes * target.fmas);
    return convSeconds(group, target, productFlops(s, target) * vectors,
                       0.93 * tile.efficiency) +
           parts * packingCycles(s, target) / (hertz * target.cores);
  }

  void build(KernelBuilder &b) const override;

private:
  static Tile tileOf(const ConvShape &s, const Target &target) {
    return chooseTile(fastProductTarget(target), s.ow, s.oh, /*blocks=*/1);
  }

  static auto unitsOf(const ConvShape &s, const Target &target) {
    return cnn::fastRuns(s.c, s.kh * s.kw, target.lanes, /*inThrees=*/true);
  }

  /// The products' operations, as many as take their time in multiply-adds.
  static double productFlops(const ConvShape &s, const Target &target) {
    double whole = 2.0 * s.o * s.oh * s.ow * ceilDiv(s.c, target.lanes) * target.lanes *
                   s.kh * s.kw;
    return whole * fastProductTime(unitsOf(s, target), target);
  }

  /// Cycles of packing all windows once: a vector comes from L2 or beyond, is read
  /// twice, scaled, written and multiplied, and a pixel's numbers are gathered from their
  /// lanes. Zen 4: 100 for 6 vectors, 145 for 9, 750 for 64.
  static double packingCycles(const ConvShape &s, const Target &target) {
    double vectors = ceilDiv(s.c, target.lanes) * double(s.kh) * s.kw;
    return double(s.oh) * s.ow * (13 * vectors + 15);
  }

  /// Pixels of a row that have one scale.
  static int neighboursOf(int width) {
    const int most = 14, even = divisorUpTo(width, most);
    return even >= 5 || width <= 5 ? even : std::min(width, 8);
  }

  /// Rows of tiles and vectors of output channels of a task.
  struct Cut {
    int rows, blocks;
  };
  static Cut cutOf(const ConvShape &s, const Tile &tile, const Target &target) {
    const int rows = ceilDiv(s.oh, tile.y), blocks = ceilDiv(s.o, target.lanes);
    // What is packed at a time stays in half of L2.
    const double row = 4.0 * ceilDiv(s.c, target.lanes) * target.lanes * s.kh * s.kw *
                       s.ow * tile.y;
    const int most = std::max(1, int(target.l2 / 2 / row));
    const double seconds = productFlops(s, target) / target.flops;
    const double hertz = target.flops / (2 * target.lanes * target.fmas);
    Cut best{rows, blocks};
    double least = 1e30;
    // Channels are cut where rows don't make tasks of one size: each packs again.
    for (int parts = 1; parts <= std::min(blocks, 2 * target.cores); ++parts) {
      int each = ceilDiv(blocks, parts), count = ceilDiv(blocks, each);
      int units = std::min(most, unitsPerTask(target, rows, count, seconds));
      double busiest = double(busiestUnits(target.cores, rows, count, units)) /
                       (double(rows) * count);
      double time = seconds * busiest +
                    count * packingCycles(s, target) / hertz / target.cores;
      if (time < 0.999 * least) {
        least = time;
        best = {units, each};
      }
    }
    return best;
  }
};

void FipConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes, taps = s.kh * s.kw;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v), inBlocks = ceilDiv(s.c, v);
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int tileY = std::min(param(b, defaults, "tile_y"), s.oh);
  const int rowsPerTask =
      tilesPerTask(s.oh, tileY, param(b, defaults, "rows_per_task"));
  const int coPerTask = std::min(param(b, defaults, "tiles_per_task"), blocks);
  const int run = inBlocks * taps; // vectors of a window
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Var lane("lane"), q("q");
  Type type = conv.getResult().getType();

  // The algorithm.
  const bool computed = b.group.hasPrologue();
  Func cells("cells"), largest("largest"), peak("peak"), scale("scale"),
      unscale("unscale"), packed("packed"), total("total"), acc("acc");
  if (computed)
    cells(lane, q, x, y, n) =
        b.at(conv.getX(), {n, q, lane, y * s.sh - s.top, x * s.sw - s.left});
  auto window = [&](Expr lane, Expr q, Expr x) -> Expr {
    if (computed)
      return cells(lane, q, x, y, n);
    Expr tap = q % taps;
    return b.read(conv.getX(), {lane, x * s.sw + tap % s.kw * s.dw - s.left,
                                y * s.sh + tap / s.kw * s.dh - s.top, q / taps, n});
  };
  // A few neighbours have one scale: always the same ones, whoever computes them.
  const int near = neighboursOf(s.ow);
  Var xg("xg");
  RDom all(0, run, "all"), lanes(0, v, "lanes");
  largest(lane, xg, y, n) = 0.0f;
  Expr most = largest(lane, xg, y, n);
  for (int i = 0; i < near; ++i) {
    Expr pixel = xg * near + i;
    if (s.ow % near)
      pixel = Halide::min(pixel, s.ow - 1);
    most = Halide::max(most, Halide::abs(window(lane, all, pixel)));
  }
  largest(lane, xg, y, n) = most;
  peak(xg, y, n) = 0.0f;
  peak(xg, y, n) = Halide::max(peak(xg, y, n), largest(lanes, xg, y, n));
  FastScale fast(peak(xg, y, n));
  scale(xg, y, n) = fast.scale;
  unscale(xg, y, n) = fast.unscale;
  const auto units = unitsOf(s, b.target);
  // Behind a pixel's inputs is what undoes their scale: rows are read, measured and
  // packed one after another.
  Expr inside = Halide::min(q, run - 1);
  packed(lane, q, x, y, n) = Halide::select(
      Halide::likely(q < run),
      window(lane, inside, x) * turnedScale(scale(x / near, y, n), units.front(), lane, inside),
      unscale(x / near, y, n));
  auto input = [&](Expr lane, Expr q) { return packed(lane, q, x, y, n); };
  auto weight = [&](Expr row) { return b.read(conv.getWeight(), {c, row, cb}); };
  SmallVector<FastPairs> pairs;
  for (const cnn::FastRun &each : units)
    pairs.push_back(pairsOf(each, {x, y, n}, input));
  addPairs(total, {x, y, n}, pairs);
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
                  packed(0, run, p.x, p.y, p.n));
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
  // Pixels an odd number of cache lines apart keep out of each other's sets.
  packed.compute_at(out, t)
      .bound_extent(lane, v)
      .align_storage(q, (run + 1) | 1)
      .reorder(lane, x, q, y)
      .vectorize(lane);
  if (computed)
    cells.compute_at(packed, y).vectorize(lane).reorder(lane, x, y, q);
  peak.compute_at(packed, y).update().atomic().vectorize(lanes);
  largest.compute_at(peak, xg).vectorize(lane);
  largest.update().vectorize(lane);
  scale.compute_at(packed, y);
  unscale.compute_at(packed, y);
  for (const FastPairs &each : pairs) {
    Func f = each.sums;
    Var first = f.args()[0];
    f.compute_at(total, x).bound_extent(first, each.lanes).vectorize(first);
    f.update().vectorize(first);
  }
  total.compute_at(out, t);
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
