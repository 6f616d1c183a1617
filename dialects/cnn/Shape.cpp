//===- Shape.cpp - Reshaping, joining, resampling -------------------------===//

#include "dialects/cnn/Shape.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

//===----------------------------------------------------------------------===//
// flatten
//===----------------------------------------------------------------------===//

LogicalResult FlattenOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  if (x.getRank() < 2)
    return failure();
  int64_t count = 1;
  for (int64_t size : x.getShape().drop_front())
    count *= size;
  types.push_back(
      RankedTensorType::get({x.getDimSize(0), count}, x.getElementType()));
  return success();
}
bool FlattenOp::movesDataOnly() { return true; }
OpFoldResult FlattenOp::fold(FoldAdaptor) {
  return tensorOf(getX()).getRank() == 2 ? getX() : Value();
}
LayerSignature FlattenOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>> FlattenOp::buildLayer(LayerContext &context) {
  return SmallVector<Value>{
      FlattenOp::create(context.builder, context.loc, context.tensor("x"))};
}

//===----------------------------------------------------------------------===//
// concat
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  if (adaptor.getInputs().empty())
    return failure();
  auto first = tensorOf(adaptor.getInputs().front());
  if (first.getRank() < 2)
    return failure();
  SmallVector<int64_t> shape(first.getShape());
  for (Value input : adaptor.getInputs().drop_front())
    shape[1] += sizeOf(input, 1);
  types.push_back(RankedTensorType::get(shape, first.getElementType()));
  return success();
}
LogicalResult ConcatOp::verify() {
  auto first = tensorOf(getInputs().front());
  for (Value input : getInputs()) {
    auto type = tensorOf(input);
    if (type.getRank() != first.getRank() ||
        type.getShape().drop_front(2) != first.getShape().drop_front(2))
      return emitOpError("inputs differ in height or width");
  }
  return success();
}
bool ConcatOp::movesDataOnly() { return true; }
OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 ? getInputs().front() : Value();
}
LayerSignature ConcatOp::layerSignature() {
  return {{{"inputs", ParamKind::Tensors}}};
}
FailureOr<SmallVector<Value>> ConcatOp::buildLayer(LayerContext &context) {
  auto &inputs = std::get<std::vector<Value>>(context.get("inputs"));
  if (inputs.empty())
    return context.error("inputs", "'concat' needs at least one tensor");
  auto first = tensorOf(inputs.front());
  for (Value input : ArrayRef(inputs).drop_front()) {
    auto type = tensorOf(input);
    if (type.getRank() == first.getRank() &&
        type.getShape().drop_front(2) == first.getShape().drop_front(2))
      continue;
    return context.error("", "'concat' joins feature maps of one height and "
                             "width\n" + context.describe(inputs.front()) +
                                 ", " + context.describe(input));
  }
  return SmallVector<Value>{
      ConcatOp::create(context.builder, context.loc, inputs)};
}

//===----------------------------------------------------------------------===//
// upsample
//===----------------------------------------------------------------------===//

LogicalResult UpsampleOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location>,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  if (x.getRank() != 4 || adaptor.getScale().size() != 2)
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  for (int axis : {0, 1})
    shape[axis + 2] *= adaptor.getScale()[axis];
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}
double UpsampleOp::getFlops() {
  return getMode() == Resample::nearest ? 0 : 7 * elementsPerImage(getType());
}
LayerSignature UpsampleOp::layerSignature() {
  return {{{"x", ParamKind::Tensor},
           {"scale", ParamKind::Pair},
           {"mode", ParamKind::Enum, std::string("nearest"), false,
            {"nearest", "bilinear"}},
           {"align_corners", ParamKind::Bool, false}}};
}
FailureOr<SmallVector<Value>> UpsampleOp::buildLayer(LayerContext &context) {
  if (!expectMaps(context, "upsample") || !expectAtLeast(context, "scale", 1))
    return failure();
  auto mode = *symbolizeResample(context.word("mode"));
  if (mode == Resample::nearest && context.flag("align_corners"))
    return context.error("align_corners",
                         "'align_corners' goes with mode=bilinear");
  return SmallVector<Value>{UpsampleOp::create(
      context.builder, context.loc, context.tensor("x"),
      context.numbers("scale"), mode, context.flag("align_corners"))};
}

//===----------------------------------------------------------------------===//
// dropout, stop, random, in_training, pad
//===----------------------------------------------------------------------===//

LogicalResult DropoutOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
bool DropoutOp::movesDataOnly() { return true; }
OpFoldResult DropoutOp::fold(FoldAdaptor) { return getX(); }
LayerSignature DropoutOp::layerSignature() {
  return {{{"x", ParamKind::Tensor},
           {"p", ParamKind::Float, 0.5},
           {"of", ParamKind::Enum, std::string("elements"), false,
            {"elements", "channels", "images"}}}};
}
FailureOr<SmallVector<Value>> DropoutOp::buildLayer(LayerContext &context) {
  double p = context.number("p");
  if (!(p >= 0 && p < 1))
    return context.error("p", "'p' is the share that is dropped: at least 0 and "
                              "below 1");
  return SmallVector<Value>{
      DropoutOp::create(context.builder, context.loc, context.tensor("x"),
                        context.builder.getF64FloatAttr(p),
                        DroppedAttr::get(context.builder.getContext(),
                                         *symbolizeDropped(context.word("of"))))};
}

