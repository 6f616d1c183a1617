//===- Indexed.cpp - Operations in index notation -------------------------===//
//
// One pass over the result. Windows are written out in it; what many elements
// share, such as a mean over a map, and what multiplies and adds much is computed
// before it; what a row of elements shares, such as a sum over the channels, within
// the row.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Cost.h"
#include "compiler/kernels/IndexedReader.h"
#include "compiler/kernels/IndexedStages.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {

class Indexed : public LayerKernel<cnn::IndexedOp> {
public:
  Indexed() : LayerKernel("indexed", 0.1) {}

  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override;

  /// Where channels are read other than one by one, each map lies densely.
  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override;

  /// With the largest tiles that reductions may have, where there are any.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    MLIRContext *context = group.anchor()->getContext();
    if (!hasTiles(group))
      return makeSchedule(context, name(), {{"task_kib", kTaskKib}});
    return makeSchedule(context, name(),
                        {{"task_kib", kTaskKib},
                         {"tile_rows", kTileRows},
                         {"tile_vectors", kTileVectors}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &) const override {
    SmallVector<ScheduleParameter> all = {taskParameter()};
    if (hasTiles(group)) {
      all.push_back({"tile_rows", 1, 16, {2, 4, 6, kTileRows, 12}});
      all.push_back({"tile_vectors", 1, 8, {1, 2, 3, kTileVectors}});
    }
    return all;
  }

  // Tiles reach a quarter to three quarters of the peak, loops that read all that
  // they add a tenth at best (Zen 5).
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, hasTiles(group) ? 0.3 : 0.1);
  }

  void build(KernelBuilder &b) const override;

private:
  static bool hasTiles(const Group &group) {
    auto op = group.anchorAs<cnn::IndexedOp>();
    cnn::IndexAnalysis facts(op);
    bool heavy = false;
    op.walk([&](cnn::ReduceOp reduce) { heavy |= isHeavy(facts, reduce); });
    return heavy;
  }
};

} // namespace

/// Whether every read of a feature map has the channel of the result's element,
/// or goes through all channels: then blocks of channels are as good as maps.
static bool channelsAlign(cnn::IndexedOp op) {
  if (cnn::tensorOf(op.getResult()).getRank() != 4)
    return false;
  Value channel = op.getBody().getArgument(1);
  auto result = op.walk([&](cnn::ReadOp read) {
    RankedTensorType type = read.getTensorType();
    if (type.getRank() != 4 || Group::isWeight(read.getTensor()) ||
        read.getAt()[1] == channel)
      return WalkResult::advance();
    auto argument = dyn_cast<BlockArgument>(read.getAt()[1]);
    auto reduce = argument ? dyn_cast<cnn::ReduceOp>(
                                 argument.getOwner()->getParentOp())
                           : nullptr;
    bool whole = reduce && reduce.getFrom()[argument.getArgNumber()] == 0 &&
                 reduce.getSize()[argument.getArgNumber()] == type.getDimSize(1);
    return whole ? WalkResult::advance() : WalkResult::interrupt();
  });
  return !result.wasInterrupted();
}

bool Indexed::handles(const Group &group, const Target &,
                      std::string &why) const {
  auto op = group.anchorAs<cnn::IndexedOp>();
  if (!op || !oneOutput(group, why))
    return false;
  // Maps around it are of vectors or feature maps.
  if (llvm::hasSingleElement(group.block().without_terminator()))
    return true;
  return hasPoints(op.getType()) && isReadable(op);
}

SmallVector<LayoutChoice> Indexed::layouts(const Group &group,
                                           const Target &target) const {
  SmallVector<LayoutChoice> all = uniformLayouts(group, target);
  auto op = group.anchorAs<cnn::IndexedOp>();
  if (channelsAlign(op) && !hasTiles(group))
    return all;
  return {uniformLayout(group, "nchw")};
}

