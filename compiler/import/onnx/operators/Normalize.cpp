//===- Normalize.cpp - Normalisation by what is there ---------------------===//

#include "compiler/import/onnx/operators/Axes.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static Expr same(Expr x) { return x; }

/// Mean and 1 / sqrt(variance + eps) over axes, as f32 where x is narrower.
static std::pair<Tensor, Tensor> moments(NodeContext &node, const Tensor &x,
                                         const Reduction &over, double eps) {
  DataType type = x.type == DataType::F64 ? DataType::F64 : DataType::F32;
  auto count = elementCount(over.extents);
  Tensor total = over.compute(node, x, type, ExprOp::Sum, same);
  Tensor mean = node.map({total}, type, [&](ArrayRef<Expr> e) {
    return e[0] / Expr(double(*count));
  });
  Tensor scale = node.compute(
      type, over.kept, {x, mean}, [&](Coords at, ArrayRef<Reader> in) {
        Expr own = in[1](at);
        Expr squares = sum(over.extents, [&](Coords r) {
          Expr d = in[0](over.source(at, r)) - own;
          return d * d;
        });
        return Expr(1.0) / sqrt(squares / Expr(double(*count)) + Expr(eps));
      });
  return {mean, scale};
}

static Shape from(int64_t first, int64_t rank) {
  Shape axes;
  for (int64_t d = first; d < rank; ++d)
    axes.push_back(d);
  return axes;
}

/// One number for each channel.
static Tensor alongChannels(NodeContext &node, const Tensor &t, int64_t rank) {
  Shape shape(rank, 1);
  shape[1] = t.shape.empty() ? 1 : t.shape[0];
  return node.reshape(t, shape);
}

//===----------------------------------------------------------------------===//
// InstanceNormalization, GroupNormalization
//===----------------------------------------------------------------------===//

static LogicalResult importInstanceNorm(NodeContext &node) {
  Tensor x = node.in(0);
  if (x.rank() < 3 || node.in(1).rank() != 1 || node.in(2).rank() != 1)
    return node.fail("it has maps, and two numbers for each channel");
  auto over = readReduction(node, x, from(2, x.rank()), true);
  if (!over)
    return failure();
  auto [mean, scale] = moments(node, x, *over, node.number("epsilon", 1e-5));
  return node.set(node.map(
      {x, mean, scale, alongChannels(node, node.in(1), x.rank()),
       alongChannels(node, node.in(2), x.rank())},
      x.type,
      [](ArrayRef<Expr> e) { return (e[0] - e[1]) * e[2] * e[3] + e[4]; }));
}
static RegisterOperator instanceNorm("InstanceNormalization", importInstanceNorm);

static LogicalResult importGroupNorm(NodeContext &node) {
  Tensor x = node.in(0), scale = node.in(1), bias = node.in(2);
  int64_t groups = node.integer("num_groups", 1);
  if (x.rank() < 2 || groups < 1 || x.shape[1] % groups)
    return node.fail("num_groups must divide the channels");
  int64_t perGroup = x.shape[1] / groups;
  Shape grouped = {x.shape[0], groups};
  auto rest = elementCount(x.sizes().drop_front(2));
  if (!rest)
    return node.fail("its operand is too large");
  grouped.append({perGroup, *rest});
  Tensor parts = node.reshape(x, grouped);
  auto over = readReduction(node, parts, {2, 3}, true);
  if (!over)
    return failure();
  auto [mean, deviation] =
      moments(node, parts, *over, node.number("epsilon", 1e-5));
  Tensor normal =
      node.map({parts, mean, deviation}, parts.type,
               [](ArrayRef<Expr> e) { return (e[0] - e[1]) * e[2]; });
  // Before version 21 there is one number for each group.
  auto spread = [&](const Tensor &t) {
    if (t.rank() == 1 && t.shape[0] == groups && perGroup != 1)
      return node.compute(t.type, {x.shape[1]}, {t},
                          [&](Coords at, ArrayRef<Reader> in) {
                            return in[0](floorDiv(at[0], Expr(perGroup)));
                          });
    return t;
  };
  return node.set(node.map({node.reshape(normal, x.shape),
                            alongChannels(node, spread(scale), x.rank()),
                            alongChannels(node, spread(bias), x.rank())},
                           x.type, [](ArrayRef<Expr> e) {
                             return e[0] * e[1] + e[2];
                           }));
}
static RegisterOperator groupNorm("GroupNormalization", importGroupNorm);

//===----------------------------------------------------------------------===//
// LayerNormalization, RMSNormalization, MeanVarianceNormalization
//===----------------------------------------------------------------------===//

