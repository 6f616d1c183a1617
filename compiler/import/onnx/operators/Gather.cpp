//===- Gather.cpp - Elements at indices that are data ---------------------===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// An index from the end where it is negative.
static Expr wrapped(Expr index, int64_t size) {
  return select(index < Expr(0), index + Expr(size), index);
}

static SmallVector<Expr> joined(std::initializer_list<Coords> parts) {
  SmallVector<Expr> result;
  for (Coords part : parts)
    result.append(part.begin(), part.end());
  return result;
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

/// The operands without their counts. False, and reported, where both have one.
static bool withoutCounts(NodeContext &node, Tensor &x, Tensor &indices) {
  if (x.isCounted() && indices.isCounted())
    return succeeded(node.fail("the data decide how many elements both of its "
                               "operands have"));
  x.count = indices.count = nullptr;
  return true;
}

/// first + i * step, where known indices of a dimension are that.
static std::optional<std::pair<int64_t, int64_t>>
progression(const Tensor &indices, int64_t size) {
  if (!indices.isKnown() || indices.known.dependsOnBatch())
    return std::nullopt;
  int64_t first = 0, step = 0;
  for (int64_t i = 0, n = indices.known.count(); i < n; ++i) {
    int64_t index = indices.known.at(i).as(Kind::Int).i;
    index += index < 0 ? size : 0;
    if (index < 0 || index >= size)
      return std::nullopt;
    if (i < 2)
      (i ? step : first) = index - (i ? first : 0);
    if (index != first + i * step)
      return std::nullopt;
  }
  return std::pair(first, step);
}

static LogicalResult importGather(NodeContext &node) {
  Tensor x = node.in(0), indices = node.in(1);
  auto axis = node.axis(node.integer("axis"), x.rank());
  if (!axis)
    return failure();
  if (x.shape[*axis] == kOpen)
    return node.mixesBatch("it takes some of the images");
  auto known = progression(indices, x.shape[*axis]);
  Shape shape(x.sizes().take_front(*axis));
  shape.append(indices.shape);
  llvm::append_range(shape, x.sizes().drop_front(*axis + 1));
  size_t rank = indices.rank();
  if (known && known->first == 0 && known->second == 1 && !x.isCounted() &&
      indices.known.count() == x.shape[*axis])
    return node.set(node.reshape(x, shape));
  if (rank > 1)
    known.reset();
  const Tensor from = x, by = indices;
  if (!withoutCounts(node, x, indices))
    return failure();
  SmallVector<Tensor> operands = {x};
  if (!known)
    operands.push_back(indices);
  Tensor result = node.compute(
      x.type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        Expr index;
        if (!known)
          index = wrapped(in[1](at.slice(*axis, rank)), x.shape[*axis]);
        else if (rank)
          index = Expr(known->first) + at[*axis] * Expr(known->second);
        else
          index = Expr(known->first);
        return in[0](joined({at.take_front(*axis), index,
                             at.drop_front(*axis + rank)}));
      });
  if (by.isCounted())
    return node.set(node.counted(result, by, *axis + by.countedAxis));
  if (!from.isCounted())
    return node.set(result);
  if (from.countedAxis == *axis)
    return node.fail("the data decide how many elements it takes from");
  int64_t behind = from.countedAxis > *axis ? int64_t(rank) - 1 : 0;
  return node.set(node.counted(result, from, from.countedAxis + behind));
}
static RegisterOperator gather("Gather", importGather);
static RegisterTakes takesGather(gather);

static LogicalResult importGatherElements(NodeContext &node) {
  const Tensor x = node.in(0), indices = node.in(1);
  auto axis = node.axis(node.integer("axis"), x.rank());
  if (!axis || indices.rank() != x.rank())
    return node.fail("its operands differ in the number of dimensions");
  return node.set(node.compute(
      x.type, indices.shape, {x, indices}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at);
        from[*axis] = wrapped(in[1](at), x.shape[*axis]);
        return in[0](from);
      }));
}
static RegisterOperator gatherElements("GatherElements", importGatherElements);

static LogicalResult importGatherNd(NodeContext &node) {
  Tensor x = node.in(0), indices = node.in(1);
  const Tensor by = indices;
  if (x.isCounted())
    return node.fail("the data decide how many elements it takes from");
  if (!withoutCounts(node, x, indices))
    return failure();
  int64_t batch = node.integer("batch_dims");
  if (indices.rank() < 1 || batch < 0 || batch >= indices.rank())
    return node.fail("its indices are vectors");
  int64_t depth = indices.shape.back();
  if (depth < 1 || batch + depth > x.rank())
    return node.fail("its indices have more numbers than there are dimensions");
  Shape shape(ArrayRef(indices.shape).drop_back());
  llvm::append_range(shape, x.sizes().drop_front(batch + depth));
  size_t places = indices.rank() - 1;
  Tensor result = node.compute(
      x.type, shape, {x, indices}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> own;
        for (int64_t d = 0; d < depth; ++d)
          own.push_back(
              wrapped(in[1](joined({at.take_front(places), Expr(d)})),
                      x.shape[batch + d]));
        return in[0](joined({at.take_front(batch), own, at.drop_front(places)}));
      });
  if (by.isCounted() && by.countedAxis >= int64_t(places))
    return node.fail("the data decide how many numbers an index has");
  return node.set(by.isCounted() ? node.counted(result, by, by.countedAxis)
                                 : result);
}
static RegisterOperator gatherNd("GatherND", importGatherNd);
static RegisterTakes takesGatherNd(gatherNd, {Operand::Counted});

//===----------------------------------------------------------------------===//
// Scatter
//===----------------------------------------------------------------------===//

