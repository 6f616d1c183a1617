//===- Weights.cpp - Arithmetic on weights --------------------------------===//

#include "dialects/cnn/Weights.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Winograd.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace halcyon::cnn {

static void like(Value value, SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get(tensorOf(value).getShape(),
                                        tensorOf(value).getElementType()));
}

//===----------------------------------------------------------------------===//
// Folding
//===----------------------------------------------------------------------===//

LogicalResult NormScaleOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  like(adaptor.getWeight(), types);
  return success();
}
LogicalResult NormScaleOp::evaluate(ArrayRef<ArrayRef<float>> in,
                                    ArrayRef<MutableArrayRef<float>> out) {
  double eps = getEps().convertToDouble();
  for (size_t i = 0; i < out[0].size(); ++i)
    out[0][i] = in[0][i] / std::sqrt(in[1][i] + eps);
  return success();
}

LogicalResult NormShiftOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  like(adaptor.getBias(), types);
  return success();
}
LogicalResult NormShiftOp::evaluate(ArrayRef<ArrayRef<float>> in,
                                    ArrayRef<MutableArrayRef<float>> out) {
  for (size_t i = 0; i < out[0].size(); ++i)
    out[0][i] = double(in[0][i]) - double(in[1][i]) * in[2][i];
  return success();
}

LogicalResult ScaleFilterOp::inferReturnTypes(MLIRContext *,
                                              std::optional<Location>,
                                              Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  like(adaptor.getWeight(), types);
  return success();
}
LogicalResult ScaleFilterOp::evaluate(ArrayRef<ArrayRef<float>> in,
                                      ArrayRef<MutableArrayRef<float>> out) {
  auto type = tensorOf(getWeight());
  int64_t axis = getAxis(), size = type.getDimSize(axis), inner = 1;
  for (int64_t s : type.getShape().drop_front(axis + 1))
    inner *= s;
  int64_t perGroup = type.getDimSize(0) / getGroups();
  for (int64_t i = 0, count = out[0].size(); i < count; ++i) {
    int64_t index = i / inner % size;
    if (axis == 1)
      index += i / (inner * size) / perGroup * size;
    out[0][i] = in[0][i] * in[1][index];
  }
  return success();
}

LogicalResult AffineBiasOp::inferReturnTypes(MLIRContext *,
                                             std::optional<Location>,
                                             Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  like(adaptor.getBias(), types);
  return success();
}
LogicalResult AffineBiasOp::evaluate(ArrayRef<ArrayRef<float>> in,
                                     ArrayRef<MutableArrayRef<float>> out) {
  for (size_t i = 0; i < out[0].size(); ++i)
    out[0][i] = double(in[0][i]) * in[1][i] + in[2][i];
  return success();
}

//===----------------------------------------------------------------------===//
// The Winograd transform of filters
//===----------------------------------------------------------------------===//

/// Sizes of the filters that are stored for output tiles of m x m.
static void transformedShape(MutableArrayRef<int64_t> shape, int64_t m) {
  for (int64_t &size : shape.drop_front(2))
    size = WinogradAxis::productsOf(m, size);
}

