//===- Cnn.cpp - The cnn dialect, its attributes and interfaces -----------===//

#include "dialects/cnn/Cnn.h"
#include "dialects/cnn/Detect.h"
#include "dialects/cnn/Geometry.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace halcyon::cnn {

bool differInLayoutOnly(TypeRange l, TypeRange r) {
  if (l.size() != r.size())
    return false;
  for (auto [a, b] : llvm::zip(l, r)) {
    auto s = dyn_cast<RankedTensorType>(a), t = dyn_cast<RankedTensorType>(b);
    if (!s || !t || s.getShape() != t.getShape() ||
        s.getElementType() != t.getElementType())
      return false;
  }
  return true;
}

bool differInStorageOnly(TypeRange l, TypeRange r) {
  return llvm::all_of_zip(l, r, [](Type a, Type b) {
           auto s = dyn_cast<RankedTensorType>(a), t = dyn_cast<RankedTensorType>(b);
           auto isFloat = [](Type type) { return type.isF32() || type.isBF16(); };
           return s && t && s.getShape() == t.getShape() &&
                  (s.getElementType() == t.getElementType() ||
                   (isFloat(s.getElementType()) && isFloat(t.getElementType())));
         });
}

RankedTensorType tensorType(MLIRContext *context, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes(shape);
  for (int64_t &size : sizes)
    if (size < 0)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(sizes, Float32Type::get(context));
}

std::string shapeText(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return "?";
  std::string text;
  // A lone dimension is a vector of weights; otherwise the first is the batch.
  for (int64_t size : tensor.getShape().drop_front(tensor.getRank() > 1))
    text += (text.empty() ? "" : "x") +
            (ShapedType::isDynamic(size) ? "N" : std::to_string(size));
  return text;
}

bool hasBatches(Operation *op) {
  auto outermost = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() > 0 && tensor.isDynamicDim(0) &&
           tensor.getNumDynamicDims() == 1;
  };
  return llvm::all_of(op->getResultTypes(), outermost) &&
         llvm::all_of(op->getOperandTypes(),
                      [&](Type type) { return isFixed(type) || outermost(type); }) &&
         !op->hasTrait<ReadsShapeOnly>();
}

LayerLocation layerLocation(Location loc) {
  LayerLocation result;
  loc->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part)) {
      if (result.path.empty())
        result.path = name.getName().str();
    } else if (auto file = dyn_cast<FileLineColLoc>(part)) {
      if (result.line == 0) {
        result.file = file.getFilename().str();
        result.line = file.getLine();
        result.column = file.getColumn();
      }
    }
    return WalkResult::advance();
  });
  return result;
}

/// Padding as the language takes it.
static LayerValue paddingOf(Operation *op) {
  if (auto mode = op->getAttrOfType<AutoPadAttr>("auto_pad"))
    if (mode.getValue() != AutoPad::none)
      return stringifyAutoPad(mode.getValue()).str();
  if (auto pad = op->getAttrOfType<DenseI64ArrayAttr>("pad"))
    return pad.asArrayRef().vec();
  return {};
}

