//===- Choose.cpp - NonZero, Compress, Unique -----------------------------===//
//
// The data decide how many elements these results have. They have room for the
// most that there can be, and a number beside them says how many there are.
//
//===----------------------------------------------------------------------===//

#include "compiler/import/onnx/operators/Choose.h"

#include <cmath>

using namespace mlir;

namespace halcyon::onnx {

/// Counts rows of about the square root of all, then within a row: to find one
/// of n takes about the square root of n steps.
Chosen choose(NodeContext &node, const Tensor &mask, int64_t most) {
  int64_t size = mask.shape[0];
  int64_t width = std::max<int64_t>(1, std::ceil(std::sqrt(double(size))));
  int64_t rows = std::max<int64_t>(1, (size + width - 1) / width);
  DataType whole = DataType::I64;
  auto one = [](Expr condition) { return select(condition, Expr(1), Expr(0)); };
  // Outside of the mask nothing is true.
  Tensor counts = node.compute(
      whole, {rows}, {mask}, [&](Coords at, ArrayRef<Reader> in) {
        return sum({width}, [&](Coords r) {
          return convert(in[0](at[0] * Expr(width) + r[0]), Kind::Int);
        });
      });
  Tensor ends = node.compute(
      whole, {rows}, {counts}, [&](Coords at, ArrayRef<Reader> in) {
        return sum({rows}, [&](Coords r) {
          return select(r[0] <= at[0], in[0](r[0]), Expr(0));
        });
      });
  Tensor within = node.compute(
      whole, {size}, {mask}, [&](Coords at, ArrayRef<Reader> in) {
        Expr first = floorDiv(at[0], Expr(width)) * Expr(width);
        return sum({width}, [&](Coords r) {
          Expr place = first + r[0];
          return select(place < at[0], convert(in[0](place), Kind::Int), Expr(0));
        });
      });
  Tensor count = node.compute(
      whole, {}, {ends},
      [&](Coords, ArrayRef<Reader> in) { return in[0](Expr(rows - 1)); });
  Chosen chosen;
  chosen.most = count.isKnown() ? count.known.integer(0) : most;
  Tensor row = node.compute(
      whole, {chosen.most}, {ends}, [&](Coords at, ArrayRef<Reader> in) {
        Expr before =
            sum({rows}, [&](Coords r) { return one(in[0](r[0]) <= at[0]); });
        return min(before, Expr(rows - 1));
      });
  Tensor number = node.compute(
      whole, {chosen.most}, {row, ends, counts},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr own = in[0](at[0]);
        return convert(at[0], Kind::Int) - (in[1](own) - in[2](own));
      });
  chosen.places = node.compute(
      whole, {chosen.most}, {mask, within, row, number},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr first = in[2](at[0]) * Expr(width);
        return sum({width}, [&](Coords r) {
          Expr place = first + convert(r[0], Kind::Int);
          return select(in[0](place) && in[1](place) == in[3](at[0]), place,
                        Expr(0));
        });
      });
  if (!count.isKnown()) {
    chosen.places.count = std::make_shared<Tensor>(count);
    chosen.places.countedAxis = 0;
  }
  return chosen;
}

LogicalResult refuseBatch(NodeContext &node) {
  for (const Tensor &x : node.all())
    if (x.hasBatch())
      return node.mixesBatch("it chooses among the elements of all images");
  return success();
}

} // namespace halcyon::onnx

using namespace halcyon;
using namespace halcyon::onnx;

/// As many along `axis` as were chosen.
static Tensor countedAs(NodeContext &node, const Tensor &x, const Tensor &places,
                        int64_t axis) {
  return places.isCounted() ? node.counted(x, places, axis) : x;
}

static Tensor plain(Tensor x) {
  x.count = nullptr;
  return x;
}

//===----------------------------------------------------------------------===//
// NonZero, Compress
//===----------------------------------------------------------------------===//

static LogicalResult importNonZero(NodeContext &node) {
  const Tensor x = node.in(0);
  auto size = elementCount(x.sizes());
  if (failed(refuseBatch(node)) || !size)
    return failure();
  Shape shape = x.shape.empty() ? Shape{1} : x.shape;
  Tensor mask = node.map({node.reshape(x, {*size})}, DataType::Bool,
                         [](ArrayRef<Expr> e) {
                           return e[0] != convert(Expr(0), e[0].kind());
                         });
  if (node.failed())
    return failure();
  Chosen chosen = choose(node, mask, *size);
  int64_t rank = shape.size();
  Tensor result = node.compute(
      DataType::I64, {rank, chosen.most}, {plain(chosen.places)},
      [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> place = unravel(in[0](at[1]), shape);
        Expr own = convert(place[0], Kind::Int);
        for (int64_t d = 1; d < rank; ++d)
          own = select(at[0] < Expr(d), own, convert(place[d], Kind::Int));
        return own;
      });
  return node.set(countedAs(node, result, chosen.places, 1));
}
static RegisterOperator nonZero("NonZero", importNonZero);