/// A tensor of any rank, with or without a batch.
static void buildAny(KernelBuilder &b, cnn::IndexedOp op) {
  RankedTensorType type = cnn::tensorOf(b.group.outputs().front());
  IndexedExpr exprs(op, IndexedReader(b, op), batchOf(b), /*smooth=*/false);
  std::vector<Var> vars = logicalVars(type.getRank());
  SmallVector<Expr> at(llvm::reverse(vars));
  Func out = b.output(0, vars, exprs.at(at));
  scheduleLogical(b, out, type.getShape());
  for (const IndexedExpr::Stage &stage : exprs.stages)
    scheduleStage(b, exprs, stage);
  schedulePadded(b, exprs);
}

void Indexed::build(KernelBuilder &b) const {
  auto op = b.group.anchorAs<cnn::IndexedOp>();
  RankedTensorType type = cnn::tensorOf(b.group.outputs().front());
  if (!hasPoints(type))
    return buildAny(b, op);
  IndexedReader reader(b, op);
  Point point = b.point(type);
  reader.own = point;
  Expr channel = point.c;
  if (point.cb.defined()) {
    int block = (int)cnn::layoutOf(type).getBlock();
    channel = point.cb * block + point.c;
    if (type.getDimSize(1) % block)
      channel = Halide::min(channel, (int)type.getDimSize(1) - 1);
  }
  reader.channel = channel;
  IndexedExpr exprs(op, reader, batchOf(b), /*smooth=*/false);
  b.bind(op.getResult(), [&](const Point &p) {
    SmallVector<Expr> at = {p.n, channel};
    if (type.getRank() == 4)
      at.append({p.y, p.x});
    return exprs.at(at);
  });
  Func out = b.output();
  Var row = scheduleRows(b, out, type, {rowBytesOf(b, type)});

  // What every element of a row has its own value of stays in the row.
  unsigned inner = innermostOf(type);
  Value along = op.getBody().getArgument(inner);
  bool inRow = !point.cb.defined() && b.target.lanes > 1;
  for (const IndexedExpr::Stage &stage : exprs.stages) {
    size_t place = llvm::find(stage.keys, along) - stage.keys.begin();
    // Where neighbours in memory are what is summed, the sum is in lanes.
    auto contiguous =
        dyn_cast_or_null<BlockArgument>(contiguousIndex(exprs, stage));
    cnn::ReduceOp reduce = stage.reduce;
    bool summed = contiguous && contiguous.getOwner()->getParentOp() == reduce;
    if (!inRow || place == stage.keys.size() || summed ||
        isHeavy(exprs.facts(), reduce)) {
      scheduleStage(b, exprs, stage);
      continue;
    }
    Func func = stage.func;
    Var v = stage.vars[stage.vars.size() - 1 - place];
    std::vector<Halide::VarOrRVar> order = {v};
    for (int i = 0; i < stage.domain.dimensions(); ++i)
      order.push_back(stage.domain[i]);
    for (Var other : stage.vars)
      if (!other.same_as(v))
        order.push_back(other);
    auto guard = TailStrategy::GuardWithIf;
    func.compute_at(out, row).vectorize(v, b.target.lanes, guard);
    func.update().reorder(order).vectorize(v, b.target.lanes, guard);
  }
  schedulePadded(b, exprs);
}

/// Without a schedule: reductions larger than a window are Funcs of their own,
/// which are to be computed apart.
static Func define(Operation *op, ArrayRef<LogicalTensor> operands,
                   ArrayRef<Expr> sizes) {
  auto indexed = cast<cnn::IndexedOp>(op);
  Expr batch = 1;
  for (auto [operand, tensor] : llvm::zip(indexed.getInputs(), operands))
    if (!cnn::isFixed(operand.getType()))
      batch = tensor.sizes.back();
  auto read = [&](cnn::ReadOp read, ArrayRef<Expr> at) -> Expr {
    Func func = operands[read.getOperand()].func;
    return func(std::vector<Expr>(at.rbegin(), at.rend()));
  };
  IndexedExpr exprs(indexed, read, batch, /*smooth=*/true);
  std::vector<Var> vars = logicalVars(sizes.size());
  SmallVector<Expr> at(llvm::reverse(vars));
  Func func(indexed.getFunction().str());
  func(vars) = exprs.at(at);
  return func;
}

static RegisterKernel<Indexed> indexed;
static RegisterAlgorithm algorithm("cnn.indexed", define);

} // namespace halcyon
