//===- ConvWeightGrad.cpp - Gradients of convolutions' weights ------------===//
//
//   dw[o, c, u, v] = sum over n, i, j of
//     dy[n, o, i, j] * x[n, c, i * stride + u * dilation - pad, ...]
//
// A tile of sums lives in registers while some rows of a map are summed: vectors
// of one tensor's channels meet broadcasts of the other's. What the rows give is
// added to a block of the weight that stays in L2 over all images of a chunk.
// Chunks are cut by the batch alone, never by the threads, and summed in order.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

#include "llvm/Support/FormatVariadic.h"

#include <limits>

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
/// Images that a schedule may sum at a time, and chunks that it may cut.
constexpr int kMostImages = 64;

/// How a vector meets broadcasts.
enum class Meeting {
  block,     ///< output channels with every channel of a block of the input
  across,    ///< input channels with every one of a block of output channels:
             ///< in the order that a 1x1 weight has
  plane,     ///< output channels with every plane of the input
  depthwise, ///< output channels, each with the channel of its own number
  group,     ///< output channels, each with its group's channels, gathered
};

/// The numbers of the loop nest.
struct Nest {
  Meeting meeting;
  int lanes;
  int vectors;          ///< vectors of channels
  int blocks, met;      ///< blocks of the channels that they meet, and channels of one
  int tileVectors = 1, tileMet = 1, tileX = 1, tileY = 1; ///< in registers
  int rows, images;     ///< summed at a time
  int taskVectors = 1, taskBlocks = 1;
  int chunks = 1;       ///< of the batch

  bool across() const { return meeting == Meeting::across; }
  int outBlocks() const { return across() ? blocks : vectors; }
  int inBlocks() const { return across() ? vectors : blocks; }
  int taskOut() const { return across() ? taskBlocks : taskVectors; }
  int taskIn() const { return across() ? taskVectors : taskBlocks; }
};

Meeting meetingOf(const ConvShape &s, int lanes) {
  if (s.groups == 1 && s.c <= kPlanarChannels)
    return Meeting::plane;
  if (s.groups == 1)
    return s.kh * s.kw == 1 ? Meeting::across : Meeting::block;
  if (s.cig % lanes == 0 && s.cog % lanes == 0)
    return Meeting::block;
  return s.cig == 1 && s.cog == 1 ? Meeting::depthwise : Meeting::group;
}

/// The tile whose loads hide best behind its multiply-adds.
void chooseTile(Nest &nest, const ConvShape &s, int registers) {
  double best = 0;
  bool apart =
      nest.meeting == Meeting::depthwise || nest.meeting == Meeting::group;
  for (int vectors = 1; vectors <= 4; ++vectors)
    for (int met = 1; met <= nest.met; ++met)
      for (int x : {1, s.kw})
        for (int y : {1, s.kh}) {
          if (nest.vectors % vectors || nest.met % met || (y > 1 && x < s.kw))
            continue;
          int broadcasts = met * x * y, sums = vectors * broadcasts;
          int loads = vectors + (apart ? sums : broadcasts);
          // One register of a broadcast, two to spare.
          if (sums > 1 && sums + vectors + 3 > registers)
            continue;
          double worth = std::min(1.0, sums / double(loads)) *
                             std::min(1.0, sums / 10.0) +
                         0.001 * sums - 0.002 * (x * y > 1 && nest.met > 8);
          if (worth > best) {
            best = worth;
            nest.tileVectors = vectors;
            nest.tileMet = met;
            nest.tileX = x;
            nest.tileY = y;
          }
        }
}