/// What an element becomes by updates, of which `hits` says whether they are
/// its own: the last one, or the sum and so on of all.
static Expr updated(NodeContext &node, Expr old, ArrayRef<int64_t> extents,
                    llvm::function_ref<Expr(Coords)> hits,
                    llvm::function_ref<Expr(Coords)> value) {
  std::string how = node.word("reduction", "none");
  Kind kind = old.kind();
  auto over = [&](ExprOp op) {
    return reduce(op, extents, [&](Coords r) {
      Scalar neutral = identityOf(op, kind);
      Expr otherwise = isFloat(kind) ? Expr(neutral.f) : Expr(neutral.i);
      return select(hits(r), convert(value(r), kind), convert(otherwise, kind));
    });
  };
  if (how == "add")
    return old + over(ExprOp::Sum);
  if (how == "mul")
    return old * over(ExprOp::Product);
  if (how == "max")
    return max(old, over(ExprOp::Maximum));
  if (how == "min")
    return min(old, over(ExprOp::Minimum));
  Expr last = maximum(extents, [&](Coords r) {
    return select(hits(r), ravel(r, extents), Expr(-1));
  });
  return select(last < Expr(0), old,
                convert(value(unravel(convert(last, Kind::Index), extents)), kind));
}

static LogicalResult importScatterElements(NodeContext &node) {
  const Tensor x = node.in(0), indices = node.in(1), updates = node.in(2);
  auto axis = node.axis(node.integer("axis"), x.rank());
  if (!axis || indices.rank() != x.rank() || updates.shape != indices.shape)
    return node.fail("its operands differ in their dimensions");
  // Along the axis anything can be hit, elsewhere what has the same place.
  return node.set(node.compute(
      x.type, x.shape, {x, indices, updates},
      [&](Coords at, ArrayRef<Reader> in) {
        auto source = [&](Expr r) {
          SmallVector<Expr> from(at);
          from[*axis] = r;
          return from;
        };
        Expr inside(true);
        for (int64_t d = 0; d < x.rank(); ++d)
          if (d != *axis && indices.shape[d] != x.shape[d])
            inside = inside && at[d] < Expr(indices.shape[d]);
        return updated(
            node, in[0](at), {indices.shape[*axis]},
            [&](Coords r) {
              return inside && wrapped(in[1](source(r[0])), x.shape[*axis]) ==
                                   at[*axis];
            },
            [&](Coords r) { return in[2](source(r[0])); });
      }));
}
static RegisterOperator scatterElements("ScatterElements", importScatterElements);
static RegisterOperator scatter("Scatter", importScatterElements);

static LogicalResult importScatterNd(NodeContext &node) {
  const Tensor x = node.in(0), indices = node.in(1), updates = node.in(2);
  if (indices.rank() < 1 || indices.shape.back() > x.rank())
    return node.fail("its indices are vectors of places");
  if (indices.hasBatch())
    return node.mixesBatch("it scatters over images");
  int64_t depth = indices.shape.back();
  Shape places(ArrayRef(indices.shape).drop_back());
  return node.set(node.compute(
      x.type, x.shape, {x, indices, updates},
      [&](Coords at, ArrayRef<Reader> in) {
        return updated(
            node, in[0](at), places,
            [&](Coords r) {
              Expr all(true);
              for (int64_t d = 0; d < depth; ++d)
                all = all && wrapped(in[1](joined({r, Expr(d)})), x.shape[d]) ==
                                 at[d];
              return all;
            },
            [&](Coords r) { return in[2](joined({r, at.drop_front(depth)})); });
      }));
}
static RegisterOperator scatterNd("ScatterND", importScatterNd);

static LogicalResult importTensorScatter(NodeContext &node) {
  const Tensor past = node.in(0), update = node.in(1);
  auto axis = node.axis(node.integer("axis", -2), past.rank());
  if (!axis || update.rank() != past.rank())
    return node.fail("its operands differ in the number of dimensions");
  bool circular = node.word("mode", "linear") == "circular";
  int64_t size = past.shape[*axis], count = update.shape[*axis];
  SmallVector<Tensor> operands = {past, update};
  if (node.has(2))
    operands.push_back(node.in(2));
  return node.set(node.compute(
      past.type, past.shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        Expr first = in.size() > 2 ? in[2](at[0]) : Expr(0);
        Expr place = at[*axis] - first;
        if (circular)
          place = floorMod(place, Expr(size));
        SmallVector<Expr> from(at);
        from[*axis] = place;
        return select(Expr(0) <= place && place < Expr(count), in[1](from),
                      in[0](at));
      }));
}
static RegisterOperator tensorScatter("TensorScatter", importTensorScatter);

//===----------------------------------------------------------------------===//
// OneHot
//===----------------------------------------------------------------------===//

static LogicalResult importOneHot(NodeContext &node) {
  const Tensor indices = node.in(0), values = node.in(2);
  auto depth = node.knownIntegers(1);
  if (!depth || depth->size() != 1 || values.rank() != 1)
    return node.fail("its depth is a number, its values are two");
  auto axis = node.axis(node.integer("axis", -1), indices.rank() + 1);
  if (!axis)
    return failure();
  Shape shape = indices.shape;
  shape.insert(shape.begin() + *axis, (*depth)[0]);
  return node.set(node.compute(
      values.type, shape, {indices, values}, [&](Coords at, ArrayRef<Reader> in) {
        Expr index = in[0](
            joined({at.take_front(*axis), at.drop_front(*axis + 1)}));
        if (isFloat(index.kind()))
          index = convert(index, Kind::Int);
        Expr here = wrapped(index, (*depth)[0]) == at[*axis];
        return select(here, in[1](Expr(1)), in[1](Expr(0)));
      }));
}
static RegisterOperator oneHot("OneHot", importOneHot);
