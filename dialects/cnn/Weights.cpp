//===- Weights.cpp - Arithmetic on weights --------------------------------===//

#include "dialects/cnn/Weights.h"
#include "dialects/cnn/FastProduct.h"
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
  // Of `%2h` steps are of one element, and those of any other `h` of two.
  for (size_t at = 0; (at = tag.find('%', at)) != StringRef::npos;) {
    int64_t count;
    StringRef from = tag.drop_front(++at);
    if (from.consumeInteger(10, count) || count < 1 || from.empty())
      return failure();
    size_t dim = letters.find(llvm::toLower(from.front()));
    if (dim == StringRef::npos || dim >= shape.size() || covered[dim] > 1 ||
        count > shape[dim])
      return failure();
    covered[dim] = count;
  }
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
    if (!rest.empty() && rest.back() == '%') {
      rest.pop_back();
      dims.push_back({(int)dim, count, 1});
      continue;
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
  SmallVector<PackedDim> dims = physicalDims(logical);
  SmallVector<int64_t> shape;
  for (const PackedDim &dim : dims)
    shape.push_back(dim.count);
  if (getFip() && !shape.empty()) {
    // What begins with the inputs' blocks and precedes the outputs' lanes is one run.
    const int in = 1 - dims.back().dim;
    auto blocks = llvm::find_if(dims, [=](const PackedDim &d) { return d.dim == in; });
    size_t first = blocks - dims.begin();
    if (first + 1 >= dims.size())
      return {};
    int64_t run = 1;
    for (int64_t count : ArrayRef(shape).drop_front(first).drop_back())
      run *= count;
    shape.erase(shape.begin() + first, shape.end() - 1);
    shape.insert(shape.end() - 1, run + 2);
  }
  return shape;
}

SmallVector<PackedDim> PackedAttr::physicalDims(ArrayRef<int64_t> logical) const {
  SmallVector<int64_t> sizes(logical);
  if (getWinograd() && sizes.size() == 4)
    transformedShape(sizes, getWinograd());
  auto dims = parseTag(getTag(), sizes);
  return succeeded(dims) ? *dims : SmallVector<PackedDim>();
}

PackedAttr PackedAttr::get(MLIRContext *context, StringRef tag, int64_t winograd) {
  return get(context, tag, winograd, false);
}

void PackedAttr::print(AsmPrinter &printer) const {
  printer << "<\"" << getTag() << "\"";
  if (getWinograd())
    printer << ", winograd = " << getWinograd();
  if (getFip())
    printer << ", fip";
  printer << ">";
}

Attribute PackedAttr::parse(AsmParser &parser, Type) {
  std::string tag;
  int64_t winograd = 0;
  bool fip = false;
  if (parser.parseLess() || parser.parseString(&tag))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("fip")))
      fip = true;
    else if (parser.parseKeyword("winograd") || parser.parseEqual() ||
             parser.parseInteger(winograd))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return PackedAttr::get(parser.getContext(), tag, winograd, fip);
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
  auto dims = packed.physicalDims(type.getShape());
  // Of a transposed convolution the inputs are the weight's first dimension.
  if (packed.getFip() &&
      (dims.size() < 3 || dims.back().dim > 1 ||
       dims[dims.size() - 2].dim != 1 - dims.back().dim ||
       !type.getElementType().isF32()))
    return emitOpError("the fast inner product takes a tag that ends with a block of "
                       "'i' and one of 'o', in f32");
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

/// What is packed for the fast inner product, from the vectors of a weight as its tag
/// alone orders them. `channels` are the inputs of a group. Filters that are transformed meet
/// inputs whose blocks lie far apart: pairs are within one.
static void packFast(ArrayRef<float> plain, ArrayRef<PackedDim> dims, int64_t channels,
                     bool transformed, MutableArrayRef<float> out) {
  const int64_t lanes = dims.back().count, block = dims[dims.size() - 2].count;
  // A run: blocks of channels, of each all taps that lie within it.
  const int in = dims[dims.size() - 2].dim;
  auto isInput = [=](const PackedDim &dim) { return dim.dim == in; };
  int64_t blocks = 1, taps = 1;
  for (auto dim = llvm::find_if(dims, isInput); dim < dims.end() - 2; ++dim)
    (isInput(*dim) ? blocks : taps) *= dim->count;
  const int64_t run = blocks * taps * block;
  const auto units = fastRuns(channels, taps, block, !transformed);
  for (int64_t v = 0, count = plain.size() / (run * lanes); v < count; ++v) {
    const float *from = plain.data() + v * run * lanes;
    float *to = out.data() + v * (run + 2) * lanes;
    for (int64_t o = 0; o < lanes; ++o) {
      float largest = 0;
      for (int64_t k = 0; k < run; ++k)
        largest = std::max(largest, std::abs(from[k * lanes + o]));
      int exponent = largest > 0 && std::isfinite(largest)
                         ? std::clamp(std::ilogb(largest), -100, 100)
                         : 0;
      auto at = [&](int64_t k) -> float & { return to[k * lanes + o]; };
      for (int64_t k = 0; k < run; ++k) {
        float value = std::ldexp(from[k * lanes + o], -exponent);
        at(k) = turnsSign(units.front(), k % block, k / block) ? -value : value;
      }
      double sum = 0;
      for (const FastRun &each : units)
        for (int64_t unit = 0; unit < each.count; ++unit)
          for (int64_t j = 0; j < each.pairs(); ++j) {
            int64_t k = (each.first + unit * each.blocks) * block + j;
            sum += double(at(k)) * at(k + each.pairs());
          }
      at(run) = (float)-sum;
      at(run + 1) = std::ldexp(1.0f, exponent);
    }
  }
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
  MutableArrayRef<float> result = out[0];
  std::vector<float> plain;
  if (packed.getFip()) {
    size_t count = 1;
    for (const PackedDim &dim : *dims)
      count *= dim.count;
    plain.resize(count);
    result = plain;
  }
  size_t rank = dims->size();
  SmallVector<int64_t> index(rank, 0), at(shape.size(), 0);
  const PackedDim &inner = dims->back();
  // An odometer over all but the innermost dimension.
  for (size_t o = 0; o < result.size(); o += inner.count) {
    int64_t base = 0;
    bool inside = true;
    for (size_t d = 0; d < shape.size(); ++d) {
      base += at[d] * sourceStride[d];
      inside &= at[d] < shape[d];
    }
    for (int64_t i = 0; i < inner.count; ++i) {
      bool there = inside && at[inner.dim] + i * inner.step < shape[inner.dim];
      result[o + i] =
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
  if (packed.getFip())
    packFast(plain, *dims, shape[1 - dims->back().dim], packed.getWinograd(), out[0]);
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
