//===- Detect.cpp - What detectors do with boxes --------------------------===//

#include "dialects/cnn/Detect.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

double SuppressOp::getFlops() {
  ArrayRef<int64_t> shape = tensorOf(getResult()).getShape();
  return 8.0 * shape[0] * shape[1] * shape[1];
}

LogicalResult SuppressOp::verify() {
  auto boxes = cast<RankedTensorType>(getBoxes().getType());
  auto candidates = cast<RankedTensorType>(getCandidates().getType());
  auto result = cast<RankedTensorType>(getType());
  bool fits = boxes.hasStaticShape() && boxes.getRank() == 3 &&
              boxes.getDimSize(2) == 4 &&
              candidates.getShape() == boxes.getShape().drop_back() &&
              result.getShape() == candidates.getShape() &&
              cast<RankedTensorType>(getThreshold().getType()).getShape() ==
                  ArrayRef<int64_t>{1};
  for (Value operand : getOperands())
    fits &= cast<RankedTensorType>(operand.getType()).getElementType() ==
            result.getElementType();
  if (!fits)
    return emitOpError("has boxes G x n x 4, candidates G x n, one threshold, "
                       "and a result G x n, all of one element type");
  return success();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Detect.cpp.inc"
