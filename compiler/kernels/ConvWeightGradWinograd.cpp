//===- ConvWeightGradWinograd.cpp - The same by minimal filtering ---------===//
//
// F(k, t) of Lavin and Gray, 2015, k the taps of the weight and t those of a
// tile of dy, which is the filter here; see ConvWinograd.cpp:
//
//   dw = transpose(A) [ sum over tiles of
//                       (G dy transpose(G)) * (transpose(B) x B) ] A
//
// For 3x3 and tiles of 4x4 that is a quarter of the definition's
// multiplications. Tiles of a group of images are transformed at a time; their
// products, one matrix product for each of the transform's elements, are added to
// sums of all images. Groups are cut by the batch alone, never by the threads, and
// summed in order.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Winograd.h"

#include <cmath>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Tiles of a group: so many products for every sum that is read and written.
constexpr int kTiles = 128;
/// Tiles that a task transforms.
constexpr int kTaskTiles = 32;

/// The most bytes of sums of all images: more channels are computed in slabs.
int64_t mostSums(const Target &target) { return 8 * target.l2; }

/// Outputs of a tile of dy along an axis with so many taps; 0 where the
/// transform would be too large.
int tileOf(int taps) {
  if (taps == 1)
    return 1;
  for (int t : {4, 2})
    if (cnn::WinogradAxis::productsOf(taps, t) <= 8)
      return t;
  return 0;
}

/// Tiles and products.
struct Tiling {
  cnn::WinogradAxis across, down;
  int columns, rows;      ///< tiles of a map
  int outBlocks, inBlocks; ///< vectors of channels

  Tiling(const ConvShape &s, const Target &target)
      : across(s.kw, tileOf(s.kw)), down(s.kh, tileOf(s.kh)),
        columns(ceilDiv(s.ow, across.r)), rows(ceilDiv(s.oh, down.r)),
        outBlocks(ceilDiv(s.o, target.lanes)),
        inBlocks(ceilDiv(s.c, target.lanes)) {}

  int tiles() const { return columns * rows; }
  int products() const { return across.n * down.n; }
  /// Images of a group.
  int images() const { return std::max(1, kTiles / tiles()); }
  /// Multiplications of an image.
  double multiplications(const Target &target) const {
    return double(tiles()) * products() * outBlocks * inBlocks * target.lanes *
           target.lanes;
  }
  /// Blocks of input channels of a slab.
  int slab(const Target &target) const {
    int64_t each = int64_t(4) * products() * outBlocks * target.lanes *
                   target.lanes;
    return divisorUpTo(inBlocks,
                       (int)std::clamp<int64_t>(mostSums(target) / each, 1,
                                                inBlocks));
  }
};

class ConvWeightGradWinograd : public Kernel {
public:
  StringRef name() const override { return "weight_grad_winograd"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    cnn::ConvWeightGradOp grad = weightGradOf(group);
    if (!grad)
      return false;
    ConvShape s = ConvShape::of(grad);
    if (s.kh * s.kw == 1 || s.sh != 1 || s.sw != 1 || s.dh != 1 || s.dw != 1 ||
        s.groups != 1)
      why = "not a window with stride, dilation and groups of 1";
    else if (!tileOf(s.kw) || !tileOf(s.kh))
      why = "the window is too large";
    else if (s.c < target.lanes || s.o < target.lanes)
      why = "fewer channels than a vector has lanes";
    return why.empty();
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    ConvShape s = ConvShape::of(grad);
    Tiling tiling(s, target);
    // Tiles are whole: what they read past the right and the bottom is halo.
    int oh = tiling.rows * tiling.down.r, ow = tiling.columns * tiling.across.r;
    LayoutChoice choice =
        uniformLayout(group, cnn::LayoutAttr::blocked(target.lanes));
    auto widen = [&](Value value, ArrayRef<int64_t> halo) {
      cnn::LayoutAttr &layout = choice.inputs[argumentNumber(value)];
      layout = layout.withHalo(halo);
    };
    widen(grad.getX(), s.halo(oh, ow));
    widen(grad.getDy(), {0, 0, oh - s.oh, ow - s.ow});
    return {choice};
  }

