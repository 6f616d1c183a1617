//===- Indexed.cpp - Operations in index notation -------------------------===//
//
// One pass over the result. Windows are written out in it; what many elements
// share, such as a mean over a map, is computed before it; what a row of
// elements shares, such as a sum over the channels, within the row.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/IndexedExpr.h"
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

  void build(KernelBuilder &b) const override;
};

/// The dimension of a tensor that is innermost in memory.
unsigned innermostOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() == 4 && tensor.isDynamicDim(0) &&
      cnn::layoutOf(type).getOrder() != "nchw")
    return 1;
  return tensor.getRank() - 1;
}

} // namespace

/// Whether a builder's points are places in tensors of this type.
static bool hasPoints(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return !cnn::isFixed(type) && (tensor.getRank() == 2 || tensor.getRank() == 4);
}

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
  bool alone = llvm::hasSingleElement(group.block().without_terminator());
  return alone || hasPoints(op.getType());
}

SmallVector<LayoutChoice> Indexed::layouts(const Group &group,
                                           const Target &target) const {
  SmallVector<LayoutChoice> all = uniformLayouts(group, target);
  auto op = group.anchorAs<cnn::IndexedOp>();
  if (channelsAlign(op))
    return all;
  return {uniformLayout(group, "nchw")};
}

namespace {
/// The expressions of a group's anchor over the buffers of its kernel.
class Reader {
public:
  Reader(KernelBuilder &b, cnn::IndexedOp op) : b(b), op(op) {}

  /// The channel of the result's element as one number, and as it lies there.
  Expr channel;
  Point own;

  Expr operator()(cnn::ReadOp read, ArrayRef<Expr> at) {
    Value tensor = op.getInputs()[read.getOperand()];
    RankedTensorType type = cnn::tensorOf(tensor);
    bool map = type.getRank() == 4 && !Group::isWeight(tensor);
    if (hasPoints(type)) {
      Point p = {at[0], Expr(), at[1], Expr(), Expr()};
      if (map) {
        p.y = at[2];
        p.x = at[3];
        split(p);
      }
      if (!isa<BlockArgument>(tensor))
        return b.at(tensor, p);
      Expr value = b.load(tensor, p, type);
      return type.getElementType().isInteger(1) ? value != 0 : value;
    }
    std::vector<Expr> place(at.rbegin(), at.rend());
    if (isa_and_nonnull<cnn::PackedAttr>(type.getEncoding())) {
      Point p = {Expr(), Expr(), at[0], Expr(), Expr()};
      split(p);
      place = b.coordinates(type, p);
    }
    Expr value = b.read(tensor, place);
    return type.getElementType().isInteger(1) ? value != 0 : value;
  }

private:
  /// In blocks, the element's own channel is a block and a lane already.
  void split(Point &p) const {
    if (!own.cb.defined() || !p.c.same_as(channel))
      return;
    p.cb = own.cb;
    p.c = own.c;
  }

  KernelBuilder &b;
  cnn::IndexedOp op;
};
} // namespace

/// The index of a stage along which neighbours in memory are read by most of
/// its reads, and elements far from each other by the fewest: one of the
/// reduction's arguments, or one of the keys; null where there is none.
static Value contiguousIndex(IndexedExpr &exprs,
                             const IndexedExpr::Stage &stage) {
  cnn::ReduceOp reduce = stage.reduce;
  SmallVector<Value> candidates(reduce.getBody().getArguments());
  candidates.append(stage.keys);
  Value best;
  std::pair<int, int> most = {0, 0};
  for (Value candidate : candidates) {
    int near = 0, far = 0;
    reduce->walk([&](cnn::ReadOp read) {
      if (read.getAt().empty())
        return;
      unsigned innermost = innermostOf(read.getTensor().getType());
      bool follows = false, jumps = false;
      for (auto [axis, index] : llvm::enumerate(read.getAt())) {
        auto form = exprs.facts().around(index, candidate);
        bool next = axis == innermost && form && form->first == 1;
        follows |= next;
        jumps |= !next && (!form || form->first != 0);
      }
      near += follows && !jumps;
      far += jumps;
    });
    if (near && (!best || std::pair(near - 4 * far, near) > most)) {
      most = {near - 4 * far, near};
      best = candidate;
    }
  }
  return best;
}

