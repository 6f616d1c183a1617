//===- ConvWeightGrad.cpp - Gradients of convolutions' weights ------------===//
//
//   dw[o, c, u, v] = sum over n, i, j of
//     dy[n, o, i, j] * x[n, c, i * stride + u * dilation - pad, ...]
//
// A tile of output channels x input channels or taps lives in registers while a
// few rows of a map are summed: a vector of dy meets broadcasts of x. What the
// rows give is added to a block of the weight that stays in L2 over all images
// of a chunk. Chunks are cut by the batch alone, never by the threads, and
// summed in order.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Few channels as a picture has them, read from planes without conversion.
constexpr int kPlanarChannels = 4;

/// How a vector of output channels meets the input.
enum class Meeting {
  block,     ///< with every channel of a block in turn
  plane,     ///< with every plane in turn
  depthwise, ///< each with the channel of its own number
  group,     ///< each with its group's channels, gathered
};

/// The numbers of the loop nest.
struct Nest {
  Meeting meeting;
  int lanes;
  int outBlocks;   ///< vectors of output channels
  int inBlocks, in; ///< blocks of input channels, and channels of one
  int tileOut = 1, tileIn = 1, tileX = 1, tileY = 1; ///< in registers
  int rows, images; ///< summed at a time
  int taskOut, taskIn; ///< blocks of a task
  int chunks;       ///< of the batch
};

Meeting meetingOf(const ConvShape &s, int lanes) {
  if (s.groups == 1)
    return s.c <= kPlanarChannels ? Meeting::plane : Meeting::block;
  if (s.cig % lanes == 0 && s.cog % lanes == 0)
    return Meeting::block;
  return s.cig == 1 && s.cog == 1 ? Meeting::depthwise : Meeting::group;
}

/// The tile whose loads hide best behind its multiply-adds.
void chooseTile(Nest &nest, const ConvShape &s, int registers) {
  double best = 0;
  for (int out = 1; out <= 4; ++out)
    for (int in = 1; in <= nest.in; ++in)
      for (int x : {1, s.kw})
        for (int y : {1, s.kh}) {
          if (nest.outBlocks % out || nest.in % in || (y > 1 && x < s.kw))
            continue;
          int met = in * x * y, sums = out * met;
          bool apart = nest.meeting == Meeting::depthwise ||
                       nest.meeting == Meeting::group;
          int loads = out + (apart ? sums : met);
          // One register of the input, two to spare.
          if (sums > 1 && sums + out + 3 > registers)
            continue;
          double worth = std::min(1.0, sums / double(loads)) *
                             std::min(1.0, sums / 10.0) +
                         0.001 * sums - 0.002 * (x * y > 1 && nest.in > 8);
          if (worth > best) {
            best = worth;
            nest.tileOut = out;
            nest.tileIn = in;
            nest.tileX = x;
            nest.tileY = y;
          }
        }
}

Nest nestOf(const ConvShape &s, const Target &target) {
  Nest nest;
  int v = nest.lanes = target.lanes;
  nest.meeting = meetingOf(s, v);
  nest.outBlocks = ceilDiv(s.o, v);
  bool blocks = nest.meeting == Meeting::block;
  nest.in = blocks ? v : s.cig;
  nest.inBlocks = blocks ? ceilDiv(s.cig, v) : 1;
  chooseTile(nest, s, target.registers);
  // Rows and images whose part of dy and x stays in L1: enough of them, so
  // that the sums are worth their way to memory and back.
  int pixels = s.ow * s.oh;
  int most = (int)(target.l1 / 2 / (4 * v * (nest.tileOut + s.sw * s.sh)));
  nest.rows = s.oh;
  while (nest.rows > 1 && (s.oh % nest.rows || s.ow * nest.rows > most))
    --nest.rows;
  nest.images = pixels >= 64 ? 1 : std::min(64, ceilDiv(64, pixels));
  // Blocks of the weight that stay in L2 during all images.
  double each = 4.0 * v * nest.in * s.kh * s.kw;
  auto grow = [&](int &blocks, int all, int step, int others) {
    for (int d = step; d <= all; d += step)
      if (all % d == 0 && d * others * each <= (double)target.l2 / 4)
        blocks = d;
  };
  nest.taskIn = 1;
  nest.taskOut = nest.tileOut;
  grow(nest.taskIn, std::min(nest.inBlocks, 8), 1, nest.tileOut);
  if (nest.inBlocks > 8) {
    nest.taskIn = 1;
    for (int d = 1; d <= 8; ++d)
      if (nest.inBlocks % d == 0 &&
          d * nest.tileOut * each <= (double)target.l2 / 4)
        nest.taskIn = d;
  }
  grow(nest.taskOut, nest.outBlocks, nest.tileOut, nest.taskIn);
  int tasks = nest.outBlocks / nest.taskOut * (nest.inBlocks / nest.taskIn);
  nest.chunks = tasks >= 12 ? 1 : ceilDiv(16, tasks);
  return nest;
}

class ConvWeightGrad : public Kernel {
public:
  StringRef name() const override { return "weight_grad"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &) const override {
    return weightGradOf(group) != nullptr;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    ConvShape s = ConvShape::of(grad);
    bool planar = meetingOf(s, target.lanes) == Meeting::plane;
    LayoutChoice choice =
        uniformLayout(group, cnn::LayoutAttr::blocked(target.lanes));
    int x = argumentNumber(grad.getX());
    if (planar)
      choice.inputs[x] = cnn::LayoutAttr::get(grad.getContext(), "nchw");
    choice.inputs[x] = choice.inputs[x].withHalo(s.halo());
    return {choice};
  }

