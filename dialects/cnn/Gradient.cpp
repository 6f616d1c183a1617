//===- Gradient.cpp - Derivatives, and what they are made of --------------===//

#include "dialects/cnn/Gradient.h"
#include "dialects/cnn/Conv.h"
#include "dialects/cnn/Graph.h"
#include "dialects/cnn/Linear.h"
#include "dialects/cnn/Shape.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Weights.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace halcyon::cnn {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult DerivativeOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("the region's arguments are not the operands");
  if (getWrt() < 0 || getWrt() >= (int64_t)getInputs().size())
    return emitOpError("there is no argument ") << getWrt();
  return success();
}

LogicalResult AdjointOp::verify() {
  Block &block = getBody().front();
  auto yield = dyn_cast_or_null<YieldOp>(
      block.mightHaveTerminator() ? block.getTerminator() : nullptr);
  if (!yield || block.getOperations().size() != 2 ||
      yield.getOperands() != block.front().getResults())
    return emitOpError("the region holds one operation and yields its results");
  if (getInputs().size() != block.getNumArguments() + yield.getNumOperands())
    return emitOpError("has a value per argument and a gradient per result");
  if (getWrt().size() != getNumResults())
    return emitOpError("has a result per argument that 'wrt' lists");
  for (auto [index, result] : llvm::zip(getWrt(), getResults()))
    if (index < 0 || index >= (int64_t)block.getNumArguments() ||
        !differInStorageOnly(result.getType(),
                             block.getArgument(index).getType()))
      return emitOpError("gives gradients of its arguments");
  return success();
}

LogicalResult SumOp::verify() {
  if (getInputs().empty() || getInputs().size() != getNumResults())
    return emitOpError("has a result per operand");
  for (auto [input, result] : llvm::zip(getInputs(), getResults())) {
    ArrayRef<int64_t> from = tensorOf(input).getShape();
    ArrayRef<int64_t> to = tensorOf(result).getShape();
    if (from != tensorOf(getInputs().front()).getShape())
      return emitOpError("sums operands of one shape");
    bool vector = to.size() == 1 && from.size() > 1 &&
                  (to[0] == 1 || to[0] == from[1]);
    bool same = to.size() == from.size();
    for (size_t i = 0; same && i < to.size(); ++i)
      same = to[i] == 1 || to[i] == from[i];
    if (!vector && !same)
      return emitOpError("sums to sizes of 1, or to a vector of the channels");
  }
  return success();
}

LogicalResult ConvWeightGradOp::verify() {
  auto x = tensorOf(getX()), dy = tensorOf(getDy()), w = tensorOf(getResult());
  int64_t groups = getGroups();
  if (x.getRank() != 4 || dy.getRank() != 4 || w.getRank() != 4 ||
      getStride().size() != 2 || getPad().size() != 2 ||
      getDilation().size() != 2 || groups < 1 ||
      w.getDimSize(0) != dy.getDimSize(1) ||
      w.getDimSize(1) * groups != x.getDimSize(1))
    return emitOpError("gives O x C/groups x KH x KW of N x C x H x W and "
                       "N x O x OH x OW");
  return success();
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

double AdjointOp::getFlops() {
  auto forward = dyn_cast<ComputeOpInterface>(getForward());
  return forward ? getNumResults() * forward.getFlops() : 0;
}
bool AdjointOp::takesEpilogue() { return false; }
bool AdjointOp::isPerImage() {
  auto forward = dyn_cast<ComputeOpInterface>(getForward());
  return forward && forward.isPerImage() && hasBatches(*this);
}
double SumOp::getFlops() {
  return getInputs().size() * elementsPerImage(getInputs().front().getType());
}
bool SumOp::takesPrologue() { return true; }
bool SumOp::takesPrologues() { return true; }
double BatchStatsOp::getFlops() {
  return 4 * elementsPerImage(getX().getType());
}
double ConvWeightGradOp::getFlops() {
  return 2.0 * elementsPerImage(getDy().getType()) *
         elementsPerImage(getResult().getType());
}
double LinearWeightGradOp::getFlops() {
  return 2.0 * sizeOf(getX(), 1) * sizeOf(getDy(), 1);
}

//===----------------------------------------------------------------------===//
// Parts of gradients
//===----------------------------------------------------------------------===//

MapOp makeMap(OpBuilder &builder, Location loc, StringRef function,
              ValueRange operands,
              llvm::function_ref<Value(OpBuilder &, ValueRange)> body) {
  Type element = tensorOf(operands.front()).getElementType();
  auto shape = MapOp::broadcast(operands.getTypes());
  assert(shape && "shapes that do not broadcast");
  auto map = MapOp::create(builder, loc, RankedTensorType::get(*shape, element),
                           builder.getStringAttr(function), operands);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&map.getBody());
  for (Value operand : operands)
    block->addArgument(tensorOf(operand).getElementType(), loc);
  YieldOp::create(builder, loc, body(builder, block->getArguments()));
  return map;
}

