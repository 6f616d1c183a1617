//===- ConvDirect.cpp - Convolution by its definition ---------------------===//
//
//   y[o, i, j] = bias[o] + sum over c, u, v of w[o, c, u, v] *
//                          x[c, i * stride + u * dilation - pad, ...]
//
// A tile of output blocks x pixels x rows lives in registers while the
// reduction runs over it. The channel block is innermost of the unrolled
// dimensions, so that one broadcast meets all weights at a time; with x
// innermost the accumulators spill.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace halcyon {
namespace {

/// Few channels as a picture has them, read from planes without conversion.
constexpr int kPlanarChannels = 4;

class DirectConv : public Kernel {
public:
  StringRef name() const override { return "direct"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, allowsPrologue(), why))
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
    Value x = sourceOf(conv.getX());
    LayoutChoice blocked = blockedChoice(group, target, x, s.halo());
    if (s.c > kPlanarChannels || group.hasPrologue())
      return {blocked};
    LayoutChoice planar = blocked;
    planar.inputs[argumentNumber(x)] =
        cnn::LayoutAttr::get(x.getContext(), "nchw").withHalo(s.halo());
    return {planar, blocked};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    std::string v = std::to_string(target.lanes);
    int x = argumentNumber(sourceOf(conv.getX()));
    return cnn::PackedAttr::get(conv.getContext(),
                                choice.inputs[x].isBlocked()
                                    ? "OIhw" + blockTag(group, target)
                                    : "Ohwi" + v + "o");
  }

  // Percent of the measured peak on Zen 5 (AVX-512, 268 GFLOP/s a core), one
  // thread, LLVM 21: 3x3 28x28x128 100, 3x3/2 56x56x128 97, 3x3 7x7x512 96,
  // 7x7/2 of a picture 97, 1x1 14x14 1024->256 98, 1x1 56x56 64->256 with a
  // residual 89, 35x35x96 100, 17x17 7x1x192 94, 13x13 64->256 99, 1x1 after
  // bn+relu 93-96.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Tile tile = tileOf(s, target);
    bool inputsHot = isInputsHot(group, s, target);
    int rows = ceilDiv(s.oh, tile.y);
    int blocks = ceilDiv(ceilDiv(s.o, target.lanes), tile.co);
    double seconds = s.flops() / productFlops(group, target);
    // Every task of staged inputs reads all weights.
    int rowsPerTask =
        isStaged(group, target) && !inputsHot
            ? ceilDiv(rows, target.cores)
            : unitsPerTask(target, rows, inputsHot ? 1 : blocks, seconds);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"unroll_ci", 0},
                         {"inputs_hot", inputsHot},
                         {"rows_per_task", rowsPerTask},
                         {"tiles_per_task", 1},
                         {"prefetch", 1}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    int blocks = ceilDiv(s.o, target.lanes);
    return {{"tile_co", 1, blocks, {}},
            {"tile_x", 1, s.ow, {}},
            {"tile_y", 1, s.oh, {}},
            unrollParameter("unroll_ci", target),
            {"inputs_hot", 0, 1, {0, 1}, /*flag=*/true},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)},
            {"tiles_per_task", 1, blocks, {1, 2, 4}},
            {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    int co = (int)schedule.param("tile_co");
    if (s.groups > 1 && s.cog / target.lanes % co) {
      why = "a tile of channels lies in one group";
      return false;
    }
    if (schedule.param("tiles_per_task") > 1 &&
        (schedule.param("inputs_hot") || isStaged(group, target))) {
      why = schedule.param("inputs_hot")
                ? "with inputs_hot(yes) a task has all channels"
                : "where inputs are computed or widened a task has all channels";
      why += ": tiles_per_task is 1";
      return false;
    }
    return tileFits(target, co,
                    int(schedule.param("tile_x") * schedule.param("tile_y")),
                    why) &&
           unrollDivides(target, schedule.param("unroll_ci"), why);
  }

  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile : tilesToTry(target, s.ow, s.oh,
                                       ceilDiv(s.cog, target.lanes), s.groups > 1))
      // Tasks are of whole tiles.
      for (int64_t rows : taskSizes(ceilDiv(s.oh, tile.y)))
        tiles.push_back({{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"rows_per_task", rows}});
    auto space = spaceFrom(group, target, tiles);
    // Where weights stay, only inputs are fetched ahead: never slower where it was timed.
    llvm::erase_if(space, [](cnn::ScheduleAttr schedule) {
      return schedule.param("inputs_hot") && !schedule.param("prefetch");
    });
    return space;
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    double faster = productFlops(group, target) / target.flops;
    Tile tile = tileOf(s, target);
    return convSeconds(group, target, s.flops() * vectors / faster,
                       0.96 * tile.efficiency, /*extraBytes=*/0,
                       bytesPerTile(s, tile, target));
  }

  bool mayOverwrite(const Group &group, unsigned input,
                    cnn::ScheduleAttr schedule) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Value argument = group.inputs()[input];
    bool inEpilogue = !group.hasPrologue() &&
                      !llvm::is_contained(conv->getOperands(), argument);
    int blocks = ceilDiv(s.o, cnn::layoutOf(argument.getType()).getBlock());
    return inEpilogue && s.ow % schedule.param("tile_x", 1) == 0 &&
           s.oh % schedule.param("tile_y", 1) == 0 &&
           blocks % schedule.param("tile_co", 1) == 0;
  }

  void build(KernelBuilder &b) const override;

