//===- Fuse.cpp - Groups operations into kernels --------------------------===//

#include "compiler/passes/Passes.h"

#include "llvm/ADT/SetVector.h"

namespace halcyon {
#define GEN_PASS_DEF_FUSE
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
/// Operations that will be one kernel. All readers of every value but the
/// result are in the group.
struct Cluster {
  SmallVector<Operation *> prologue; ///< elementwise operations before it
  Operation *anchor = nullptr;
  SmallVector<Operation *> epilogue; ///< after it, or without an anchor

  Operation *last() const {
    return epilogue.empty() ? anchor : epilogue.back();
  }
  Value result() const { return last()->getResult(0); }
  /// Whether elementwise operations may follow. Gradients of weights are small
  /// beside what they are summed from, and read by what updates the weights.
  bool takesEpilogue() const {
    return !anchor || (cast<ComputeOpInterface>(anchor).takesEpilogue() &&
                       !cast<RankedTensorType>(result().getType()).hasStaticShape());
  }
  bool holds(Operation *op) const {
    return op == anchor || llvm::is_contained(epilogue, op);
  }
  /// Whether nothing outside `reader` reads the result.
  bool servesOnly(const Cluster &reader) const {
    return llvm::all_of(result().getUsers(),
                        [&](Operation *user) { return reader.holds(user); });
  }
  /// The same of its elementwise end: what the anchor reads comes before it.
  bool servesOnlyEndOf(const Cluster &reader) const {
    return servesOnly(reader) &&
           !llvm::is_contained(result().getUsers(), reader.anchor);
  }
  SmallVector<Operation *> ops() const {
    SmallVector<Operation *> all(prologue);
    if (anchor)
      all.push_back(anchor);
    all.append(epilogue);
    return all;
  }
};

struct Fuse : halcyon::impl::FuseBase<Fuse> {
  using FuseBase::FuseBase;
  void runOnOperation() override;

private:
  Cluster *clusterOf(Value value) const {
    return clusters.lookup(value.getDefiningOp());
  }
  Cluster *findProducer(const Cluster &reader) const;
  void growUpwards(Cluster &cluster);
  void takePrologue(Cluster &cluster);
  void dissolve(Cluster &from, Cluster &into);

  DenseMap<Operation *, Cluster *> clusters; ///< by each of its operations
};
} // namespace

/// The latest group that can join the elementwise end of `reader`, which alone
/// reads it. It has the result's shape, so that nothing is computed twice.
Cluster *Fuse::findProducer(const Cluster &reader) const {
  Cluster *best = nullptr;
  for (Operation *op : reader.epilogue) {
    for (Value operand : op->getOperands()) {
      Cluster *other = clusterOf(operand);
      if (!other || other == &reader || (other->anchor && reader.anchor) ||
          !other->takesEpilogue() ||
          operand.getType() != reader.result().getType() ||
          reader.epilogue.size() + other->epilogue.size() > maxEpilogue ||
          !other->servesOnlyEndOf(reader))
        continue;
      if (!best || best->last()->isBeforeInBlock(other->last()))
        best = other;
    }
  }
  return best;
}

/// Leaves `from` empty; its operations belong to `into`.
void Fuse::dissolve(Cluster &from, Cluster &into) {
  for (Operation *op : from.ops())
    clusters[op] = &into;
  from = Cluster();
}

void Fuse::growUpwards(Cluster &cluster) {
  while (Cluster *producer = findProducer(cluster)) {
    Cluster taken = *producer;
    dissolve(*producer, cluster);
    cluster.epilogue.append(taken.epilogue);
    llvm::sort(cluster.epilogue, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
    if (taken.anchor) {
      cluster.anchor = taken.anchor;
      cluster.prologue = taken.prologue;
    }
  }
}

void Fuse::takePrologue(Cluster &cluster) {
  bool all = cast<ComputeOpInterface>(cluster.anchor).takesPrologues();
  for (Value operand : cluster.anchor->getOperands()) {
    Cluster *producer = clusterOf(operand);
    if (producer && producer != &cluster && !producer->anchor &&
        producer->epilogue.size() <= maxPrologue &&
        producer->servesOnly(cluster)) {
      cluster.prologue.append(producer->epilogue);
      dissolve(*producer, cluster);
    }
    if (!all)
      break;
  }
  llvm::sort(cluster.prologue, [](Operation *a, Operation *b) {
    return a->isBeforeInBlock(b);
  });
}

/// The bounds of the layers' errors become the kernel's: of several the
/// strictest.
static void moveMaxError(FusedOp fused) {
  double strictest = kMostMaxError;
  bool stated = false;
  for (Operation &op : fused.getBody().front()) {
    if (!takesMaxError(&op))
      continue;
    strictest = std::min(strictest, maxErrorOf(&op));
    stated |= bool(op.removeAttr(kMaxErrorAttr));
  }
  if (stated)
    fused->setAttr(kMaxErrorAttr, Builder(fused).getF64FloatAttr(strictest));
}

/// Puts the group into a region where its last operation stands.
static void outline(const Cluster &cluster) {
  SmallVector<Operation *> order = cluster.ops();
  llvm::SmallPtrSet<Operation *, 8> inside(order.begin(), order.end());
  llvm::SetVector<Value> inputs;
  for (Operation *op : order)
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);

  ResultRange results = cluster.last()->getResults();
  Location loc = (cluster.anchor ? cluster.anchor : cluster.last())->getLoc();
  OpBuilder builder(cluster.last());
  auto fused = FusedOp::create(builder, loc, results.getTypes(),
                               inputs.getArrayRef(), /*schedule=*/nullptr,
                               /*reason=*/nullptr);
  Block *block = builder.createBlock(&fused.getBody());
  for (Operation *op : order)
    op->moveBefore(block, block->end());
  for (Value input : inputs) {
    Value argument = block->addArgument(input.getType(), input.getLoc());
    input.replaceUsesWithIf(argument, [&](OpOperand &use) {
      return use.getOwner()->getBlock() == block;
    });
  }
  for (auto [result, outside] : llvm::zip(results, fused.getResults()))
    result.replaceAllUsesWith(outside);
  builder.setInsertionPointToEnd(block);
  YieldOp::create(builder, loc, ValueRange(results));
  moveMaxError(fused);
}

void Fuse::runOnOperation() {
  clusters.clear();
  std::vector<std::unique_ptr<Cluster>> all;
  for (Operation &op : getOperation().getBody().front()) {
    auto compute = dyn_cast<ComputeOpInterface>(op);
    if (!compute || compute.movesDataOnly())
      continue;
    Cluster &cluster = *all.emplace_back(std::make_unique<Cluster>());
    clusters[&op] = &cluster;
    if (!compute.isAnchor()) {
      cluster.epilogue = {&op};
      growUpwards(cluster);
      continue;
    }
    cluster.anchor = &op;
    if (enablePrologue && compute.takesPrologue())
      takePrologue(cluster);
  }
  for (const auto &cluster : all)
    if (!cluster->ops().empty())
      outline(*cluster);
}
