//===- Detect.cpp - What detectors do with boxes --------------------------===//

#include "dialects/cnn/Detect.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

LogicalResult SuppressOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location>,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto candidates = tensorOf(adaptor.getCandidates());
  types.push_back(RankedTensorType::get(candidates.getShape(),
                                        candidates.getElementType()));
  return success();
}

double SuppressOp::getFlops() {
  double count = tensorOf(getResult()).getShape().back();
  return 8.0 * count * count;
}

/// Whether the two are computed in one type, however they are stored.
static bool areAlike(RankedTensorType a, RankedTensorType b) {
  return differInStorageOnly(Type(a.clone(b.getShape())), Type(b));
}

static bool fits(RankedTensorType boxes, RankedTensorType candidates,
                 RankedTensorType threshold) {
  return boxes.getRank() == 3 && boxes.getDimSize(2) == 4 &&
         candidates.getShape() == boxes.getShape().drop_back() &&
         threshold.getShape() == ArrayRef<int64_t>{1} &&
         areAlike(boxes, candidates) && areAlike(boxes, threshold);
}

LogicalResult SuppressOp::verify() {
  if (!fits(tensorOf(getBoxes()), tensorOf(getCandidates()),
            tensorOf(getThreshold())))
    return emitOpError("has boxes G x n x 4, candidates G x n, one threshold, "
                       "all of one element type but for storage");
  return success();
}

bool SuppressOp::hasAdjoint() { return false; }

SmallVector<Value> SuppressOp::buildGradients(OpBuilder &, ValueRange,
                                              ArrayRef<bool> wanted) {
  return SmallVector<Value>(wanted.size());
}

LayerSignature SuppressOp::layerSignature() {
  return {{{"boxes", ParamKind::Tensor},
           {"candidates", ParamKind::Tensor},
           {"threshold", ParamKind::Tensor}}};
}

FailureOr<SmallVector<Value>> SuppressOp::buildLayer(LayerContext &context) {
  Value boxes = context.tensor("boxes"),
        candidates = context.tensor("candidates"),
        threshold = context.tensor("threshold");
  if (!fits(tensorOf(boxes), tensorOf(candidates), tensorOf(threshold)))
    return context.error(
        "boxes",
        "'suppress' takes boxes N x n x 4, candidates N x n and one "
        "threshold, and " +
            context.describe(boxes) + ", " + context.describe(candidates));
  return SmallVector<Value>{SuppressOp::create(
      context.builder, context.loc, boxes, candidates, threshold)};
}

LogicalResult LargestOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}

double LargestOp::getFlops() {
  auto type = tensorOf(getResult());
  return 2.0 * type.getElementTypeBitWidth() * type.getShape().back();
}

static bool fits(RankedTensorType x, RankedTensorType count) {
  return x.getRank() == 2 && count.getRank() == 2 &&
         count.getDimSize(0) == x.getDimSize(0) && count.getDimSize(1) == 1 &&
         areAlike(x, count);
}

LogicalResult LargestOp::verify() {
  if (!fits(tensorOf(getX()), tensorOf(getCount())))
    return emitOpError("has rows G x n and counts G x 1, both of one "
                       "element type but for storage");
  return success();
}

bool LargestOp::hasAdjoint() { return false; }

SmallVector<Value> LargestOp::buildGradients(OpBuilder &, ValueRange,
                                             ArrayRef<bool> wanted) {
  return SmallVector<Value>(wanted.size());
}

LayerSignature LargestOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}, {"count", ParamKind::Tensor}}};
}

FailureOr<SmallVector<Value>> LargestOp::buildLayer(LayerContext &context) {
  Value x = context.tensor("x"), count = context.tensor("count");
  if (!fits(tensorOf(x), tensorOf(count)))
    return context.error("x", "'largest' takes rows N x n and a count for each, "
                              "N x 1, and " +
                                  context.describe(x) + ", " +
                                  context.describe(count));
  return SmallVector<Value>{
      LargestOp::create(context.builder, context.loc, x, count)};
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Detect.cpp.inc"
