//===- IndexedStages.cpp - Loops over reductions of index notation --------===//
//
// A stage that does much for each element is computed in tiles that registers
// hold: vectors along what lies contiguously, times elements along an index that
// some of the factors do not depend on, so that what is loaded serves several
// products. Where neighbours in memory are what is summed, the tile's sums are
// vectors, whose lanes are added at the end.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/IndexedStages.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

unsigned innermostOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() == 4 && tensor.isDynamicDim(0) &&
      cnn::layoutOf(type).getOrder() != "nchw")
    return 1;
  return tensor.getRank() - 1;
}

bool isHeavy(cnn::IndexAnalysis &facts, cnn::ReduceOp reduce) {
  double terms = 1, elements = 0;
  for (int64_t size : reduce.getSize())
    terms *= size < 0 ? 8 : (double)size;
  for (Value input : reduce->getParentOfType<cnn::IndexedOp>().getInputs()) {
    double size = 1;
    for (int64_t dim : cnn::tensorOf(input).getShape())
      size *= ShapedType::isDynamic(dim) ? 1 : (double)dim;
    elements += size;
  }
  double all = terms * facts.instances(reduce);
  return terms >= 8 && facts.instances(reduce) >= 32 && all >= 65536 &&
         all >= 8 * elements;
}

//===----------------------------------------------------------------------===//
// What a stage reads
//===----------------------------------------------------------------------===//

namespace {
/// A tensor or another stage, and where.
struct Access {
  SmallVector<Value> at;
  unsigned innermost;
  Value tensor; ///< null for a stage
};
} // namespace

static SmallVector<Access> accessesOf(IndexedExpr &exprs,
                                      const IndexedExpr::Stage &stage) {
  SmallVector<Access> all;
  cnn::ReduceOp whole = stage.reduce;
  SmallVector<Value> pending = {whole.getYielded()};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!pending.empty()) {
    Operation *maker = pending.pop_back_val().getDefiningOp();
    if (!maker || !seen.insert(maker).second)
      continue;
    if (auto read = dyn_cast<cnn::ReadOp>(maker)) {
      if (!read.getAt().empty())
        all.push_back({SmallVector<Value>(read.getAt()),
                       innermostOf(read.getTensor().getType()), read.getTensor()});
    } else if (auto reduce = dyn_cast<cnn::ReduceOp>(maker)) {
      auto apart = llvm::find_if(exprs.stages, [&](const IndexedExpr::Stage &other) {
        return cnn::ReduceOp(other.reduce) == reduce;
      });
      if (apart == exprs.stages.end())
        pending.push_back(reduce.getYielded());
      else if (!apart->keys.empty())
        all.push_back({apart->keys, (unsigned)apart->keys.size() - 1, Value()});
    }
    pending.append(maker->operand_begin(), maker->operand_end());
  }
  return all;
}

static bool dependsOn(IndexedExpr &exprs, const Access &access, Value index) {
  return llvm::any_of(access.at, [&](Value at) {
    auto form = exprs.facts().around(at, index);
    return !form || form->first != 0;
  });
}

