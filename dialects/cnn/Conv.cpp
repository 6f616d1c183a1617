//===- Conv.cpp - Convolutions: shapes, checks, how the language calls them ===//

#include "dialects/cnn/Conv.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon::cnn {

//===----------------------------------------------------------------------===//
// Padding, shared with pooling
//===----------------------------------------------------------------------===//

bool expectMaps(LayerContext &context, StringRef layer, StringRef param) {
  Value x = context.tensor(param);
  if (tensorOf(x).getRank() == 4)
    return true;
  (void)context.error(
      param, "'" + layer + "' takes feature maps, and " + context.describe(x),
      "feature maps have channels, height and width");
  return false;
}

bool expectAtLeast(LayerContext &context, StringRef param, int64_t least) {
  const LayerValue &value = context.get(param);
  bool fine = true;
  if (auto *number = std::get_if<int64_t>(&value))
    fine = *number >= least;
  else if (auto *numbers = std::get_if<std::vector<int64_t>>(&value))
    fine = llvm::all_of(*numbers, [&](int64_t n) { return n >= least; });
  if (!fine)
    (void)context.error(param, "'" + param + "' must be at least " +
                                   Twine(least));
  return fine;
}

LayerParam padParam(LayerValue defaultValue) {
  return {"pad", ParamKind::Pad, std::move(defaultValue), false,
          {"same", "valid", "same_upper", "same_lower"}};
}

FailureOr<Padding> resolvePad(LayerContext &context, StringRef layer,
                              ArrayRef<int64_t> kernel,
                              ArrayRef<int64_t> dilation) {
  Padding result;
  if (auto *numbers =
          std::get_if<std::vector<int64_t>>(&context.get("pad"))) {
    if (!expectAtLeast(context, "pad", 0))
      return failure();
    result.pad = *numbers;
    return result;
  }
  const std::string &word = context.word("pad");
  if (word == "valid")
    return result;
  result.mode = *symbolizeAutoPad(word);
  if (result.mode == AutoPad::same &&
      llvm::any_of(kernel, [](int64_t k) { return k % 2 == 0; })) {
    std::string size = (Twine(kernel[0]) + "x" + Twine(kernel[1])).str();
    return context.error("pad",
                         "'" + layer + "' with padding 'same' needs an odd "
                         "kernel, and this one is " + size,
                         "write pad=valid, numbers, or pad=same_upper");
  }
  return result;
}

