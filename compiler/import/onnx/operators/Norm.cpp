//===- Norm.cpp - Normalisations ------------------------------------------===//

#include "compiler/import/onnx/Graph.h"

#include <cmath>

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// The axes of an N x C x ... tensor but the channels.
static Shape broadcastAlongChannels(const Tensor &x) {
  Shape shape(x.rank(), 1);
  shape[1] = x.shape[1];
  return shape;
}

//===----------------------------------------------------------------------===//
// BatchNormalization
//===----------------------------------------------------------------------===//

/// Mean and variance of every channel over the batch, and running statistics.
static LogicalResult trainBatchNorm(NodeContext &node) {
  Tensor x = node.in(0);
  if (x.hasBatch())
    return node.mixesBatch("statistics are of the whole batch");
  double eps = node.number("epsilon", 1e-5), keep = node.number("momentum", 0.9);
  Shape channels = {x.shape[1]}, others;
  for (auto [d, size] : llvm::enumerate(x.shape))
    if (d != 1)
      others.push_back(size);
  int64_t count = *elementCount(others);
  auto source = [](Coords r, Expr c) {
    SmallVector<Expr> at(r.begin(), r.end());
    at.insert(at.begin() + 1, c);
    return at;
  };
  Tensor mean = node.compute(
      x.type, channels, {x}, [&](Coords at, ArrayRef<Reader> in) {
        return sum(others, [&](Coords r) { return in[0](source(r, at[0])); }) /
               Expr(double(count));
      });
  Tensor variance = node.compute(
      x.type, channels, {x, mean}, [&](Coords at, ArrayRef<Reader> in) {
        return sum(others, [&](Coords r) {
                 Expr d = in[0](source(r, at[0])) - in[1](at[0]);
                 return d * d;
               }) /
               Expr(double(count));
      });
  Shape along = broadcastAlongChannels(x);
  auto spread = [&](const Tensor &t) { return node.reshape(t, along); };
  Tensor y = node.map({x, spread(mean), spread(variance), spread(node.in(1)),
                       spread(node.in(2))},
                      x.type, [&](ArrayRef<Expr> e) {
                        return (e[0] - e[1]) / sqrt(e[2] + Expr(eps)) * e[3] +
                               e[4];
                      });
  auto running = [&](unsigned i, const Tensor &now) {
    return node.map({node.in(i), now}, node.in(i).type, [&](ArrayRef<Expr> e) {
      return e[0] * Expr(keep) + e[1] * Expr(1 - keep);
    });
  };
  return failure(failed(node.set(0, y)) ||
                 failed(node.set(1, running(3, mean))) ||
                 failed(node.set(2, running(4, variance))));
}

static LogicalResult importBatchNorm(NodeContext &node) {
  Tensor x = node.in(0);
  if (x.rank() < 1)
    return node.fail("its input has no channels");
  // A vector is one channel for each image.
  if (x.rank() < 2)
    x = node.reshape(x, {x.shape[0], 1});
  if (node.integer("training_mode"))
    return trainBatchNorm(node);
  for (unsigned i = 1; i < 5; ++i)
    if (!node.has(i) || node.in(i).rank() != 1 ||
        node.in(i).shape[0] != x.shape[1])
      return node.fail("it has four numbers for each channel");
  bool known = x.type == DataType::F32 && x.hasBatch() && x.rank() <= 4;
  for (unsigned i = 1; i < 5; ++i)
    known &= node.in(i).isKnown() && node.in(i).type == DataType::F32;
  double eps = node.number("epsilon", 1e-5);
  // The other share of the two; of 0.9 it is 0.1, not 0.09999999999999998.
  double momentum =
      std::round((1 - node.number("momentum", 0.9)) * 1e12) / 1e12;
  if (known) {
    mlir::Value input = node.value(x, asMaps(x.shape));
    mlir::Value weights[4];
    const StringRef roles[] = {"weight", "bias", "running_mean", "running_var"};
    for (unsigned i = 0; i < 4; ++i)
      weights[i] = node.weight(node.in(i + 1), roles[i]);
    if (node.failed())
      return failure();
    mlir::Value norm = cnn::BatchNormOp::create(
        node.builder(), node.loc(), input, weights[0], weights[1], weights[2],
        weights[3], node.builder().getF64FloatAttr(eps),
        node.builder().getF64FloatAttr(momentum));
    return node.set(node.made(norm, x.type, node.in(0).shape));
  }
  SmallVector<Tensor> operands = {x};
  for (unsigned i = 1; i < 5; ++i)
    operands.push_back(node.reshape(node.in(i), broadcastAlongChannels(x)));
  Tensor y = node.map(operands, x.type, [&](ArrayRef<Expr> e) {
    return (e[0] - e[3]) / sqrt(e[4] + Expr(eps)) * e[1] + e[2];
  });
  return node.set(node.reshape(y, node.in(0).shape));
}

static RegisterOperator batchNorm("BatchNormalization", importBatchNorm);