  // Percent of the peak of the definition's count, Zen 5, two threads: 64
  // channels, 32 images of 32x32, 270; 128, 16x16, 310; 256, 8x8, 270; 512, 4x4,
  // 190; 8 images: 64, 56x56, 300; 128, 28x28, 350; 256, 14x14, 200; 512, 7x7, 140.
  // As of the convolution's kernels: sums of products, whose errors the
  // transform back amplifies.
  double error(const Group &group, const Target &target) const override {
    Tiling tiling(ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>()), target);
    return 6.5e-8 * tiling.across.amplification() *
           tiling.down.amplification() * std::sqrt(tiling.tiles());
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>());
    Tiling tiling(s, target);
    double flops = 2 * tiling.multiplications(target);
    // Each tile's vectors are added up a few times across and down.
    double vectors = double(tiling.tiles()) *
                     (tiling.inBlocks + tiling.outBlocks *
                                            tiling.inBlocks / tiling.slab(target));
    double transforms = vectors * tiling.products() * 8 * target.lanes;
    double sums = 8.0 * tiling.products() * tiling.outBlocks * tiling.inBlocks *
                  target.lanes * target.lanes /
                  std::min(tiling.images(), usualBatch(group));
    return (flops / (0.75 * target.flops) + transforms / (0.5 * target.flops) +
            sums / target.l2Bandwidth) /
               target.cores +
           target.callSeconds / usualBatch(group);
  }

  void build(KernelBuilder &b) const override;
};