std::vector<int64_t> padNumbers(AutoPad mode, ArrayRef<int64_t> pad,
                                ArrayRef<int64_t> size,
                                ArrayRef<int64_t> kernel,
                                ArrayRef<int64_t> stride,
                                ArrayRef<int64_t> dilation) {
  std::vector<int64_t> result(pad.begin(), pad.end());
  if (mode == AutoPad::none)
    return result;
  for (int axis : {0, 1}) {
    int64_t reach = dilation[axis] * (kernel[axis] - 1);
    if (mode == AutoPad::same) {
      result[axis] = result[axis + 2] = reach / 2;
      continue;
    }
    // ONNX: the output has ceil(n / stride) cells, the odd cell goes to the
    // end (upper) or the beginning (lower).
    int64_t cells = (size[axis] + stride[axis] - 1) / stride[axis];
    int64_t total =
        std::max<int64_t>(0, (cells - 1) * stride[axis] + reach + 1 - size[axis]);
    int64_t less = total / 2, more = total - less;
    result[axis] = mode == AutoPad::same_upper ? less : more;
    result[axis + 2] = mode == AutoPad::same_upper ? more : less;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// conv
//===----------------------------------------------------------------------===//

SmallVector<int64_t, 2> ConvOp::getKernel() {
  return {sizeOf(getWeight(), 2), sizeOf(getWeight(), 3)};
}

bool ConvOp::isDepthwise() {
  return getGroups() > 1 &&
         static_cast<int64_t>(getGroups()) == sizeOf(getX(), 1) &&
         sizeOf(getWeight(), 0) == sizeOf(getX(), 1);
}

bool ConvOp::takeZerosAsPad() {
  if (llvm::any_of(getPad(), [](int64_t p) { return p != 0; }))
    return getPadMode() == PadMode::zero;
  setPadMode(PadMode::zero);
  return true;
}

LogicalResult ConvOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> loc,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX()), w = tensorOf(adaptor.getWeight());
  if (x.getRank() != 4 || w.getRank() < 4 || adaptor.getStride().size() != 2 ||
      adaptor.getPad().size() != 4 || adaptor.getDilation().size() != 2)
    return failure();
  ArrayRef<int64_t> size = x.getShape().drop_front(2);
  ArrayRef<int64_t> kernel = w.getShape().drop_front(2);
  std::vector<int64_t> pad =
      padNumbers(adaptor.getAutoPad(), adaptor.getPad(), size, kernel,
                 adaptor.getStride(), adaptor.getDilation());
  SmallVector<int64_t> shape = {x.getDimSize(0), w.getDimSize(0)};
  for (int axis : {0, 1})
    shape.push_back(windowCount(size[axis], pad[axis] + pad[axis + 2],
                                kernel[axis], adaptor.getStride()[axis],
                                adaptor.getDilation()[axis]));
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

LogicalResult ConvOp::verify() {
  auto x = tensorOf(getX()), w = tensorOf(getWeight());
  // A transformed or packed weight has other dimensions.
  if (w.getRank() != 4)
    return success();
  int64_t groups = getGroups();
  if (groups < 1 || x.getDimSize(1) % groups || w.getDimSize(0) % groups)
    return emitOpError("groups must divide the channels in and out");
  if (w.getDimSize(1) != x.getDimSize(1) / groups)
    return emitOpError("weight has ")
           << w.getDimSize(1) << " input channels, and a group of x has "
           << x.getDimSize(1) / groups;
  for (int64_t size : tensorOf(getResult()).getShape().drop_front(2))
    if (size < 1)
      return emitOpError("the kernel is larger than the padded input");
  return success();
}

double ConvOp::getFlops() {
  auto w = tensorOf(getWeight());
  return 2.0 * elementsPerImage(getType()) * elementsPerImage(w);
}

Window ConvOp::getWindow() {
  Window window;
  for (int axis : {0, 1}) {
    window.size[axis] = getDilation()[axis] * (getKernel()[axis] - 1) + 1;
    window.stride[axis] = getStride()[axis];
    window.pad[axis] = getPad()[axis];
  }
  return window;
}

bool ConvOp::takesPrologue() {
  auto all = [](ArrayRef<int64_t> values, int64_t wanted) {
    return llvm::all_of(values, [&](int64_t v) { return v == wanted; });
  };
  return getGroups() == 1 && all(getKernel(), 1) && all(getStride(), 1) &&
         all(getPad(), 0) && getAutoPad() == AutoPad::none;
}

LayerSignature ConvOp::layerSignature() {
  std::vector<int64_t> one = {1, 1};
  return {{{"x", ParamKind::Tensor},
           {"channels", ParamKind::Int},
           {"kernel", ParamKind::Pair},
           {"stride", ParamKind::Pair, one},
           padParam(std::string("same")),
           {"dilation", ParamKind::Pair, one},
           {"groups", ParamKind::Int, int64_t(1)},
           {"bias", ParamKind::Bool, true},
           {"pad_mode", ParamKind::Enum, std::string("zero"), false,
            {"zero", "reflect", "replicate", "circular"}}}};
}

/// Checks what both convolutions share: sizes above 0, groups that divide.
static bool checkConv(LayerContext &context, StringRef layer) {
  if (!expectMaps(context, layer))
    return false;
  bool fine = true;
  for (StringRef param : {"channels", "kernel", "stride", "dilation", "groups"})
    fine &= expectAtLeast(context, param, 1);
  if (!fine)
    return false;
  int64_t groups = context.integer("groups");
  int64_t in = sizeOf(context.tensor("x"), 1), out = context.integer("channels");
  if (in % groups == 0 && out % groups == 0)
    return true;
  (void)context.error("groups",
                      "groups=" + Twine(groups) + " must divide the channels, "
                      "which are " + Twine(in) + " in and " + Twine(out) + " out",
                      context.describe(context.tensor("x")));
  return false;
}

/// What both kinds of convolution do not have as attributes.
static std::optional<LayerValue> convArgument(Operation *op,
                                              const LayerParam &param) {
  if (param.name == "channels")
    return sizeOf(op->getResult(0), 1);
  if (param.name == "bias")
    return op->getNumOperands() == 3;
  if (param.name == "kernel")
    return tensorOf(op->getOperand(1)).getShape().take_back(2).vec();
  return std::nullopt;
}

LayerValue ConvOp::layerArgument(const LayerParam &param) {
  if (std::optional<LayerValue> value = convArgument(*this, param))
    return *value;
  LayerValue value = attributeArgument(*this, param);
  SmallVector<int64_t, 2> kernel = getKernel();
  bool odd = llvm::all_of(kernel, [](int64_t k) { return k % 2 == 1; });
  if (param.name == "pad" && getAutoPad() == AutoPad::none && odd &&
      getPad() == ArrayRef(padNumbers(AutoPad::same, getPad(), {}, kernel,
                                      getStride(), getDilation())))
    return std::string("same");
  return value;
}

FailureOr<SmallVector<Value>> ConvOp::buildLayer(LayerContext &context) {
  if (!checkConv(context, "conv"))
    return failure();
  Value x = context.tensor("x");
  const auto &kernel = context.numbers("kernel");
  const auto &stride = context.numbers("stride");
  const auto &dilation = context.numbers("dilation");
  FailureOr<Padding> padding = resolvePad(context, "conv", kernel, dilation);
  if (failed(padding))
    return failure();
  ArrayRef<int64_t> size = tensorOf(x).getShape().drop_front(2);
  std::vector<int64_t> pad =
      padNumbers(padding->mode, padding->pad, size, kernel, stride, dilation);
  auto padMode = *symbolizePadMode(context.word("pad_mode"));
  for (int axis : {0, 1}) {
    int64_t total = pad[axis] + pad[axis + 2];
    if (windowCount(size[axis], total, kernel[axis], stride[axis],
                    dilation[axis]) < 1)
      return context.error(
          "kernel",
          Twine("a window of ") +
              Twine(dilation[axis] * (kernel[axis] - 1) + 1) + " does not fit " +
              (axis ? "a width" : "a height") + " of " + Twine(size[axis]) +
              " padded by " + Twine(total),
          context.describe(x));
    int64_t widest = std::max(pad[axis], pad[axis + 2]);
    int64_t limit = padMode == PadMode::reflect    ? size[axis] - 1
                    : padMode == PadMode::circular ? size[axis]
                                                   : widest;
    if (widest > limit)
      return context.error("pad_mode",
                           "padding '" + context.word("pad_mode") +
                               "' can reach " + Twine(limit) +
                               " cells here, and " + Twine(widest) +
                               " are asked for",
                           context.describe(x));
  }
  int64_t groups = context.integer("groups"), out = context.integer("channels");
  Value weight = context.weight(
      "weight", {out, sizeOf(x, 1) / groups, kernel[0], kernel[1]});
  Value bias = context.flag("bias") ? context.weight("bias", {out}) : Value();
  return SmallVector<Value>{ConvOp::create(
      context.builder, context.loc, x, weight, bias, stride, padding->pad,
      dilation, groups, padMode, padding->mode)};
}

//===----------------------------------------------------------------------===//
// conv_transpose
//===----------------------------------------------------------------------===//

LogicalResult ConvTransposeOp::inferReturnTypes(MLIRContext *context,
                                                std::optional<Location> loc,
                                                Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  auto x = tensorOf(adaptor.getX()), w = tensorOf(adaptor.getWeight());
  if (x.getRank() != 4 || w.getRank() != 4 || adaptor.getStride().size() != 2 ||
      adaptor.getPad().size() != 4 || adaptor.getDilation().size() != 2 ||
      adaptor.getOutputPad().size() != 2)
    return failure();
  SmallVector<int64_t> shape = {x.getDimSize(0), w.getDimSize(1) *
                                                     (int64_t)adaptor.getGroups()};
  for (int axis : {0, 1})
    shape.push_back(
        (x.getDimSize(axis + 2) - 1) * adaptor.getStride()[axis] -
        adaptor.getPad()[axis] - adaptor.getPad()[axis + 2] +
        adaptor.getDilation()[axis] * (w.getDimSize(axis + 2) - 1) + 1 +
        adaptor.getOutputPad()[axis]);
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

LogicalResult ConvTransposeOp::verify() {
  auto x = tensorOf(getX()), w = tensorOf(getWeight());
  int64_t groups = getGroups();
  if (groups < 1 || x.getDimSize(1) % groups)
    return emitOpError("groups must divide the channels");
  if (w.getDimSize(0) != x.getDimSize(1))
    return emitOpError("weight has ") << w.getDimSize(0) << " input channels, "
                                      << "and x has " << x.getDimSize(1);
  for (int64_t size : tensorOf(getResult()).getShape().drop_front(2))
    if (size < 1)
      return emitOpError("padding removes the whole output");
  return success();
}

double ConvTransposeOp::getFlops() {
  return 2.0 * elementsPerImage(getX().getType()) *
         elementsPerImage(getWeight().getType());
}

Window ConvTransposeOp::getWindow() {
  Window window;
  for (int axis : {0, 1}) {
    int64_t reach = getDilation()[axis] * (sizeOf(getWeight(), axis + 2) - 1);
    window.size[axis] = reach / getStride()[axis] + 1;
  }
  return window;
}

LayerSignature ConvTransposeOp::layerSignature() {
  std::vector<int64_t> one = {1, 1}, zero = {0, 0};
  return {{{"x", ParamKind::Tensor},
           {"channels", ParamKind::Int},
           {"kernel", ParamKind::Pair},
           {"stride", ParamKind::Pair, one},
           padParam(std::vector<int64_t>{0, 0, 0, 0}),
           {"output_pad", ParamKind::Pair, zero},
           {"dilation", ParamKind::Pair, one},
           {"groups", ParamKind::Int, int64_t(1)},
           {"bias", ParamKind::Bool, true}}};
}

LayerValue ConvTransposeOp::layerArgument(const LayerParam &param) {
  if (std::optional<LayerValue> value = convArgument(*this, param))
    return *value;
  return attributeArgument(*this, param);
}

FailureOr<SmallVector<Value>>
ConvTransposeOp::buildLayer(LayerContext &context) {
  if (!checkConv(context, "conv_transpose") ||
      !expectAtLeast(context, "output_pad", 0))
    return failure();
  Value x = context.tensor("x");
  const auto &kernel = context.numbers("kernel");
  const auto &stride = context.numbers("stride");
  const auto &dilation = context.numbers("dilation");
  std::vector<int64_t> outputPad = context.numbers("output_pad");
  std::vector<int64_t> pad = {0, 0, 0, 0};
  if (auto *numbers = std::get_if<std::vector<int64_t>>(&context.get("pad"))) {
    if (!expectAtLeast(context, "pad", 0))
      return failure();
    pad = *numbers;
  } else if (context.word("pad") != "valid") {
    // n * stride cells: what the window overhangs is cut, the odd cell at the
    // end (upper) or the beginning (lower).
    for (int axis : {0, 1}) {
      int64_t reach = dilation[axis] * (kernel[axis] - 1);
      int64_t total = reach + 1 - stride[axis];
      // The adjoint of a convolution with 'same': its padding at both ends.
      if (context.word("pad") == "same" && reach % 2 == 0) {
        pad[axis] = pad[axis + 2] = reach / 2;
        outputPad[axis] += stride[axis] - 1;
        continue;
      }
      if (total < 0) {
        outputPad[axis] -= total;
        total = 0;
      }
      bool lower = context.word("pad") == "same_lower";
      pad[axis] = lower ? total - total / 2 : total / 2;
      pad[axis + 2] = total - pad[axis];
    }
  }
  for (int axis : {0, 1}) {
    if (context.numbers("output_pad")[axis] >=
        std::max(stride[axis], dilation[axis]))
      return context.error("output_pad", "'output_pad' must be below the stride "
                                         "or the dilation");
    if ((sizeOf(x, axis + 2) - 1) * stride[axis] - pad[axis] - pad[axis + 2] +
            dilation[axis] * (kernel[axis] - 1) + 1 + outputPad[axis] < 1)
      return context.error("pad", "this padding leaves nothing of the output",
                           context.describe(x));
  }
  int64_t groups = context.integer("groups"), out = context.integer("channels");
  Value weight = context.weight(
      "weight", {sizeOf(x, 1), out / groups, kernel[0], kernel[1]});
  Value bias = context.flag("bias") ? context.weight("bias", {out}) : Value();
  return SmallVector<Value>{
      ConvTransposeOp::create(context.builder, context.loc, x, weight, bias,
                              stride, pad, outputPad, dilation, groups)};
}

void CnnDialect::registerConvOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Conv.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Conv.cpp.inc"