/// Cuts the weight for tasks, and where these are too few for many threads, the
/// batch: so that the least has to be read again and summed up.
void cutTasks(Nest &nest, const ConvShape &s, const Target &target, int batch) {
  constexpr int kTasks = 8;
  const bool across = nest.across();
  const double each = 4.0 * nest.lanes * nest.met * s.kh * s.kw;
  const double weight = each * nest.vectors * nest.blocks;
  const double x = 4.0 * batch * s.c * s.h * s.w;
  const double dy = 4.0 * batch * s.o * s.oh * s.ow;
  // A chunk's sums are zeroed, written and added up. Where a vector is of
  // output channels they change places with input channels, one by one.
  const double sums = (across ? 4 : 32) * weight;
  const int groups = ceilDiv(batch, nest.images);
  double best = std::numeric_limits<double>::max();
  for (int vectors = nest.tileVectors; vectors <= nest.vectors;
       vectors += nest.tileVectors)
    for (int blocks = 1; blocks <= nest.blocks; ++blocks) {
      if (nest.vectors % vectors || nest.blocks % blocks)
        continue;
      // What a task sums stays in L2.
      if (vectors * blocks * each > (double)target.l2 / 4 &&
          (vectors > nest.tileVectors || blocks > 1))
        continue;
      int cutVectors = nest.vectors / vectors, cutBlocks = nest.blocks / blocks;
      int chunks = std::min(ceilDiv(kTasks, cutVectors * cutBlocks), groups);
      chunks = ceilDiv(groups, ceilDiv(groups, chunks));
      // Every cut of one tensor's channels reads the other's again.
      double bytes = x * (across ? cutBlocks : ceilDiv(cutVectors, s.groups)) +
                     dy * (across ? cutVectors : cutBlocks) + sums * chunks;
      // Fewer tasks leave threads idle.
      bytes *= std::max(1.0, double(kTasks) / (cutVectors * cutBlocks * chunks));
      if (bytes < best) {
        best = bytes;
        nest.taskVectors = vectors;
        nest.taskBlocks = blocks;
        nest.chunks = chunks;
      }
    }
}

Nest nestOf(const ConvShape &s, const Target &target, int batch) {
  Nest nest;
  const int v = nest.lanes = target.lanes;
  nest.meeting = meetingOf(s, v);
  nest.vectors = ceilDiv(nest.meeting == Meeting::across ? s.c : s.o, v);
  nest.blocks = 1;
  nest.met = s.cig;
  if (nest.meeting == Meeting::across || nest.meeting == Meeting::block) {
    nest.blocks = ceilDiv(nest.meeting == Meeting::across ? s.o : s.cig, v);
    nest.met = v;
  }
  chooseTile(nest, s, target.registers);
  // Rows and images: enough of them, so that the sums are worth their way to
  // memory and back. What is read of them streams from L2.
  const int pixels = s.ow * s.oh;
  const int most = std::max(
      64, (int)(2 * target.l1 / (4 * v * (nest.tileVectors + s.sw * s.sh))));
  nest.rows = s.oh;
  while (nest.rows > 1 && (s.oh % nest.rows || s.ow * nest.rows > most))
    --nest.rows;
  nest.images =
      pixels >= most ? 1 : std::clamp(most / pixels, 1, std::min(batch, kMostImages));
  cutTasks(nest, s, target, batch);
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

  // Percent of the measured peak on Zen 4 (AVX-512, 113 GFLOP/s a core), one
  // thread: batch 8, 7x7/2 of a picture 95, 1x1 56x56 256->64 86, 14x14
  // 1024->256 93, 7x7 512->2048 95, 3x3 28x28x128 94; batch 32, 3x3 4x4x512 85.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
    Nest nest = nestOf(ConvShape::of(grad), target, usualBatch(group));
    return makeSchedule(grad.getContext(), name(),
                        {{"rows", nest.rows},
                         {"images", nest.images},
                         {"task_co", nest.taskOut()},
                         {"task_ci", nest.taskIn()},
                         {"chunks", nest.chunks}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>());
    Nest nest = nestOf(s, target, usualBatch(group));
    return {{"rows", 1, s.oh, taskSizes(s.oh)},
            {"images", 1, kMostImages, {nest.images}},
            {"task_co", 1, nest.outBlocks(), taskSizes(nest.outBlocks())},
            {"task_ci", 1, nest.inBlocks(), taskSizes(nest.inBlocks())},
            {"chunks", 1, kMostImages, {nest.chunks}}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvWeightGradOp>());
    Nest nest = nestOf(s, target, usualBatch(group));
    auto divides = [&](StringRef name, int all, int step, StringRef what) {
      int64_t value = schedule.param(name);
      if (all % value == 0 && value % step == 0)
        return true;
      why = llvm::formatv("{0} {1} are cut into equal parts{2}", all, what,
                          step > 1 ? llvm::formatv(", multiples of {0}", step).str()
                                   : std::string());
      return false;
    };
    const bool across = nest.across();
    return divides("rows", s.oh, 1, "rows") &&
           divides("task_co", nest.outBlocks(), across ? 1 : nest.tileVectors,
                   "vectors of output channels") &&
           divides("task_ci", nest.inBlocks(), across ? nest.tileVectors : 1,
                   "vectors of input channels");
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.85);
  }

  void build(KernelBuilder &b) const override;
};