/// Elements that a task of a stage reads, where it has so many.
constexpr double kStageTask = 16384;

/// Cuts a stage that is computed by itself into tasks and vectors.
static void scheduleStage(KernelBuilder &b, IndexedExpr &exprs,
                          const IndexedExpr::Stage &stage) {
  Func func = stage.func;
  cnn::ReduceOp reduce = stage.reduce;
  auto guard = TailStrategy::GuardWithIf;
  const unsigned rank = reduce.getFrom().size();
  const int lanes = b.target.lanes;
  std::vector<Var> outer = stage.vars;
  Func partial;
  func.compute_root();
  Value contiguous = contiguousIndex(exprs, stage);
  auto argument = dyn_cast_or_null<BlockArgument>(contiguous);
  if (argument && argument.getOwner()->getParentOp() == reduce) {
    // Each lane sums its part, the lanes are joined at the end.
    int64_t size = reduce.getSize()[argument.getArgNumber()];
    if (size < 0 || size >= 4) {
      int width = size >= 0 && size <= lanes / 2 ? lanes / 2
                  : size >= 8 * lanes            ? 4 * lanes
                                                 : lanes;
      Halide::RVar along = stage.domain[rank - 1 - argument.getArgNumber()];
      Halide::RVar rest("rest"), lane("lane");
      Var part("part");
      func.update().split(along, rest, lane, width, guard);
      partial = func.update().rfactor(lane, part);
      partial.vectorize(part, width);
      partial.update().reorder(part, rest).vectorize(part, width);
      func.update().atomic().vectorize(lane, width);
    }
  } else if (contiguous) {
    size_t place = llvm::find(stage.keys, contiguous) - stage.keys.begin();
    Var &along = outer[stage.vars.size() - 1 - place], chunk("chunk"), lane("lane");
    func.vectorize(along, lanes, guard);
    func.update().split(along, chunk, lane, lanes, guard);
    along = chunk;
    std::vector<Halide::VarOrRVar> order = {lane};
    for (unsigned i = 0; i < rank; ++i)
      order.push_back(stage.domain[i]);
    for (Var v : outer)
      order.push_back(v);
    func.update().reorder(order).vectorize(lane);
  }
  if (outer.empty()) {
    if (partial.defined())
      partial.compute_root();
    return;
  }
  Var rows = outer.front(), task("task"), row("row");
  for (Var v : ArrayRef(outer).drop_front()) {
    Var fused("fused");
    func.update().fuse(rows, v, fused);
    rows = fused;
  }
  double work = 1;
  for (int64_t size : reduce.getSize())
    work *= size < 0 ? 1 : (double)size;
  int perTask = (int)std::clamp(kStageTask / work, 1.0, 4096.0);
  func.update().split(rows, task, row, perTask, guard).parallel(task);
  if (partial.defined())
    partial.compute_at(func, row);
}

/// A tensor of any rank, with or without a batch.
static void buildAny(KernelBuilder &b, cnn::IndexedOp op) {
  RankedTensorType type = cnn::tensorOf(b.group.outputs().front());
  IndexedExpr exprs(op, Reader(b, op), batchOf(b), /*smooth=*/false);
  std::vector<Var> vars = logicalVars(type.getRank());
  SmallVector<Expr> at(llvm::reverse(vars));
  Func out = b.output(0, vars, exprs.at(at));
  scheduleLogical(b, out, type.getShape());
  for (const IndexedExpr::Stage &stage : exprs.stages)
    scheduleStage(b, exprs, stage);
}

void Indexed::build(KernelBuilder &b) const {
  auto op = b.group.anchorAs<cnn::IndexedOp>();
  RankedTensorType type = cnn::tensorOf(b.group.outputs().front());
  if (!hasPoints(type))
    return buildAny(b, op);
  Reader reader(b, op);
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
    if (!inRow || place == stage.keys.size() || summed) {
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
