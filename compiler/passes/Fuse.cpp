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
/// Operations that will be one kernel. All readers of every value but the last
/// operation's are in the group.
struct Cluster {
  SmallVector<Operation *> ops; ///< the last one gives the result
  Operation *anchor = nullptr;
  size_t prologue = 0; ///< operations that the anchor reads

  Value result() const { return ops.back()->getResult(0); }
  size_t epilogue() const { return ops.size() - prologue - (anchor ? 1 : 0); }

  /// Whether nothing outside `reader` reads the result.
  bool servesOnly(const Cluster &reader) const {
    return llvm::all_of(result().getUsers(), [&](Operation *user) {
      return llvm::is_contained(reader.ops, user);
    });
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
  void merge(Cluster &into, Cluster &from);

  DenseMap<Operation *, Cluster *> clusters; ///< by each of its operations
};
} // namespace

/// The latest group that can join the elementwise operations of `reader`:
/// they alone read it, and it has their shape, so that nothing is computed
/// twice.
Cluster *Fuse::findProducer(const Cluster &reader) const {
  Cluster *best = nullptr;
  for (Operation *op : reader.ops) {
    for (Value operand : op->getOperands()) {
      Cluster *other = clusterOf(operand);
      if (!other || other == &reader || (other->anchor && reader.anchor) ||
          operand.getType() != reader.result().getType() ||
          reader.epilogue() + other->epilogue() > maxEpilogue ||
          !other->servesOnly(reader))
        continue;
      if (!best || best->ops.back()->isBeforeInBlock(other->ops.back()))
        best = other;
    }
  }
  return best;
}

void Fuse::merge(Cluster &into, Cluster &from) {
  for (Operation *op : from.ops)
    clusters[op] = &into;
  into.ops.insert(into.ops.begin(), from.ops.begin(), from.ops.end());
  into.prologue += from.prologue;
  if (from.anchor)
    into.anchor = from.anchor;
  from.ops.clear();
}

void Fuse::growUpwards(Cluster &cluster) {
  while (Cluster *producer = findProducer(cluster))
    merge(cluster, *producer);
}

void Fuse::takePrologue(Cluster &cluster) {
  Cluster *producer = clusterOf(cluster.anchor->getOperand(0));
  if (!producer || producer->anchor || producer->ops.size() > maxPrologue ||
      !producer->servesOnly(cluster))
    return;
  merge(cluster, *producer);
  cluster.prologue = cluster.ops.size() - 1;
}

/// Orders a group as it reads: prologue, anchor, epilogue.
static SmallVector<Operation *> inReadingOrder(const Cluster &cluster) {
  SmallVector<Operation *> order(cluster.ops);
  llvm::sort(order, [](Operation *a, Operation *b) {
    return a->isBeforeInBlock(b);
  });
  if (!cluster.anchor)
    return order;
  // What the anchor reads, from it upwards.
  llvm::SmallPtrSet<Operation *, 8> before;
  for (Operation *op : llvm::reverse(order))
    if (op != cluster.anchor && llvm::any_of(op->getUsers(), [&](Operation *u) {
          return u == cluster.anchor || before.contains(u);
        }))
      before.insert(op);
  auto rank = [&](Operation *op) {
    return op == cluster.anchor ? 1 : before.contains(op) ? 0 : 2;
  };
  llvm::stable_sort(order, [&](Operation *a, Operation *b) {
    return rank(a) < rank(b);
  });
  return order;
}

/// Puts the group into a region where its last operation stands.
static void outline(const Cluster &cluster) {
  SmallVector<Operation *> order = inReadingOrder(cluster);
  llvm::SmallPtrSet<Operation *, 8> inside(order.begin(), order.end());
  llvm::SetVector<Value> inputs;
  for (Operation *op : order)
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);

  Value result = cluster.result();
  Location loc = (cluster.anchor ? cluster.anchor : cluster.ops.back())->getLoc();
  OpBuilder builder(cluster.ops.back());
  auto fused = FusedOp::create(builder, loc, TypeRange(result.getType()),
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
  result.replaceAllUsesWith(fused.getResult(0));
  builder.setInsertionPointToEnd(block);
  YieldOp::create(builder, loc, result);
}

void Fuse::runOnOperation() {
  clusters.clear();
  std::vector<std::unique_ptr<Cluster>> all;
  for (Operation &op : getOperation().getBody().front()) {
    auto compute = dyn_cast<ComputeOpInterface>(op);
    if (!compute || compute.movesDataOnly())
      continue;
    Cluster &cluster = *all.emplace_back(std::make_unique<Cluster>());
    cluster.ops = {&op};
    clusters[&op] = &cluster;
    if (!compute.isAnchor()) {
      growUpwards(cluster);
      continue;
    }
    cluster.anchor = &op;
    if (enablePrologue && compute.takesPrologue())
      takePrologue(cluster);
  }
  for (const auto &cluster : all)
    if (!cluster->ops.empty())
      outline(*cluster);
}
