//===- Reduce.cpp - Reductions along axes ---------------------------------===//

#include "compiler/import/onnx/operators/Axes.h"

using namespace mlir;

namespace halcyon::onnx {

std::optional<Reduction> readReduction(NodeContext &node, const Tensor &x,
                                       ArrayRef<int64_t> axes, bool keep) {
  auto found = node.axes(axes, x.rank());
  if (!found)
    return std::nullopt;
  Reduction result;
  result.axes = *found;
  llvm::sort(result.axes);
  for (int64_t d = 0; d < x.rank(); ++d) {
    bool gone = llvm::is_contained(result.axes, d);
    if (gone && x.shape[d] == kOpen) {
      (void)node.mixesBatch("it joins images");
      return std::nullopt;
    }
    if (gone)
      result.extents.push_back(x.shape[d]);
    result.kept.push_back(gone ? 1 : x.shape[d]);
    if (!gone || keep)
      result.shape.push_back(gone ? 1 : x.shape[d]);
  }
  return result;
}

SmallVector<Expr> Reduction::source(Coords at, Coords r) const {
  SmallVector<Expr> result(at);
  for (auto [index, axis] : llvm::zip(r, axes))
    result[axis] = index;
  return result;
}

Tensor Reduction::compute(NodeContext &node, const Tensor &x, DataType type,
                          ExprOp op,
                          llvm::function_ref<Expr(Expr)> element) const {
  return node.compute(type, kept, {x}, [&](Coords at, ArrayRef<Reader> in) {
    return reduce(op, extents,
                  [&](Coords r) { return element(in[0](source(at, r))); });
  });
}

} // namespace halcyon::onnx

using namespace halcyon;
using namespace halcyon::onnx;

/// The axes of a reduction: an operand, an attribute in older versions, or all.
static std::optional<Reduction> readAxes(NodeContext &node, const Tensor &x) {
  bool given;
  auto axes = node.integersAt(1, "axes", given);
  if (!axes)
    return std::nullopt;
  if (axes->empty() && !node.integer("noop_with_empty_axes"))
    for (int64_t d = 0; d < x.rank(); ++d)
      axes->push_back(d);
  return readReduction(node, x, *axes, node.integer("keepdims", 1));
}

using Function = Expr (*)(Expr);
static Expr same(Expr x) { return x; }
static Expr square(Expr x) { return x * x; }
static Expr magnitude(Expr x) { return onnx::abs(x); }
static Expr root(Expr x) { return onnx::sqrt(x); }
static Expr logarithm(Expr x) { return onnx::log(x); }

/// finish(op over the axes of element(x))
template <ExprOp op, Function element, Function finish>
static LogicalResult importReduction(NodeContext &node) {
  Tensor x = node.in(0);
  auto reduction = readAxes(node, x);
  if (!reduction)
    return failure();
  Tensor total = reduction->compute(node, x, x.type, op, element);
  if (finish != same)
    total = node.map({total}, x.type,
                     [](ArrayRef<Expr> e) { return finish(e[0]); });
  return node.set(node.reshape(total, reduction->shape));
}

static RegisterOperator reductions[] = {
    {"ReduceSum", importReduction<ExprOp::Sum, same, same>},
    {"ReduceProd", importReduction<ExprOp::Product, same, same>},
    {"ReduceMax", importReduction<ExprOp::Maximum, same, same>},
    {"ReduceMin", importReduction<ExprOp::Minimum, same, same>},
    {"ReduceL1", importReduction<ExprOp::Sum, magnitude, same>},
    {"ReduceL2", importReduction<ExprOp::Sum, square, root>},
    {"ReduceSumSquare", importReduction<ExprOp::Sum, square, same>},
    {"ReduceLogSum", importReduction<ExprOp::Sum, same, logarithm>},
};
static RegisterTakes takesReductions(reductions, {Operand::Turned});

/// The mean over both dimensions of maps has an operation of its own.
static LogicalResult importReduceMean(NodeContext &node) {
  Tensor x = node.in(0);
  auto reduction = readAxes(node, x);
  if (!reduction)
    return failure();
  if (x.rank() == 4 && x.hasBatch() && x.type == DataType::F32 &&
      ArrayRef(reduction->axes) == ArrayRef<int64_t>{2, 3}) {
    mlir::Value input = node.value(x, x.shape);
    if (!input)
      return failure();
    mlir::Value pool =
        cnn::GlobalAvgPoolOp::create(node.builder(), node.loc(), input);
    return node.set(node.made(pool, x.type, reduction->shape));
  }
  auto count = elementCount(reduction->extents);
  Tensor total = reduction->compute(node, x, x.type, ExprOp::Sum, same);
  Tensor mean = node.map({total}, x.type, [&](ArrayRef<Expr> e) {
    return isFloat(e[0].kind()) ? e[0] / Expr(double(*count)) : e[0] / Expr(*count);
  });
  return node.set(node.reshape(mean, reduction->shape));
}
static RegisterOperator reduceMean("ReduceMean", importReduceMean);
static RegisterTakes takesMean(reduceMean, {Operand::Turned});

