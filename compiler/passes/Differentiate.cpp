//===- Differentiate.cpp - Gradients of the loss --------------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/passes/TrainingMaps.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"

namespace halcyon {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
struct Differentiate : halcyon::impl::DifferentiateBase<Differentiate> {
  using DifferentiateBase::DifferentiateBase;
  void runOnOperation() override;

private:
  void findActive();
  LogicalResult seed(OpBuilder &builder, OutputOp loss);
  Value gradientOf(OpBuilder &builder, Value value);
  void propagate(OpBuilder &builder, Operation *op);
  SmallVector<Value> derive(OpBuilder &builder, Operation *op,
                            ValueRange gradients, ArrayRef<bool> wanted);

  DenseSet<Value> active; ///< what a marked input reaches
  DenseMap<Value, SmallVector<Value>> parts; ///< of gradients, to be summed
};
} // namespace

/// Values whose elements are floating-point numbers alone have derivatives.
static bool isReal(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

void Differentiate::findActive() {
  for (Operation &op : getOperation().getBody().front()) {
    if (op.hasTrait<ReadsShapeOnly>())
      continue;
    bool reached = op.hasAttr(kWrtAttr) ||
                   llvm::any_of(op.getOperands(),
                                [&](Value v) { return active.contains(v); });
    if (reached)
      for (Value result : op.getResults())
        if (isReal(result))
          active.insert(result);
  }
}

/// d mean(loss) / d loss, of every image.
LogicalResult Differentiate::seed(OpBuilder &builder, OutputOp loss) {
  Value value = loss.getValue();
  Location loc = loss.getLoc();
  if (!active.contains(value))
    return loss.emitError("the loss does not depend on any weight that is trained");
  Type element = tensorOf(value).getElementType();
  Value count = CountOp::create(builder, loc, RankedTensorType::get({1}, element),
                                value);
  Value one = makeMap(builder, loc, "seed", {value, count},
                      [&](OpBuilder &b, ValueRange s) -> Value {
                        Value one = arith::ConstantOp::create(
                            b, loc, b.getFloatAttr(element, 1));
                        return arith::DivFOp::create(b, loc, one, s[1]);
                      });
  parts[value].push_back(one);
  return success();
}

/// The sum of all parts; null where there is none.
Value Differentiate::gradientOf(OpBuilder &builder, Value value) {
  auto found = parts.find(value);
  if (found == parts.end())
    return {};
  SmallVector<Value> &all = found->second;
  while (all.size() > 1) {
    Value last = all.pop_back_val(), other = all.pop_back_val();
    all.push_back(addMaps(builder, other, last));
  }
  return all.front();
}

SmallVector<Value> Differentiate::derive(OpBuilder &builder, Operation *op,
                                         ValueRange gradients,
                                         ArrayRef<bool> wanted) {
  SmallVector<Value> inputs(op->getOperands());
  SmallVector<int64_t> wrt;
  SmallVector<Type> types;
  for (auto [index, want] : llvm::enumerate(wanted))
    if (want) {
      wrt.push_back(index);
      types.push_back(op->getOperand(index).getType());
    }
  llvm::append_range(inputs, gradients);
  auto adjoint = AdjointOp::create(builder, op->getLoc(), types,
                                   builder.getDenseI64ArrayAttr(wrt), inputs);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&adjoint.getBody());
  // An operand that stands twice has an argument for each.
  Operation *forward = builder.clone(*op);
  for (OpOperand &operand : forward->getOpOperands())
    operand.set(block->addArgument(operand.get().getType(), op->getLoc()));
  YieldOp::create(builder, op->getLoc(), forward->getResults());
  SmallVector<Value> result(wanted.size());
  for (auto [index, value] : llvm::zip(wrt, adjoint.getResults()))
    result[index] = value;
  return result;
}

void Differentiate::propagate(OpBuilder &builder, Operation *op) {
  SmallVector<Value> gradients;
  for (Value result : op->getResults())
    gradients.push_back(gradientOf(builder, result));
  if (llvm::all_of(gradients, [](Value g) { return !g; }))
    return;
  for (auto [gradient, result] : llvm::zip(gradients, op->getResults()))
    if (!gradient)
      gradient = makeMap(builder, op->getLoc(), "zero", {result},
                         [&](OpBuilder &b, ValueRange s) -> Value {
                           return arith::ConstantOp::create(
                               b, op->getLoc(), b.getFloatAttr(s[0].getType(), 0));
                         });
  SmallVector<bool> wanted;
  for (Value operand : op->getOperands())
    wanted.push_back(active.contains(operand));
  auto own = dyn_cast<DifferentiableOpInterface>(op);
  SmallVector<Value> made = own && (!derived || !own.hasAdjoint())
                                ? own.buildGradients(builder, gradients, wanted)
                                : derive(builder, op, gradients, wanted);
  for (auto [operand, gradient] : llvm::zip(op->getOperands(), made))
    if (gradient)
      parts[operand].push_back(gradient);
}

void Differentiate::runOnOperation() {
  active.clear();
  parts.clear();
  Block &body = getOperation().getBody().front();
  OutputOp loss;
  llvm::StringMap<Value> outputs;
  SmallVector<InputOp> wrt, cotangents;
  SmallVector<Operation *> forward;
  for (Operation &op : body) {
    if (auto output = dyn_cast<OutputOp>(op)) {
      if (output.getName() == "loss")
        loss = output;
      outputs[output.getName()] = output.getValue();
    } else if (op.hasAttr(kCotangentAttr)) {
      cotangents.push_back(cast<InputOp>(op));
    } else if (op.hasAttr(kWrtAttr)) {
      wrt.push_back(cast<InputOp>(op));
    } else if (isa<ComputeOpInterface>(op)) {
      forward.push_back(&op);
    }
  }
  if (wrt.empty())
    return;
  if (!loss && cotangents.empty()) {
    getOperation().emitError("a model that is differentiated has an output 'loss'");
    return signalPassFailure();
  }
  findActive();
  OpBuilder builder = OpBuilder::atBlockEnd(&body);
  for (InputOp input : cotangents)
    parts[outputs[input->getAttrOfType<StringAttr>(kCotangentAttr)]].push_back(
        input.getResult());
  if (cotangents.empty() && failed(seed(builder, loss)))
    return signalPassFailure();
  for (Operation *op : llvm::reverse(forward))
    propagate(builder, op);
  for (InputOp input : wrt) {
    Value gradient = gradientOf(builder, input.getResult());
    // What the loss does not depend on does not change.
    if (!gradient)
      continue;
    StringRef name = input.getName();
    name.consume_front("param:");
    OutputOp::create(builder, input.getLoc(), gradient,
                     builder.getStringAttr("grad:" + name), nullptr);
  }
}