static LogicalResult importLayerNorm(NodeContext &node) {
  Tensor x = node.in(0);
  auto axis = node.axis(node.integer("axis", -1), x.rank());
  if (!axis)
    return failure();
  auto over = readReduction(node, x, from(*axis, x.rank()), true);
  if (!over)
    return failure();
  auto [mean, scale] = moments(node, x, *over, node.number("epsilon", 1e-5));
  SmallVector<Tensor> operands = {x, mean, scale, node.in(1)};
  if (node.has(2))
    operands.push_back(node.in(2));
  Tensor y = node.map(operands, x.type, [](ArrayRef<Expr> e) {
    Expr scaled = (e[0] - e[1]) * e[2] * e[3];
    return e.size() > 4 ? scaled + e[4] : scaled;
  });
  return failure(failed(node.set(0, y)) || failed(node.set(1, mean)) ||
                 failed(node.set(2, scale)));
}
static RegisterOperator layerNorm("LayerNormalization", importLayerNorm);

static LogicalResult importRmsNorm(NodeContext &node) {
  Tensor x = node.in(0);
  auto axis = node.axis(node.integer("axis", -1), x.rank());
  if (!axis)
    return failure();
  auto over = readReduction(node, x, from(*axis, x.rank()), true);
  if (!over)
    return failure();
  double eps = node.number("epsilon", 1e-5);
  auto count = elementCount(over->extents);
  DataType type = x.type == DataType::F64 ? DataType::F64 : DataType::F32;
  Tensor squares = over->compute(node, x, type, ExprOp::Sum,
                                 [](Expr e) { return e * e; });
  return node.set(
      node.map({x, squares, node.in(1)}, x.type, [&](ArrayRef<Expr> e) {
        return e[0] / sqrt(e[1] / Expr(double(*count)) + Expr(eps)) * e[2];
      }));
}
static RegisterOperator rmsNorm("RMSNormalization", importRmsNorm);

static LogicalResult importMvn(NodeContext &node) {
  Tensor x = node.in(0);
  auto over =
      readReduction(node, x, node.integers("axes", {0, 2, 3}), true);
  if (!over)
    return failure();
  auto [mean, scale] = moments(node, x, *over, 1e-9);
  return node.set(
      node.map({x, mean, scale}, x.type,
               [](ArrayRef<Expr> e) { return (e[0] - e[1]) * e[2]; }));
}
static RegisterOperator mvn("MeanVarianceNormalization", importMvn);

//===----------------------------------------------------------------------===//
// LRN, LpNormalization
//===----------------------------------------------------------------------===//

static LogicalResult importLrn(NodeContext &node) {
  Tensor x = node.in(0);
  int64_t size = node.integer("size", 1);
  if (x.rank() < 2 || size < 1 || size > (1 << 20))
    return node.fail("its size or its operand make no sense");
  double alpha = node.number("alpha", 1e-4), beta = node.number("beta", 0.75);
  double bias = node.number("bias", 1);
  return node.set(
      node.compute(x.type, x.shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Expr squares = sum({size}, [&](Coords r) {
          SmallVector<Expr> source(at);
          source[1] = at[1] + r[0] - Expr((size - 1) / 2);
          Expr e = in[0](source);
          return e * e;
        });
        Expr base = Expr(bias) + squares * Expr(alpha / double(size));
        return in[0](at) / pow(base, Expr(beta));
      }));
}
static RegisterOperator lrn("LRN", importLrn);

static LogicalResult importLpNorm(NodeContext &node) {
  Tensor x = node.in(0);
  auto over = readReduction(node, x, {node.integer("axis", -1)}, true);
  if (!over)
    return failure();
  int64_t p = node.integer("p", 2);
  Tensor total =
      over->compute(node, x, x.type, ExprOp::Sum,
                    [&](Expr e) { return p == 1 ? onnx::abs(e) : e * e; });
  // Nothing of nothing.
  return node.set(node.map({x, total}, x.type, [&](ArrayRef<Expr> e) {
    Expr size = p == 1 ? e[1] : sqrt(e[1]);
    return select(size == Expr(0.0), Expr(0.0), e[0] / size);
  }));
}
static RegisterOperator lpNorm("LpNormalization", importLpNorm);

//===----------------------------------------------------------------------===//
// Softmax and its like
//===----------------------------------------------------------------------===//

/// Before version 13 all dimensions from the axis on are one.
static std::optional<Reduction> softmaxAxes(NodeContext &node, const Tensor &x) {
  bool old = node.opset() < 13;
  auto axis = node.axis(node.integer("axis", old ? 1 : -1), x.rank());
  if (!axis)
    return std::nullopt;
  return readReduction(node, x, old ? from(*axis, x.rank()) : Shape{*axis},
                       true);
}

/// The largest element along axes, and the sum of exp(x - largest).
static std::pair<Tensor, Tensor> exponentials(NodeContext &node, const Tensor &x,
                                              const Reduction &over) {
  Tensor most = over.compute(node, x, x.type, ExprOp::Maximum, same);
  Tensor total = node.compute(
      x.type, over.kept, {x, most}, [&](Coords at, ArrayRef<Reader> in) {
        return sum(over.extents, [&](Coords r) {
          return onnx::exp(in[0](over.source(at, r)) - in[1](at));
        });
      });
  return {most, total};
}

