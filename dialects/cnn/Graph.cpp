//===- Graph.cpp - Models, their ports, and fused groups ------------------===//

#include "dialects/cnn/Graph.h"
#include "dialects/cnn/Map.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

LogicalResult FusedOp::verify() {
  Block &block = getBody().front();
  if (!differInLayoutOnly(block.getArgumentTypes(), getInputs().getTypes()))
    return emitOpError("the region's arguments are not the inputs");
  auto yield = dyn_cast_or_null<YieldOp>(
      block.mightHaveTerminator() ? block.getTerminator() : nullptr);
  if (!yield ||
      !differInLayoutOnly(yield.getValues().getTypes(), getResultTypes()))
    return emitOpError("the region yields the results");
  // What depends on an operation with structure; the next of them reads it.
  llvm::SmallPtrSet<Operation *, 4> behind;
  for (Operation &op : block.without_terminator()) {
    auto compute = dyn_cast<ComputeOpInterface>(op);
    if (!compute)
      return op.emitOpError("can not be part of a kernel");
    bool reads = llvm::any_of(op.getOperands(), [&](Value operand) {
      return behind.contains(operand.getDefiningOp());
    });
    if (compute.isAnchor() && !behind.empty() && !reads)
      return emitOpError("has operations with structure none of which reads the other");
    if (compute.isAnchor() || reads)
      behind.insert(&op);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Bounds of errors
//===----------------------------------------------------------------------===//

bool takesMaxError(Operation *op) {
  if (isa<ModelOp, FusedOp>(op))
    return true;
  auto compute = dyn_cast<ComputeOpInterface>(op);
  return compute && compute.isAnchor() && !compute.movesDataOnly();
}

double maxErrorOf(Operation *op) {
  for (Operation *scope = op; scope; scope = scope->getParentOp())
    if (auto bound = scope->getAttrOfType<FloatAttr>(kMaxErrorAttr))
      return bound.getValueAsDouble();
  auto stored = [](TypeRange types) {
    return llvm::any_of(types, [](Type type) {
      return isa<RankedTensorType>(type) && isBf16(type);
    });
  };
  return stored(op->getOperandTypes()) || stored(op->getResultTypes())
             ? kDefaultBf16MaxError
             : kDefaultMaxError;
}

void copyPrecision(Operation *from, Operation *to) {
  if (Attribute precision = from->getAttr(kPrecisionAttr))
    to->setAttr(kPrecisionAttr, precision);
}

LogicalResult CnnDialect::verifyOperationAttribute(Operation *op,
                                                   NamedAttribute attribute) {
  if (attribute.getName() == kPrecisionAttr) {
    auto name = dyn_cast<StringAttr>(attribute.getValue());
    if (isa<ComputeOpInterface>(op) && name &&
        symbolizePrecision(name.getValue()))
      return success();
    return op->emitOpError() << kPrecisionAttr
                             << " is \"f32\" or \"bf16\", of a layer";
  }
  if (attribute.getName() != kMaxErrorAttr)
    return success();
  auto bound = dyn_cast<FloatAttr>(attribute.getValue());
  if (!bound || !bound.getType().isF64() ||
      !(bound.getValueAsDouble() >= kLeastMaxError &&
        bound.getValueAsDouble() <= kMostMaxError))
    return op->emitOpError() << kMaxErrorAttr << " is an f64 from "
                             << kLeastMaxError << " to " << kMostMaxError;
  if (!takesMaxError(op))
    return op->emitOpError() << "has no error that " << kMaxErrorAttr
                             << " could bound";
  return success();
}

void CnnDialect::registerGraphOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Graph.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Graph.cpp.inc"
