//===- ConvGeneral.cpp - Any convolution ----------------------------------===//
//
// For what no template holds: groups that are not whole vectors, channel
// multipliers, padding that is not of zeros, maps before a padded convolution,
// tensors without blocks. Vectorized along the channels of blocked outputs and
// along the rows of others, in parallel, with a few accumulators.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Windows.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class GeneralConv : public Kernel {
public:
  StringRef name() const override { return "general"; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/true, why))
      return false;
    if (group.anchorAs<cnn::ConvOp>().getAutoPad() == cnn::AutoPad::none)
      return true;
    why = "the padding is not resolved";
    return false;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Value x = sourceOf(conv.getX());
    SmallVector<int64_t> halo = {0, 0, 0, 0};
    if (!checksBounds(group))
      halo = s.halo();
    LayoutChoice blocked = blockedChoice(group, target, x, halo);
    LayoutChoice planar = uniformLayout(group, "nchw");
    int number = argumentNumber(x);
    planar.inputs[number] = planar.inputs[number].withHalo(halo);
    LayoutChoice mixed = blocked;
    mixed.inputs[number] = planar.inputs[number];
    if (s.c < target.lanes / 2)
      return {mixed, blocked, planar};
    return {blocked, planar};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    if (!choice.outputs[0].isBlocked())
      return {};
    return cnn::PackedAttr::get(conv.getContext(),
                                "Oihw" + std::to_string(target.lanes) + "o");
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    double seconds = s.flops() / (0.1 * target.flops);
    return makeSchedule(
        conv.getContext(), name(),
        {{"tile_x", divisorUpTo(s.ow, 8) >= 4 ? divisorUpTo(s.ow, 8)
                                              : std::min(s.ow, 6)},
         {"rows_per_task",
          unitsPerTask(target, s.oh, ceilDiv(s.o, target.lanes), seconds)}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    return {{"tile_x", 1, s.ow, {2, 4, 6, 8, 12}},
            {"rows_per_task", 1, s.oh, taskSizes(s.oh)}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    return tileFits(target, 1, (int)schedule.param("tile_x"), why);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double vectors = ceilDiv(s.o, target.lanes) * double(target.lanes) / s.o;
    // Lanes of one vector that read different inputs are gathered.
    bool gathers = s.cog % target.lanes && s.groups > 1;
    return convSeconds(group, target, s.flops() * vectors,
                       gathers ? 0.05 : 0.6);
  }

  void build(KernelBuilder &b) const override;

private:
  /// Whether the kernel itself tells what lies outside of its input.
  static bool checksBounds(const Group &group) {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return conv.getPadMode() != cnn::PadMode::zero || group.hasPrologue();
  }
};

void GeneralConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes;
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const int rowsPerTask = param(b, defaults, "rows_per_task");
  Var c = b.c, x = b.x, y = b.y, cb = b.cb, n = b.n;
  Type type = conv.getResult().getType();
  const bool blockedOut =
      cnn::layoutOf(b.group.outputs()[0].getType()).isBlocked();
  const bool blockedIn =
      cnn::layoutOf(sourceOf(conv.getX()).getType()).isBlocked();
  const bool checks = checksBounds(b.group);

  // The algorithm.
  RDom k(0, s.kw, 0, s.kh, 0, s.cig, "k");
  Expr output = blockedOut ? cb * v + c : Expr(c);
  Expr channel = k[2];
  if (s.groups > 1) {
    // Lanes past the last channel read the last group.
    Expr group = s.cog % v == 0 && blockedOut ? cb / (s.cog / v)
                 : blockedOut && s.o % v ? Halide::min(output, s.o - 1) / s.cog
                                         : output / s.cog;
    channel = group * s.cig + k[2];
  }
  Expr column = x * s.sw + k[0] * s.dw - s.left;
  Expr row = y * s.sh + k[1] * s.dh - s.top;
  Expr there;
  if (checks) {
    if (conv.getPadMode() == cnn::PadMode::zero)
      there = column >= 0 && column < s.w && row >= 0 && row < s.h;
    column = standIn(column, s.w, conv.getPadMode());
    row = standIn(row, s.h, conv.getPadMode());
  }
  Point at = {n, Expr(), channel, row, column};
  if (blockedIn)
    at = {n, channel / v, channel % v, row, column};
  Expr source = b.at(conv.getX(), at);
  if (there.defined())
    source = Halide::select(there, source, 0.0f);
  Expr weight = blockedOut
                    ? b.read(conv.getWeight(), {c, k[0], k[1], k[2], cb})
                    : b.read(conv.getWeight(), {k[0], k[1], k[2], c});
  std::vector<Var> args = b.vars(b.group.outputs()[0].getType());
  std::vector<Expr> place(args.begin(), args.end());
  Func acc("acc");
  acc(args) = conv.getBias()
                  ? b.load(conv.getBias(),
                           b.point(b.group.outputs()[0].getType()), type)
                  : Expr(0.0f);
  acc(args) += weight * source;
  b.bind(conv.getResult(), [=, &b](const Point &p) {
    return acc(b.coordinates(b.group.outputs()[0].getType(), p));
  });
  Func out = b.output(0, /*wholeVectors=*/blockedOut);

  // The schedule.
  Var xi("xi"), xo("xo"), yt("yt"), yi("yi"), t("t");
  if (blockedOut) {
    int tileX = std::min(param(b, defaults, "tile_x"), s.ow);
    out.split(x, xo, xi, tileX, TailStrategy::ShiftInwards)
        .split(y, yt, yi, rowsPerTask, TailStrategy::GuardWithIf)
        .reorder(c, xi, xo, yi, yt, cb, n)
        .vectorize(c)
        .unroll(xi)
        .fuse(yt, cb, t)
        .fuse(t, n, t)
        .parallel(t);
    acc.compute_at(out, xo).vectorize(c).unroll(x);
    acc.update()
        .reorder(c, x, k[0], k[1], k[2])
        .vectorize(c)
        .unroll(x);
    return;
  }
  // Rows as vectors; short ones by their own length.
  int width = std::min(v, s.ow), count = std::max(1, std::min(4, s.ow / width));
  out.split(x, xo, xi, width * count, TailStrategy::ShiftInwards)
      .split(y, yt, yi, rowsPerTask, TailStrategy::GuardWithIf)
      .reorder(xi, xo, yi, yt, c, n)
      .vectorize(xi, width)
      .fuse(yt, c, t)
      .fuse(t, n, t)
      .parallel(t);
  acc.compute_at(out, xo).vectorize(x, width).unroll(x);
  acc.update()
      .reorder(x, k[0], k[1], k[2])
      .vectorize(x, width)
      .unroll(x);
}

RegisterKernel<GeneralConv> general;

} // namespace
} // namespace halcyon