Value sumTo(OpBuilder &builder, Location loc, Value gradient, Type operand) {
  if (tensorOf(gradient).getShape() == cast<RankedTensorType>(operand).getShape())
    return gradient;
  return SumOp::create(builder, loc, TypeRange(operand), ValueRange(gradient))
      .getResult(0);
}

/// dy for a vector that was added to every position.
static Value biasGradient(OpBuilder &builder, Location loc, Value dy,
                          Value bias) {
  return sumTo(builder, loc, dy, bias.getType());
}

//===----------------------------------------------------------------------===//
// map
//===----------------------------------------------------------------------===//

bool MapOp::hasAdjoint() { return false; }
// An access in which one variable stands twice, as reshaping has it, Halide
// differentiates wrongly (its issue 7385).
bool FlattenOp::hasAdjoint() { return false; }
bool UnflattenOp::hasAdjoint() { return false; }

static bool dependsOn(Value value, Value argument) {
  Operation *op = value.getDefiningOp();
  return value == argument ||
         (op && llvm::any_of(op->getOperands(), [&](Value operand) {
            return dependsOn(operand, argument);
          }));
}

/// Whether an argument is a term of what the function yields, and nothing else:
/// the derivative is 1.
static bool isTerm(Block &function, Value argument) {
  Value value = function.getTerminator()->getOperand(0);
  while (value != argument) {
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<arith::AddFOp, arith::SubFOp>(op))
      return false;
    bool left = dependsOn(op->getOperand(0), argument);
    bool right = dependsOn(op->getOperand(1), argument);
    if (left == right || (right && isa<arith::SubFOp>(op)))
      return false;
    value = op->getOperand(left ? 0 : 1);
  }
  return true;
}

/// The number of which the function takes the part above zero; null for any other
/// function.
static Value partAboveZero(Block &function) {
  auto maximum =
      function.getTerminator()->getOperand(0).getDefiningOp<arith::MaximumFOp>();
  FloatAttr zero;
  if (!maximum || !isa<BlockArgument>(maximum.getLhs()) ||
      !matchPattern(maximum.getRhs(), m_Constant(&zero)) || !zero.getValue().isZero())
    return {};
  return maximum.getLhs();
}

