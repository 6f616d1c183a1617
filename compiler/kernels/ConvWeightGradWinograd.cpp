//===- ConvWeightGradWinograd.cpp - The same by minimal filtering ---------===//
//
// F(k, t) of Lavin and Gray, 2015, k the taps of the weight and t those of a
// tile of dy, which is the filter here; see ConvWinograd.cpp:
//
//   dw = transpose(A) [ sum over tiles of
//                       (G dy transpose(G)) * (transpose(B) x B) ] A
//
// For 3x3 and tiles of 4x4 that is a quarter of the definition's
// multiplications. The sums of a block of tiles, one matrix product for each of the
// transform's elements, stay in registers; the batch's tiles are cut into blocks
// without regard to images or threads, and their sums are added in order.
//
// Of many channels all tiles are transformed first. Then a task has the sums of
// some channels, a slab, in L2 from the first tile to the result. Of few channels
// the sums of all are small and the tiles many: block after block is transformed
// and met while it is in L2, each task having some of the transform's elements.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Winograd.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <limits>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Tiles whose products are summed in registers, about: what is read of them
/// stays in L1.
constexpr int kTiles = 128;
/// Tiles that a task transforms.
constexpr int kTaskTiles = 32;
/// Tiles of a block, and chunks, that a schedule may have.
constexpr int kMostTiles = 512, kMostChunks = 64;

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
  /// Multiplications of an image.
  double multiplications(const Target &target) const {
    return double(tiles()) * products() * outBlocks * inBlocks * target.lanes *
           target.lanes;
  }
};

/// The numbers of the loop nest.
struct Nest {
  int in = 1, out = 1; ///< in registers: vectors of input channels, output channels
  int tiles;           ///< of a block
  int taskOut = 1, taskIn = 1; ///< vectors of channels of a task
  int chunks = 1;      ///< of the batch
  bool slabs;          ///< sums are a task's, not of all channels

  Nest(const Tiling &tiling, const Target &target, int batch);
};

