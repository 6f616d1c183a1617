//===- ConvPair.cpp - What kernels of two convolutions share --------------===//

#include "compiler/kernels/ConvPair.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::VarOrRVar;

namespace halcyon {

/// Whether what lies behind the second convolution reads the first's result
/// other than through the second's input, which alone is kept for it.
static bool readsFirst(Value output, cnn::ConvOp first, cnn::ConvOp second) {
  llvm::SetVector<Value> values;
  values.insert(output);
  for (unsigned i = 0; i < values.size(); ++i) {
    Value value = values[i];
    if (value == second.getResult() || value == second.getX())
      continue;
    if (value == first.getResult())
      return true;
    if (Operation *op = value.getDefiningOp())
      values.insert(op->operand_begin(), op->operand_end());
  }
  return false;
}

bool ConvPair::handles(const Group &group, const Target &target,
                       std::string &why) const {
  if (group.anchors().size() != 2)
    return false;
  auto first = dyn_cast<cnn::ConvOp>(group.anchors().front());
  auto second = dyn_cast<cnn::ConvOp>(group.anchors().back());
  if (!first || !second || !isOurs(ConvShape::of(first), ConvShape::of(second)))
    return false;
  if (argumentNumber(first.getX()) < 0) {
    why = "its input is computed in the same kernel";
    return false;
  }
  for (Operation *anchor : group.anchors())
    for (Value operand : anchor->getOperands().drop_front())
      if (argumentNumber(operand) < 0) {
        why = "its weights are computed in the same kernel";
        return false;
      }
  if (group.outputs().size() != 1 ||
      !cnn::differInLayoutOnly(group.outputs()[0].getType(),
                               second.getResult().getType())) {
    why = "the output has another shape than the convolution";
    return false;
  }
  if (readsFirst(group.outputs()[0], first, second)) {
    why = "the first convolution's result is read behind the second";
    return false;
  }
  auto isFloat = [](Value value) {
    return cnn::tensorOf(value).getElementType().isF32();
  };
  if (!llvm::all_of(group.inputs(), isFloat) ||
      !llvm::all_of(group.outputs(), isFloat)) {
    why = "not all values are f32";
    return false;
  }
  return hasZeroPadding(first, why) && hasZeroPadding(second, why);
}

SmallVector<LayoutChoice> ConvPair::layouts(const Group &group,
                                            const Target &target) const {
  cnn::ConvOp first = firstOf(group);
  return {blockedChoice(group, target, first.getX(),
                        ConvShape::of(first).halo())};
}

cnn::PackedAttr ConvPair::packing(const Group &group, unsigned input,
                                  const LayoutChoice &choice,
                                  const Target &target) const {
  std::string v = std::to_string(target.lanes);
  for (cnn::ConvOp conv : {firstOf(group), secondOf(group)})
    if ((int)input == argumentNumber(conv.getWeight()))
      return cnn::PackedAttr::get(conv.getContext(),
                                  isDepthwise(ConvShape::of(conv))
                                      ? "Ohw" + v + "o"
                                      : "OIhw" + v + "i" + v + "o");
  return Kernel::packing(group, input, choice, target);
}

cnn::ScheduleAttr ConvPair::schedule(const Group &group,
                                     const Target &target) const {
  Plan p = planOf(group, target);
  return makeSchedule(firstOf(group).getContext(), name(),
                      {{"tile_co", p.pointwise.co},
                       {"tile_x", p.pointwise.x},
                       {"tile_dx", p.depthwise.x},
                       {"tile_dy", p.depthwise.y},
                       {"unroll_ci", 0},
                       {"rows_per_task", p.rowsPerTask},
                       {"prefetch", 1}});
}

SmallVector<ScheduleParameter>
ConvPair::parameters(const Group &group, const Target &target) const {
  ConvShape first = ConvShape::of(firstOf(group));
  ConvShape second = ConvShape::of(secondOf(group));
  bool expands = isPointwise(first);
  const ConvShape &pointwise = expands ? first : second;
  const ConvShape &depthwise = expands ? second : first;
  int blocks = ceilDiv(pointwise.o, target.lanes);
  auto upTo = [](int size, int most) {
    SmallVector<int64_t, 8> values;
    for (int i = std::min(size, most); i > 0; --i)
      if (ceilDiv(size, i) != ceilDiv(size, i + 1))
        values.push_back(i);
    return values;
  };
  SmallVector<int64_t, 8> divisors;
  for (int co = 1; co <= std::min(blocks, 6); ++co)
    if (blocks % co == 0)
      divisors.push_back(co);
  // The projection takes the depthwise's rows one by one.
  int rows = expands ? depthwise.oh : 1;
  return {{"tile_co", 1, blocks, divisors},
          {"tile_x", 1, pointwise.ow, upTo(pointwise.ow, 28)},
          {"tile_dx", 1, depthwise.ow, upTo(depthwise.ow, 16)},
          {"tile_dy", 1, rows, upTo(rows, 2)},
          unrollParameter("unroll_ci", target),
          {"rows_per_task", 1, second.oh, taskSizes(second.oh)},
          {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
}

bool ConvPair::holds(const Group &group, const Target &target,
                     cnn::ScheduleAttr schedule, std::string &why) const {
  ConvShape first = ConvShape::of(firstOf(group));
  ConvShape second = ConvShape::of(secondOf(group));
  int o = isPointwise(first) ? first.o : second.o;
  int blocks = ceilDiv(o, target.lanes), co = (int)schedule.param("tile_co");
  if (blocks % co) {
    why = "tile(co) does not divide the " + std::to_string(blocks) +
          " vectors of channels";
    return false;
  }
  return tileFits(target, co, (int)schedule.param("tile_x"), why) &&
         tileFits(target, 1,
                  int(schedule.param("tile_dx") * schedule.param("tile_dy")),
                  why) &&
         unrollDivides(target, schedule.param("unroll_ci"), why);
}

double ConvPair::cost(const Group &group, const Target &target) const {
  // Inputs, outputs and weights as for any kernel; most of it hides.
  double arithmetic = planOf(group, target).seconds;
  double memory = convSeconds(group, target, 0, 1) - target.callSeconds;
  return std::max(arithmetic, memory) + 0.25 * std::min(arithmetic, memory) +
         target.callSeconds;
}

std::pair<double, double> ConvPair::mapFlops(const Group &group) {
  double between = 0, behind = 0;
  for (Operation &op : group.block().without_terminator())
    if (!llvm::is_contained(group.anchors(), &op))
      (op.isBeforeInBlock(secondOf(group)) ? between : behind) +=
          cast<cnn::ComputeOpInterface>(op).getFlops();
  return {between, behind};
}

Expr ConvPair::biasOf(KernelBuilder &b, cnn::ConvOp conv) {
  return conv.getBias() ? b.load(conv.getBias(), {b.n, b.cb, b.c, b.y, b.x},
                                 conv.getResult().getType())
                        : Expr(0.0f);
}

SmallVector<RDom>
ConvPair::addPointwise(KernelBuilder &b, cnn::ConvOp conv, Func acc,
                       llvm::function_ref<Expr(Expr, Expr)> source) {
  const int v = b.target.lanes, channels = ConvShape::of(conv).c;
  SmallVector<RDom> sums;
  auto add = [&](RDom k, Expr block) {
    acc(b.c, b.x, b.y, b.cb, b.n) +=
        b.input(conv.getWeight())(b.c, k[0], 0, 0, block, b.cb) *
        source(k[0], block);
    sums.push_back(k);
  };
  if (int whole = channels / v) {
    RDom k(0, v, 0, whole, "k");
    add(k, k[1]);
  }
  if (int rest = channels % v)
    add(RDom(0, rest, "r"), channels / v);
  return sums;
}

void ConvPair::schedulePointwise(KernelBuilder &b, cnn::ConvOp conv, Func acc,
                                 ArrayRef<RDom> sums, int tileCo, int tileX,
                                 std::vector<StreamLoop> loops,
                                 int tilesAhead) const {
  const int v = b.target.lanes, channels = ConvShape::of(conv).c;
  acc.vectorize(b.c).unroll(b.cb).unroll(b.x);
  for (auto [index, k] : llvm::enumerate(sums)) {
    auto update = acc.update((int)index);
    std::vector<VarOrRVar> order = {b.c, b.cb, b.x, b.y};
    for (int d = 0; d < k.dimensions(); ++d)
      order.push_back(k[d]);
    update.reorder(order).vectorize(b.c).unroll(b.cb).unroll(b.x);
    int lanes = k.dimensions() > 1 ? v : channels % v;
    if (int factor = unrollOf(b, "unroll_ci", lanes, tileCo * tileX); factor > 1)
      update.unroll(k[0], factor);
  }
  const int whole = channels / v;
  if (!whole || !param(b, schedule(b.group, b.target), "prefetch"))
    return;
  loops.push_back({acc, sums.front()[1], whole});
  b.streamAhead({acc, loops, b.input(conv.getWeight()),
                 4 * tileCo * whole * v * v, tilesAhead});
}

void ConvPair::scheduleTaps(KernelBuilder &b, Func sum, RDom k,
                            const ConvShape &s) {
  sum.vectorize(b.c).unroll(b.x).unroll(b.y);
  auto taps = sum.update();
  taps.reorder(b.c, b.x, b.y, k[0], k[1])
      .vectorize(b.c)
      .unroll(b.x)
      .unroll(b.y);
  if (s.kw <= 7)
    taps.unroll(k[0]);
  if (s.kw * s.kh <= 9)
    taps.unroll(k[1]);
}

} // namespace halcyon
