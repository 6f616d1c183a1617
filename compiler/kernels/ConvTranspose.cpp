//===- ConvTranspose.cpp - Transposed convolution -------------------------===//
//
// Output cell Y = y + pad has phase v = Y mod S and lies above input row
// q = Y div S. Only taps k with k * D = v (mod S) reach it, from the rows
// q + (v - k * D) / S. With D = 1 these are k = v + S * j from row q - j, so
// every phase is a small convolution without strides: 2x2 / 2 is four 1x1, 4x4
// / 2 four 2x2. Phases are computed a group of rows at a time into scratch and
// interleaved by the output: each has the cells of one y mod S, so that all of them
// have as many rows and columns.
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

/// More phases would be too much code.
constexpr int kMostPhases = 4;

class TransposedConv : public Kernel {
public:
  StringRef name() const override { return "conv_transpose"; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return isPlainGroup<cnn::ConvTransposeOp>(group, /*prologue=*/false, why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    return {blockedChoice(group, target, conv.getX(),
                          transposedHalo(ConvShape::of(conv)))};
  }

  // Dimension 0 of the weight is the input's channels, dimension 1 the
  // output's of a group.
  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    std::string v = std::to_string(target.lanes);
    if (isGeneral(ConvShape::of(conv), target))
      return {};
    std::string block = v + "o" + v + "i";
    if (usesPairs(group, target))
      block = std::to_string(target.lanes / 2) + "o" + v + "i2o";
    return cnn::PackedAttr::get(conv.getContext(), "IOhw" + block);
  }

  // Zen 5, two threads, percent of peak: 2x2/2 from 16x16x512 94, 32x32x256 91,
  // 64x64x128 89, 128x128x64 81; 4x4/2 from 64x64x128 74.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    ConvShape s = ConvShape::of(conv);
    int width = columnsOf(s), rows = ceilDiv(s.oh, s.sh);
    Tile tile = chooseTile(target, width, 1, ceilDiv(s.cog, target.lanes),
                           s.groups > 1);
    // Rows of all phases that stay in half of L2 with their part of the input.
    double row = 4.0 * target.lanes * width *
                 (tile.co * s.sw * s.sh + ceilDiv(s.cig, target.lanes));
    int perTask = std::max(1, std::min(rows, int(target.l2 / 2 / row)));
    int parts = ceilDiv(ceilDiv(s.o, target.lanes), tile.co);
    perTask = std::min(perTask, unitsPerTask(target, rows, parts,
                                             s.flops() /
                                                 productFlops(group, target)));
    // Whole groups of rows, so that none is repeated.
    if (s.oh % s.sh == 0)
      perTask = divisorUpTo(rows, perTask);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"unroll_ci", 0},
                         {"rows", perTask}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    int rows = ceilDiv(s.oh, s.sh);
    return {{"tile_co", 1, ceilDiv(s.cog, target.lanes), {}},
            {"tile_x", 1, columnsOf(s), {}},
            unrollParameter("unroll_ci", target),
            {"rows", 1, rows, taskSizes(rows)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    int co = (int)schedule.param("tile_co");
    if (s.groups > 1 && ceilDiv(s.cog, target.lanes) % co) {
      why = "a tile of channels lies in one group";
      return false;
    }
    return tileFits(target, co, (int)schedule.param("tile_x"), why) &&
           unrollDivides(target, schedule.param("unroll_ci"), why);
  }

  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvTransposeOp>());
    SmallVector<Assignment> tiles;
    for (const Tile &tile :
         tilesToTry(target, columnsOf(s), 1, ceilDiv(s.cog, target.lanes),
                    s.groups > 1))
      tiles.push_back({{"tile_co", tile.co}, {"tile_x", tile.x}});
    return spaceFrom(group, target, tiles);
  }

  double cost(const Group &group, const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvTransposeOp>();
    ConvShape s = ConvShape::of(conv);
    double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    double flops = cast<cnn::ComputeOpInterface>(*conv).getFlops();
    if (!isGeneral(s, target))
      flops *= target.flops / productFlops(group, target);
    return convSeconds(group, target, flops * vectors,
                       isGeneral(s, target) ? 0.05 : 0.8);
  }

  void build(KernelBuilder &b) const override;