protected:
  virtual bool allowsPrologue() const { return false; }

private:
  static Tile tileOf(const ConvShape &s, const Target &target) {
    return chooseTile(target, s.ow, s.oh, ceilDiv(s.cog, target.lanes),
                      s.groups > 1);
  }

  /// Whether a task writes its inputs before it uses them: they are computed
  /// here, or stored in bf16 where the products are of f32. Before layouts are
  /// assigned, pictures count as those that are read where they lie.
  static bool isStaged(const Group &group, const Target &target) {
    auto conv = group.anchorAs<cnn::ConvOp>();
    Type type = sourceOf(conv.getX()).getType();
    bool planar = ConvShape::of(conv).c <= kPlanarChannels;
    return group.hasPrologue() ||
           (cnn::isBf16(type) && !usesPairs(group, target) && !planar);
  }

  /// Whether a row of inputs meets all weights before the next row: where the
  /// weights stay in L2 and the inputs don't. Staged inputs do so, too, unless
  /// the rows of a task stay in L2 and the weights don't: 1x1 13x13 512->1000
  /// of bf16 in f32 on Zen 5, two threads, 789 us with inputs hot.
  static bool isInputsHot(const Group &group, const ConvShape &s,
                          const Target &target) {
    auto conv = group.anchorAs<cnn::ConvOp>();
    double weights = double(cnn::elementBytes(conv.getWeight().getType())) *
                     s.o * s.cig * s.kh * s.kw;
    double inputs = double(cnn::elementBytes(conv.getX().getType())) * s.c *
                    s.h * s.w;
    if (isStaged(group, target))
      return weights <= target.l2 / 2 ||
             4.0 * s.c * s.h * s.w / target.cores > target.l2 / 2;
    // Tasks are of rows then: a single row is cut along its channels instead.
    return weights <= target.l2 / 2 && inputs > target.l2 && s.groups == 1 &&
           s.oh >= target.cores;
  }
};

/// 1x1 convolutions: the same loops, and maps before the convolution are
/// computed once for every tile of pixels.
class PointwiseConv : public DirectConv {
public:
  StringRef name() const override { return "pointwise"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!DirectConv::handles(group, target, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    if (s.kh == 1 && s.kw == 1 && s.groups == 1 &&
        llvm::all_of(s.halo(), [](int64_t h) { return h == 0; }))
      return true;
    why = "the kernel is not 1x1 without padding";
    return false;
  }

  double cost(const Group &group, const Target &target) const override {
    // Named before "direct" where both compute the same.
    return 0.999 * DirectConv::cost(group, target);
  }

protected:
  bool allowsPrologue() const override { return true; }
};

void DirectConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int blocks = ceilDiv(s.o, v);
  const int tileCo = std::min(param(b, defaults, "tile_co"), blocks);
  const int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
  const int tileY = std::min(param(b, defaults, "tile_y"), s.oh);
  const Type sourceType = sourceOf(conv.getX()).getType();
  const bool planar = !cnn::layoutOf(sourceType).isBlocked();
  // Pairs of channels in bf16, where an instruction adds up their products;
  // elsewhere what is stored in bf16 is widened once for a tile of pixels.
  const bool pairs = usesPairs(b.group, b.target) && !planar;
  const bool staged = b.group.hasPrologue() ||
                      (cnn::isBf16(sourceType) && !pairs && !planar);
  const bool inputsHot = param(b, defaults, "inputs_hot");
  const int rowsPerTask =
      tilesPerTask(s.oh, tileY, param(b, defaults, "rows_per_task"));
  const int coPerTask =
      tilesPerTask(blocks, tileCo, param(b, defaults, "tiles_per_task"));
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Type type = conv.getResult().getType();