LogicalResult StopOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
bool StopOp::movesDataOnly() { return true; }
OpFoldResult StopOp::fold(FoldAdaptor) { return getX(); }
LayerSignature StopOp::layerSignature() { return {{{"x", ParamKind::Tensor}}}; }
FailureOr<SmallVector<Value>> StopOp::buildLayer(LayerContext &context) {
  return SmallVector<Value>{
      StopOp::create(context.builder, context.loc, context.tensor("x"))};
}

LogicalResult RandomOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
LayerSignature RandomOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>> RandomOp::buildLayer(LayerContext &context) {
  return SmallVector<Value>{
      RandomOp::create(context.builder, context.loc, context.tensor("x"))};
}

LogicalResult InTrainingOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                             Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getOtherwise());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
LogicalResult InTrainingOp::verify() {
  if (tensorOf(getTraining()).getShape() != tensorOf(getOtherwise()).getShape())
    return emitOpError("has two values of one shape, not ")
           << getTraining().getType() << " and " << getOtherwise().getType();
  return success();
}
bool InTrainingOp::movesDataOnly() { return true; }
OpFoldResult InTrainingOp::fold(FoldAdaptor) { return getOtherwise(); }
LayerSignature InTrainingOp::layerSignature() {
  return {{{"training", ParamKind::Tensor}, {"otherwise", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>> InTrainingOp::buildLayer(LayerContext &context) {
  Value training = context.tensor("training"), otherwise = context.tensor("otherwise");
  if (tensorOf(training).getShape() != tensorOf(otherwise).getShape())
    return context.error("otherwise", "in_training chooses between values of one "
                                      "shape, not " +
                                          shapeText(training.getType()) + " and " +
                                          shapeText(otherwise.getType()));
  return SmallVector<Value>{
      InTrainingOp::create(context.builder, context.loc, training, otherwise)};
}

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                      Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  if (x.getRank() != 4 || adaptor.getPad().size() != 4)
    return failure();
  SmallVector<int64_t> shape(x.getShape());
  for (int axis : {0, 1})
    shape[axis + 2] += adaptor.getPad()[axis] + adaptor.getPad()[axis + 2];
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}
LogicalResult PadOp::verify() {
  for (int axis : {0, 1}) {
    int64_t size = sizeOf(getX(), axis + 2);
    int64_t widest = std::max(getPad()[axis], getPad()[axis + 2]);
    if (getPad()[axis] < 0 || getPad()[axis + 2] < 0 ||
        (getMode() == PadMode::reflect && widest >= size) ||
        (getMode() == PadMode::circular && widest > size))
      return emitOpError("padding reaches further than the input");
  }
  return success();
}
LayerSignature PadOp::layerSignature() {
  return {{{"x", ParamKind::Tensor},
           {"pad", ParamKind::Pad},
           {"mode", ParamKind::Enum, std::string("zero"), false,
            {"zero", "reflect", "replicate", "circular"}}}};
}
FailureOr<SmallVector<Value>> PadOp::buildLayer(LayerContext &context) {
  if (!expectMaps(context, "pad") || !expectAtLeast(context, "pad", 0))
    return failure();
  auto *pad = std::get_if<std::vector<int64_t>>(&context.get("pad"));
  if (!pad)
    return context.error("pad", "'pad' needs numbers");
  auto mode = *symbolizePadMode(context.word("mode"));
  Value x = context.tensor("x");
  for (int axis : {0, 1}) {
    int64_t widest = std::max((*pad)[axis], (*pad)[axis + 2]);
    int64_t limit = mode == PadMode::reflect    ? sizeOf(x, axis + 2) - 1
                    : mode == PadMode::circular ? sizeOf(x, axis + 2)
                                                : widest;
    if (widest > limit)
      return context.error("mode", "padding '" + context.word("mode") +
                                       "' can reach " + Twine(limit) +
                                       " cells here, and " + Twine(widest) +
                                       " are asked for",
                           context.describe(x));
  }
  return SmallVector<Value>{
      PadOp::create(context.builder, context.loc, x, *pad, mode)};
}

bool RelayoutOp::movesDataOnly() { return true; }
LogicalResult RelayoutOp::verify() {
  if (!differInStorageOnly(getX().getType(), getType()))
    return emitOpError("changes the shape");
  return success();
}

void CnnDialect::registerShapeOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Shape.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#include "dialects/cnn/ShapeEnums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/cnn/Shape.cpp.inc"