private:
  /// Whether groups are not whole vectors: lanes then gather their inputs.
  static bool isGeneral(const ConvShape &s, const Target &target) {
    return s.groups > 1 && (s.cig % target.lanes || s.cog % target.lanes);
  }
  /// Columns of a phase.
  static int columnsOf(const ConvShape &s) { return ceilDiv(s.ow, s.sw); }
};

void TransposedConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvTransposeOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const bool general = isGeneral(s, b.target);
  const bool pairs = !general && usesPairs(b.group, b.target);
  const int blocks = ceilDiv(s.o, v);
  const int tileCo = std::min(param(b, defaults, "tile_co"), blocks);
  const int tileX = std::min(param(b, defaults, "tile_x"), columnsOf(s));
  const int rows = std::clamp(param(b, defaults, "rows"), 1, std::max(1, s.oh / s.sh));
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Var q("q"), r("r"), u("u"), w("w");
  Type type = conv.getResult().getType();

  // acc(c, q, u, r, w, cb, n): column q and row r of those of x = u and y = w
  // modulo the strides.
  struct Axis {
    int kernel, stride, dilation, pad;
    bool phased = isPhased(kernel, stride, dilation);
    int taps() const { return phased ? ceilDiv(kernel, stride) : kernel; }
    Expr phaseOf(Expr place) const { return (place + pad) % stride; }
    /// The tap that a step of the reduction stands for.
    Expr tap(Expr step, Expr place) const {
      Expr phase = phaseOf(place);
      if (!phased || kernel == 1)
        return step;
      return Halide::unsafe_promise_clamped(phase + stride * step, 0,
                                            kernel - 1);
    }
    Expr from(Expr step, Expr place, Expr number) const {
      Expr phase = phaseOf(place), cell = number + (place + pad) / stride;
      return phased ? cell - step
                    : cell + (phase - step * dilation) / stride;
    }
    Expr reaches(Expr step, Expr place) const {
      Expr phase = phaseOf(place);
      if (phased)
        return kernel % stride ? phase + stride * step < kernel
                               : Halide::Internal::const_true();
      return (phase - step * dilation) % stride == 0;
    }
    /// Whether every step of every phase stands for a tap.
    bool isWhole() const { return phased && kernel % stride == 0; }
  };
  Axis ax = {s.kw, s.sw, s.dw, s.left}, ay = {s.kh, s.sh, s.dh, s.top};
  Func acc("acc");
  acc(c, q, u, r, w, cb, n) =
      conv.getBias() ? b.load(conv.getBias(), {n, cb, c, r, q}, type)
                     : Expr(0.0f);
  SmallVector<RDom> sums;
  // Of a pair, the second channel past the last meets a weight of zero.
  auto add = [&](int lanes, int count, Expr firstBlock) {
    Halide::Region region = {{0, pairs ? ceilDiv(lanes, 2) : lanes},
                             {0, ax.taps()},
                             {0, ay.taps()},
                             {0, count}};
    if (pairs)
      region.insert(region.begin(), {0, 2});
    RDom k(region, "k");
    RVar step = k[pairs], kx = k[pairs + 1], ky = k[pairs + 2];
    k.where(ax.reaches(kx, u) && ay.reaches(ky, w));
    Expr column = ax.from(kx, u, q), row = ay.from(ky, w, r);
    Expr tapX = ax.tap(kx, u), tapY = ay.tap(ky, w);
    if (general) {
      // The channel of the output in its group, and the group's inputs.
      Expr channel = Halide::min(cb * v + c, s.o - 1);
      Expr in = channel / s.cog * s.cig + k[0];
      acc(c, q, u, r, w, cb, n) +=
          b.read(conv.getWeight(), {tapX, tapY, channel % s.cog, in}) *
          b.read(conv.getX(), {in % v, column, row, in / v, n});
    } else {
      Expr block = firstBlock + k[pairs + 3];
      // Whose group the output's block is in, and its place there.
      Expr inGroup = s.groups == 1 ? Expr(cb) : cb % (s.cog / v);
      Expr group = s.groups == 1 ? Expr(0) : cb / (s.cog / v) * (s.cig / v);
      if (pairs)
        acc(c, q, u, r, w, cb, n) +=
            b.factor(conv.getWeight(), {k[0], c, step, tapX, tapY,
                                        group + block, inGroup}) *
            b.factor(conv.getX(),
                     {step * 2 + k[0], column, row, group + block, n});
      else
        acc(c, q, u, r, w, cb, n) +=
            b.read(conv.getWeight(),
                   {c, step, tapX, tapY, group + block, inGroup}) *
            b.read(conv.getX(), {step, column, row, group + block, n});
    }
    sums.push_back(k);
  };
  if (general) {
    add(s.cig, 1, 0);
  } else {
    if (s.cig / v)
      add(v, s.cig / v, 0);
    if (s.cig % v)
      add(s.cig % v, 1, s.cig / v);
  }
  Func phases("phases");
  phases(c, q, u, r, w, cb, n) = acc(c, q, u, r, w, cb, n);
  b.bind(conv.getResult(), [=](const Point &p) {
    return phases(p.c, p.x / s.sw, p.x % s.sw, p.y / s.sh, p.y % s.sh, p.cb, p.n);
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  Var xi("xi"), xo("xo"), yi("yi"), yt("yt"), cbi("cbi"), cbo("cbo"), t("t"),
      qo("qo"), qi("qi"), bi("bi"), bo("bo");
  out.split(y, yt, yi, rows * s.sh,
            s.oh >= s.sh ? TailStrategy::ShiftInwards
                         : TailStrategy::GuardWithIf)
      .split(cb, cbo, cbi, tileCo, TailStrategy::ShiftInwards)
      .reorder(c, x, yi, cbi, yt, cbo, n)
      .vectorize(c)
      .unroll(x, divisorUpTo(s.ow, 2 * s.sw))
      .fuse(yt, cbo, t)
      .fuse(t, n, t)
      .parallel(t)
      .never_partition(t); // one code for a row that two tasks compute
  phases.compute_at(out, t)
      .bound(u, 0, s.sw)
      .bound(w, 0, s.sh)
      .split(q, qo, qi, tileX, TailStrategy::ShiftInwards)
      .reorder(c, cb, qi, qo, r, u, w, n)
      .vectorize(c)
      .unroll(qi)
      .unroll(cb);
  // A phase of its own code has its own number of taps, and nothing to ask.
  if ((!ax.isWhole() || !ay.isWhole()) && s.sw * s.sh <= kMostPhases)
    phases.unroll(u).unroll(w);
  acc.compute_at(phases, qo).vectorize(c).unroll(cb).unroll(q);
  for (auto [index, k] : llvm::enumerate(sums)) {
    auto update = acc.update((int)index);
    std::vector<VarOrRVar> order = {c, cb, q};
    if (pairs)
      order.insert(order.begin(), k[0]);
    for (int d = pairs; d < k.dimensions(); ++d)
      order.push_back(k[d]);
    update.reorder(order);
    if (pairs)
      update.atomic().vectorize(k[0]);
    update.vectorize(c).unroll(cb).unroll(q);
    if (index == 0 && !general && s.cig / v)
      fetchCells(b, {acc, k[pairs + 3], s.cig / v}, conv.getX(),
                 {tileX, 1, ax.taps(), 1, tileX}, {1, 1, ay.taps()});
    int lanes = general ? s.cig : index == 0 && s.cig / v ? v : s.cig % v;
    if (pairs)
      lanes = ceilDiv(lanes, 2);
    int factor = unrollOf(b, "unroll_ci", lanes, tileCo * tileX);
    if (!general && factor > 1)
      update.unroll(k[pairs], factor);
  }
}

RegisterKernel<TransposedConv> transposed;

} // namespace
} // namespace halcyon