/// G g transpose(G) of every filter g.
static std::vector<float> transformFilters(ArrayRef<float> filters,
                                           ArrayRef<int64_t> shape, int64_t m) {
  const WinogradAxis down(m, shape[2]), across(m, shape[3]);
  const size_t taps = down.r * across.r, products = down.n * across.n;
  std::vector<float> result(filters.size() / taps * products);
  std::vector<double> rows(down.n * across.r); // G g
  for (size_t f = 0; f < filters.size() / taps; ++f) {
    const float *w = filters.data() + f * taps;
    float *u = result.data() + f * products;
    for (int i = 0; i < down.n; ++i)
      for (int j = 0; j < across.r; ++j) {
        double sum = 0;
        for (int k = 0; k < down.r; ++k)
          sum += down.filter[i * down.r + k] * w[k * across.r + j];
        rows[i * across.r + j] = sum;
      }
    for (int i = 0; i < down.n; ++i)
      for (int j = 0; j < across.n; ++j) {
        double sum = 0;
        for (int k = 0; k < across.r; ++k)
          sum += rows[i * across.r + k] * across.filter[j * across.r + k];
        u[i * across.n + j] = sum;
      }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// pack
//===----------------------------------------------------------------------===//

/// The dimensions that a tag describes, outermost first.
static FailureOr<SmallVector<PackedDim>> parseTag(StringRef tag,
                                                  ArrayRef<int64_t> shape) {
  static const StringRef letters = "oihw";
  SmallVector<PackedDim> dims;
  SmallVector<int64_t> covered(shape.size(), 1); // elements below, per dim
  // Innermost first, so that blocks are known before what counts them.
  std::string rest = tag.str();
  while (!rest.empty()) {
    char c = rest.back();
    rest.pop_back();
    size_t dim = letters.find(llvm::toLower(c));
    if (dim == StringRef::npos || dim >= shape.size())
      return failure();
    int64_t count = 0, scale = 1;
    while (!rest.empty() && llvm::isDigit(rest.back())) {
      count += (rest.back() - '0') * scale;
      scale *= 10;
      rest.pop_back();
    }
    if (count == 0)
      count = (shape[dim] + covered[dim] - 1) / covered[dim];
    dims.push_back({(int)dim, count, covered[dim]});
    covered[dim] *= count;
  }
  for (auto [size, covers] : llvm::zip(shape, covered))
    if (covers < size)
      return failure();
  std::reverse(dims.begin(), dims.end());
  return dims;
}

SmallVector<int64_t> PackedAttr::physicalShape(ArrayRef<int64_t> logical) const {
  SmallVector<int64_t> shape;
  for (const PackedDim &dim : physicalDims(logical))
    shape.push_back(dim.count);
  return shape;
}

SmallVector<PackedDim> PackedAttr::physicalDims(ArrayRef<int64_t> logical) const {
  SmallVector<int64_t> sizes(logical);
  if (getWinograd() && sizes.size() == 4)
    transformedShape(sizes, getWinograd());
  auto dims = parseTag(getTag(), sizes);
  return succeeded(dims) ? *dims : SmallVector<PackedDim>();
}

PackedAttr PackedAttr::get(MLIRContext *context, StringRef tag) {
  return get(context, tag, 0);
}

void PackedAttr::print(AsmPrinter &printer) const {
  printer << "<\"" << getTag() << "\"";
  if (getWinograd())
    printer << ", winograd = " << getWinograd();
  printer << ">";
}

Attribute PackedAttr::parse(AsmParser &parser, Type) {
  std::string tag;
  int64_t winograd = 0;
  if (parser.parseLess() || parser.parseString(&tag))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("winograd") || parser.parseEqual() ||
       parser.parseInteger(winograd)))
    return {};
  if (parser.parseGreater())
    return {};
  return PackedAttr::get(parser.getContext(), tag, winograd);
}

SmallVector<int64_t> adjointShape(ArrayRef<int64_t> shape, int64_t groups) {
  SmallVector<int64_t> turned(shape);
  turned[0] = shape[1] * groups;
  turned[1] = shape[0] / groups;
  return turned;
}

LogicalResult PackOp::verify() {
  auto type = tensorOf(getResult()), from = tensorOf(getWeight());
  auto packed = dyn_cast_or_null<PackedAttr>(type.getEncoding());
  if (std::optional<int64_t> groups = getAdjoint()) {
    if (from.getRank() < 2 || *groups < 1 || from.getDimSize(0) % *groups)
      return emitOpError("turns over weights of whole groups of channels");
    from = from.clone(adjointShape(from.getShape(), *groups));
  }
  if (!differInStorageOnly(Type(from), getType()) || !packed)
    return emitOpError("packs a weight without changing its shape");
  int64_t m = packed.getWinograd();
  if (m && (type.getRank() != 4 || m < 2 ||
            llvm::any_of(type.getShape().drop_front(2), [&](int64_t size) {
              return WinogradAxis::productsOf(m, size) > WinogradAxis::kMost;
            })))
    return emitOpError("transforms filters for tiles of at least 2, with at "
                       "most ")
           << WinogradAxis::kMost << " products along an axis";
  if (packed.physicalShape(type.getShape()).empty())
    return emitOpError("tag '") << packed.getTag() << "' does not fit the shape";
  return success();
}

