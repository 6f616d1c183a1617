//===- Norm.cpp - Normalisation -------------------------------------------===//

#include "dialects/cnn/Norm.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

LogicalResult BatchNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location>,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
double BatchNormOp::getFlops() { return 2 * elementsPerImage(getType()); }
LayerSignature BatchNormOp::layerSignature() {
  return {{{"x", ParamKind::Tensor},
           {"eps", ParamKind::Float, 1e-5},
           {"momentum", ParamKind::Float, 0.1}}};
}
FailureOr<SmallVector<Value>> BatchNormOp::buildLayer(LayerContext &context) {
  Value x = context.tensor("x");
  if (tensorOf(x).getRank() < 2)
    return context.error("x", "'batchnorm' takes feature maps or features, and " +
                                  context.describe(x));
  if (context.number("eps") < 0)
    return context.error("eps", "'eps' must not be negative");
  int64_t channels = sizeOf(x, 1);
  Value weight = context.weight("weight", {channels});
  Value bias = context.weight("bias", {channels});
  Value mean = context.weight("running_mean", {channels});
  Value var = context.weight("running_var", {channels});
  return SmallVector<Value>{BatchNormOp::create(
      context.builder, context.loc, x, weight, bias, mean, var,
      context.builder.getF64FloatAttr(context.number("eps")),
      context.builder.getF64FloatAttr(context.number("momentum")))};
}

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  types.push_back(RankedTensorType::get(x.getShape(), x.getElementType()));
  return success();
}
double SoftmaxOp::getFlops() { return 5 * elementsPerImage(getType()); }
LayerSignature SoftmaxOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>> SoftmaxOp::buildLayer(LayerContext &context) {
  return SmallVector<Value>{
      SoftmaxOp::create(context.builder, context.loc, context.tensor("x"))};
}

void CnnDialect::registerNormOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Norm.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Norm.cpp.inc"