LayerValue attributeArgument(Operation *op, const LayerParam &param) {
  if (param.kind == ParamKind::Tensor)
    return op->getOperand(0);
  if (param.kind == ParamKind::Tensors)
    return std::vector<Value>(op->operand_begin(), op->operand_end());
  if (param.kind == ParamKind::Pad)
    return paddingOf(op);
  Attribute value = op->getAttr(param.name);
  if (auto numbers = dyn_cast_or_null<DenseI64ArrayAttr>(value))
    return numbers.asArrayRef().vec();
  if (auto flag = dyn_cast_or_null<BoolAttr>(value))
    return flag.getValue();
  if (auto real = dyn_cast_or_null<FloatAttr>(value))
    return real.getValueAsDouble();
  auto number = dyn_cast_or_null<IntegerAttr>(value);
  if (!number)
    return {};
  // Enumerants are numbered as the parameter lists them.
  if (param.kind == ParamKind::Enum)
    return param.enumerants[number.getInt()];
  return number.getInt();
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

/// The block of "nchw16c", 1 for "nchw" and "nhwc", 0 for anything else.
static int64_t parseBlock(StringRef order) {
  if (order == "nchw" || order == "nhwc")
    return 1;
  int64_t block = 0;
  if (!order.consume_front("nchw") || !order.consume_back("c") ||
      order.getAsInteger(10, block) || block < 2 || block > 64)
    return 0;
  return block;
}

int64_t LayoutAttr::getBlock() const { return parseBlock(getOrder()); }

bool LayoutAttr::hasHalo() const {
  return llvm::any_of(getHalo(), [](int64_t h) { return h != 0; });
}

LayoutAttr LayoutAttr::get(MLIRContext *context, StringRef order) {
  return get(context, order, {0, 0, 0, 0}, 0);
}

LayoutAttr LayoutAttr::withHalo(ArrayRef<int64_t> halo) const {
  return get(getContext(), getOrder(), halo, getChannels());
}

LayoutAttr LayoutAttr::withChannels(int64_t channels) const {
  return get(getContext(), getOrder(), getHalo(), channels);
}

std::string LayoutAttr::blocked(int64_t block) {
  return "nchw" + std::to_string(block) + "c";
}

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef order, ArrayRef<int64_t> halo,
                                 int64_t channels) {
  if (parseBlock(order) == 0)
    return emitError() << "unknown layout '" << order
                       << "'; there are nchw, nhwc and blocked ones such as "
                          "nchw16c";
  if (halo.size() != 4 || llvm::any_of(halo, [](int64_t h) { return h < 0; }))
    return emitError() << "halo is four sizes: top, left, bottom, right";
  if (channels < 0)
    return emitError() << "channels is negative";
  return success();
}

void LayoutAttr::print(AsmPrinter &printer) const {
  printer << "<\"" << getOrder() << "\"";
  if (hasHalo()) {
    printer << ", halo = [";
    llvm::interleaveComma(getHalo(), printer);
    printer << "]";
  }
  if (getChannels())
    printer << ", channels = " << getChannels();
  printer << ">";
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  std::string order;
  SmallVector<int64_t> halo;
  int64_t channels = 0;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseString(&order))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("halo"))) {
      if (parser.parseEqual() ||
          parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
            return parser.parseInteger(halo.emplace_back());
          }))
        return {};
    } else if (parser.parseKeyword("channels") || parser.parseEqual() ||
               parser.parseInteger(channels)) {
      return {};
    }
  }
  if (halo.empty())
    halo.assign(4, 0);
  if (parser.parseGreater())
    return {};
  return parser.getChecked<LayoutAttr>(loc, parser.getContext(),
                                       StringRef(order),
                                       ArrayRef<int64_t>(halo), channels);
}

LayoutAttr layoutOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (auto layout = dyn_cast_or_null<LayoutAttr>(tensor.getEncoding()))
    return layout;
  return LayoutAttr::get(type.getContext(), "nchw");
}

RankedTensorType withLayout(Type type, LayoutAttr layout) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), tensor.getElementType(),
                               layout);
}

Precision precisionOf(Type type) {
  return cast<RankedTensorType>(type).getElementType().isBF16()
             ? Precision::bf16
             : Precision::f32;
}

RankedTensorType withPrecision(Type type, Precision precision) {
  auto tensor = cast<RankedTensorType>(type);
  Builder builder(type.getContext());
  return RankedTensorType::get(tensor.getShape(),
                               precision == Precision::bf16
                                   ? Type(builder.getBF16Type())
                                   : Type(builder.getF32Type()),
                               tensor.getEncoding());
}

int64_t ScheduleAttr::param(StringRef name, int64_t otherwise) const {
  auto value = getParams().getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}

void CnnDialect::initialize() {
  registerAttributes();
  registerGraphOps();
  registerConvOps();
  registerPoolOps();
  registerNormOps();
  registerMapOps();
  registerIndexedOps();
  registerShapeOps();
  registerLinearOps();
  registerWeightOps();
  registerTrainOps();
  registerGradientOps();
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Detect.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#include "dialects/cnn/CnnDialect.cpp.inc"
#include "dialects/cnn/CnnEnums.cpp.inc"
#include "dialects/cnn/CnnInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/cnn/CnnAttrs.cpp.inc"

void halcyon::cnn::CnnDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/cnn/CnnAttrs.cpp.inc"
      >();
}
