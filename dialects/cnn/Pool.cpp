//===- Pool.cpp - Pooling: shapes, checks, how the language calls it ------===//

#include "dialects/cnn/Pool.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

/// The output size along an axis. In ceil mode a window that would begin in
/// the padding at the end is dropped, as PyTorch and ONNX do.
static int64_t poolCount(int64_t n, int64_t before, int64_t after, int64_t k,
                         int64_t stride, int64_t dilation, bool ceil) {
  int64_t count = windowCount(n, before + after, k, stride, dilation, ceil);
  if (ceil && (count - 1) * stride >= n + before)
    --count;
  return count;
}

template <typename Adaptor>
static LogicalResult inferPool(Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  if (x.getRank() != 4 || adaptor.getKernel().size() != 2 ||
      adaptor.getStride().size() != 2 || adaptor.getPad().size() != 4 ||
      adaptor.getDilation().size() != 2)
    return failure();
  SmallVector<int64_t> shape(x.getShape().take_front(2));
  std::vector<int64_t> pad = padNumbers(
      adaptor.getAutoPad(), adaptor.getPad(), x.getShape().drop_front(2),
      adaptor.getKernel(), adaptor.getStride(), adaptor.getDilation());
  for (int axis : {0, 1})
    shape.push_back(poolCount(x.getDimSize(axis + 2), pad[axis], pad[axis + 2],
                              adaptor.getKernel()[axis],
                              adaptor.getStride()[axis],
                              adaptor.getDilation()[axis], adaptor.getCeil()));
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

template <typename Op> static LogicalResult verifyPool(Op op) {
  for (int64_t size : tensorOf(op.getResult()).getShape().drop_front(2))
    if (size < 1)
      return op.emitOpError("the window is larger than the padded input");
  return success();
}

template <typename Op> static Window poolWindow(Op op) {
  Window window;
  for (int axis : {0, 1}) {
    window.size[axis] = op.getDilation()[axis] * (op.getKernel()[axis] - 1) + 1;
    window.stride[axis] = op.getStride()[axis];
    window.pad[axis] = op.getPad()[axis];
  }
  return window;
}

/// Windows that don't overlap read each element once.
template <typename Op> static bool windowsAreApart(Op op) {
  Window window = poolWindow(op);
  return window.stride[0] >= window.size[0] &&
         window.stride[1] >= window.size[1];
}

template <typename Op> static double poolFlops(Op op) {
  return elementsPerImage(op.getType()) * op.getKernel()[0] * op.getKernel()[1];
}

static LayerSignature poolSignature() {
  std::vector<int64_t> one = {1, 1};
  return {{{"x", ParamKind::Tensor},
           {"kernel", ParamKind::Pair},
           {"stride", ParamKind::Pair, std::monostate{}, /*optional=*/true},
           padParam(std::vector<int64_t>{0, 0, 0, 0}),
           {"dilation", ParamKind::Pair, one},
           {"ceil", ParamKind::Bool, false}}};
}

struct PoolArguments {
  std::vector<int64_t> kernel, stride, dilation;
  Padding padding;
};

static FailureOr<PoolArguments> poolArguments(LayerContext &context,
                                              StringRef layer) {
  if (!expectMaps(context, layer))
    return failure();
  bool fine = true;
  for (StringRef param : {"kernel", "stride", "dilation"})
    fine &= expectAtLeast(context, param, 1);
  if (!fine)
    return failure();
  PoolArguments result;
  result.kernel = context.numbers("kernel");
  result.stride =
      context.has("stride") ? context.numbers("stride") : result.kernel;
  result.dilation = context.numbers("dilation");
  auto padding = resolvePad(context, layer, result.kernel, result.dilation);
  if (failed(padding))
    return failure();
  result.padding = *padding;
  Value x = context.tensor("x");
  std::vector<int64_t> pad =
      padNumbers(padding->mode, padding->pad, tensorOf(x).getShape().drop_front(2),
                 result.kernel, result.stride, result.dilation);
  for (int axis : {0, 1}) {
    int64_t reach = result.dilation[axis] * (result.kernel[axis] - 1) + 1;
    if (std::max(pad[axis], pad[axis + 2]) >= reach)
      return context.error("pad",
                           "a window of " + Twine(reach) +
                               " would lie in the padding alone",
                           "pad less than the window");
    if (poolCount(sizeOf(x, axis + 2), pad[axis], pad[axis + 2],
                  result.kernel[axis], result.stride[axis],
                  result.dilation[axis], context.flag("ceil")) < 1)
      return context.error("kernel",
                           "a window of " + Twine(reach) + " does not fit " +
                               (axis ? "a width" : "a height") + " of " +
                               Twine(sizeOf(x, axis + 2)) + " padded by " +
                               Twine(pad[axis] + pad[axis + 2]),
                           context.describe(x));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// maxpool, avgpool
//===----------------------------------------------------------------------===//

LogicalResult MaxPoolOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  return inferPool(adaptor, types);
}
LogicalResult MaxPoolOp::verify() { return verifyPool(*this); }
double MaxPoolOp::getFlops() { return poolFlops(*this); }
Window MaxPoolOp::getWindow() { return poolWindow(*this); }
bool MaxPoolOp::takesPrologue() { return windowsAreApart(*this); }
/// A stride that is left out is the kernel.
template <typename Op>
static LayerValue poolArgument(Op op, const LayerParam &param) {
  if (param.name == "stride" && op.getStride() == op.getKernel())
    return {};
  return attributeArgument(op, param);
}

LayerValue MaxPoolOp::layerArgument(const LayerParam &param) {
  return poolArgument(*this, param);
}
LayerValue AvgPoolOp::layerArgument(const LayerParam &param) {
  return poolArgument(*this, param);
}

LayerSignature MaxPoolOp::layerSignature() { return poolSignature(); }
FailureOr<SmallVector<Value>> MaxPoolOp::buildLayer(LayerContext &context) {
  auto args = poolArguments(context, "maxpool");
  if (failed(args))
    return failure();
  return SmallVector<Value>{MaxPoolOp::create(
      context.builder, context.loc, context.tensor("x"), args->kernel,
      args->stride, args->padding.pad, args->dilation, context.flag("ceil"),
      args->padding.mode)};
}

LogicalResult AvgPoolOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  return inferPool(adaptor, types);
}
static bool isPadded(AvgPoolOp op) {
  return llvm::any_of(op.getPad(), [](int64_t p) { return p != 0; });
}
bool AvgPoolOp::takeOverhangAsPad() {
  if (getCountPad() && isPadded(*this))
    return false;
  setCountPad(false);
  return true;
}
bool AvgPoolOp::takeZerosAsPad() {
  if (getCeil() || (isPadded(*this) && !getCountPad()))
    return false;
  setCountPad(true);
  return true;
}
LogicalResult AvgPoolOp::verify() { return verifyPool(*this); }
double AvgPoolOp::getFlops() { return poolFlops(*this); }
Window AvgPoolOp::getWindow() { return poolWindow(*this); }
bool AvgPoolOp::takesPrologue() { return windowsAreApart(*this); }
LayerSignature AvgPoolOp::layerSignature() {
  LayerSignature signature = poolSignature();
  signature.params.push_back({"count_pad", ParamKind::Bool, true});
  return signature;
}
FailureOr<SmallVector<Value>> AvgPoolOp::buildLayer(LayerContext &context) {
  auto args = poolArguments(context, "avgpool");
  if (failed(args))
    return failure();
  return SmallVector<Value>{AvgPoolOp::create(
      context.builder, context.loc, context.tensor("x"), args->kernel,
      args->stride, args->padding.pad, args->dilation, context.flag("ceil"),
      args->padding.mode, context.flag("count_pad"))};
}

//===----------------------------------------------------------------------===//
// Global and adaptive pooling
//===----------------------------------------------------------------------===//

template <typename Adaptor>
static LogicalResult inferCells(Adaptor adaptor, ArrayRef<int64_t> cells,
                                SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX());
  if (x.getRank() != 4 || cells.size() != 2)
    return failure();
  types.push_back(RankedTensorType::get(
      {x.getDimSize(0), x.getDimSize(1), cells[0], cells[1]},
      x.getElementType()));
  return success();
}