Nest::Nest(const Tiling &tiling, const Target &target, int batch) {
  const int v = target.lanes;
  double best = 0;
  for (int vectors = 1; vectors <= 4; ++vectors)
    for (int channels = 1; channels <= v; ++channels) {
      int count = vectors * channels;
      if (tiling.inBlocks % vectors || v % channels ||
          count + vectors + 3 > target.registers)
        continue;
      // The lines that a pass over a block's tiles reads take half of L1, where
      // the next ones come in.
      if (vectors > 1 && (vectors + 1) * kTiles * 4 * v > target.l1 / 2)
        continue;
      double worth = std::min(1.0, count / double(vectors + channels)) *
                         std::min(1.0, count / 10.0) +
                     0.001 * count;
      if (worth > best) {
        best = worth;
        in = vectors;
        out = channels;
      }
    }

  // Blocks of one size.
  const int all = batch * tiling.tiles();
  const int blocks = ceilDiv(all, kTiles);
  tiles = std::min(all, ceilDiv(ceilDiv(all, blocks), 2) * 2);
  // What a chunk's tiles become stays in L3.
  const double each = 4.0 * tiling.products() * v;
  const double inBytes = each * tiling.inBlocks * all;
  const double outBytes = each * tiling.outBlocks * all;
  chunks = std::min({(int)std::ceil((inBytes + outBytes) / (target.l3 / 2)), blocks, kMostChunks});
  chunks = ceilDiv(blocks, ceilDiv(blocks, chunks));

  slabs = each * v * tiling.inBlocks * tiling.outBlocks > 3 * target.l2;
  if (!slabs)
    chunks = 1;

  constexpr int kTasks = 8;
  double least = std::numeric_limits<double>::max();
  for (int co = 1; co <= tiling.outBlocks; ++co)
    for (int ci = in; ci <= tiling.inBlocks; ci += in) {
      if (tiling.outBlocks % co || tiling.inBlocks % ci)
        continue;
      // A task's sums stay in L2.
      if (each * v * co * ci > 0.6 * (double)target.l2 && (co > 1 || ci > in))
        continue;
      int cutOut = tiling.outBlocks / co, cutIn = tiling.inBlocks / ci;
      // Every cut of one tensor's channels reads the other's again; fewer tasks
      // leave threads idle.
      double bytes = (inBytes * cutOut + outBytes * cutIn) *
                     std::max(1.0, double(kTasks) / (cutOut * cutIn));
      if (bytes < least) {
        least = bytes;
        taskOut = co;
        taskIn = ci;
      }
    }
}

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
  // Zen 4 (225 GFLOP/s), two threads, these 8 images within ResNet-50's step: 150 to
  // 210, 200 to 245, 175 to 200, 160 to 185; all sums of 256 and 512 channels
  // in L3 or memory, as without slabs: 145 to 175, 80 to 135.
  // As of the convolution's kernels: sums of products, whose errors the
  // transform back amplifies.
  double error(const Group &group, const Target &target) const override {
    Tiling tiling(ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>()), target);
    return 6.5e-8 * tiling.across.amplification() *
           tiling.down.amplification() * std::sqrt(tiling.tiles());
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    Nest nest(Tiling(ConvShape::of(grad), target), target, usualBatch(group));
    return makeSchedule(grad.getContext(), name(),
                        {{"tile_co", nest.out},
                         {"tile_ci", nest.in},
                         {"tiles", nest.tiles},
                         {"task_co", nest.taskOut},
                         {"task_ci", nest.taskIn},
                         {"chunks", nest.chunks},
                         {"slabs", nest.slabs}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    Tiling tiling(ConvShape::of(grad), target);
    Nest nest(tiling, target, usualBatch(group));
    return {{"tile_co", 1, target.lanes, {nest.out}},
            {"tile_ci", 1, tiling.inBlocks, {nest.in}},
            {"tiles", 1, kMostTiles, {nest.tiles}},
            {"task_co", 1, tiling.outBlocks, taskSizes(tiling.outBlocks)},
            {"task_ci", 1, tiling.inBlocks, taskSizes(tiling.inBlocks)},
            {"chunks", 1, kMostChunks, {nest.chunks}},
            {"slabs", 0, 1, {0, 1}, /*flag=*/true}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    Tiling tiling(ConvShape::of(grad), target);
    auto divides = [&](StringRef name, int all, int step, StringRef what) {
      int64_t value = schedule.param(name);
      if (all % value == 0 && value % step == 0)
        return true;
      why = llvm::formatv("{0} vectors of {1} channels are cut into equal parts{2}",
                          all, what,
                          step > 1 ? llvm::formatv(", multiples of {0}", step).str()
                                   : std::string());
      return false;
    };
    if (!schedule.param("slabs") && schedule.param("chunks") != 1) {
      why = "chunks are of slabs: without slabs(yes) there is one";
      return false;
    }
    int64_t channels = schedule.param("tile_co"), vectors = schedule.param("tile_ci");
    if (target.lanes % channels || channels * vectors + vectors + 1 > target.registers) {
      why = llvm::formatv("a tile's output channels divide {0}, and its sums fit {1} "
                          "registers", target.lanes, target.registers);
      return false;
    }
    return divides("task_co", tiling.outBlocks, 1, "output") &&
           divides("task_ci", tiling.inBlocks, (int)schedule.param("tile_ci"), "input");
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>());
    Tiling tiling(s, target);
    double flops = 2 * tiling.multiplications(target);
    // Each tile's vectors are added up a few times across and down.
    double vectors = double(tiling.tiles()) * (tiling.inBlocks + tiling.outBlocks);
    double transforms = vectors * tiling.products() * 8 * target.lanes;
    double sums = 8.0 * tiling.products() * tiling.outBlocks * tiling.inBlocks *
                  target.lanes * target.lanes / usualBatch(group);
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
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int perBlock = param(b, defaults, "tiles");
  const int outPerTask = param(b, defaults, "task_co");
  const int inPerTask = param(b, defaults, "task_ci");
  const int chunks = param(b, defaults, "chunks");
  const bool slabs = param(b, defaults, "slabs");
  const int tileOut = param(b, defaults, "tile_co");
  const int tileIn = param(b, defaults, "tile_ci");
  // A lane of a vector of input channels, an output channel of a block; the
  // vectors and the blocks.
  Var l("l"), co("co"), u("u"), w("w"), y("y"), ib("ib"), ob("ob"), t("t"),
      g("g"), k("k"), i("i"), j("j");

  // Tiles of the batch in blocks of one size, the last filled up with zeros.
  Expr batch = batchOf(b);
  Expr blocks = (batch * tiles + perBlock - 1) / perBlock;
  Expr perChunk = (blocks + chunks - 1) / chunks;
  Expr tile = g * perBlock + t;
  Expr inside = tile < batch * tiles;
  Expr image = Halide::clamp(tile / tiles, 0, batch - 1);
  Expr column = tile % tiling.columns * across.r;
  Expr row = tile / tiling.columns % tiling.rows * down.r;

  Func inX("input_x"), inT("input_transform");
  inX(l, u, y, t, ib, g) = winogradTransform(
      across.input, across.n, u, [&](int p) {
        return b.read(grad.getX(),
                      {l, column + p - s.left, row + y - s.top, ib, image});
      });
  inT(l, t, u, w, ib, g) = winogradTransform(
      down.input, down.n, w, [&](int p) { return inX(l, u, p, t, ib, g); });
  Func dyX("dy_x"), dyT("dy_transform");
  dyX(co, u, y, t, ob, g) = winogradTransform(
      across.filter, across.r, u, [&](int p) {
        return b.read(grad.getDy(), {co, column + p, row + y, ob, image});
      });
  dyT(co, t, u, w, ob, g) = Halide::select(
      inside,
      winogradTransform(down.filter, down.r, w,
                        [&](int p) { return dyX(co, u, p, t, ob, g); }),
      0.0f);

  // Sums over a block of tiles, and over a chunk's blocks.
  Func acc("acc"), sums("sums");
  RDom r(0, perBlock, "r"), m(0, perChunk, "m");
  acc(l, co, u, w, ib, ob, g) = 0.0f;
  acc(l, co, u, w, ib, ob, g) +=
      inT(l, r, u, w, ib, g) * dyT(co, r, u, w, ob, g);
  Expr number = k * perChunk + m;
  // The first block finds nothing to add to: no sums are set to zero. A chunk
  // beyond the last has a block of zeros.
  if (chunks > 1)
    m.where(m == 0 || number < blocks);
  sums(l, co, u, w, ib, ob, k) = Halide::undef<float>();
  sums(l, co, u, w, ib, ob, k) =
      Halide::select(m == 0, 0.0f, sums(l, co, u, w, ib, ob, k)) +
      acc(l, co, u, w, ib, ob, number);

  Func outX("output_x"), outT("output_transform");
  outX(l, co, i, w, ib, ob, k) = winogradTransform(
      across.output, across.n, i,
      [&](int p) { return sums(l, co, p, w, ib, ob, k); });
  outT(l, co, i, j, ib, ob, k) = winogradTransform(
      down.output, down.n, j,
      [&](int p) { return outX(l, co, i, p, ib, ob, k); });

  // In the order of the weight, and over all chunks.
  Var c("c"), o("o");
  auto inChunk = [&](Expr chunk) {
    return outT(c % v, o % v, i, j, c / v, o / v, chunk);
  };
  Func tasks = sumOfChunks(b, {i, j, c, o}, k, chunks, inChunk);

  // The schedule. A chunk's tiles are transformed; then every task has the sums
  // of its channels in L2, from the first tile to the result.
  auto guard = TailStrategy::GuardWithIf;
  Var ct("ct"), cv("cv"), ot("ot"), oo("oo"), task("task"), uw("uw");
  tasks.split(o, ot, o, outPerTask * v, guard)
      .split(o, oo, o, v, guard)
      .split(c, ct, c, inPerTask * v, guard)
      .split(c, cv, c, v, guard)
      .reorder(i, j, c, o, cv, oo, ct, ot)
      .unroll(i)
      .unroll(j)
      .fuse(ct, ot, task)
      .parallel(task);
  outT.compute_at(tasks, cv)
      .bound_extent(l, v)
      .bound_extent(co, v)
      .bound(i, 0, s.kw)
      .bound(j, 0, s.kh)
      .reorder(l, i, j, co)
      .vectorize(l)
      .unroll(i)
      .unroll(j);
  outX.compute_at(outT, co).reorder(l, i, w).vectorize(l).unroll(i).unroll(w);

  Var ibt("ibt"), cot("cot");
  if (slabs)
    sums.compute_at(tasks, task);
  else
    sums.compute_root();
  sums.store_in(Halide::MemoryType::Heap)
      .bound(l, 0, v)
      .bound(co, 0, v)
      .bound(u, 0, across.n)
      .bound(w, 0, down.n)
      .bound_extent(ib, slabs ? inPerTask : tiling.inBlocks)
      .bound_extent(ob, slabs ? outPerTask : tiling.outBlocks)
      .reorder_storage(l, co, ib, ob, u, w, k)
      .vectorize(l);
  using Order = std::vector<Halide::VarOrRVar>;
  sums.update()
      .split(ib, ibt, ib, tileIn)
      .split(co, cot, co, tileOut)
      .reorder(slabs ? Order{l, ib, co, cot, ob, ibt, m, u, w, k}
                     : Order{l, ib, co, cot, ob, ibt, u, w, m, k})
      .vectorize(l)
      .unroll(ib)
      .unroll(co)
      .never_partition(m);
  if (!slabs)
    sums.update().fuse(u, w, uw).parallel(uw);
  acc.compute_at(sums, cot).vectorize(l).unroll(ib).unroll(co);
  acc.update()
      .reorder({l, ib, co, r})
      .vectorize(l)
      .unroll(ib)
      .unroll(co)
      .unroll(r, perBlock % 2 ? 1 : 2);

  // A tile's vectors lie one matrix apart: an odd number of cache lines in a row
  // of tiles keeps them out of each other's sets.
  auto scheduleTransform = [&](Func whole, Func half, Var lane, Var block,
                               int blocks) {
    Var tt("tt"), ti("ti"), all("all");
    if (!slabs)
      whole.compute_at(sums, m);
    else if (chunks == 1)
      whole.compute_root();
    else
      whole.compute_at(tasks, k);
    whole.store_in(Halide::MemoryType::Heap)
        .bound(lane, 0, v)
        .bound(block, 0, blocks)
        .bound(t, 0, perBlock)
        .bound(u, 0, across.n)
        .bound(w, 0, down.n)
        .bound_storage(t, perBlock | 1)
        .split(t, tt, ti, std::min(kTaskTiles, perBlock), guard)
        .reorder(lane, w, u, ti, block, tt, g)
        .vectorize(lane)
        .unroll(w)
        .unroll(u)
        .fuse(block, tt, all)
        .fuse(all, g, all)
        .parallel(all);
    half.compute_at(whole, ti)
        .reorder_storage(lane, u, y, t, block, g)
        .reorder(lane, u, y)
        .vectorize(lane)
        .unroll(u)
        .unroll(y);
  };
  scheduleTransform(inT, inX, l, ib, tiling.inBlocks);
  scheduleTransform(dyT, dyX, co, ob, tiling.outBlocks);
}

RegisterKernel<ConvWeightGradWinograd> weightGradWinograd;

} // namespace
} // namespace halcyon
