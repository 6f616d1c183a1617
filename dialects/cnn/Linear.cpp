//===- Linear.cpp - Dense layers ------------------------------------------===//

#include "dialects/cnn/Linear.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

LogicalResult LinearOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX()), w = tensorOf(adaptor.getWeight());
  if (x.getRank() != 2 || w.getRank() < 2)
    return failure();
  types.push_back(RankedTensorType::get({x.getDimSize(0), w.getDimSize(0)},
                                        x.getElementType()));
  return success();
}

LogicalResult LinearOp::verify() {
  auto x = tensorOf(getX()), w = tensorOf(getWeight());
  if (w.getRank() == 2 && w.getDimSize(1) != x.getDimSize(1))
    return emitOpError("weight has ") << w.getDimSize(1) << " columns, and x "
                                      << x.getDimSize(1) << " features";
  return success();
}

double LinearOp::getFlops() {
  return 2.0 * sizeOf(getX(), 1) * elementsPerImage(getType());
}

LayerSignature LinearOp::layerSignature() {
  return {{{"x", ParamKind::Tensor},
           {"features", ParamKind::Int},
           {"bias", ParamKind::Bool, true}}};
}

LayerValue LinearOp::layerArgument(const LayerParam &param) {
  if (param.name == "features")
    return sizeOf(getResult(), 1);
  if (param.name == "bias")
    return bool(getBias());
  return attributeArgument(*this, param);
}

FailureOr<SmallVector<Value>> LinearOp::buildLayer(LayerContext &context) {
  Value x = context.tensor("x");
  if (tensorOf(x).getRank() != 2)
    return context.error("x",
                         "'linear' takes features without height and width, and " +
                             context.describe(x),
                         "put flatten or global_avgpool -> flatten before it");
  if (!expectAtLeast(context, "features", 1))
    return failure();
  int64_t out = context.integer("features");
  Value weight = context.weight("weight", {out, sizeOf(x, 1)});
  Value bias = context.flag("bias") ? context.weight("bias", {out}) : Value();
  return SmallVector<Value>{
      LinearOp::create(context.builder, context.loc, x, weight, bias)};
}

void CnnDialect::registerLinearOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Linear.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Linear.cpp.inc"
