//===- IndexedChain.cpp - Operations in index notation, one in another ----===//
//
//   s[h, a, b] = sum over e of q[h * d + e, a] * k[h * d + e, b] / sqrt(d)
//   p[h, a, b] = exp(s[h, a, b] - max over b of s[h, a, b])
//   y[c, a]    = sum over b of p[c / d, a, b] * v[c, b] / sum over b of p[c /
//   d, a, b]
//
// Each operation alone reads the one before it, at the result's own `a`. A task
// takes some of `a`, in vectors, and of the channels those that read the same:
// what lies between stays in its caches, and what is summed is never in lanes.
// Sums that multiply much are computed in tiles that registers hold. Nothing is
// computed twice.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/IndexedReader.h"
#include "compiler/kernels/IndexedStages.h"
#include "compiler/kernels/Loops.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// Where the elements that a task shares lie in an operation's result.
struct Place {
  int along = -1;  ///< the argument that runs in vectors
  int shared = -1; ///< the argument that has one value in a task; -1: none
};

struct Chain {
  SmallVector<cnn::IndexedOp> ops;
  SmallVector<Place> places; ///< of each operation's result
  int64_t sharing = 1; ///< neighbours of the last result that share theirs
};

class IndexedChain : public Kernel {
public:
  StringRef name() const override { return "indexed_chain"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override;

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &) const override {
    return makeSchedule(group.anchors().front()->getContext(), name(),
                        {{"tile_rows", kTileRows}, {"tile_vectors", 2}});
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    return {{"tile_rows", 1, 16, {4, 6, kTileRows, 12}},
            {"tile_vectors", 1, 8, {1, 2, 3, 4}}};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.4);
  }

  void build(KernelBuilder &b) const override;
};
} // namespace

//===----------------------------------------------------------------------===//
// What is such a chain
//===----------------------------------------------------------------------===//

/// The operations of the group that a tensor comes from, through maps.
static bool producersOf(Value tensor, SmallVectorImpl<cnn::IndexedOp> &found) {
  Operation *maker = tensor.getDefiningOp();
  if (!maker)
    return true;
  if (auto op = dyn_cast<cnn::IndexedOp>(maker)) {
    found.push_back(op);
    return true;
  }
  return llvm::all_of(maker->getOperands(), [&](Value operand) {
    return !operand.getDefiningOp() || (cnn::tensorOf(operand).getShape() ==
                                            cnn::tensorOf(tensor).getShape() &&
                                        producersOf(operand, found));
  });
}

/// The argument of an operation's result that an index is, or that it is the
/// quotient of, and by what.
static std::optional<std::pair<int, int64_t>> shareOf(cnn::IndexedOp op,
                                                      Value index) {
  int64_t by = 1;
  if (auto quotient = index.getDefiningOp<arith::FloorDivSIOp>()) {
    by = cnn::constantIndex(quotient.getRhs()).value_or(0);
    index = quotient.getLhs();
  }
  auto argument = dyn_cast<BlockArgument>(index);
  if (!argument || argument.getOwner() != &op.getBody().front() || by < 1)
    return std::nullopt;
  return std::pair<int, int64_t>(argument.getArgNumber(), by);
}

/// Where the result that `read` reads has what `reader` shares; false where
/// that is not one place.
static bool placeOf(Chain &chain, cnn::ReadOp read, cnn::IndexedOp reader,
                    Place own, Place &place) {
  Block &body = reader.getBody().front();
  bool last = reader == chain.ops.back();
  Place found;
  for (auto [at, index] : llvm::enumerate(read.getAt())) {
    if (at == 0 || index == body.getArgument(own.along)) {
      if (at == 0 ? index != body.getArgument(0) : found.along >= 0)
        return false;
      if (at > 0)
        found.along = at;
      continue;
    }
    auto share = shareOf(reader, index);
    if (!share) {
      // A constant, or an index of a reduction.
      auto argument = dyn_cast<BlockArgument>(index);
      if (!cnn::constantIndex(index) &&
          !(argument && argument.getOwner() != &body))
        return false;
      continue;
    }
    bool taken = last || share->first == own.shared;
    if (!taken && share->second == 1)
      continue; // it runs through all of its own
    if (!taken || found.shared >= 0 || (!last && share->second != 1))
      return false;
    found.shared = at;
    Place &own = chain.places.back();
    if (last && own.shared < 0) {
      own.shared = share->first;
      chain.sharing = share->second;
    } else if (last &&
               (own.shared != share->first || chain.sharing != share->second)) {
      return false;
    }
  }
  if (found.along < 0 || (place.along >= 0 && (place.along != found.along ||
                                               place.shared != found.shared)))
    return false;
  place = found;
  return true;
}

