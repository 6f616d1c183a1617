//===- Simplify.cpp - Layers that do nothing, and cheaper forms -----------===//

#include "compiler/passes/Passes.h"
#include "dialects/cnn/IndexAnalysis.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace halcyon {
#define GEN_PASS_DEF_SIMPLIFY
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

static bool all(ArrayRef<int64_t> values, int64_t wanted) {
  return llvm::all_of(values, [&](int64_t v) { return v == wanted; });
}

static ArrayRef<int64_t> mapSize(Value x) {
  return tensorOf(x).getShape().drop_front(2);
}

/// Whether a pooling's padding is plain numbers, and all of them 0.
template <typename Pool> static bool isUnpadded(Pool pool) {
  return all(pool.getPad(), 0) && pool.getAutoPad() == AutoPad::none &&
         !pool.getCeil();
}

/// map(x){a -> a} = x
static LogicalResult dropIdentityMap(MapOp map, PatternRewriter &rewriter) {
  Value value = map.getBody().front().getTerminator()->getOperand(0);
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &map.getBody().front())
    return failure();
  Value x = map.getInputs()[argument.getArgNumber()];
  if (x.getType() != map.getType())
    return failure();
  rewriter.replaceOp(map, x);
  return success();
}

/// Whether a read is of the element that a map would read.
static bool readsOwnElement(ReadOp read, IndexedOp op) {
  RankedTensorType from = read.getTensorType(), to = tensorOf(op.getResult());
  Block &body = op.getBody().front();
  auto is = [&](Value index, unsigned axis) {
    return index == body.getArgument(axis);
  };
  if (from.getRank() == 1 && to.getRank() > 1)
    return from.getDimSize(0) == to.getDimSize(1) && is(read.getAt()[0], 1);
  if (from.getRank() != to.getRank())
    return false;
  for (auto [axis, index] : llvm::enumerate(read.getAt())) {
    bool whole = from.getDimSize(axis) == to.getDimSize(axis) && is(index, axis);
    bool spread = from.getDimSize(axis) == 1 && constantIndex(index) == 0;
    if (!whole && !spread)
      return false;
  }
  return true;
}

/// indexed(x)[n, c, i, j] = f(x[n, c, i, j]) is a map
static LogicalResult indexedToMap(IndexedOp op, PatternRewriter &rewriter) {
  Block &body = op.getBody().front();
  auto isMapped = [](Type type) {
    Type element = cast<RankedTensorType>(type).getElementType();
    return element.isF32() || element.isF64();
  };
  if (!llvm::all_of(op->getOperandTypes(), isMapped) ||
      !isMapped(op.getType()) || op.getInputs().empty() ||
      MapOp::broadcast(op.getInputs().getTypes()) !=
          std::optional(SmallVector<int64_t>(op.getType().getShape())))
    return failure();
  for (Operation &inner : body.without_terminator()) {
    auto read = dyn_cast<ReadOp>(inner);
    if (isa<ReduceOp>(inner) || (read && !readsOwnElement(read, op)))
      return failure();
    // Coordinates are for reads alone.
    if (!read && llvm::any_of(inner.getOperandTypes(),
                              [](Type type) { return type.isIndex(); }))
      return failure();
  }
  auto map = MapOp::create(rewriter, op.getLoc(), op.getType(),
                           op.getFunction(), op.getInputs());
  map->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  Block *block = rewriter.createBlock(&map.getBody());
  for (Value input : op.getInputs())
    block->addArgument(tensorOf(input).getElementType(), input.getLoc());
  IRMapping mapping;
  for (Operation &inner : body) {
    if (auto read = dyn_cast<ReadOp>(inner))
      mapping.map(read.getResult(), block->getArgument(read.getOperand()));
    else if (inner.getNumResults() == 0 ||
             !inner.getResult(0).getType().isIndex())
      rewriter.clone(inner, mapping);
  }
  rewriter.replaceOp(op, map.getResult());
  return success();
}

/// pad(x, 0) = x; pad(pad(x, p), q) = pad(x, p + q) where both pad with zeros.
static LogicalResult mergePads(PadOp pad, PatternRewriter &rewriter) {
  if (all(pad.getPad(), 0)) {
    rewriter.replaceOp(pad, pad.getX());
    return success();
  }
  auto inner = pad.getX().getDefiningOp<PadOp>();
  if (!inner || pad.getMode() != PadMode::zero ||
      inner.getMode() != PadMode::zero)
    return failure();
  SmallVector<int64_t> sum;
  for (auto [p, q] : llvm::zip(inner.getPad(), pad.getPad()))
    sum.push_back(p + q);
  auto merged = PadOp::create(rewriter, pad.getLoc(), inner.getX(), sum,
                              PadMode::zero);
  copyPrecision(pad, merged);
  rewriter.replaceOp(pad, merged.getResult());
  return success();
}