/// The weight with channels exchanged, within groups, and taps reversed.
static std::vector<float> turnOver(ArrayRef<float> weight, ArrayRef<int64_t> shape,
                                   int64_t groups) {
  int64_t ins = shape[1], outs = shape[0] / groups, taps = 1;
  for (int64_t size : shape.drop_front(2))
    taps *= size;
  std::vector<float> result(weight.size());
  for (int64_t o = 0; o < shape[0]; ++o)
    for (int64_t i = 0; i < ins; ++i) {
      const float *from = weight.data() + (o * ins + i) * taps;
      int64_t turned = (o / outs * ins + i) * outs + o % outs;
      std::reverse_copy(from, from + taps, result.data() + turned * taps);
    }
  return result;
}

LogicalResult PackOp::evaluate(ArrayRef<ArrayRef<float>> in,
                               ArrayRef<MutableArrayRef<float>> out) {
  SmallVector<int64_t> shape(tensorOf(getResult()).getShape());
  auto packed = cast<PackedAttr>(tensorOf(getResult()).getEncoding());
  ArrayRef<float> source = in[0];
  std::vector<float> turned, transformed;
  if (std::optional<int64_t> groups = getAdjoint()) {
    turned = turnOver(source, tensorOf(getWeight()).getShape(), *groups);
    source = turned;
  }
  if (int64_t m = packed.getWinograd()) {
    transformed = transformFilters(source, shape, m);
    source = transformed;
    transformedShape(shape, m);
  }
  auto dims = parseTag(packed.getTag(), shape);
  if (failed(dims))
    return failure();
  SmallVector<int64_t> sourceStride(shape.size(), 1);
  for (int i = (int)shape.size() - 2; i >= 0; --i)
    sourceStride[i] = sourceStride[i + 1] * shape[i + 1];
  size_t rank = dims->size();
  SmallVector<int64_t> index(rank, 0), at(shape.size(), 0);
  const PackedDim &inner = dims->back();
  // An odometer over all but the innermost dimension.
  for (size_t o = 0; o < out[0].size(); o += inner.count) {
    int64_t base = 0;
    bool inside = true;
    for (size_t d = 0; d < shape.size(); ++d) {
      base += at[d] * sourceStride[d];
      inside &= at[d] < shape[d];
    }
    for (int64_t i = 0; i < inner.count; ++i) {
      bool there = inside && at[inner.dim] + i * inner.step < shape[inner.dim];
      out[0][o + i] =
          there ? source[base + i * inner.step * sourceStride[inner.dim]] : 0.0f;
    }
    for (int d = (int)rank - 2; d >= 0; --d) {
      at[(*dims)[d].dim] += (*dims)[d].step;
      if (++index[d] < (*dims)[d].count)
        break;
      at[(*dims)[d].dim] -= (*dims)[d].step * (*dims)[d].count;
      index[d] = 0;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// round
//===----------------------------------------------------------------------===//

LogicalResult RoundOp::verify() {
  if (!differInStorageOnly(getWeight().getType(), getType()) ||
      !isBf16(getType()))
    return emitOpError("makes a weight bf16 without changing its shape");
  return success();
}

LogicalResult RoundOp::evaluate(ArrayRef<ArrayRef<float>> in,
                                ArrayRef<MutableArrayRef<float>> out) {
  for (auto [value, rounded] : llvm::zip(in[0], out[0]))
    rounded = llvm::bit_cast<float>(uint32_t(toBf16(value)) << 16);
  return success();
}

bool isPrepared(Value value) {
  Operation *op = value.getDefiningOp();
  return op && (isa<WeightOp>(op) || (isa<WeightOpInterface>(op) &&
                                      llvm::all_of(op->getOperands(), isPrepared)));
}

void CnnDialect::registerWeightOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Weights.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Weights.cpp.inc"
