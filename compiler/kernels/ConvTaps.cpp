//===- ConvTaps.cpp - Convolution tap by tap ------------------------------===//
//
// A sum of 1x1 products, one for each tap of the window and each run of input
// channels: the weights of one pass stay in L2 while they meet all rows of a
// task, whose sums wait in memory. Pays where one tile's weights are too many for
// L2. A tap that meets only padding is left out, for a row and for a tile of
// columns, which is most of the work where a window is dilated as far as the map
// is wide.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"

using namespace mlir;
using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// The widest tile: as far as that, columns of padding are read.
constexpr int kMostPixels = 14;

class TapsConv : public Kernel {
public:
  StringRef name() const override { return "taps"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    if (s.groups > 1 || s.c < target.lanes)
      why = "not whole vectors of channels that meet all filters";
    else if (s.kh * s.kw == 1)
      why = "the window has a single tap";
    return why.empty() && hasZeroPadding(conv, why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    return {blockedChoice(group, target, conv.getX(), haloOf(s))};
  }

  // All channels of a tap in one run.
  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    std::string v = std::to_string(target.lanes);
    return cnn::PackedAttr::get(conv.getContext(), "OhwI" + v + "i" + v + "o");
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Tile tile = tileOf(s, target);
    int tiles = ceilDiv(ceilDiv(s.o, target.lanes), tile.co);
    double seconds = s.flops() * usefulTaps(s, tile) / target.flops;
    // Sums of a task stay in a quarter of L2.
    double row = 4.0 * tile.co * target.lanes * s.ow;
    int most = std::max(1, (int)std::min<double>(s.oh, target.l2 / 4 / row));
    int rows = std::min(most, unitsPerTask(target, s.oh, tiles, seconds));
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"unroll_ci", 0},
                         {"channels", channelsOf(s, tile, target)},
                         {"rows_per_task", rows}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<int64_t, 8> runs;
    const int blocks = ceilDiv(s.c, target.lanes);
    for (int run = blocks, next; run >= 1 && runs.size() < 4; run = next) {
      runs.push_back(run * target.lanes);
      next = run == 1 ? 0 : divisorUpTo(blocks, run / 2);
    }
    return {{"tile_co", 1, ceilDiv(s.o, target.lanes), {}},
            {"tile_x", 1, std::min(s.ow, kMostPixels), {}},
            unrollParameter("unroll_ci", target),
            {"channels", target.lanes, blocks * target.lanes, runs},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    const int64_t channels = schedule.param("channels");
    if (channels % target.lanes ||
        ceilDiv(s.c, target.lanes) * target.lanes % channels) {
      why = "channels is whole vectors, and divides all of them";
      return false;
    }
    return tileFits(target, (int)schedule.param("tile_co"),
                    (int)schedule.param("tile_x"), why) &&
           unrollDivides(target, schedule.param("unroll_ci"), why);
  }

  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile : tilesToTry(target, s.ow, 1, ceilDiv(s.o, target.lanes),
                                       false, kMostPixels))
      tiles.push_back({{"tile_co", tile.co}, {"tile_x", tile.x}});
    return spaceFrom(group, target, tiles);
  }

  // Sums of a run's channels, and sums of those over all runs and taps: whichever
  // schedule makes the most of it.
  double error(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    const double taps = s.kh * s.kw, channels = s.c, lanes = target.lanes;
    return sumError(std::max(channels + taps, lanes + taps * channels / lanes));
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    Tile tile = tileOf(s, target);
    double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    double useful = usefulTaps(s, tile) * vectors;
    // Sums are read and written in every pass.
    double passes = s.kh * s.kw * std::ceil(double(s.c) / channelsOf(s, tile, target));
    double sums = 8.0 * useful * passes * s.o * s.oh * s.ow;
    return convSeconds(group, target, s.flops() * useful,
                       0.9 * tile.efficiency) +
           sums / (target.l2Bandwidth * target.cores);
  }

  void build(KernelBuilder &b) const override;

private:
  static Tile tileOf(const ConvShape &s, const Target &target) {
    return chooseTile(target, s.ow, 1, ceilDiv(s.o, target.lanes), false,
                      kMostPixels);
  }

  /// A tile that meets any column of the input is computed whole; rows are not.
  static SmallVector<int64_t> haloOf(const ConvShape &s) {
    const int64_t most = (kMostPixels - 1) * s.sw;
    SmallVector<int64_t> halo = s.halo();
    return {0, std::min(halo[1], most), 0, std::min(halo[3], most)};
  }

  /// Channels of a pass: their weights for a tile take an eighth of L2 at most.
  static int channelsOf(const ConvShape &s, const Tile &tile,
                        const Target &target) {
    int64_t block = 4 * int64_t(tile.co) * target.lanes * target.lanes;
    int most = std::max<int>(1, int(target.l2 / 8 / block));
    return divisorUpTo(ceilDiv(s.c, target.lanes), most) * target.lanes;
  }

  /// The fraction of taps that meet the input.
  static double usefulTaps(const ConvShape &s, const Tile &tile) {
    double rows = 0, columns = 0;
    for (int ky = 0; ky < s.kh; ++ky)
      for (int y = 0; y < s.oh; ++y) {
        int row = y * s.sh + ky * s.dh - s.top;
        rows += row >= 0 && row < s.h;
      }
    const int tiles = ceilDiv(s.ow, tile.x);
    for (int kx = 0; kx < s.kw; ++kx)
      for (int t = 0; t < tiles; ++t) {
        int first = std::min(t * tile.x, s.ow - tile.x) * s.sw + kx * s.dw - s.left;
        columns += first < s.w && first + (tile.x - 1) * s.sw >= 0;
      }
    return rows / (s.kh * s.oh) * columns / (s.kw * tiles);
  }
};

void TapsConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v), inBlocks = ceilDiv(s.c, v);
  const int tileCo = std::min(param(b, defaults, "tile_co"), blocks);
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int tiles = ceilDiv(s.ow, tileX);
  const int rows = std::min(param(b, defaults, "rows_per_task"), s.oh);
  const int run = param(b, defaults, "channels") / v;
  const SmallVector<int64_t> halo = haloOf(s);
  Var c = b.c, y = b.y, cb = b.cb, n = b.n;
  Var xt("xt"), xi("xi"), kx("kx"), ky("ky"), pass("pass");
  Type type = conv.getResult().getType();

  // The algorithm. The last tile of a row lies inwards.
  auto start = [&](Expr tile) {
    return Halide::min(tile * tileX, s.ow - tileX);
  };
  auto firstColumn = [&](Expr tile, Expr tapX) {
    return start(tile) * s.sw + tapX * s.dw - s.left;
  };
  auto rowOf = [&](Expr tapY) { return y * s.sh + tapY * s.dh - s.top; };
  RDom k(0, v, 0, run, "k");
  Expr block = pass * run + k[1];
  // Taps that meet padding alone are not computed: these bounds say so.
  Expr column = clamp(firstColumn(xt, kx), int(-halo[1]),
                      int(s.w - 1 + halo[3]) - (tileX - 1) * s.sw) +
                xi * s.sw;
  Expr row = clamp(rowOf(ky), 0, s.h - 1);
  Func part("part"), acc("acc");
  part(c, xi, cb, xt, y, kx, ky, pass, n) = 0.0f;
  part(c, xi, cb, xt, y, kx, ky, pass, n) +=
      b.read(conv.getWeight(), {c, k[0], block, kx, ky, cb}) *
      b.read(conv.getX(), {k[0], column, row, block, n});
  RDom r(0, s.kw, 0, s.kh, 0, inBlocks / run, "r");
  r.where(rowOf(r[1]) >= 0 && rowOf(r[1]) < s.h);
  r.where(firstColumn(xt, r[0]) < s.w &&
          firstColumn(xt, r[0]) + (tileX - 1) * s.sw >= 0);
  acc(c, xi, cb, xt, y, n) =
      conv.getBias() ? b.load(conv.getBias(), {n, cb, c, y, xt}, type)
                     : Expr(0.0f);
  acc(c, xi, cb, xt, y, n) += part(c, xi, cb, xt, y, r[0], r[1], r[2], n);
  b.bind(conv.getResult(), [=](const Point &p) {
    Expr tile = p.x / tileX, within = clamp(p.x - start(tile), 0, tileX - 1);
    return acc(p.c, within, p.cb, tile, p.y, p.n);
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule.
  Var yt("yt"), yi("yi"), cbo("cbo"), cbi("cbi"), one("one"), t("t");
  out.split(b.y, yt, yi, rows, TailStrategy::ShiftInwards)
      .split(cb, cbo, cbi, tileCo, TailStrategy::ShiftInwards)
      .reorder(c, b.x, yi, cbi, yt, cbo, n)
      .vectorize(c)
      .fuse(yt, cbo, t)
      .fuse(t, n, t)
      .parallel(t)
      .never_partition(t); // one code for a row that two tasks compute
  acc.compute_at(out, t)
      .bound(xi, 0, tileX)
      .bound(xt, 0, tiles)
      .vectorize(c)
      .unroll(xi);
  // A loop of one step, within what decides whether a tap is computed.
  acc.update()
      .split(cb, one, cbi, tileCo)
      .reorder(c, cbi, xi, one, xt, y, r[0], r[1], r[2], n)
      .vectorize(c)
      .unroll(cbi)
      .unroll(xi);
  part.compute_at(acc, one).vectorize(c).unroll(cb).unroll(xi);
  part.update().reorder(c, cb, xi, k[0], k[1]).vectorize(c).unroll(cb).unroll(xi);
  const int inner = unrollOf(b, "unroll_ci", v, tileCo * tileX);
  if (inner > 1)
    part.update().unroll(k[0], inner);
}

RegisterKernel<TapsConv> taps;

} // namespace
} // namespace halcyon