static Window wholeMap() {
  Window window;
  window.global = true;
  return window;
}

LogicalResult GlobalAvgPoolOp::inferReturnTypes(MLIRContext *,
                                                std::optional<Location>,
                                                Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  return inferCells(adaptor, {1, 1}, types);
}
double GlobalAvgPoolOp::getFlops() { return elementsPerImage(getX().getType()); }
Window GlobalAvgPoolOp::getWindow() { return wholeMap(); }
bool GlobalAvgPoolOp::takesPrologue() { return true; }
LayerSignature GlobalAvgPoolOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>>
GlobalAvgPoolOp::buildLayer(LayerContext &context) {
  if (!expectMaps(context, "global_avgpool"))
    return failure();
  return SmallVector<Value>{GlobalAvgPoolOp::create(
      context.builder, context.loc, context.tensor("x"))};
}

LogicalResult GlobalMaxPoolOp::inferReturnTypes(MLIRContext *,
                                                std::optional<Location>,
                                                Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  return inferCells(adaptor, {1, 1}, types);
}
double GlobalMaxPoolOp::getFlops() { return elementsPerImage(getX().getType()); }
Window GlobalMaxPoolOp::getWindow() { return wholeMap(); }
bool GlobalMaxPoolOp::takesPrologue() { return true; }
LayerSignature GlobalMaxPoolOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}}};
}
FailureOr<SmallVector<Value>>
GlobalMaxPoolOp::buildLayer(LayerContext &context) {
  if (!expectMaps(context, "global_maxpool"))
    return failure();
  return SmallVector<Value>{GlobalMaxPoolOp::create(
      context.builder, context.loc, context.tensor("x"))};
}

LogicalResult AdaptiveAvgPoolOp::inferReturnTypes(MLIRContext *,
                                                  std::optional<Location>,
                                                  Adaptor adaptor,
                                                  SmallVectorImpl<Type> &types) {
  return inferCells(adaptor, adaptor.getSize(), types);
}
double AdaptiveAvgPoolOp::getFlops() {
  return elementsPerImage(getX().getType());
}
LayerSignature AdaptiveAvgPoolOp::layerSignature() {
  return {{{"x", ParamKind::Tensor}, {"size", ParamKind::Pair}}};
}
FailureOr<SmallVector<Value>>
AdaptiveAvgPoolOp::buildLayer(LayerContext &context) {
  if (!expectMaps(context, "adaptive_avgpool") ||
      !expectAtLeast(context, "size", 1))
    return failure();
  return SmallVector<Value>{AdaptiveAvgPoolOp::create(
      context.builder, context.loc, context.tensor("x"),
      context.numbers("size"))};
}

void CnnDialect::registerPoolOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Pool.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Pool.cpp.inc"
