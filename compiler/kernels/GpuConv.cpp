//===- GpuConv.cpp - Convolution by tiles on a device ---------------------===//
//
// A tile of pixels reads a few channels of the input, with what lies around it,
// from shared memory, for every tap: blocked products without the matrix of
// patches.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/GpuConv.h"
#include "compiler/kernels/Cost.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

namespace {
/// Taps that lie in shared memory at a time.
enum class Taps { All, Row, One };

class GpuDirect : public GpuConv {
public:
  StringRef name() const override { return "gpu_direct"; }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return chooseTile(ConvShape::of(conv), target)
        .schedule(conv.getContext(), name());
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    return GpuTile::parameters();
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    GpuTile tile = GpuTile::of(schedule);
    return tile.fits(target, sharedBytes(s, tile, tapsAtOnce(s, tile, target)),
                     why);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    GpuTile tile = chooseTile(s, target);
    return groupSeconds(group, target, tile.efficiency(target, s.o, s.ow, s.oh));
  }

  void build(KernelBuilder &b) const override;

private:
  /// Channels of the input that are staged together.
  static int channelsAtOnce(const ConvShape &s) { return std::min(s.c, 8); }
  std::string orderOf(const ConvShape &s) const override {
    return "OIhw" + std::to_string(channelsAtOnce(s)) + "i";
  }

  /// Bytes of shared memory with so many taps at a time.
  static int64_t sharedBytes(const ConvShape &s, const GpuTile &t, Taps taps) {
    auto reach = [](int tile, int stride, int kernel, int dilation) {
      return (int64_t)(tile - 1) * stride + (kernel - 1) * dilation + 1;
    };
    int kw = taps == Taps::One ? 1 : s.kw, kh = taps == Taps::All ? s.kh : 1;
    int64_t inputs = reach(t.blockX(), s.sw, kw, s.dw) *
                     reach(t.blockY(), s.sh, kh, s.dh);
    return 4 * channelsAtOnce(s) * (inputs + (int64_t)kw * kh * t.blockCo());
  }

  /// As many taps as leave room for two blocks of a multiprocessor.
  static Taps tapsAtOnce(const ConvShape &s, const GpuTile &t,
                         const Target &target) {
    for (Taps taps : {Taps::All, Taps::Row})
      if (sharedBytes(s, t, taps) <= target.device->shared * 2 / 3)
        return taps;
    return Taps::One;
  }

  static GpuTile chooseTile(const ConvShape &s, const Target &target) {
    return chooseGpuTile(target, s.o, s.ow, s.oh, 1, [&](const GpuTile &tile) {
      return sharedBytes(s, tile, tapsAtOnce(s, tile, target));
    });
  }
};
} // namespace

void GpuDirect::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  GpuTile t = GpuTile::of(completeSchedule(b.group, b.target, b.schedule));
  Taps taps = tapsAtOnce(s, t, b.target);
  const int step = channelsAtOnce(s), block = filterBlock(s);
  const int steps = ceilDiv(s.c, step), blocks = ceilDiv(s.o, block);

  // The input with its padding, and filters with zeros behind the last.
  Func staged("staged"), filters("filters"), product("product");
  Var ci("ci"), column("column"), row("row"), u("u"), v("v");
  Expr atX = column - s.left, atY = row - s.top;
  Point q = {b.n, Expr(), Halide::clamp(ci, 0, s.c - 1),
             Halide::clamp(atY, 0, s.h - 1), Halide::clamp(atX, 0, s.w - 1)};
  Expr inside = atX >= 0 && atX < s.w && atY >= 0 && atY < s.h;
  if (s.c % step)
    inside = inside && ci < s.c;
  staged(ci, column, row, b.n) =
      Halide::select(inside, b.at(conv.getX(), q), 0.0f);
  filters(b.c, ci, u, v) =
      b.read(conv.getWeight(), {b.c % block, ci % step, u, v, ci / step,
                                Halide::clamp(b.c / block, 0, blocks - 1)});

  RDom r(0, step, 0, s.kw, 0, s.kh, 0, steps, "r");
  Expr channel = r[3] * step + r[0];
  product(b.c, b.x, b.y, b.n) = 0.0f;
  product(b.c, b.x, b.y, b.n) +=
      filters(b.c, channel, r[1], r[2]) *
      staged(channel, b.x * s.sw + r[1] * s.dw, b.y * s.sh + r[2] * s.dh, b.n);
  b.bind(conv.getResult(), [&](const Point &p) {
    Expr sum = product(p.c, p.x, p.y, p.n);
    return conv.getBias() ? sum + b.load(conv.getBias(), p, conv.getType()) : sum;
  });
  Func out = b.output();

  // One grid: tiles of pixels of all images, tiles of channels.
  TileLoops loops =
      splitByTile(out, t, b.c, b.x, b.y, /*vectorize=*/s.o % t.blockCo() == 0);
  Var tile("tile"), place("place");
  out.reorder(loops.x, loops.y, b.n, loops.co)
      .fuse(loops.x, loops.y, tile)
      .fuse(tile, b.n, place)
      .gpu_blocks(place, loops.co);

  StagedSum sum = {product, out, place, b.c, b.x, b.y};
  sum.rest = {b.n};
  // Terms, innermost first: channels of a step, taps, steps.
  std::vector<Halide::RVar> terms = {r[0], r[1], r[2], r[3]};
  size_t inner = taps == Taps::All ? 3 : taps == Taps::Row ? 2 : 1;
  sum.inner.assign(terms.begin(), terms.begin() + inner);
  sum.outer.assign(terms.begin() + inner, terms.end());
  sum.copies = {staged, filters};
  scheduleStagedSum(sum, t);
}

static RegisterKernel<GpuDirect> gpuDirect;

} // namespace halcyon