  // The algorithm: whole blocks of input channels, then the lanes of the last.
  // Of 1x1, what is staged are the cells that are read; else all of them.
  Func stage("stage");
  const bool windows = s.kh > 1 || s.kw > 1;
  if (staged) {
    Expr value = windows
                     ? b.at(conv.getX(), {n, cb, c, y, x})
                     : b.at(conv.getX(), {n, cb, c, y * s.sh - s.top,
                                          x * s.sw - s.left});
    if (pairs && s.c % 2)
      value = Halide::select(cb * v + c < s.c, value, 0.0f);
    stage(c, x, y, cb, n) = pairs ? b.roundVector(value) : value;
  }
  auto source = [&](Expr lane, Expr block, Expr kx, Expr ky) -> Expr {
    if (staged && !windows)
      return Halide::cast<float>(stage(lane, x, y, block, n));
    Expr column = x * s.sw + kx * s.dw - s.left;
    Expr row = y * s.sh + ky * s.dh - s.top;
    if (staged)
      return Halide::cast<float>(stage(lane, column, row, block, n));
    if (planar)
      return b.read(conv.getX(), {column, row, block * v + lane, n});
    SmallVector<Expr> cell = {lane, column, row, block, n};
    return pairs ? b.factor(conv.getX(), cell) : b.read(conv.getX(), cell);
  };
  Func acc("acc");
  acc(c, x, y, cb, n) = conv.getBias()
                            ? b.load(conv.getBias(), {n, cb, c, y, x}, type)
                            : Expr(0.0f);
  SmallVector<RDom> sums;
  const int whole = planar ? 0 : s.cig / v, rest = planar ? s.cig : s.cig % v;
  Expr firstBlock =
      s.groups == 1 ? Expr(0) : cb / (s.cog / v) * (s.cig / v);
  // Of a pair, the second channel past the last meets a weight of zero.
  auto sum = [&](int lanes, Expr from, Expr at, int count) {
    const int pair = pairs ? 2 : 1, first = pairs;
    Halide::Region region = {
        {0, ceilDiv(lanes, pair)}, {0, s.kw}, {0, s.kh}, {0, count}};
    if (pairs)
      region.insert(region.begin(), {0, 2});
    RDom k(region, "k");
    Expr lane = pairs ? k[1] * 2 + k[0] : Expr(k[0]);
    Expr kx = k[first + 1], ky = k[first + 2], block = k[first + 3];
    SmallVector<Expr> weight = {c, lane, kx, ky, cb};
    if (pairs)
      weight = {k[0], c, k[1], kx, ky, at + block, cb};
    else if (!planar)
      weight.insert(weight.begin() + 4, at + block);
    acc(c, x, y, cb, n) += (pairs ? b.factor(conv.getWeight(), weight)
                                  : b.read(conv.getWeight(), weight)) *
                           source(lane, from + block, kx, ky);
    sums.push_back(k);
  };
  if (whole)
    sum(v, firstBlock, 0, whole);
  if (rest)
    sum(rest, whole, whole, 1);
  b.bind(conv.getResult(), [=](const Point &p) {
    return acc(p.c, p.x, p.y, p.cb, p.n);
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule. Tails shift inwards: they repeat work, and all tiles are
  // whole.
  Var xi("xi"), xo("xo"), yi("yi"), yo("yo"), yt("yt"), cbi("cbi"), cbo("cbo"),
      cbt("cbt"), t("t");
  out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
      .split(y, yo, yi, tileY, TailStrategy::ShiftInwards)
      .split(cb, cbo, cbi, tileCo, TailStrategy::ShiftInwards)
      .split(yo, yt, yo, rowsPerTask, TailStrategy::GuardWithIf)
      .vectorize(c)
      .unroll(cbi)
      .unroll(xi)
      .unroll(yi);
  if (staged && inputsHot)
    out.reorder(c, cbi, xi, yi, cbo, xo, yo, yt, n).fuse(yt, n, t);
  else if (staged)
    out.reorder(c, cbi, xi, yi, xo, yo, cbo, yt, n).fuse(yt, n, t);
  else if (inputsHot)
    out.reorder(c, cbi, xi, yi, xo, cbo, yo, yt, n).fuse(yt, n, t);
  else
    out.split(cbo, cbt, cbo, coPerTask, TailStrategy::GuardWithIf)
        .reorder(c, cbi, xi, yi, xo, yo, cbo, yt, cbt, n)
        .fuse(yt, cbt, t)
        .fuse(t, n, t);
  out.parallel(t);
  const bool innerBlocks = staged && inputsHot;
  if (innerBlocks)
    stage.compute_at(out, xo).hoist_storage(out, t).vectorize(c);
  else if (staged)
    stage.compute_at(out, t).vectorize(c);
  acc.compute_at(out, innerBlocks ? cbo : xo)
      .vectorize(c)
      .unroll(cb)
      .unroll(x)
      .unroll(y);
  const bool prefetch = param(b, defaults, "prefetch");
  const CellsAhead columns{tileX, s.sw, s.kw, s.dw, tileX};
  const CellsAhead lines{tileY, s.sh, s.kh, s.dh};
  if (prefetch) {
    StreamLoop tiles{out, innerBlocks ? cbo : xo,
                     innerBlocks ? ceilDiv(blocks, tileCo) : ceilDiv(s.ow, tileX)};
    fetchAdded(b, tiles, sourceOf(conv.getX()), {tileX}, {tileY}, tileCo);
    if (innerBlocks)
      fetchCells(b, {stage, cb, ceilDiv(s.c, v)}, sourceOf(conv.getX()), columns,
                 lines);
  }
  for (auto [index, k] : llvm::enumerate(sums)) {
    auto update = acc.update((int)index);
    std::vector<VarOrRVar> order = {c, cb, x, y};
    if (pairs)
      order.insert(order.begin(), k[0]);
    for (int d = pairs; d < k.dimensions(); ++d)
      order.push_back(k[d]);
    update.reorder(order);
    if (pairs)
      update.atomic().vectorize(k[0]);
    update.vectorize(c).unroll(cb).unroll(x).unroll(y);
    int steps = index == 0 && whole ? v : rest;
    if (pairs)
      steps = ceilDiv(steps, 2);
    int factor = unrollOf(b, "unroll_ci", steps, tileCo * tileX * tileY);
    if (factor > 1)
      update.unroll(k[pairs], factor);
    if (index == 0 && whole && !inputsHot && prefetch)
      b.streamAhead({acc,
                     {{out, yo, rowsPerTask},
                      {out, xo, ceilDiv(s.ow, tileX)},
                      {acc, k[pairs + 3], whole},
                      {acc, k[pairs + 2], s.kh},
                      {acc, k[pairs + 1], s.kw}},
                     b.input(conv.getWeight()),
                     int(cnn::elementBytes(conv.getWeight().getType())) *
                         tileCo * whole * v * v * s.kh * s.kw,
                     staged || coPerTask > 1 ? 1 : b.target.cores});
    if (index == 0 && whole && !staged && prefetch)
      fetchCells(b, {acc, k[pairs + 3], whole}, conv.getX(), columns, lines);
    // One or two channels leave too little in the innermost loop.
    if (steps <= 2 && s.kw > 1 && s.kw <= 7)
      update.unroll(k[pairs + 1]);
  }
}

RegisterKernel<DirectConv> direct;
RegisterKernel<PointwiseConv> pointwise;

} // namespace
} // namespace halcyon
