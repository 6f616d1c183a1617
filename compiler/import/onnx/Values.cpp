//===- Values.cpp - Tensors as operations need them ----------------------===//

#include "compiler/import/onnx/Graph.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using llvm::StringRef;
using llvm::Twine;

namespace halcyon::onnx {

Tensor NodeContext::counted(Tensor x, const Tensor &like, int64_t axis) {
  x.count = like.count;
  x.countedAxis = axis;
  return x;
}

Tensor NodeContext::constant(HostTensor known) {
  Tensor result;
  result.type = known.type();
  result.shape.assign(known.shape().begin(), known.shape().end());
  result.known = std::move(known);
  return result;
}

Tensor NodeContext::made(mlir::Value value, DataType type,
                         ArrayRef<int64_t> shape) {
  Tensor result;
  result.type = type;
  result.shape.assign(shape.begin(), shape.end());
  result.value = value;
  return result;
}

Tensor NodeContext::made(mlir::Value value, DataType type) {
  Shape shape;
  for (int64_t size : cnn::tensorOf(value).getShape())
    shape.push_back(ShapedType::isDynamic(size) ? kOpen : size);
  return made(value, type, shape);
}

Tensor NodeContext::ordered(const Tensor &x, ArrayRef<int64_t> order) {
  if (ArrayRef(x.order) == order)
    return x;
  if (x.isKnown()) {
    Tensor result = constant(x.known.transposed(order));
    for (auto [d, axis] : llvm::enumerate(order))
      result.shape[axis] = x.shape[axis];
    result.order.assign(order.begin(), order.end());
    return result;
  }
  std::string key;
  for (ArrayRef<int64_t> numbers : {x.sizes(), ArrayRef(x.order), order})
    for (key += ";"; int64_t number : numbers)
      key += " " + std::to_string(number);
  mlir::Value &done = owner.reshaped[{x.value.getAsOpaquePointer(), key}];
  Tensor result = x;
  result.order.assign(order.begin(), order.end());
  if (!done) {
    done = computeIn(order, x.type, x.shape, {x},
                     [](Coords at, ArrayRef<Reader> in) { return in[0](at); })
               .value;
    if (done)
      done.getDefiningOp<cnn::IndexedOp>().setFunction("transpose");
  }
  result.value = done;
  return result;
}

Tensor NodeContext::reshape(const Tensor &given, ArrayRef<int64_t> shape) {
  if (given.isOrdered() && ArrayRef(given.shape) == shape)
    return given;
  const Tensor x = ordered(given, {});
  Tensor result = x;
  // The batch stays where it is among the elements.
  if (!x.isKnown() && (x.isTurned() || openAxis(shape) > 0)) {
    auto before = [](ArrayRef<int64_t> sizes) {
      return elementCount(sizes.take_front(std::max<int64_t>(0, openAxis(sizes))));
    };
    if (before(x.shape) != before(shape) ||
        (openAxis(x.shape) < 0) != (openAxis(shape) < 0)) {
      (void)mixesBatch("the batch becomes part of another dimension");
      return result;
    }
  }
  result.shape.assign(shape.begin(), shape.end());
  if (x.isKnown())
    result.known = x.known.reshaped(shape);
  if (!x.isCounted())
    return result;
  // What is counted stays a dimension.
  auto before = elementCount(x.sizes().take_front(x.countedAxis));
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
    if (shape[d] == x.shape[x.countedAxis] &&
        elementCount(shape.take_front(d)) == before)
      return counted(result, x, d);
  (void)fail("the data decide about a size of its operand, which is no size of "
             "its result");
  return result;
}

mlir::Value NodeContext::weight(const Tensor &x, StringRef role) {
  if (!owner.elementType(x.type)) {
    (void)fail("there is no arithmetic of " + nameOf(x.type) + " here");
    return nullptr;
  }
  std::string wanted = x.name.empty() ? layerPath + "." + role.str() : x.name;
  std::string name = owner.weights->add(wanted, x.known);
  Shape shape = x.shape.empty() ? Shape{1} : x.shape;
  return cnn::WeightOp::create(builder(), loc(), owner.typeOf(x.type, shape),
                               builder().getStringAttr(name));
}

/// The coordinates in a tensor of shape `from` of an element of the same tensor
/// in shape `to`. Dimensions that have the same elements are taken together, as
/// few as there are.
static SmallVector<Expr> reshapedCoords(ArrayRef<int64_t> from,
                                        ArrayRef<int64_t> to) {
  SmallVector<Expr> result;
  size_t i = 0, k = 0;
  while (i < from.size() || k < to.size()) {
    size_t beginI = i, beginK = k;
    int64_t a = i < from.size() ? from[i++] : 1, b = k < to.size() ? to[k++] : 1;
    while (a != b) {
      if ((a < b && i < from.size()) || k == to.size())
        a *= from[i++];
      else
        b *= to[k++];
    }
    SmallVector<Expr> at;
    for (size_t d = beginK; d < k; ++d)
      at.push_back(to[d] == 1 ? Expr(0) : coord(d));
    ArrayRef<int64_t> own = from.slice(beginI, i - beginI);
    ArrayRef<int64_t> other = to.slice(beginK, k - beginK);
    if (own.size() == 1 && other.size() == 1)
      result.push_back(at[0]);
    else
      llvm::append_range(result, unravel(ravel(at, other), own));
  }
  return result;
}

mlir::Value NodeContext::value(const Tensor &x, ArrayRef<int64_t> shape) {
  if (bad)
    return nullptr;
  if (!x.isKnown() && !x.value) {
    (void)fail("one of its operands is missing");
    return nullptr;
  }
  if (x.isOrdered())
    return value(ordered(x, {}), shape);
  if (x.isKnown()) {
    Tensor known = x;
    if (x.known.dependsOnBatch()) {
      (void)mixesBatch("it computes with the number of images");
      return nullptr;
    }
    if (ArrayRef(x.shape) != shape)
      known = reshape(x, shape);
    return weight(known, "constant");
  }
  if (openAxis(shape) > 0) {
    (void)mixesBatch("the batch is not its outermost dimension");
    return nullptr;
  }
  RankedTensorType type = owner.typeOf(x.type, shape);
  if (x.value.getType() == type)
    return x.value;
  std::string key;
  llvm::raw_string_ostream(key) << type;
  mlir::Value &done = owner.reshaped[{x.value.getAsOpaquePointer(), key}];
  if (done)
    return done;
  ArrayRef<int64_t> from = cnn::tensorOf(x.value).getShape();
  if (ShapedType::isDynamic(from[0]) != (shape[0] == kOpen)) {
    (void)mixesBatch("the batch becomes part of another dimension");
    return nullptr;
  }
  if (from.size() == 4 && shape.size() == 2 && shape[0] == kOpen)
    return done = cnn::FlattenOp::create(builder(), loc(), x.value);
  // Element by element, in row-major order.
  Shape sizes;
  for (int64_t size : from)
    sizes.push_back(ShapedType::isDynamic(size) ? kOpen : size);
  return done = emitIndexed(builder(), loc(), "reshape", type, x.type,
                            readOf(0, x.kind(), reshapedCoords(sizes, shape)),
                            {x.value}, {x.type});
}

Tensor NodeContext::transpose(const Tensor &x, ArrayRef<int64_t> order) {
  if (llvm::is_sorted(order))
    return x;
  Shape shape;
  for (int64_t axis : order)
    shape.push_back(x.shape[axis]);
  if (x.isKnown()) {
    Tensor result = constant(x.known.transposed(order));
    return result;
  }
  if (x.isCounted()) {
    Tensor plain = x;
    plain.count = nullptr;
    return counted(transpose(plain, order), x,
                   llvm::find(order, x.countedAxis) - order.begin());
  }
  // Behind the batch, the value stays as it is.
  if (order[0] == 0 && openAxis(x.shape) <= 0 && x.rank() > 2) {
    Tensor result = x;
    result.shape = shape;
    result.order.clear();
    for (int64_t d = 0; d < x.rank(); ++d) {
      int64_t axis = x.isOrdered() ? x.order[d] : d;
      result.order.push_back(llvm::find(order, axis) - order.begin());
    }
    if (llvm::is_sorted(result.order))
      result.order.clear();
    return result;
  }
  if (x.isOrdered())
    return transpose(ordered(x, {}), order);
  // The batch may stand anywhere among the others.
  Shape others(order);
  llvm::erase_if(others, [&](int64_t axis) { return x.shape[axis] == kOpen; });
  if (llvm::is_sorted(others)) {
    Tensor result = x;
    result.shape = shape;
    return result;
  }
  return compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
    SmallVector<Expr> source(at.size());
    for (auto [d, axis] : llvm::enumerate(order))
      source[axis] = at[d];
    return in[0](source);
  });
}

Tensor NodeContext::cast(const Tensor &x, DataType type) {
  if (x.type == type)
    return x;
  Kind kind = kindOf(type);
  return map({x}, type, [&](ArrayRef<Expr> e) { return convert(e[0], kind); });
}

} // namespace halcyon::onnx