static std::optional<Chain> chainOf(const Group &group) {
  Chain chain;
  for (Operation *anchor : group.anchors()) {
    auto op = dyn_cast<cnn::IndexedOp>(anchor);
    if (!op || !hasPoints(op.getType()) || !isReadable(op) ||
        cnn::tensorOf(op.getResult()).getRank() != 4)
      return std::nullopt;
    chain.ops.push_back(op);
  }
  if (chain.ops.size() < 2)
    return std::nullopt;
  chain.places.resize(chain.ops.size());
  chain.places.back().along = 3;
  bool heavy = false;
  for (int i = chain.ops.size() - 1; i >= 0; --i) {
    cnn::IndexedOp op = chain.ops[i];
    Place own = chain.places[i];
    if (own.along < 1)
      return std::nullopt;
    cnn::IndexAnalysis facts(op);
    Value along = op.getBody().getArgument(own.along);
    auto walked = op.walk([&](Operation *inside) {
      if (auto reduce = dyn_cast<cnn::ReduceOp>(inside)) {
        heavy |= isHeavy(facts, reduce);
        if (!llvm::is_contained(facts.keys(reduce), along))
          return WalkResult::interrupt();
      }
      auto read = dyn_cast<cnn::ReadOp>(inside);
      SmallVector<cnn::IndexedOp> producers;
      if (read && !producersOf(read.getTensor(), producers))
        return WalkResult::interrupt();
      for (cnn::IndexedOp producer : producers) {
        size_t number = llvm::find(chain.ops, producer) - chain.ops.begin();
        if (!placeOf(chain, read, op, own, chain.places[number]))
          return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return std::nullopt;
  }
  Place last = chain.places.back();
  ArrayRef<int64_t> shape =
      cnn::tensorOf(chain.ops.back().getResult()).getShape();
  if (!heavy || (last.shared >= 0 && shape[last.shared] % chain.sharing))
    return std::nullopt;
  return chain;
}

/// Vectors' lanes along `size` elements.
static int lanesFor(const Target &target, int64_t size) {
  int lanes = target.lanes;
  while (lanes > size)
    lanes /= 2;
  return lanes;
}

bool IndexedChain::handles(const Group &group, const Target &target,
                           std::string &why) const {
  std::optional<Chain> chain = chainOf(group);
  if (!chain || group.outputs().size() != 1)
    return false;
  // What a task keeps, for one vector.
  double bytes = 0;
  cnn::IndexedOp last = chain->ops.back();
  int lanes = lanesFor(target, last.getType().getDimSize(3));
  for (unsigned i = 0; i + 1 < chain->ops.size(); ++i) {
    double each = 4.0 * lanes;
    Place place = chain->places[i];
    for (auto [argument, size] :
         llvm::enumerate(chain->ops[i].getType().getShape()))
      if (argument > 0 && (int)argument != place.along &&
          (int)argument != place.shared)
        each *= (double)size;
    bytes += each;
  }
  if (lanes < 4 || bytes > 2.0 * target.l2) {
    why = lanes < 4 ? "fewer than four elements in a row"
                    : "what a task keeps does not fit the caches";
    return false;
  }
  return cnn::differInLayoutOnly(group.outputs()[0].getType(), last.getType());
}

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

namespace {
/// The side of a tile across the vectors: an argument, a variable for it, and
/// the loop over tiles in which sums are computed.
struct Rows {
  Value argument;
  int size = 1;
  Var loop;
};
} // namespace

/// A reduction, within its tile where it has an index of the tile's side, else
/// for the whole task.
static void scheduleStage(const IndexedExpr::Stage &stage, Value along,
                          int lanes, int block, Func out, Var task, Func reader,
                          const Rows &rows) {
  auto varOf = [&](Value key) {
    return stage.vars[stage.vars.size() - 1 -
                      (llvm::find(stage.keys, key) - stage.keys.begin())];
  };
  Func func = stage.func;
  Var x = varOf(along), vector("vector"), lane("lane");
  bool tiled = rows.argument && llvm::is_contained(stage.keys, rows.argument);
  std::vector<Var> storage = {x};
  std::vector<Halide::VarOrRVar> order = {lane, vector};
  if (tiled)
    order.push_back(varOf(rows.argument));
  for (int i = 0; i < stage.domain.dimensions(); ++i)
    order.push_back(stage.domain[i]);
  for (Var v : stage.vars) {
    if (!v.same_as(x))
      storage.push_back(v);
    if (!v.same_as(x) && !(tiled && v.same_as(varOf(rows.argument))))
      order.push_back(v);
  }
  if (tiled)
    func.compute_at(reader, rows.loop);
  else
    func.compute_at(out, task);
  func.bound_extent(x, block).reorder_storage(storage).vectorize(x, lanes);
  auto update =
      func.update().split(x, vector, lane, lanes, TailStrategy::RoundUp);
  update.reorder(order).vectorize(lane).unroll(vector);
  if (tiled) {
    Var row = varOf(rows.argument);
    func.bound_extent(row, rows.size).unroll(row);
    update.unroll(row);
  }
}

/// The argument along which a tile has rows: the longest of those that neither
/// run in vectors nor have one value in a task.
static Value rowsOf(cnn::IndexedOp op, Place place, int64_t sharing) {
  Value best;
  int64_t most = 1;
  for (auto [argument, size] :
       llvm::enumerate(cnn::tensorOf(op.getResult()).getShape())) {
    int64_t own = (int)argument == place.shared ? sharing : size;
    if (argument > 0 && (int)argument != place.along && own > most) {
      best = op.getBody().getArgument(argument);
      most = own;
    }
  }
  return best;
}

void IndexedChain::build(KernelBuilder &b) const {
  Chain chain = *chainOf(b.group);
  const int maxRows = (int)b.schedule.param("tile_rows", kTileRows);
  const int maxVectors = (int)b.schedule.param("tile_vectors", 2);
  cnn::IndexedOp last = chain.ops.back();
  const int64_t width = last.getType().getDimSize(3);
  const int lanes = lanesFor(b.target, width);
  const int block = lanes * (int)std::min<int64_t>(maxVectors, width / lanes);

  SmallVector<std::unique_ptr<IndexedExpr>> exprs;
  std::vector<Func> between;
  for (cnn::IndexedOp op : chain.ops) {
    exprs.push_back(std::make_unique<IndexedExpr>(op, IndexedReader(b, op),
                                                  batchOf(b),
                                                  /*smooth=*/false));
    IndexedExpr *own = exprs.back().get();
    if (op == last) {
      b.bind(op.getResult(),
             [own](const Point &p) { return own->at({p.n, p.c, p.y, p.x}); });
      break;
    }
    Func func(op.getFunction().str());
    func(b.x, b.y, b.c, b.n) = own->at({b.n, b.c, b.y, b.x});
    b.bind(op.getResult(),
           [func](const Point &p) { return func(p.x, p.y, p.c, p.n); });
    between.push_back(func);
  }
  Func out = b.output();
  between.push_back(out);

  // By argument, the batch first.
  Var vars[] = {b.n, b.c, b.y, b.x}, task("task"), xo("xo");
  for (int i = chain.ops.size() - 1; i >= 0; --i) {
    cnn::IndexedOp op = chain.ops[i];
    Place place = chain.places[i];
    Func func = between[i];
    const bool isLast = op == last;
    Value along = op.getBody().getArgument(place.along);
    Rows rows = {rowsOf(op, place, isLast ? chain.sharing : 1), 1,
                 Var("tiles")};
    Var vector("vector"), lane("lane"), row("row"), shares("shares"),
        x = vars[place.along];
    SmallVector<Var> inside, outside; // of a task, and loops over tasks
    if (isLast)
      func.split(x, xo, x, block, TailStrategy::ShiftInwards);
    else
      func.compute_at(out, task).bound_extent(x, block);
    func.split(x, vector, lane, lanes);
    for (int argument = 3; argument >= 0; --argument) {
      Var v = vars[argument];
      bool shared = argument == 0 || argument == place.shared;
      if (argument == place.along) {
        if (isLast)
          outside.push_back(xo);
        continue;
      }
      if (isLast && argument == place.shared && chain.sharing > 1) {
        func.split(v, shares, v, (int)chain.sharing);
        outside.push_back(shares);
        shared = false;
      }
      if (shared) {
        outside.push_back(v);
        continue;
      }
      if (rows.argument == op.getBody().getArgument(argument)) {
        int64_t size = argument == place.shared
                           ? chain.sharing
                           : op.getType().getDimSize(argument);
        rows.size = tileSize(size, maxRows);
        func.split(v, rows.loop, v, rows.size, TailStrategy::ShiftInwards);
        row = v;
        inside.insert(inside.begin(), rows.loop);
        continue;
      }
      inside.push_back(v);
    }
    std::vector<Halide::VarOrRVar> order = {lane, vector};
    if (rows.argument)
      order.push_back(row);
    order.insert(order.end(), inside.begin(), inside.end());
    order.insert(order.end(), outside.begin(), outside.end());
    func.reorder(order).vectorize(lane).unroll(vector);
    bool tiled =
        llvm::any_of(exprs[i]->stages, [&](const IndexedExpr::Stage &stage) {
          return rows.argument && llvm::is_contained(stage.keys, rows.argument);
        });
    if (tiled)
      func.unroll(row);
    if (isLast) {
      Var tasks = outside.front();
      for (Var v : ArrayRef(outside).drop_front()) {
        Var fused = v.same_as(outside.back()) ? task : Var("fused" + v.name());
        func.fuse(tasks, v, fused);
        tasks = fused;
      }
      func.parallel(task);
    } else {
      std::vector<Var> storage = {x};
      for (Var v : func.args())
        if (!v.same_as(x))
          storage.push_back(v);
      func.reorder_storage(storage);
    }
    for (const IndexedExpr::Stage &stage : exprs[i]->stages)
      scheduleStage(stage, along, lanes, block, out, task, func, rows);
    schedulePadded(b, *exprs[i]);
  }
}

static RegisterKernel<IndexedChain> indexedChain;

} // namespace halcyon
