//===- Constant.cpp - Numbers from nowhere --------------------------------===//

#include "compiler/import/onnx/Graph.h"

#include <cmath>

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static LogicalResult importConstant(NodeContext &node) {
  for (StringRef name : {"value", "sparse_value"})
    if (const HostTensor *tensor = node.tensor(name)) {
      Tensor result = node.constant(*tensor);
      // A number of a file, with the name of what it becomes.
      if (!node.node.outputs.empty())
        result.name = node.node.outputs[0];
      return node.set(result);
    }
  if (node.given("value_int"))
    return node.set(node.constant(HostTensor::of(
        DataType::I64, {}, Scalar::integer(node.integer("value_int")))));
  if (node.given("value_float"))
    return node.set(node.constant(HostTensor::of(
        DataType::F32, {}, Scalar::real(node.number("value_float")))));
  if (node.given("value_ints"))
    return node.set(
        node.constant(HostTensor::integers(node.integers("value_ints"))));
  if (node.given("value_floats")) {
    SmallVector<Scalar> numbers;
    for (float value : node.numbers("value_floats"))
      numbers.push_back(Scalar::real(value));
    return node.set(node.constant(
        HostTensor::of(DataType::F32, {int64_t(numbers.size())}, numbers)));
  }
  return node.fail("it holds no numbers");
}
static RegisterOperator constant("Constant", importConstant);

static LogicalResult importConstantOfShape(NodeContext &node) {
  auto sizes = node.knownIntegers(0);
  if (!sizes)
    return failure();
  if (llvm::is_contained(*sizes, kBatchNumber))
    return node.mixesBatch("numbers for every image are made of nothing");
  auto count = elementCount(*sizes);
  if (!count || sizes->size() > 8 || *count > (int64_t(1) << 40))
    return node.fail("its result is too large");
  const HostTensor *value = node.tensor("value");
  if (value && value->count() != 1)
    return node.fail("its value is not a single number");
  return node.set(node.constant(
      value ? HostTensor::splat(value->type(), *sizes, value->at(0))
            : HostTensor::splat(DataType::F32, *sizes, Scalar::real(0))));
}
static RegisterOperator constantOfShape("ConstantOfShape",
                                        importConstantOfShape);

static LogicalResult importRange(NodeContext &node) {
  SmallVector<HostTensor> ends;
  for (unsigned i : {0, 1, 2}) {
    auto number = node.known(i);
    if (!number || number->count() != 1)
      return node.fail("its ends and its step are single numbers");
    if (number->dependsOnBatch())
      return node.mixesBatch("it counts images");
    ends.push_back(*number);
  }
  DataType type = ends[0].type();
  bool real = isFloat(kindOf(type));
  double first = ends[0].real(0), step = ends[2].real(0);
  if (step == 0)
    return node.fail("its step is 0");
  double count = std::ceil((ends[1].real(0) - first) / step);
  if (!(count < double(1 << 28)))
    return node.fail("its result is too large");
  Expr from = real ? Expr(first) : Expr(ends[0].integer(0));
  Expr by = real ? Expr(step) : Expr(ends[2].integer(0));
  return node.set(node.compute(
      type, {int64_t(std::max(0.0, count))}, {},
      [&](Coords at, ArrayRef<Reader>) { return from + at[0] * by; }));
}
static RegisterOperator range("Range", importRange);

static LogicalResult importEyeLike(NodeContext &node) {
  const Tensor &x = node.in(0);
  if (x.rank() != 2 || x.hasBatch())
    return node.fail("its operand is a matrix of known size");
  auto type = DataType(node.integer("dtype", int64_t(x.type)));
  Expr k(node.integer("k"));
  return node.set(
      node.compute(type, x.shape, {}, [&](Coords at, ArrayRef<Reader>) {
        return select(at[1] == at[0] + k, Expr(1), Expr(0));
      }));
}
static RegisterOperator eyeLike("EyeLike", importEyeLike);

/// Dropout, as it is after training.
static LogicalResult importDropout(NodeContext &node) {
  Tensor x = node.in(0);
  bool trains = node.has(2);
  if (trains) {
    auto mode = node.known(2);
    if (!mode)
      return failure();
    trains = mode->count() == 1 && mode->integer(0);
  }
  if (trains) {
    // Dropping nothing keeps everything.
    auto ratio = node.has(1) ? node.known(1) : std::nullopt;
    if (!ratio || ratio->count() != 1 || ratio->real(0) != 0)
      return node.fail("it draws numbers at random, which is for training alone");
  }
  if (node.wants(1)) {
    DataType type = node.opset() >= 10 ? DataType::Bool : x.type;
    Tensor mask = node.map({x}, type, [&](ArrayRef<Expr> e) {
      return select(e[0] == e[0], Expr(true), Expr(true));
    });
    if (failed(node.set(1, mask)))
      return failure();
  }
  return node.set(0, x);
}
static RegisterOperator dropout("Dropout", importDropout);