void ConvWeightGradWinograd::build(KernelBuilder &b) const {
  auto grad = b.group.anchorAs<cnn::ConvWeightGradOp>();
  const ConvShape s = ConvShape::of(grad);
  const Tiling tiling(s, b.target);
  const cnn::WinogradAxis &across = tiling.across, &down = tiling.down;
  const int v = b.target.lanes, tiles = tiling.tiles();
  const int slab = tiling.slab(b.target);
  Var l("l"), ci("ci"), u("u"), w("w"), y("y"), ib("ib"), ob("ob"), t("t"),
      g("g"), i("i"), j("j");

  // Images in groups of one size, or one less in the last.
  Expr batch = batchOf(b);
  Expr groups = (batch + tiling.images() - 1) / tiling.images();
  Expr images = (batch + groups - 1) / groups;
  Expr image = g * images + t / tiles;
  Expr inside = image < batch;
  image = Halide::clamp(image, 0, batch - 1);
  Expr column = t % tiling.columns * across.r;
  Expr row = t / tiling.columns % tiling.rows * down.r;

  Func inX("input_x"), inT("input_transform");
  inX(ci, u, y, t, ib, g) = winogradTransform(
      across.input, across.n, u, [&](int p) {
        return b.read(grad.getX(), {ci, column + p - s.left, row + y - s.top, ib,
                                    image});
      });
  inT(ci, t, u, w, ib, g) = winogradTransform(
      down.input, down.n, w, [&](int p) { return inX(ci, u, p, t, ib, g); });
  Func dyX("dy_x"), dyT("dy_transform");
  dyX(l, u, y, t, ob, g) = winogradTransform(
      across.filter, across.r, u, [&](int p) {
        return b.read(grad.getDy(), {l, column + p, row + y, ob, image});
      });
  dyT(l, t, u, w, ob, g) = Halide::select(
      inside,
      winogradTransform(down.filter, down.r, w,
                        [&](int p) { return dyX(l, u, p, t, ob, g); }),
      0.0f);

  Func acc("acc"), sums("sums");
  RDom r(0, images * tiles, "r"), m(0, groups, "m");
  acc(l, ci, u, w, ib, ob, g) = 0.0f;
  acc(l, ci, u, w, ib, ob, g) +=
      dyT(l, r, u, w, ob, g) * inT(ci, r, u, w, ib, g);
  sums(l, ci, u, w, ib, ob) = 0.0f;
  sums(l, ci, u, w, ib, ob) += acc(l, ci, u, w, ib, ob, m);

  Func outX("output_x"), outT("output_transform");
  outX(l, ci, i, w, ib, ob) = winogradTransform(
      across.output, across.n, i,
      [&](int p) { return sums(l, ci, p, w, ib, ob); });
  outT(l, ci, i, j, ib, ob) = winogradTransform(
      down.output, down.n, j, [&](int p) { return outX(l, ci, i, p, ib, ob); });
  Var c("c"), o("o");
  Func out = b.output(0, {i, j, c, o}, outT(o % v, c % v, i, j, c / v, o / v));

  // The schedule. A slab's sums lie together; so do a group's tiles.
  auto guard = TailStrategy::GuardWithIf;
  Var cs("cs"), cb("cb"), oo("oo"), task("task"), uw("uw");
  out.split(c, cs, c, slab * v, guard)
      .split(c, cb, c, v, guard)
      .split(o, oo, o, v, guard)
      .reorder(i, j, c, o, cb, oo, cs)
      .unroll(i)
      .unroll(j)
      .fuse(cb, oo, task)
      .parallel(task);
  outT.compute_at(out, task)
      .bound_extent(l, v)
      .bound_extent(ci, v)
      .bound(i, 0, s.kw)
      .bound(j, 0, s.kh)
      .reorder(l, i, j, ci)
      .vectorize(l)
      .unroll(i)
      .unroll(j);
  outX.compute_at(outT, ci).reorder(l, i, w).vectorize(l).unroll(i).unroll(w);

  // A tile of sums in registers.
  int tileOut = 1, tileIn = 1;
  double best = 0;
  for (int out = 1; out <= 4; ++out)
    for (int in = 1; in <= v; ++in) {
      int count = out * in;
      if (tiling.outBlocks % out || v % in ||
          count + out + 3 > b.target.registers)
        continue;
      double worth = std::min(1.0, count / double(out + in)) *
                         std::min(1.0, count / 10.0) +
                     0.001 * count;
      if (worth > best) {
        best = worth;
        tileOut = out;
        tileIn = in;
      }
    }
  Var obt("obt"), cit("cit");
  sums.compute_at(out, cs)
      .store_in(Halide::MemoryType::Heap)
      .bound_extent(l, v)
      .bound_extent(ci, v)
      .bound(u, 0, across.n)
      .bound(w, 0, down.n)
      .bound_extent(ib, slab)
      .bound_extent(ob, tiling.outBlocks)
      .reorder(l, ci, ib, ob, u, w)
      .reorder_storage(l, ci, ib, ob, u, w)
      .vectorize(l)
      .fuse(u, w, uw)
      .parallel(uw);
  sums.update()
      .split(ob, obt, ob, tileOut)
      .split(ci, cit, ci, tileIn)
      .reorder({l, ob, ci, cit, ib, obt, u, w, m})
      .vectorize(l)
      .unroll(ob)
      .unroll(ci)
      .fuse(u, w, uw)
      .parallel(uw);
  acc.compute_at(sums, cit).vectorize(l).unroll(ob).unroll(ci);
  acc.update()
      .reorder({l, ob, ci, r})
      .vectorize(l)
      .unroll(ob)
      .unroll(ci)
      .unroll(r, 2);

  // A tile's vectors lie one matrix apart: an odd number of cache lines in a row
  // of tiles keeps them out of each other's sets.
  const int odd = tiling.images() * tiles | 1;
  auto scheduleTransform = [&](Func whole, Func half, Var lane, Var block,
                               int blocks) {
    Var tt("tt"), ti("ti"), tasks("tasks");
    whole.compute_at(sums, m)
        .store_in(Halide::MemoryType::Heap)
        .bound_extent(lane, v)
        .bound_extent(block, blocks)
        .bound(u, 0, across.n)
        .bound(w, 0, down.n)
        .bound_storage(t, odd)
        .split(t, tt, ti, kTaskTiles, guard)
        .reorder(lane, w, u, ti, block, tt, g)
        .vectorize(lane)
        .unroll(w)
        .unroll(u)
        .fuse(block, tt, tasks)
        .parallel(tasks);
    half.compute_at(whole, ti)
        .reorder_storage(lane, u, y, t, block, g)
        .reorder(lane, u, y)
        .vectorize(lane)
        .unroll(u)
        .unroll(y);
  };
  scheduleTransform(inT, inX, ci, ib, slab);
  scheduleTransform(dyT, dyX, l, ob, tiling.outBlocks);
}

RegisterKernel<ConvWeightGradWinograd> weightGradWinograd;

} // namespace
} // namespace halcyon
