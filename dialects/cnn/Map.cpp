//===- Map.cpp - Elementwise functions ------------------------------------===//

#include "dialects/cnn/Gradient.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

std::optional<SmallVector<int64_t>> MapOp::broadcast(TypeRange types) {
  size_t rank = 0;
  for (Type type : types)
    rank = std::max<size_t>(rank, cast<RankedTensorType>(type).getRank());
  SmallVector<int64_t> shape(rank, 1);
  for (Type type : types) {
    ArrayRef<int64_t> sizes = cast<RankedTensorType>(type).getShape();
    // A vector lies along the channels.
    SmallVector<int64_t> spread(rank, 1);
    if (sizes.size() == 1 && rank > 1)
      spread[1] = sizes[0];
    else if (sizes.size() == rank)
      spread.assign(sizes.begin(), sizes.end());
    else
      return std::nullopt;
    for (auto [size, other] : llvm::zip(shape, spread)) {
      if (size == 1)
        size = other;
      else if (other != 1 && other != size)
        return std::nullopt;
    }
  }
  return shape;
}

LogicalResult MapOp::verify() {
  std::optional<SmallVector<int64_t>> shape =
      broadcast(getInputs().getTypes());
  if (!shape)
    return emitOpError("the inputs' shapes do not broadcast");
  if (getInputs().size() && ArrayRef(*shape) != tensorOf(getResult()).getShape())
    return emitOpError("the result's shape is not the inputs' broadcast shape");
  Block &block = getBody().front();
  if (block.getNumArguments() != getInputs().size())
    return emitOpError("the region takes one scalar per input");
  auto yield = dyn_cast_or_null<YieldOp>(
      block.mightHaveTerminator() ? block.getTerminator() : nullptr);
  auto fits = [](Type scalar, Value tensor) {
    Type element = tensorOf(tensor).getElementType();
    // Numbers from 0 on are computed with as their bits.
    if (auto whole = dyn_cast<IntegerType>(element))
      return scalar.isSignlessInteger(whole.getWidth());
    return scalar == element || (scalar.isF32() && element.isBF16());
  };
  if (!yield || yield.getNumOperands() != 1 ||
      !fits(yield.getOperand(0).getType(), getResult()))
    return emitOpError("the region yields one element of the result");
  for (Operation &op : block.without_terminator())
    if (!isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) &&
        !isa<DerivativeOp>(op))
      return op.emitOpError("is not an operation on scalars");
  return success();
}

double MapOp::getFlops() {
  double ops = 0;
  for (Operation &op : getBody().front().without_terminator())
    ops += !isa<arith::ConstantOp>(op);
  return ops * elementsPerImage(getType());
}

bool MapOp::isAnchor() { return false; }

void CnnDialect::registerMapOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Map.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Map.cpp.inc"
