//===- ConvPlanar.cpp - Convolutions of few channels ----------------------===//
//
// Where a group has fewer output channels than a vector has lanes, vectors along
// channels stay empty. Here they lie along the rows of maps stored as nchw: a
// tile is some vectors of a row for some channels, each load of the input meets a
// weight of every channel of the tile.
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

/// The most accumulators: a quarter of the registers is for inputs and a weight.
int mostAccumulators(const Target &target) { return target.registers * 3 / 4; }
constexpr int kMostChannels = 12, kMostVectors = 6;

struct PlanarTile {
  int co, x;         ///< channels; vectors of a row
  double efficiency; ///< of the peak
};

class PlanarConv : public Kernel {
public:
  StringRef name() const override { return "planar"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    return isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why) &&
           hasZeroPadding(group.anchorAs<cnn::ConvOp>(), why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    LayoutChoice planar = uniformLayout(group, "nchw");
    int number = argumentNumber(conv.getX());
    planar.inputs[number] =
        planar.inputs[number].withHalo(ConvShape::of(conv).halo());
    return {planar};
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    PlanarTile tile = bestTile(target, s);
    double seconds = s.flops() / (tile.efficiency * target.flops);
    return makeSchedule(
        conv.getContext(), name(),
        {{"tile_co", tile.co},
         {"tile_x", tile.x},
         {"rows_per_task", unitsPerTask(target, s.oh, s.o / tile.co, seconds)}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    SmallVector<int64_t, 8> channels(channelsToTry(s));
    int vectors = std::min(kMostVectors, ceilDiv(s.ow, target.lanes));
    SmallVector<int64_t, 8> counts;
    for (int x = 1; x <= vectors; ++x)
      counts.push_back(x);
    return {{"tile_co", 1, kMostChannels, channels},
            {"tile_x", 1, vectors, counts},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    int64_t co = schedule.param("tile_co"), x = schedule.param("tile_x");
    if (!llvm::is_contained(channelsToTry(s), co)) {
      why = s.groups > 1 ? "tile(co) is 1 or the channels of a group"
                         : "tile(co) does not divide the channels";
      return false;
    }
    if (co * x <= mostAccumulators(target))
      return true;
    why = "tile(co, x) has more than " + std::to_string(mostAccumulators(target)) +
          " accumulators";
    return false;
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    return convSeconds(group, target, s.flops(), bestTile(target, s).efficiency);
  }

  void build(KernelBuilder &b) const override;

private:
  /// Tiles' channels: divisors of all, within one group.
  static SmallVector<int64_t, 8> channelsToTry(const ConvShape &s) {
    SmallVector<int64_t, 8> result;
    for (int co = 1; co <= std::min(kMostChannels, s.cog); ++co)
      if (s.groups == 1 ? s.o % co == 0 : co == 1 || co == s.cog)
        result.push_back(co);
    return result;
  }

  static PlanarTile bestTile(const Target &target, const ConvShape &s);
};

/// Two loads and two multiply-adds a cycle; a load that crosses a cache line, as
/// most do where taps move along the row, is two, and one with a stride is put
/// together of as many and a shuffle. GFLOP/s on two busy cores of a Zen 5: 8 to 8
/// channels, 3x39 at 172x264 157 (direct 67); 1 to 1 channel, 1x256/2 23 (1.6).
PlanarTile PlanarConv::bestTile(const Target &target, const ConvShape &s) {
  PlanarTile best = {1, 1, 0};
  int width = std::min(target.lanes, s.ow), vectors = ceilDiv(s.ow, width);
  double lanes = double(s.ow) / (double(vectors) * target.lanes);
  double load = s.sw > 1 ? 1.5 * s.sw + 1 : s.kw > 1 ? 2 : 1;
  for (int64_t co : channelsToTry(s))
    for (int x = 1; x <= std::min(kMostVectors, vectors); ++x) {
      if (co * x > mostAccumulators(target))
        break;
      double products = double(co) * x;
      // Each accumulator waits four cycles for its last sum.
      double cycles = std::max({products, x * load + co, 8.0});
      double whole = double(vectors) / (ceilDiv(vectors, x) * x);
      double efficiency = 0.8 * lanes * whole * products / cycles;
      if (efficiency > best.efficiency * 1.001)
        best = {(int)co, x, efficiency};
    }
  return best;
}

void PlanarConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int tileCo = param(b, defaults, "tile_co");
  const int tileX = param(b, defaults, "tile_x");
  const int rowsPerTask = param(b, defaults, "rows_per_task");
  const int width = std::min(b.target.lanes, s.ow);
  Var c = b.c, x = b.x, y = b.y, n = b.n;
  Type type = b.group.outputs()[0].getType();

  RDom k(0, s.kw, 0, s.kh, 0, s.cig, "k");
  Expr channel = k[2];
  if (s.groups > 1)
    channel = c / s.cog * s.cig + k[2];
  Expr source = b.at(conv.getX(), {n, Expr(), channel,
                                   y * s.sh + k[1] * s.dh - s.top,
                                   x * s.sw + k[0] * s.dw - s.left});
  Func acc("acc");
  acc(x, y, c, n) = conv.getBias()
                        ? b.load(conv.getBias(), b.point(type), type)
                        : Expr(0.0f);
  acc(x, y, c, n) += b.read(conv.getWeight(), {k[0], k[1], k[2], c}) * source;
  b.bind(conv.getResult(), [=](const Point &p) { return acc(p.x, p.y, p.c, p.n); });
  Func out = b.output();

  Var xi("xi"), xo("xo"), yt("yt"), yi("yi"), ci("ci"), co("co"), t("t");
  out.split(x, xo, xi, width * std::min(tileX, s.ow / width),
            TailStrategy::ShiftInwards)
      .split(c, co, ci, tileCo)
      .split(y, yt, yi, rowsPerTask, TailStrategy::GuardWithIf)
      .reorder(xi, ci, xo, yi, yt, co, n)
      .vectorize(xi, width)
      .unroll(ci)
      .fuse(yt, co, t)
      .fuse(t, n, t)
      .parallel(t);
  acc.compute_at(out, xo).vectorize(x, width).unroll(x).unroll(c);
  acc.update()
      .reorder(x, c, k[0], k[1], k[2])
      .vectorize(x, width)
      .unroll(x)
      .unroll(c);
}

RegisterKernel<PlanarConv> planar;

} // namespace
} // namespace halcyon