/// m + log(sum of exp(x - m)), m the maximum, so that nothing overflows.
static LogicalResult importLogSumExp(NodeContext &node) {
  Tensor x = node.in(0);
  auto reduction = readAxes(node, x);
  if (!reduction)
    return failure();
  Tensor most = reduction->compute(node, x, x.type, ExprOp::Maximum, same);
  Tensor y = node.compute(
      x.type, reduction->kept, {x, most}, [&](Coords at, ArrayRef<Reader> in) {
        // Of infinities nothing is subtracted.
        Expr m = select(unary(ExprOp::IsInf, in[1](at)), Expr(0.0), in[1](at));
        return m + log(sum(reduction->extents, [&](Coords r) {
                 return onnx::exp(in[0](reduction->source(at, r)) - m);
               }));
      });
  return node.set(node.reshape(y, reduction->shape));
}
static RegisterOperator logSumExp("ReduceLogSumExp", importLogSumExp);

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

template <ExprOp best> static LogicalResult importArg(NodeContext &node) {
  Tensor x = node.in(0);
  auto reduction = readReduction(node, x, {node.integer("axis")},
                                 node.integer("keepdims", 1));
  if (!reduction)
    return failure();
  bool last = node.integer("select_last_index");
  Tensor value = reduction->compute(node, x, x.type, best, same);
  Tensor index = node.compute(
      DataType::I64, reduction->kept, {x, value},
      [&](Coords at, ArrayRef<Reader> in) {
        return reduce(last ? ExprOp::Maximum : ExprOp::Minimum,
                      reduction->extents, [&](Coords r) {
                        return select(in[0](reduction->source(at, r)) ==
                                          in[1](at),
                                      r[0],
                                      last ? Expr(0)
                                           : Expr(reduction->extents[0]));
                      });
      });
  return node.set(node.reshape(index, reduction->shape));
}
static RegisterOperator argMax("ArgMax", importArg<ExprOp::Maximum>);
static RegisterOperator argMin("ArgMin", importArg<ExprOp::Minimum>);

//===----------------------------------------------------------------------===//
// CumSum, CumProd, TopK, Hardmax
//===----------------------------------------------------------------------===//

template <ExprOp op> static LogicalResult importCumulative(NodeContext &node) {
  Tensor x = node.in(0);
  auto numbers = node.knownIntegers(1);
  if (!numbers || numbers->size() != 1)
    return node.fail("its axis is one number");
  auto axis = node.axis((*numbers)[0], x.rank());
  if (!axis)
    return failure();
  if (x.shape[*axis] == kOpen)
    return node.mixesBatch("it joins images");
  bool exclusive = node.integer("exclusive"), reverse = node.integer("reverse");
  return node.set(node.compute(
      x.type, x.shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        return reduce(op, {x.shape[*axis]}, [&](Coords r) {
          SmallVector<Expr> from(at);
          from[*axis] = r[0];
          Expr element = in[0](from), here = at[*axis];
          Expr counts = reverse ? (exclusive ? here < r[0] : here <= r[0])
                                : (exclusive ? r[0] < here : r[0] <= here);
          Expr neutral = op == ExprOp::Sum ? Expr(0) : Expr(1);
          return select(counts, element, convert(neutral, element.kind()));
        });
      }));
}
static RegisterOperator cumSum("CumSum", importCumulative<ExprOp::Sum>);
static RegisterOperator cumProd("CumProd", importCumulative<ExprOp::Product>);

/// The place of every element in the sorted order: how many come before it.
static LogicalResult importTopK(NodeContext &node) {
  Tensor x = node.in(0);
  int64_t k = node.integer("k", -1);
  if (node.has(1)) {
    auto numbers = node.knownIntegers(1);
    if (!numbers || numbers->size() != 1)
      return node.fail("k is one number");
    k = (*numbers)[0];
  }
  auto axis = node.axis(node.integer("axis", -1), x.rank());
  if (!axis)
    return failure();
  if (x.shape[*axis] == kOpen)
    return node.mixesBatch("it sorts images");
  int64_t size = x.shape[*axis];
  if (k < 0 || k > size)
    return node.fail("there are no " + Twine(k) + " of " + Twine(size));
  bool largest = node.integer("largest", 1);
  auto along = [&](Coords at, Expr index) {
    SmallVector<Expr> from(at);
    from[*axis] = index;
    return from;
  };
  Tensor rank = node.compute(
      DataType::I64, x.shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Expr own = in[0](at);
        return sum({size}, [&](Coords r) {
          Expr other = in[0](along(at, r[0]));
          Expr before = largest ? other > own : other < own;
          return select(before || (other == own && r[0] < at[*axis]), Expr(1),
                        Expr(0));
        });
      });
  Shape shape = x.shape;
  shape[*axis] = k;
  Tensor indices = node.compute(
      DataType::I64, shape, {rank}, [&](Coords at, ArrayRef<Reader> in) {
        return sum({size}, [&](Coords r) {
          return select(in[0](along(at, r[0])) == at[*axis], r[0], Expr(0));
        });
      });
  Tensor values = node.compute(
      x.type, shape, {x, indices}, [&](Coords at, ArrayRef<Reader> in) {
        return in[0](along(at, in[1](at)));
      });
  return failure(failed(node.set(0, values)) || failed(node.set(1, indices)));
}
static RegisterOperator topK("TopK", importTopK);