  // Sums of rows, of images and of chunks of the batch round apart.
  double error(const Group &group, const Target &) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>());
    return sumError(double(s.oh) * s.ow);
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.7);
  }

  void build(KernelBuilder &b) const override;
};

void ConvWeightGrad::build(KernelBuilder &b) const {
  auto grad = b.group.anchorAs<cnn::ConvWeightGradOp>();
  const ConvShape s = ConvShape::of(grad);
  const Nest nest = nestOf(s, b.target);
  const int v = nest.lanes;
  Var l("l"), ci("ci"), u("u"), w("w"), ib("ib"), ob("ob"), k("k"), at("at"),
      group("group");
  Expr batch = batchOf(b);

  // Sums over some rows of some images.
  Func acc("acc");
  RDom r(0, s.ow, 0, nest.rows, 0, nest.images, "r");
  Expr image = group * nest.images + r.z, row = at * nest.rows + r.y;
  if (nest.images > 1)
    r.where(image < batch);
  // What Halide takes for the images that are read.
  image = Halide::clamp(image, 0, batch - 1);
  Expr column = r.x * s.sw + u * s.dw - s.left;
  Expr line = row * s.sh + w * s.dh - s.top;
  Expr value;
  switch (nest.meeting) {
  case Meeting::block: {
    Expr first = s.groups == 1 ? Expr(0) : ob / (s.cog / v) * (s.cig / v);
    value = b.read(grad.getX(), {ci, column, line, first + ib, image});
    break;
  }
  case Meeting::plane:
    value = b.read(grad.getX(), {column, line, ci, image});
    break;
  case Meeting::depthwise:
    value = b.read(grad.getX(), {l, column, line, ob, image});
    break;
  case Meeting::group: {
    Expr channel = Halide::min((ob * v + l) / s.cog * s.cig + ci, s.c - 1);
    value = b.read(grad.getX(), {channel % v, column, line, channel / v, image});
    break;
  }
  }
  acc(l, ci, u, w, ib, ob, at, group) = 0.0f;
  acc(l, ci, u, w, ib, ob, at, group) +=
      b.read(grad.getDy(), {l, r.x, row, ob, image}) * value;

  // Sums over a chunk of the batch.
  Func part("part");
  Expr groups = (batch + nest.images - 1) / nest.images;
  Expr perChunk = (groups + nest.chunks - 1) / nest.chunks;
  RDom m(0, s.oh / nest.rows, 0, perChunk, "m");
  Expr number = k * perChunk + m.y;
  m.where(number < groups);
  part(l, ci, u, w, ib, ob, k) = 0.0f;
  part(l, ci, u, w, ib, ob, k) += acc(l, ci, u, w, ib, ob, m.x, number);

  // In the order of the weight, and over all chunks.
  Var c("c"), o("o");
  const bool blocks = nest.meeting == Meeting::block;
  Func whole("whole");
  auto inPart = [&](Expr chunk) {
    return part(o % v, blocks ? c % v : Expr(c), u, w,
                blocks ? c / v : Expr(0), o / v, chunk);
  };
  Func out, tasks;
  Var ct("ct"), ot("ot"), co("co"), oo("oo"), t("t");
  if (nest.chunks == 1) {
    out = b.output(0, {u, w, c, o}, inPart(0));
    tasks = out;
  } else {
    whole(u, w, c, o, k) = inPart(k);
    Expr sum;
    for (int i = 0; i < nest.chunks; ++i) {
      Expr one = whole(u, w, c, o, i);
      sum = sum.defined() ? sum + one : one;
    }
    out = b.output(0, {u, w, c, o}, sum);
    scheduleLogical(b, out, cnn::tensorOf(grad.getResult()).getShape());
    whole.compute_root()
        .store_in(Halide::MemoryType::Heap)
        .bound(u, 0, s.kw)
        .bound(w, 0, s.kh)
        .bound(c, 0, s.cig)
        .bound(o, 0, s.o).bound(k, 0, nest.chunks);
    tasks = whole;
  }
  auto guard = TailStrategy::GuardWithIf;
  tasks.split(o, ot, o, nest.taskOut * v, guard)
      .split(o, oo, o, v, guard)
      .split(c, ct, c, blocks ? nest.taskIn * v : nest.in, guard)
      .split(c, co, c, blocks ? v : nest.in, guard)
      .reorder(u, w, c, o, co, oo, ct, ot)
      .fuse(ct, ot, t);
  if (nest.chunks > 1)
    tasks.fuse(t, k, t);
  tasks.parallel(t);

  Var cit("cit"), ut("ut"), wt("wt"), obt("obt");
  part.compute_at(tasks, t)
      .bound(l, 0, v)
      .bound(ci, 0, nest.in)
      .bound(u, 0, s.kw)
      .bound(w, 0, s.kh)
      .bound_extent(ib, nest.taskIn)
      .bound_extent(ob, nest.taskOut)
      .vectorize(l);
  part.update()
      .split(ob, obt, ob, nest.tileOut)
      .split(ci, cit, ci, nest.tileIn)
      .split(u, ut, u, nest.tileX)
      .split(w, wt, w, nest.tileY)
      .reorder({l, ob, ci, u, w, cit, ut, wt, ib, obt, m.x, m.y, k})
      .vectorize(l)
      .unroll(ob)
      .unroll(ci)
      .unroll(u)
      .unroll(w);
  acc.compute_at(part, cit).vectorize(l).unroll(ob).unroll(ci).unroll(u).unroll(w);
  acc.update()
      .reorder(l, ob, ci, u, w, r.x, r.y, r.z)
      .vectorize(l)
      .unroll(ob)
      .unroll(ci)
      .unroll(u)
      .unroll(w);
}

RegisterKernel<ConvWeightGrad> weightGrad;

} // namespace
} // namespace halcyon