SmallVector<Value> MapOp::buildGradients(OpBuilder &builder,
                                         ValueRange gradients,
                                         ArrayRef<bool> wanted) {
  Value dy = gradients[0];
  SmallVector<Value> operands(getInputs());
  operands.push_back(dy);
  SmallVector<Value> whole(getInputs().size()), result(getInputs().size());
  // Sums of one shape are taken in one pass.
  llvm::MapVector<Type, SmallVector<unsigned>> summed;
  Block &function = getBody().front();
  // The part above zero is above zero where its number is: nothing has to keep
  // that one.
  Value number = partAboveZero(function);
  if (number)
    operands[cast<BlockArgument>(number).getArgNumber()] = getResult();
  auto cloneFunction = [&](Region &into) {
    IRMapping mapping;
    getBody().cloneInto(&into, mapping);
    if (!number)
      return;
    Operation *maximum = mapping.lookup(
        function.getTerminator()->getOperand(0).getDefiningOp());
    OpBuilder b(maximum);
    Value above = arith::CmpFOp::create(b, getLoc(), arith::CmpFPredicate::OGT,
                                        maximum->getOperand(0), maximum->getOperand(1));
    Value part = arith::SelectOp::create(b, getLoc(), above, maximum->getOperand(0),
                                         maximum->getOperand(1));
    maximum->replaceAllUsesWith(ValueRange(part));
    maximum->erase();
  };
  for (unsigned i = 0; i < getInputs().size(); ++i) {
    if (!wanted[i])
      continue;
    whole[i] = isTerm(function, function.getArgument(i)) ? dy : makeMap(
        builder, getLoc(), (getFunction() + ".grad").str(), operands,
        [&](OpBuilder &b, ValueRange scalars) -> Value {
          auto derivative = DerivativeOp::create(
              b, getLoc(), scalars.back().getType(), b.getI64IntegerAttr(i),
              scalars.drop_back());
          cloneFunction(derivative.getBody());
          return arith::MulFOp::create(b, getLoc(), derivative.getResult(),
                                       scalars.back());
        });
    Type type = getInputs()[i].getType();
    if (cast<RankedTensorType>(type).getShape() == tensorOf(whole[i]).getShape())
      result[i] = whole[i];
    else
      summed[type].push_back(i);
  }
  for (auto &[type, indices] : summed) {
    SmallVector<Value> values;
    for (unsigned i : indices)
      values.push_back(whole[i]);
    auto sum = SumOp::create(builder, getLoc(),
                             SmallVector<Type>(values.size(), type), values);
    for (auto [index, value] : llvm::zip(indices, sum.getResults()))
      result[index] = value;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Convolutions and dense layers
//===----------------------------------------------------------------------===//

SmallVector<Value> ConvOp::buildGradients(OpBuilder &builder,
                                          ValueRange gradients,
                                          ArrayRef<bool> wanted) {
  assert(getPadMode() == PadMode::zero && getAutoPad() == AutoPad::none &&
         "padding is numbers of zeros before differentiation");
  Value dy = gradients[0];
  SmallVector<Value> result(wanted.size());
  ArrayRef<int64_t> pad = getPad(), stride = getStride(), dilation = getDilation();
  auto w = tensorOf(getWeight());
  int64_t groups = getGroups();
  if (wanted[0]) {
    SmallVector<int64_t> back, outputPad;
    for (int i : {0, 1, 2, 3}) {
      int64_t reach = dilation[i % 2] * (w.getDimSize(2 + i % 2) - 1);
      back.push_back(reach - pad[i]);
    }
    for (int i : {0, 1}) {
      int64_t reach = dilation[i] * (w.getDimSize(2 + i) - 1);
      outputPad.push_back(sizeOf(getX(), 2 + i) + pad[i] + pad[i + 2] - reach - 1 -
                          (sizeOf(dy, 2 + i) - 1) * stride[i]);
    }
    bool plain = stride[0] == 1 && stride[1] == 1 &&
                 llvm::all_of(back, [](int64_t p) { return p >= 0; });
    if (plain) {
      Value filter = AdjointFilterOp::create(
          builder, getLoc(), w.clone(adjointShape(w.getShape(), groups)), getWeight(), groups);
      result[0] = ConvOp::create(builder, getLoc(), dy, filter, Value(), stride,
                                 back, dilation, groups, PadMode::zero,
                                 AutoPad::none);
    } else {
      result[0] =
          ConvTransposeOp::create(builder, getLoc(), dy, getWeight(), Value(),
                                  stride, pad, outputPad, dilation, groups);
    }
  }
  if (wanted[1])
    result[1] = ConvWeightGradOp::create(builder, getLoc(),
                                         getWeight().getType(), getX(), dy, stride,
                                         pad.take_front(2), dilation, groups);
  if (wanted.size() > 2 && wanted[2])
    result[2] = biasGradient(builder, getLoc(), dy, getBias());
  return result;
}

SmallVector<Value> ConvTransposeOp::buildGradients(OpBuilder &builder,
                                                   ValueRange gradients,
                                                   ArrayRef<bool> wanted) {
  Value dy = gradients[0];
  SmallVector<Value> result(wanted.size());
  ArrayRef<int64_t> pad = getPad(), stride = getStride(), dilation = getDilation();
  if (wanted[0]) {
    // As much padding at the end as x has positions.
    SmallVector<int64_t> back(pad);
    for (int i : {0, 1})
      back[i + 2] = (sizeOf(getX(), 2 + i) - 1) * stride[i] +
                    dilation[i] * (sizeOf(getWeight(), 2 + i) - 1) + 1 -
                    sizeOf(dy, 2 + i) - pad[i];
    for (int i : {2, 3})
      back[i] = std::max<int64_t>(back[i], 0);
    result[0] = ConvOp::create(builder, getLoc(), dy, getWeight(), Value(), stride,
                               back, dilation, getGroups(), PadMode::zero,
                               AutoPad::none);
  }
  if (wanted[1])
    result[1] = ConvWeightGradOp::create(builder, getLoc(), getWeight().getType(),
                                         dy, getX(), stride, pad.take_front(2),
                                         dilation, getGroups());
  if (wanted.size() > 2 && wanted[2])
    result[2] = biasGradient(builder, getLoc(), dy, getBias());
  return result;
}

SmallVector<Value> LinearOp::buildGradients(OpBuilder &builder,
                                            ValueRange gradients,
                                            ArrayRef<bool> wanted) {
  Value dy = gradients[0];
  SmallVector<Value> result(wanted.size());
  auto w = tensorOf(getWeight());
  if (wanted[0]) {
    Value filter = AdjointFilterOp::create(
        builder, getLoc(), w.clone(adjointShape(w.getShape(), 1)), getWeight(), 1);
    result[0] = LinearOp::create(builder, getLoc(), dy, filter, Value());
  }
  if (wanted[1])
    result[1] = LinearWeightGradOp::create(builder, getLoc(),
                                           getWeight().getType(), getX(), dy);
  if (wanted.size() > 2 && wanted[2])
    result[2] = biasGradient(builder, getLoc(), dy, getBias());
  return result;
}

//===----------------------------------------------------------------------===//
// Statistics and shapes
//===----------------------------------------------------------------------===//

/// dx = (dmean + 2 (x - mean) dvariance) / count
SmallVector<Value> BatchStatsOp::buildGradients(OpBuilder &builder,
                                                ValueRange gradients,
                                                ArrayRef<bool> wanted) {
  Location loc = getLoc();
  Value count = CountOp::create(
      builder, loc,
      RankedTensorType::get({1}, tensorOf(getX()).getElementType()), getX());
  return {makeMap(
      builder, loc, "batch_stats.grad",
      {getX(), getMean(), gradients[0], gradients[1], count},
      [&](OpBuilder &b, ValueRange s) -> Value {
        Value difference = arith::SubFOp::create(b, loc, s[0], s[1]);
        Value twice = arith::AddFOp::create(b, loc, difference, difference);
        Value product = arith::MulFOp::create(b, loc, twice, s[3]);
        Value sum = arith::AddFOp::create(b, loc, s[2], product);
        return arith::DivFOp::create(b, loc, sum, s[4]);
      })};
}

SmallVector<Value> FlattenOp::buildGradients(OpBuilder &builder,
                                             ValueRange gradients,
                                             ArrayRef<bool> wanted) {
  return {UnflattenOp::create(builder, getLoc(), getX().getType(), gradients[0])};
}

SmallVector<Value> UnflattenOp::buildGradients(OpBuilder &builder,
                                               ValueRange gradients,
                                               ArrayRef<bool> wanted) {
  return {FlattenOp::create(builder, getLoc(), gradients[0])};
}

void CnnDialect::registerGradientOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Gradient.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Gradient.cpp.inc"
