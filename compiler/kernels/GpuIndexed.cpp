//===- GpuIndexed.cpp - Sums of index notation on a device ----------------===//
//
// A reduction that does much with each element that it reads is a grid of its
// own: a thread has a tile of it in registers, so that what it loads serves
// several products. What else is reduced is a thread for each element, and so
// is the result.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Cost.h"
#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/IndexedReader.h"
#include "compiler/kernels/IndexedStages.h"
#include "compiler/kernels/Loops.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::MemoryType;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
constexpr int kTile = 4; ///< elements of a thread along each side

class GpuIndexed : public LayerKernel<cnn::IndexedOp> {
public:
  GpuIndexed() : LayerKernel("gpu_indexed", 0.1) {}

  bool isForDevice() const override { return true; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    auto op = group.anchorAs<cnn::IndexedOp>();
    if (!op || !oneOutput(group, why) || !hasPoints(op.getType()) ||
        !isReadable(op))
      return false;
    return op.walk([](cnn::ReduceOp) { return WalkResult::interrupt(); })
        .wasInterrupted();
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &) const override {
    return makeSchedule(group.anchor()->getContext(), name(),
                        {{"tile_rows", kTile}, {"tile_x", kTile}});
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    return {{"tile_rows", 1, 16, {1, 2, kTile, 8}},
            {"tile_x", 1, 16, {1, 2, kTile, 8}}};
  }

  // More than a thread for each element gets, in tiles.
  double cost(const Group &group, const Target &target) const override {
    auto op = group.anchorAs<cnn::IndexedOp>();
    cnn::IndexAnalysis facts(op);
    bool heavy = false;
    op.walk([&](cnn::ReduceOp reduce) { heavy |= isHeavy(facts, reduce); });
    return groupSeconds(group, target, heavy ? 0.1 : 0.03);
  }

  void build(KernelBuilder &b) const override;
};
} // namespace

/// A thread for each tile; false where nothing of what is read serves several
/// elements.
static bool scheduleTiles(KernelBuilder &b, IndexedExpr &exprs,
                          const IndexedExpr::Stage &stage) {
  if (!isHeavy(exprs.facts(), stage.reduce))
    return false;
  auto whole = [&](Value key) {
    return isa<BlockArgument>(key) && exprs.facts().range(key).isBounded();
  };
  SmallVector<Value> shared = sharedKeys(exprs, stage, Value(), 2);
  if (shared.empty())
    return false;
  // Neighbouring threads read what lies side by side.
  Value along = contiguousIndex(exprs, stage);
  if (!along || !llvm::is_contained(stage.keys, along) || !whole(along))
    along = shared.back();
  SmallVector<Value> sides = {along};
  for (Value key : shared)
    if (key != along && sides.size() < 2)
      sides.push_back(key);

  Func sum = stage.func, stored = sum.in();
  stored.compute_root();
  const int limits[] = {(int)b.schedule.param("tile_x", kTile),
                        (int)b.schedule.param("tile_rows", kTile)};
  const int threads[] = {sides.size() == 1 ? 64 : 16, 8};
  std::vector<Var> others = stage.vars;
  std::vector<Halide::VarOrRVar> order, updates;
  SmallVector<Var> blocks, lanes, parts;
  for (auto [side, key] : llvm::enumerate(sides)) {
    size_t place = stage.vars.size() - 1 -
                   (llvm::find(stage.keys, key) - stage.keys.begin());
    Var v = stage.vars[place], part("part" + std::to_string(side)),
        tile("tile"), block("block" + std::to_string(side)),
        lane("lane" + std::to_string(side));
    int size = tileSize(exprs.facts().range(key).count(), limits[side]);
    // Shifted inwards, no thread reads beyond what there is.
    stored.split(v, tile, part, size, TailStrategy::ShiftInwards)
        .split(tile, block, lane, threads[side], TailStrategy::GuardWithIf);
    sum.bound_extent(v, size).unroll(v);
    others.erase(llvm::find_if(
        others, [&](const Var &other) { return other.same_as(v); }));
    parts.push_back(part);
    lanes.push_back(lane);
    blocks.push_back(block);
    updates.push_back(v);
  }
  // The others, the batch among them, are one dimension of the grid.
  std::optional<Var> grid;
  for (Var v : others) {
    Var fused("grid" + v.name());
    if (grid)
      stored.fuse(*grid, v, fused);
    grid = grid ? fused : v;
  }
  order.insert(order.end(), parts.begin(), parts.end());
  order.insert(order.end(), lanes.begin(), lanes.end());
  order.insert(order.end(), blocks.begin(), blocks.end());
  if (grid)
    order.push_back(*grid);
  stored.reorder(order);
  for (Var part : parts)
    stored.unroll(part);
  for (Var lane : lanes)
    stored.gpu_threads(lane);
  for (Var block : blocks)
    stored.gpu_blocks(block);
  if (grid)
    stored.gpu_blocks(*grid);

  sum.compute_at(stored, lanes.front()).store_in(MemoryType::Register);
  for (int i = 0; i < stage.domain.dimensions(); ++i)
    updates.push_back(stage.domain[i]);
  updates.insert(updates.end(), others.begin(), others.end());
  auto update = sum.update();
  update.reorder(updates);
  for (unsigned side = 0; side < sides.size(); ++side)
    update.unroll(updates[side]);
  return true;
}

void GpuIndexed::build(KernelBuilder &b) const {
  auto op = b.group.anchorAs<cnn::IndexedOp>();
  IndexedExpr exprs(op, IndexedReader(b, op), batchOf(b), /*smooth=*/false);
  bool map = op.getType().getRank() == 4;
  b.bind(op.getResult(), [&](const Point &p) {
    SmallVector<Expr> at = {p.n, p.c};
    if (map)
      at.append({p.y, p.x});
    return exprs.at(at);
  });
  Func out = b.output();
  RankedTensorType type = cnn::tensorOf(b.group.outputs().front());
  std::vector<int64_t> extents;
  for (const auto &dim : cnn::interiorOf(type).dims)
    extents.push_back(dim.extent < 0 ? 1 << 20 : dim.extent);
  scheduleThreads(out, b.vars(type), extents);
  for (const IndexedExpr::Stage &stage : exprs.stages)
    if (!scheduleTiles(b, exprs, stage))
      storeOnDevice(stage.func);
  for (Func padded : exprs.paddedOperands())
    storeOnDevice(padded);
}

static RegisterKernel<GpuIndexed> gpuIndexed;

} // namespace halcyon