static LogicalResult importCompress(NodeContext &node) {
  Tensor x = node.in(0);
  const Tensor condition = node.in(1);
  auto size = elementCount(x.sizes());
  if (failed(refuseBatch(node)) || !size)
    return failure();
  int64_t axis = 0;
  if (node.given("axis")) {
    auto found = node.axis(node.integer("axis"), x.rank());
    if (!found)
      return failure();
    axis = *found;
  } else {
    x = node.reshape(x, {*size});
  }
  if (condition.rank() != 1 || condition.shape[0] > x.shape[axis])
    return node.fail("its condition is a vector with a truth value for each "
                     "element, or for the first ones");
  Chosen chosen = choose(node, condition, condition.shape[0]);
  Shape shape = x.shape;
  shape[axis] = chosen.most;
  Tensor result = node.compute(
      x.type, shape, {x, plain(chosen.places)},
      [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at);
        from[axis] = in[1](at[axis]);
        return in[0](from);
      });
  return node.set(countedAs(node, result, chosen.places, axis));
}
static RegisterOperator compress("Compress", importCompress);

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

/// Every element, or slice, is compared with every other one.
constexpr int64_t kMostCompared = 8192;

static LogicalResult importUnique(NodeContext &node) {
  const Tensor x = node.in(0);
  auto elements = elementCount(x.sizes());
  if (failed(refuseBatch(node)) || !elements)
    return failure();
  bool along = node.given("axis");
  int64_t axis = 0;
  if (along) {
    auto found = node.axis(node.integer("axis"), x.rank());
    if (!found)
      return failure();
    axis = *found;
  }
  Tensor whole = along ? x : node.reshape(x, {*elements});
  int64_t size = whole.shape[axis];
  if (size > kMostCompared)
    return node.fail("it compares more than " + Twine(kMostCompared) + " elements");
  Shape inner = whole.shape;
  inner.erase(inner.begin() + axis);
  auto within = elementCount(inner);
  if (!within || size == 0)
    return node.fail("it has no elements");
  auto element = [&](const Reader &in, Expr index, Expr part) {
    SmallVector<Expr> at = unravel(part, inner);
    at.insert(at.begin() + axis, index);
    return in(at);
  };
  // Where two slices differ first; `within` where they are equal.
  Tensor differ = node.compute(
      DataType::I64, {size, size}, {whole}, [&](Coords at, ArrayRef<Reader> in) {
        return minimum({*within}, [&](Coords r) {
          Expr part = convert(r[0], Kind::Int);
          return select(element(in[0], at[0], part) != element(in[0], at[1], part),
                        part, Expr(*within));
        });
      });
  auto same = [&](const Reader &in, Expr a, Expr b) {
    return in(a, b) == Expr(*within);
  };
  Tensor first = node.compute(
      DataType::I64, {size}, {differ}, [&](Coords at, ArrayRef<Reader> in) {
        return minimum({size}, [&](Coords r) {
          return select(same(in[0], at[0], r[0]), convert(r[0], Kind::Int),
                        Expr(size));
        });
      });
  Tensor isFirst = node.compute(
      DataType::Bool, {size}, {first}, [&](Coords at, ArrayRef<Reader> in) {
        return in[0](at[0]) == convert(at[0], Kind::Int);
      });
  // What comes before each in the result: what is less, or what was there first.
  bool sorted = node.integer("sorted", 1);
  Tensor place = node.compute(
      DataType::I64, {size}, {whole, differ, isFirst},
      [&](Coords at, ArrayRef<Reader> in) {
        return sum({size}, [&](Coords r) {
          Expr part = min(in[1](at[0], r[0]), Expr(*within - 1));
          Expr before = sorted ? element(in[0], r[0], part) <
                                     element(in[0], at[0], part)
                               : r[0] < at[0];
          return select(in[2](r[0]) && before, Expr(1), Expr(0));
        });
      });
  Chosen chosen = choose(node, isFirst, size);
  Tensor indices = node.compute(
      DataType::I64, {chosen.most}, {isFirst, place},
      [&](Coords at, ArrayRef<Reader> in) {
        return sum({size}, [&](Coords r) {
          return select(in[0](r[0]) && in[1](r[0]) == convert(at[0], Kind::Int),
                        convert(r[0], Kind::Int), Expr(0));
        });
      });
  Shape shape = whole.shape;
  shape[axis] = chosen.most;
  Tensor y = node.compute(x.type, shape, {whole, indices},
                          [&](Coords at, ArrayRef<Reader> in) {
                            SmallVector<Expr> from(at);
                            from[axis] = in[1](at[axis]);
                            return in[0](from);
                          });
  Tensor inverse = node.compute(
      DataType::I64, {size}, {first, place}, [&](Coords at, ArrayRef<Reader> in) {
        return in[1](in[0](at[0]));
      });
  Tensor counts = node.compute(
      DataType::I64, {chosen.most}, {differ, indices},
      [&](Coords at, ArrayRef<Reader> in) {
        return sum({size}, [&](Coords r) {
          return select(same(in[0], in[1](at[0]), r[0]), Expr(1), Expr(0));
        });
      });
  return failure(
      failed(node.set(0, countedAs(node, y, chosen.places, axis))) ||
      failed(node.set(1, countedAs(node, indices, chosen.places, 0))) ||
      failed(node.set(2, inverse)) ||
      failed(node.set(3, countedAs(node, counts, chosen.places, 0))));
}
static RegisterOperator unique("Unique", importUnique);