Value contiguousIndex(IndexedExpr &exprs, const IndexedExpr::Stage &stage) {
  cnn::ReduceOp reduce = stage.reduce;
  SmallVector<Value> candidates(reduce.getBody().getArguments());
  candidates.append(stage.keys);
  SmallVector<Access> accesses = accessesOf(exprs, stage);
  Value best;
  std::pair<int, int> most = {0, 0};
  for (Value candidate : candidates) {
    int near = 0, far = 0;
    for (const Access &access : accesses) {
      bool follows = false, jumps = false;
      for (auto [axis, index] : llvm::enumerate(access.at)) {
        auto form = exprs.facts().around(index, candidate);
        bool next = axis == access.innermost && form && form->first == 1;
        follows |= next;
        jumps |= !next && (!form || form->first != 0);
      }
      near += follows && !jumps;
      far += jumps;
    }
    // Lanes that are sums are to be added up at the end; a few are no vector.
    auto argument = dyn_cast<BlockArgument>(candidate);
    bool summed = argument && argument.getOwner()->getParentOp() == reduce;
    if (summed && reduce.getSize()[argument.getArgNumber()] >= 0 &&
        reduce.getSize()[argument.getArgNumber()] < 4)
      continue;
    int worth = near - 4 * far + (summed ? 0 : 2);
    if (near && (!best || std::pair(worth, near) > most)) {
      most = {worth, near};
      best = candidate;
    }
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Elements that a task of a stage reads, where it has so many.
constexpr double kStageTask = 16384;
constexpr auto kGuard = TailStrategy::GuardWithIf;

static double termsOf(cnn::ReduceOp reduce) {
  double terms = 1;
  for (int64_t size : reduce.getSize())
    terms *= size < 0 ? 1 : (double)size;
  return terms;
}

/// All of `loops`, from the innermost on, as one loop over tasks; returns the
/// loop within a task.
template <typename Stage>
static Var intoTasks(Stage stage, ArrayRef<Var> loops, double workOfEach) {
  Var rows = loops.front(), task("task"), row("row");
  for (Var v : loops.drop_front()) {
    Var fused("fused");
    stage.fuse(rows, v, fused);
    rows = fused;
  }
  int perTask = (int)std::clamp(kStageTask / workOfEach, 1.0, 4096.0);
  stage.split(rows, task, row, perTask, kGuard).parallel(task);
  return row;
}

/// The arguments of a reduction, from `last` on outwards, that run through memory
/// one after the other, as if they were one: how many there are.
static unsigned contiguousArguments(KernelBuilder &b, IndexedExpr &exprs,
                                    const IndexedExpr::Stage &stage,
                                    unsigned last) {
  cnn::ReduceOp reduce = stage.reduce;
  Block &body = reduce.getBody().front();
  SmallVector<Access> accesses = accessesOf(exprs, stage);
  auto follows = [&](const Access &access, unsigned argument) {
    Value inner = body.getArgument(argument), outer = body.getArgument(argument - 1);
    if (!dependsOn(exprs, access, inner) && !dependsOn(exprs, access, outer))
      return true;
    unsigned dim = access.innermost - (last - argument);
    if (!access.tensor || access.innermost + 1 != access.at.size() ||
        dim >= access.at.size() || dim == 0 || access.at[dim] != inner)
      return false;
    // The inner one runs through its whole dimension, which lies densely.
    auto type = cast<RankedTensorType>(access.tensor.getType());
    ArrayRef<int64_t> shape = type.getShape();
    if (reduce.getFrom()[argument] != 0 || reduce.getSize()[argument] != shape[dim] ||
        isa_and_nonnull<cnn::PackedAttr>(type.getEncoding()))
      return false;
    cnn::BufferGeometry geometry = cnn::geometryOf(type);
    size_t place = shape.size() - 1 - dim;
    if (geometry.dims[place + 1].stride !=
        geometry.dims[place].stride * shape[dim])
      return false;
    auto form = exprs.facts().around(access.at[dim - 1], outer);
    return form && form->first == 1;
  };
  unsigned count = 1;
  for (unsigned argument = last; argument > 0; --argument, ++count)
    for (const Access &access : accesses)
      if (!follows(access, argument))
        return count;
  return count;
}

namespace {
/// What is added up in lanes: a loop over as many elements, -1 for the batch's.
struct Along {
  RVar loop;
  int64_t size;
};
} // namespace

/// Makes one loop of all that lies one after the other in memory.
static Along alongMemory(KernelBuilder &b, IndexedExpr &exprs,
                         const IndexedExpr::Stage &stage, unsigned argument) {
  Func func = stage.func;
  cnn::ReduceOp reduce = stage.reduce;
  unsigned rank = reduce.getFrom().size();
  unsigned count = contiguousArguments(b, exprs, stage, argument);
  Along along = {stage.domain[rank - 1 - argument], reduce.getSize()[argument]};
  for (unsigned next = 1; next < count; ++next) {
    RVar fused("along" + std::to_string(next));
    func.update().fuse(along.loop, stage.domain[rank - 1 - argument + next], fused);
    int64_t size = reduce.getSize()[argument - next];
    along = {fused, size < 0 || along.size < 0 ? -1 : size * along.size};
  }
  return along;
}

/// The width of vectors that add up what lies along `size` elements.
static int sumWidth(int64_t size, int lanes) {
  if (size >= 0 && size <= lanes / 2)
    return lanes / 2;
  return size >= 8 * lanes ? 4 * lanes : lanes;
}

namespace {
/// Elements along one key that a tile has.
struct Side {
  size_t place; ///< of the key's variable
  int size;
};
} // namespace

int tileSize(int64_t extent, int limit) {
  int best = 1;
  double least = 1e30;
  for (int size = std::min<int64_t>(limit, extent); size >= 1; --size) {
    // A load serves `size` products.
    double tiles = (double)((extent + size - 1) / size);
    double cost = tiles * (size + 1);
    if (cost < least) {
      least = cost;
      best = size;
    }
  }
  return best;
}

SmallVector<Value> sharedKeys(IndexedExpr &exprs, const IndexedExpr::Stage &stage,
                              Value but, unsigned count) {
  SmallVector<Access> accesses = accessesOf(exprs, stage);
  SmallVector<std::pair<int, Value>> shared;
  for (Value key : stage.keys) {
    if (key == but || !isa<BlockArgument>(key) ||
        !exprs.facts().range(key).isBounded())
      continue;
    int serves = llvm::count_if(accesses, [&](const Access &access) {
      return !dependsOn(exprs, access, key);
    });
    if (serves && exprs.facts().range(key).count() > 1)
      shared.push_back({serves, key});
  }
  llvm::stable_sort(shared, [](auto a, auto b) { return a.first > b.first; });
  SmallVector<Value> keys;
  for (auto [serves, key] : shared)
    if (keys.size() < count)
      keys.push_back(key);
  return keys;
}

/// Whether an element is little more than a product, so that registers are
/// there for many of them.
static bool isLight(cnn::ReduceOp reduce) {
  int heavy = 0;
  reduce->walk([&](Operation *op) {
    heavy += op->getDialect() && op->getDialect()->getNamespace() == "math";
  });
  return heavy == 0;
}

/// In tiles; false where there is nothing to gain.
static bool scheduleTiles(KernelBuilder &b, IndexedExpr &exprs,
                          const IndexedExpr::Stage &stage, Value contiguous) {
  cnn::ReduceOp reduce = stage.reduce;
  if (!contiguous || b.target.lanes < 4 || !isHeavy(exprs.facts(), reduce))
    return false;
  auto argument = dyn_cast<BlockArgument>(contiguous);
  if (!argument)
    return false;
  const bool summed = argument.getOwner()->getParentOp() == reduce;
  const int registers = isLight(reduce) ? b.target.registers * 3 / 4 : 4;
  auto placeOf = [&](Value key) {
    return stage.vars.size() - 1 - (llvm::find(stage.keys, key) - stage.keys.begin());
  };
  const int maxRows = (int)b.schedule.param("tile_rows", kTileRows),
            maxVectors = (int)b.schedule.param("tile_vectors", kTileVectors);
  int lanes = b.target.lanes, vectors = 1;
  SmallVector<Value> shared =
      sharedKeys(exprs, stage, summed ? Value() : contiguous, summed ? 2 : 1);
  SmallVector<Side> sides;
  if (summed) {
    int64_t size = reduce.getSize()[argument.getArgNumber()];
    if (shared.empty() || (size >= 0 && size < 4))
      return false;
    int limit = shared.size() == 1 ? maxRows : std::min(maxRows, 4);
    for (Value key : shared)
      sides.push_back({placeOf(key), tileSize(exprs.facts().range(key).count(), limit)});
  } else {
    cnn::IndexRange range = exprs.facts().range(contiguous);
    if (!range.isBounded() || range.count() < 4)
      return false;
    while (lanes > range.count())
      lanes /= 2;
    vectors = tileSize((range.count() + lanes - 1) / lanes,
                       std::min(registers, maxVectors));
    while (vectors > 1 && vectors * lanes > range.count())
      --vectors;
    int rows = std::min(maxRows, std::max(registers / vectors, 1));
    if (!shared.empty())
      sides.push_back({placeOf(shared[0]),
                       tileSize(exprs.facts().range(shared[0]).count(), rows)});
  }

  Func sum = stage.func, stored = sum.in();
  std::vector<Var> outer = stage.vars, inner;
  const auto shift = TailStrategy::ShiftInwards;
  double work = termsOf(reduce);
  stored.compute_root();
  std::vector<Halide::VarOrRVar> order, updates;
  Var vo("vo"), vi("vi"), unrolled("unrolled"), lane("lane");
  size_t along = 0;
  if (!summed) {
    along = placeOf(contiguous);
    Var v = stage.vars[along];
    stored.split(v, vo, vi, vectors * lanes, shift).vectorize(vi, lanes);
    outer[along] = vo;
    inner.push_back(vi);
    work *= vectors * lanes;
  }
  for (Side side : sides) {
    std::string name = std::to_string(side.place);
    Var from("from" + name), of("of" + name);
    stored.split(stage.vars[side.place], from, of, side.size, shift);
    outer[side.place] = from;
    inner.push_back(of);
    work *= side.size;
  }
  // Stores come last, in the order of the tile.
  for (Var v : inner)
    order.push_back(v);
  for (Var v : outer)
    order.push_back(v);
  stored.reorder(order);
  Var row = intoTasks(stored, outer, work);

  sum.compute_at(stored, row);
  for (Side side : sides)
    sum.bound_extent(stage.vars[side.place], side.size);
  if (!summed) {
    Var v = stage.vars[along];
    sum.bound_extent(v, vectors * lanes).vectorize(v, lanes);
    sum.update().split(v, unrolled, lane, lanes, kGuard);
    updates = {lane, unrolled};
    for (Side side : sides)
      updates.push_back(stage.vars[side.place]);
    for (int i = 0; i < stage.domain.dimensions(); ++i)
      updates.push_back(stage.domain[i]);
    sum.update().reorder(updates).vectorize(lane).unroll(unrolled);
    for (Side side : sides) {
      sum.unroll(stage.vars[side.place]);
      sum.update().unroll(stage.vars[side.place]);
    }
    return true;
  }
  RVar rest("rest"), part("part");
  Var lanePart("lanes");
  Along whole = alongMemory(b, exprs, stage, argument.getArgNumber());
  if (whole.size >= 0 && whole.size < lanes / 2)
    lanes /= 2;
  sum.update().split(whole.loop, rest, part, lanes, kGuard);
  Func partial = sum.update().rfactor(part, lanePart);
  std::vector<Var> storage = {lanePart};
  for (Var v : stage.vars)
    storage.push_back(v);
  partial.compute_at(stored, row).reorder_storage(storage).vectorize(lanePart, lanes);
  updates = {lanePart};
  for (Side side : sides)
    updates.push_back(stage.vars[side.place]);
  updates.push_back(rest);
  partial.update().reorder(updates).vectorize(lanePart, lanes);
  for (Side side : sides) {
    partial.bound_extent(stage.vars[side.place], side.size)
        .unroll(stage.vars[side.place]);
    partial.update().unroll(stage.vars[side.place]);
    sum.unroll(stage.vars[side.place]);
  }
  sum.update().atomic().vectorize(part, lanes);
  return true;
}

void scheduleStage(KernelBuilder &b, IndexedExpr &exprs,
                   const IndexedExpr::Stage &stage) {
  Value contiguous = contiguousIndex(exprs, stage);
  if (scheduleTiles(b, exprs, stage, contiguous))
    return;
  Func func = stage.func;
  cnn::ReduceOp reduce = stage.reduce;
  const unsigned rank = reduce.getFrom().size();
  const int lanes = b.target.lanes;
  std::vector<Var> outer = stage.vars;
  Func partial;
  func.compute_root();
  auto argument = dyn_cast_or_null<BlockArgument>(contiguous);
  if (argument && argument.getOwner()->getParentOp() == reduce) {
    // Each lane sums its part, the lanes are joined at the end.
    int64_t size = reduce.getSize()[argument.getArgNumber()];
    if (size < 0 || size >= 4) {
      Along along = alongMemory(b, exprs, stage, argument.getArgNumber());
      int width = sumWidth(along.size, lanes);
      RVar rest("rest"), lane("lane");
      Var part("part");
      func.update().split(along.loop, rest, lane, width, kGuard);
      partial = func.update().rfactor(lane, part);
      partial.vectorize(part, width);
      partial.update().reorder(part, rest).vectorize(part, width);
      func.update().atomic().vectorize(lane, width);
    }
  } else if (contiguous) {
    size_t place = llvm::find(stage.keys, contiguous) - stage.keys.begin();
    Var &along = outer[stage.vars.size() - 1 - place], chunk("chunk"), lane("lane");
    func.vectorize(along, lanes, kGuard);
    func.update().split(along, chunk, lane, lanes, kGuard);
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
  Var row = intoTasks(func.update(), outer, termsOf(reduce));
  if (partial.defined())
    partial.compute_at(func, row);
}

void schedulePadded(KernelBuilder &b, IndexedExpr &exprs) {
  for (Func padded : exprs.paddedOperands()) {
    std::vector<Var> vars = padded.args();
    padded.compute_root().vectorize(vars.front(), b.target.lanes,
                                    TailStrategy::RoundUp);
    if (vars.size() > 1)
      intoTasks(padded, ArrayRef(vars).drop_front(), 128);
  }
}

} // namespace halcyon