/// upsample(x, 1) = x
static LogicalResult dropUpsample(UpsampleOp up, PatternRewriter &rewriter) {
  if (!all(up.getScale(), 1))
    return failure();
  rewriter.replaceOp(up, up.getX());
  return success();
}

/// pool(x, 1x1) = x; pool(x, the whole map) = global_pool(x)
template <typename Pool, typename Global>
static LogicalResult simplifyPool(Pool pool, PatternRewriter &rewriter) {
  if (!isUnpadded(pool))
    return failure();
  if (all(pool.getKernel(), 1) && all(pool.getStride(), 1)) {
    rewriter.replaceOp(pool, pool.getX());
    return success();
  }
  if (pool.getKernel() != mapSize(pool.getX()))
    return failure();
  DictionaryAttr kept = pool->getDiscardableAttrDictionary();
  rewriter.replaceOpWithNewOp<Global>(pool, pool.getX())
      ->setDiscardableAttrs(kept);
  return success();
}

/// global_pool(x) = x where the map is one cell
template <typename Global>
static LogicalResult dropGlobalPool(Global pool, PatternRewriter &rewriter) {
  if (!all(mapSize(pool.getX()), 1))
    return failure();
  rewriter.replaceOp(pool, pool.getX());
  return success();
}

/// adaptive_avgpool(x, k) = avgpool(x, n / k) where k divides n; x where k = n
static LogicalResult simplifyAdaptive(AdaptiveAvgPoolOp pool,
                                      PatternRewriter &rewriter) {
  SmallVector<int64_t> kernel;
  for (auto [n, cells] : llvm::zip(mapSize(pool.getX()), pool.getSize())) {
    if (n % cells)
      return failure();
    kernel.push_back(n / cells);
  }
  DictionaryAttr kept = pool->getDiscardableAttrDictionary();
  rewriter
      .replaceOpWithNewOp<AvgPoolOp>(
          pool, pool.getX(), kernel, kernel, ArrayRef<int64_t>{0, 0, 0, 0},
          ArrayRef<int64_t>{1, 1}, /*ceil=*/false, AutoPad::none,
          /*count_pad=*/true)
      ->setDiscardableAttrs(kept);
  return success();
}

/// concat(a, concat(b, c)) = concat(a, b, c) where nothing else reads the inner
static LogicalResult flattenConcat(ConcatOp concat, PatternRewriter &rewriter) {
  SmallVector<Value> inputs;
  bool nested = false;
  for (Value input : concat.getInputs()) {
    auto inner = input.getDefiningOp<ConcatOp>();
    if (inner && inner->hasOneUse()) {
      inputs.append(inner.getInputs().begin(), inner.getInputs().end());
      nested = true;
    } else {
      inputs.push_back(input);
    }
  }
  if (!nested)
    return failure();
  rewriter.replaceOpWithNewOp<ConcatOp>(concat, inputs);
  return success();
}

/// avgpool(W * x + b) = W * avgpool(x) + b for a W of one tap
static LogicalResult poolBeforeConv(AvgPoolOp pool, PatternRewriter &rewriter) {
  auto conv = pool.getX().getDefiningOp<ConvOp>();
  if (!conv || !conv->hasOneUse() || !conv.takesPrologue() ||
      !isUnpadded(pool) || all(pool.getStride(), 1))
    return failure();
  auto pooled = AvgPoolOp::create(
      rewriter, pool.getLoc(), conv.getX(), pool.getKernel(), pool.getStride(),
      pool.getPad(), pool.getDilation(), /*ceil=*/false, AutoPad::none,
      pool.getCountPad());
  pooled->setDiscardableAttrs(pool->getDiscardableAttrDictionary());
  auto result = ConvOp::create(rewriter, conv.getLoc(), pooled,
                               conv.getWeight(), conv.getBias());
  result->setDiscardableAttrs(conv->getDiscardableAttrDictionary());
  rewriter.replaceOp(pool, result.getResult());
  rewriter.eraseOp(conv);
  return success();
}

namespace {
struct Simplify : halcyon::impl::SimplifyBase<Simplify> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(dropIdentityMap);
    patterns.add(indexedToMap);
    patterns.add(mergePads);
    patterns.add(dropUpsample);
    patterns.add(simplifyPool<MaxPoolOp, GlobalMaxPoolOp>);
    patterns.add(simplifyPool<AvgPoolOp, GlobalAvgPoolOp>);
    patterns.add(dropGlobalPool<GlobalMaxPoolOp>);
    patterns.add(dropGlobalPool<GlobalAvgPoolOp>);
    patterns.add(simplifyAdaptive);
    patterns.add(flattenConcat);
    patterns.add(poolBeforeConv);
    // What an adjoint is of stays as it is: its gradient is of one operation.
    SmallVector<Operation *> operations;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<AdjointOp>(op))
        return WalkResult::skip();
      operations.push_back(op);
      return WalkResult::advance();
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(operations, std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
