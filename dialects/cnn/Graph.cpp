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
  int anchors = 0;
  for (Operation &op : block.without_terminator()) {
    auto compute = dyn_cast<ComputeOpInterface>(op);
    if (!compute)
      return op.emitOpError("can not be part of a kernel");
    anchors += compute.isAnchor();
  }
  if (anchors > 1)
    return emitOpError("has more than one operation with structure");
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