void ConvWeightGrad::build(KernelBuilder &b) const {
  auto grad = b.group.anchorAs<cnn::ConvWeightGradOp>();
  const ConvShape s = ConvShape::of(grad);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  Nest nest = nestOf(s, b.target, usualBatch(b.group));
  const int v = nest.lanes;
  const bool across = nest.across();
  nest.rows = param(b, defaults, "rows");
  nest.images = param(b, defaults, "images");
  nest.chunks = param(b, defaults, "chunks");
  const int outPerTask = param(b, defaults, "task_co");
  const int inPerTask = param(b, defaults, "task_ci");
  // A lane of a vector, a channel of a block; the vectors and the blocks.
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
  case Meeting::across:
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
      b.read(grad.getDy(), {across ? ci : l, r.x, row, across ? ib : ob, image}) *
      value;

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
  auto inPart = [&](Expr chunk) {
    return across ? part(c % v, o % v, u, w, o / v, c / v, chunk)
                  : part(o % v, blocks ? c % v : Expr(c), u, w,
                         blocks ? c / v : Expr(0), o / v, chunk);
  };
  Var ct("ct"), ot("ot"), co("co"), oo("oo"), t("t");
  Func tasks = sumOfChunks(b, {u, w, c, o}, k, nest.chunks, inPart);
  auto guard = TailStrategy::GuardWithIf;
  const int stepIn = across ? v : nest.met;
  tasks.split(o, ot, o, outPerTask * v, guard)
      .split(o, oo, o, v, guard)
      .split(c, ct, c, inPerTask * stepIn, guard)
      .split(c, co, c, stepIn, guard)
      .reorder(u, w, c, o, co, oo, ct, ot)
      .fuse(ct, ot, t);
  if (across)
    tasks.vectorize(c);
  if (nest.chunks > 1)
    tasks.fuse(t, k, t);
  tasks.parallel(t);

  Var cit("cit"), ut("ut"), wt("wt"), obt("obt");
  part.compute_at(tasks, t)
      .bound(l, 0, v)
      .bound(ci, 0, nest.met)
      .bound(u, 0, s.kw)
      .bound(w, 0, s.kh)
      .bound_extent(ib, across ? outPerTask : inPerTask)
      .bound_extent(ob, across ? inPerTask : outPerTask)
      .vectorize(l);
  part.update()
      .split(ob, obt, ob, nest.tileVectors)
      .split(ci, cit, ci, nest.tileMet)
      .split(u, ut, u, nest.tileX)
      .split(w, wt, w, nest.tileY)
      .reorder({l, ob, ci, u, w, cit, ut, wt, ib, obt, m.x, m.y, k})
      .vectorize(l)
      .unroll(ob)
      .unroll(ci)
      .unroll(u)
      .unroll(w);
  acc.compute_at(part, cit).vectorize(l).unroll(ob).unroll(ci).unroll(u).unroll(w);
  // What the next rows, or images, bring.
  if (nest.meeting == Meeting::block || across) {
    const bool whole = nest.rows == s.oh;
    const int rows = whole ? 0 : nest.rows, images = whole ? nest.images : 0;
    const int vectors = across ? nest.tileVectors : 1;
    const StreamLoop pixels{acc, r.x, s.ow};
    fetchCells(b, pixels, grad.getX(), {1}, {1, s.sh, 1, 1, rows}, vectors, images);
    fetchCells(b, pixels, grad.getDy(), {1}, {1, 1, 1, 1, rows},
               across ? 1 : nest.tileVectors, images);
  }
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