static LogicalResult importSoftmax(NodeContext &node) {
  Tensor x = node.in(0);
  auto over = softmaxAxes(node, x);
  if (!over)
    return failure();
  // Over the channels there is an operation.
  bool channels = ArrayRef(over->axes) == ArrayRef<int64_t>{1};
  if (channels && x.type == DataType::F32 && x.hasBatch() && x.rank() <= 4) {
    mlir::Value input = node.value(x, asMaps(x.shape));
    if (!input)
      return failure();
    mlir::Value soft = cnn::SoftmaxOp::create(node.builder(), node.loc(), input);
    return node.set(node.made(soft, x.type, x.shape));
  }
  auto [most, total] = exponentials(node, x, *over);
  return node.set(
      node.map({x, most, total}, x.type,
               [](ArrayRef<Expr> e) { return onnx::exp(e[0] - e[1]) / e[2]; }));
}
static RegisterOperator softmax("Softmax", importSoftmax);
static RegisterTakes takesSoftmax(softmax, {Operand::Turned});

static Tensor logSoftmax(NodeContext &node, const Tensor &x,
                         const Reduction &over) {
  auto [most, total] = exponentials(node, x, over);
  return node.map({x, most, total}, x.type, [](ArrayRef<Expr> e) {
    return e[0] - e[1] - onnx::log(e[2]);
  });
}

static LogicalResult importLogSoftmax(NodeContext &node) {
  Tensor x = node.in(0);
  auto over = softmaxAxes(node, x);
  return over ? node.set(logSoftmax(node, x, *over)) : failure();
}
static RegisterOperator logSoftmaxOf("LogSoftmax", importLogSoftmax);

/// 1 at the first of the largest elements.
static LogicalResult importHardmax(NodeContext &node) {
  Tensor x = node.in(0);
  auto over = softmaxAxes(node, x);
  if (!over)
    return failure();
  Tensor most = over->compute(node, x, x.type, ExprOp::Maximum, same);
  Tensor first = node.compute(
      DataType::I64, over->kept, {x, most}, [&](Coords at, ArrayRef<Reader> in) {
        return minimum(over->extents, [&](Coords r) {
          return select(in[0](over->source(at, r)) == in[1](at),
                        ravel(r, over->extents),
                        Expr(*elementCount(over->extents)));
        });
      });
  return node.set(
      node.compute(x.type, x.shape, {first}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> where(at), own;
        for (int64_t axis : over->axes) {
          own.push_back(at[axis]);
          where[axis] = Expr(0);
        }
        return select(in[0](where) == ravel(own, over->extents), Expr(1.0),
                      Expr(0.0));
      }));
}
static RegisterOperator hardmax("Hardmax", importHardmax);

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

/// -w[label] * x[label], and its sum or weighted mean.
static LogicalResult lossOf(NodeContext &node, const Tensor &x,
                            const Tensor &label, const Tensor *weights) {
  if (x.hasBatch() || label.hasBatch())
    return node.mixesBatch("a loss is of the whole batch");
  if (x.rank() < 2 || label.rank() != x.rank() - 1)
    return node.fail("there is one label for each vector of classes");
  bool ignores = node.given("ignore_index");
  Expr ignored(node.integer("ignore_index"));
  SmallVector<Tensor> operands = {x, label};
  if (weights)
    operands.push_back(*weights);
  auto weight = [&](Expr own, ArrayRef<Reader> in) {
    Expr w = weights ? in[2](own) : Expr(1.0);
    return ignores ? select(own == ignored, Expr(0.0), w) : w;
  };
  auto element = [&](Coords at, ArrayRef<Reader> in) {
    Expr own = in[1](at);
    SmallVector<Expr> source(at);
    source.insert(source.begin() + 1, own);
    return -(in[0](source) * weight(own, in));
  };
  std::string how = node.word("reduction", "mean");
  if (how == "none")
    return node.set(0, node.compute(x.type, label.shape, operands, element));
  return node.set(0, node.compute(
      x.type, {}, operands, [&](Coords, ArrayRef<Reader> in) {
        Expr total = sum(label.shape, [&](Coords r) { return element(r, in); });
        if (how == "sum")
          return total;
        return total / sum(label.shape, [&](Coords r) {
                 return weight(in[1](r), in);
               });
      }));
}

static LogicalResult importNll(NodeContext &node) {
  return lossOf(node, node.in(0), node.in(1), node.has(2) ? &node.in(2) : nullptr);
}
static RegisterOperator nll("NegativeLogLikelihoodLoss", importNll);

static LogicalResult importCrossEntropy(NodeContext &node) {
  Tensor x = node.in(0);
  auto over = readReduction(node, x, {1}, true);
  if (!over)
    return failure();
  Tensor logits = logSoftmax(node, x, *over);
  if (failed(lossOf(node, logits, node.in(1),
                    node.has(2) ? &node.in(2) : nullptr)))
    return failure();
  return node.set(1, logits);
}
static RegisterOperator crossEntropy("SoftmaxCrossEntropyLoss",
                                     importCrossEntropy);
