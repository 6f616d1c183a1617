//===- ConvIm2col.cpp - Convolution as a product with packed rows ---------===//
//
// The inputs of a few rows of outputs are packed so that each output pixel has
// its whole window in one run, in the order of the packed weights; a matrix
// product without any window arithmetic follows. Pays where windows of distant
// cells would miss the cache, and holds for every kernel, stride and dilation.
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

class Im2colConv : public Kernel {
public:
  StringRef name() const override { return "im2col"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    if (s.groups > 1 && (s.cig % target.lanes || s.cog % target.lanes)) {
      why = "a group's channels are not whole vectors";
      return false;
    }
    return hasZeroPadding(conv, why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    LayoutChoice blocked = blockedChoice(group, target, conv.getX(), s.halo());
    if (s.c >= target.lanes)
      return {blocked};
    LayoutChoice planar = blocked;
    planar.inputs[argumentNumber(conv.getX())] =
        cnn::LayoutAttr::get(conv.getContext(), "nchw").withHalo(s.halo());
    return {planar, blocked};
  }

  // The run of a pixel: lanes (or channels), columns, rows, blocks.
  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    std::string v = std::to_string(target.lanes);
    ConvShape s = ConvShape::of(conv);
    return cnn::PackedAttr::get(conv.getContext(), s.cig < target.lanes
                                                       ? "Ohwi" + v + "o"
                                                       : "OIhw" + v + "i" + v +
                                                             "o");
  }

  // Zen 5, one thread, percent of peak: 3x3 28x28x128 93, 7x7/2 of a picture
  // 71, 1x1 14x14 1024->256 92.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Tile tile = chooseTile(target, s.ow, 1, ceilDiv(s.cog, target.lanes),
                           s.groups > 1);
    // Packed rows stay in half of L2.
    double row = 4.0 * run(s, target) * s.ow;
    int most = std::max(1, (int)std::min<double>(s.oh, target.l2 / 2 / row));
    int rows = std::min(most, unitsPerTask(target, s.oh, s.groups,
                                           s.flops() / target.flops));
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"unroll_k", 0},
                         {"rows", rows}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    return {{"tile_co", 1, ceilDiv(s.cog, target.lanes), {}},
            {"tile_x", 1, s.ow, {}},
            unrollParameter("unroll_k", target),
            {"rows", 1, s.oh, taskSizes(s.oh)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    return tileFits(target, (int)schedule.param("tile_co"),
                    (int)schedule.param("tile_x"), why) &&
           unrollDivides(target, schedule.param("unroll_k"), why);
  }

  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile :
         tilesToTry(target, s.ow, 1, ceilDiv(s.cog, target.lanes), s.groups > 1))
      tiles.push_back({{"tile_co", tile.co}, {"tile_x", tile.x}});
    return spaceFrom(group, target, tiles);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    Tile tile = chooseTile(target, s.ow, 1, ceilDiv(s.cog, target.lanes),
                           s.groups > 1);
    double waste = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o *
                   run(s, target) / (s.cig * s.kh * s.kw);
    // Packing writes and reads every window once more, in L2.
    double packed = 4.0 * run(s, target) * s.ow * s.oh * s.groups;
    return convSeconds(group, target, s.flops() * waste,
                       0.94 * tile.efficiency, /*extraBytes=*/0,
                       bytesPerTile(s, tile, target)) +
           2 * packed / (target.l2Bandwidth * target.cores);
  }

  void build(KernelBuilder &b) const override;

private:
  /// Elements of a pixel's window in a group, whole vectors of channels.
  static int run(const ConvShape &s, const Target &target) {
    int channels = s.cig < target.lanes
                       ? s.cig
                       : ceilDiv(s.cig, target.lanes) * target.lanes;
    return channels * s.kh * s.kw;
  }
};

void Im2colConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int groupBlocks = ceilDiv(s.cog, v);
  const int tileCo = std::min(param(b, defaults, "tile_co"), groupBlocks);
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int rows = std::min(param(b, defaults, "rows"), s.oh);
  const bool planar = !cnn::layoutOf(conv.getX().getType()).isBlocked();
  const bool few = s.cig < v; // a run is of channels, not of whole vectors
  const int lanes = few ? s.cig : v, inBlocks = few ? 1 : ceilDiv(s.cig, v);
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Var lane("lane"), kx("kx"), ky("ky"), kb("kb"), g("g");
  Type type = conv.getResult().getType();

  // The algorithm.
  Func packed("im2col");
  Expr column = x * s.sw + kx * s.dw - s.left;
  Expr row = y * s.sh + ky * s.dh - s.top;
  packed(lane, kx, ky, kb, x, y, g, n) =
      b.read(conv.getX(),
             planar ? SmallVector<Expr>{column, row, lane, n}
                    : SmallVector<Expr>{lane, column, row, g * inBlocks + kb, n});
  // One dimension over the run, as it lies in memory.
  const int inner = unrollOf(b, "unroll_k", lanes, tileCo * tileX);
  RDom k(0, lanes, 0, s.kw * s.kh * inBlocks, "k");
  Expr tap = k[1] % (s.kw * s.kh), block = k[1] / (s.kw * s.kh);
  Expr group = s.groups == 1 ? Expr(0) : cb / groupBlocks;
  Func acc("acc");
  acc(c, x, y, cb, n) = conv.getBias()
                            ? b.load(conv.getBias(), {n, cb, c, y, x}, type)
                            : Expr(0.0f);
  SmallVector<Expr> filter = {c, k[0], tap % s.kw, tap / s.kw, cb};
  if (!few)
    filter.insert(filter.begin() + 4, block);
  Expr weight = b.read(conv.getWeight(), filter);
  acc(c, x, y, cb, n) +=
      weight * packed(k[0], tap % s.kw, tap / s.kw, block, x, y, group, n);
  b.bind(conv.getResult(), [=](const Point &p) {
    return acc(p.c, p.x, p.y, p.cb, p.n);
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule.
  Var xi("xi"), xo("xo"), yo("yo"), yt("yt"), cbi("cbi"), cbo("cbo"), cg("cg"),
      t("t");
  out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .split(y, yt, yo, rows, TailStrategy::ShiftInwards)
      .split(cb, cg, cb, groupBlocks)
      .split(cb, cbo, cbi, tileCo, TailStrategy::ShiftInwards)
      .reorder(c, cbi, xi, xo, yo, cbo, cg, yt, n)
      .vectorize(c)
      .unroll(cbi)
      .unroll(xi)
      .fuse(cg, yt, t)
      .fuse(t, n, t)
      .parallel(t)
      .never_partition(t); // one code for a row that two tasks compute
  packed.compute_at(out, t).bound(kx, 0, s.kw).bound(ky, 0, s.kh);
  if (planar)
    packed.unroll(lane).unroll(kx);
  else
    packed.bound(lane, 0, lanes)
        .vectorize(lane, lanes == v ? v : lanes);
  acc.compute_at(out, xo).vectorize(c).unroll(x).unroll(cb);
  acc.update()
      .reorder(c, cb, x, k[0], k[1])
      .vectorize(c)
      .unroll(cb)
      .unroll(x);
  if (inner > 1)
    acc.update().unroll(k[0], inner);
}

RegisterKernel<Im2colConv> im2col;

} // namespace
} // namespace halcyon
