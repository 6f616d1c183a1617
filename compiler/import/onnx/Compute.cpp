//===- Compute.cpp - Formulas over operands as operations ----------------===//

#include "compiler/import/onnx/Graph.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using llvm::StringRef;
using llvm::Twine;

namespace halcyon::onnx {

Shape asMaps(ArrayRef<int64_t> shape) {
  Shape result(shape);
  if (result.size() == 3)
    result.insert(result.begin() + 2, 1);
  return result;
}

int64_t openAxis(ArrayRef<int64_t> shape) {
  auto found = llvm::find(shape, kOpen);
  return found == shape.end() ? -1 : found - shape.begin();
}

/// Whatever there is for every dimension, that of the batch first.
template <typename T>
static SmallVector<T, 4> batchFirst(ArrayRef<T> of, ArrayRef<int64_t> shape) {
  SmallVector<T, 4> result(of);
  if (int64_t axis = openAxis(shape); axis > 0)
    std::rotate(result.begin(), result.begin() + axis, result.begin() + axis + 1);
  return result;
}

Shape heldShape(ArrayRef<int64_t> shape) { return batchFirst(shape, shape); }

/// The sizes of an image.
static Shape imageSizes(ArrayRef<int64_t> shape) {
  Shape sizes = heldShape(shape);
  if (!sizes.empty() && sizes[0] == kOpen)
    sizes.erase(sizes.begin());
  return sizes;
}

Tensor Tensor::held() const {
  Tensor result = *this;
  for (auto [d, axis] : llvm::enumerate(order))
    result.shape[d] = shape[axis];
  result.order.clear();
  return result;
}

Shape orderOf(ArrayRef<Tensor> tensors, size_t rank) {
  for (const Tensor &tensor : tensors)
    if (tensor.isOrdered() && tensor.order.size() == rank)
      return Shape(ArrayRef(tensor.order));
  return {};
}

Expr Reader::operator()(Coords logical) const {
  SmallVector<Expr, 4> at = batchFirst(logical, shape);
  for (auto [d, axis] : llvm::enumerate(order))
    at[d] = logical[axis];
  if (shape.size() == kept.size())
    return readOf(operand, elements, at);
  if (shape.empty())
    return readOf(operand, elements, {Expr(0)});
  return readOf(operand, elements, {at[0], at[1], Expr(0), at[2]});
}

/// The coordinates of an element of a result.
static SmallVector<Expr> coordsOf(ArrayRef<int64_t> shape,
                                  ArrayRef<int64_t> order) {
  SmallVector<Expr> at;
  int64_t batch = openAxis(shape);
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d) {
    int64_t held = !order.empty() ? llvm::find(order, d) - order.begin()
                   : d == batch   ? 0
                   : d < batch    ? d + 1
                                  : d;
    at.push_back(shape[d] == 1 ? Expr(0) : coord(held));
  }
  return at;
}

/// Whether every element of a batch follows from operands of its own image.
static bool keepsBatch(const Expr &formula, ArrayRef<Tensor> operands,
                       bool resultHasBatch) {
  SmallVector<const ExprNode *> pending = {formula.get()};
  llvm::SmallPtrSet<const ExprNode *, 32> seen;
  while (!pending.empty()) {
    const ExprNode *node = pending.pop_back_val();
    if (!seen.insert(node).second)
      continue;
    if (node->op == ExprOp::Read &&
        openAxis(operands[node->index].shape) >= 0) {
      const Expr &image = node->operands[0];
      if (!resultHasBatch || image->op != ExprOp::Coord || image->index != 0)
        return false;
    }
    for (const Expr &operand : node->operands)
      pending.push_back(operand.get());
  }
  return true;
}

/// The limits of a tensor, as in the language: 2^31 elements an image.
static bool isTooLarge(ArrayRef<int64_t> shape) {
  auto count = elementCount(imageSizes(shape));
  return !count || *count > (int64_t(1) << 31) || shape.size() > 8;
}

Tensor NodeContext::compute(DataType type, ArrayRef<int64_t> shape,
                            ArrayRef<Tensor> operands, Element element) {
  Shape order;
  if (openAxis(shape) <= 0)
    order = orderOf(operands, shape.size());
  return computeIn(order, type, shape, operands, element);
}

Tensor NodeContext::computeIn(ArrayRef<int64_t> order, DataType type,
                              ArrayRef<int64_t> shape,
                              ArrayRef<Tensor> operands, Element element) {
  Tensor result;
  result.type = type;
  result.shape.assign(shape.begin(), shape.end());
  if (bad)
    return result;
  bool hasBatch = openAxis(shape) >= 0;
  auto count = elementCount(imageSizes(shape));
  if (isTooLarge(shape)) {
    (void)fail("its result is too large");
    return result;
  }
  if (*count == 0 && !hasBatch) {
    result.known = HostTensor::of(type, shape, {});
    return result;
  }
  bool allKnown = llvm::all_of(operands, [](auto &x) { return x.isKnown(); });
  if (allKnown && !hasBatch) {
    SmallVector<Reader> readers;
    SmallVector<HostTensor> numbers;
    for (auto [i, operand] : llvm::enumerate(operands)) {
      readers.emplace_back(i, operand, operand.shape);
      numbers.push_back(operand.known);
    }
    SmallVector<Expr> at;
    for (unsigned d = 0; d < shape.size(); ++d)
      at.push_back(coord(d));
    Expr formula = element(at, readers);
    if (auto folded = evaluate(formula, type, shape, numbers)) {
      result.known = *folded;
      return result;
    }
  }
  if (!owner.elementType(type)) {
    (void)fail("its result has elements of " + nameOf(type) +
               ", for which there is no arithmetic here");
    return result;
  }
  SmallVector<Reader> readers;
  SmallVector<mlir::Value> values;
  SmallVector<DataType> types;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    Shape kept = owner.keptShape(operand);
    readers.emplace_back(i, operand, kept);
    if (operand.isKnown() && operand.known.dependsOnBatch()) {
      (void)mixesBatch("it computes with the number of images");
      return result;
    }
    values.push_back(value(operand.held(), kept));
    types.push_back(operand.type);
    if (!values.back())
      return result;
  }
  result.order.assign(order.begin(), order.end());
  Shape kept = owner.keptShape(result);
  Expr formula = element(coordsOf(shape, order), readers);
  if (!keepsBatch(formula, operands, hasBatch)) {
    (void)mixesBatch("it reads other images than its own");
    return result;
  }
  result.value =
      emitIndexed(builder(), loc(), StringRef(node.op).lower(),
                  owner.typeOf(type, kept), type, formula, values, types);
  return result;
}

std::optional<Shape> NodeContext::broadcast(ArrayRef<Tensor> tensors) {
  size_t rank = 0;
  for (const Tensor &tensor : tensors)
    rank = std::max(rank, tensor.shape.size());
  Shape shape(rank, 1);
  for (const Tensor &tensor : tensors) {
    size_t skip = rank - tensor.shape.size();
    for (auto [d, size] : llvm::enumerate(tensor.shape)) {
      int64_t &to = shape[skip + d];
      if (to == size || size == 1)
        continue;
      if (to != 1) {
        if (size == kOpen || to == kOpen)
          (void)mixesBatch("its operands differ in the batch");
        else
          (void)fail("its operands' shapes do not broadcast: " +
                     Twine(to) + " and " + Twine(size));
        return std::nullopt;
      }
      to = size;
    }
  }
  return shape;
}

/// A shape with ones before it.
static Shape padded(ArrayRef<int64_t> shape, size_t rank) {
  Shape result(rank - shape.size(), 1);
  result.append(shape.begin(), shape.end());
  return result;
}

Tensor NodeContext::map(ArrayRef<Tensor> operands, DataType type,
                        ElementMap element) {
  Tensor result;
  result.type = type;
  auto shape = broadcast(operands);
  if (!shape)
    return result;
  // As many as the operands that are counted have; all others are one.
  for (const Tensor &like : operands) {
    if (!like.isCounted())
      continue;
    int64_t fromEnd = like.rank() - like.countedAxis;
    SmallVector<Tensor> plain(operands);
    for (Tensor &operand : plain) {
      bool one = operand.rank() < fromEnd ||
                 operand.shape[operand.rank() - fromEnd] == 1;
      bool same = operand.count == like.count &&
                  operand.rank() - operand.countedAxis == fromEnd;
      if (!same && (operand.isCounted() || !one)) {
        (void)fail("its operands differ in how many elements the data make");
        return result;
      }
      operand.count = nullptr;
    }
    return counted(map(plain, type, element), like, shape->size() - fromEnd);
  }
  Shape order = orderOf(operands, shape->size());
  if (!order.empty() && openAxis(*shape) <= 0)
    return mapIn(order, *shape, operands, type, element);
  // Of known numbers, and where sizes can't be merged: with coordinates.
  auto byCoordinates = [&] {
    return compute(type, *shape, operands,
                   [&](Coords at, ArrayRef<Reader> readers) {
                     SmallVector<Expr> elements;
                     for (const Reader &reader : readers) {
                       SmallVector<Expr> own(at.take_back(reader.sizes().size()));
                       for (auto [index, size] : llvm::zip(own, reader.sizes()))
                         if (size == 1)
                           index = Expr(0);
                       elements.push_back(reader(own));
                     }
                     return element(elements);
                   });
  };
  if (openAxis(*shape) > 0 ||
      llvm::all_of(operands, [](auto &x) { return x.isKnown(); }))
    return byCoordinates();
  if (bad)
    return result;
  result.shape = *shape;
  if (isTooLarge(*shape)) {
    (void)fail("its result is too large");
    return result;
  }
  // Maps in one dimension stay rows of maps in two.
  bool rows = false;
  for (const Tensor &operand : operands)
    rows |= ArrayRef(operand.shape) == ArrayRef(*shape) &&
            owner.keptShape(operand).size() > shape->size() && !shape->empty();
  Shape kept = rows ? asMaps(*shape) : owner.keptShape(result);
  SmallVector<Expr> elements;
  SmallVector<mlir::Value> values;
  SmallVector<DataType> types;
  for (const Tensor &operand : operands) {
    std::optional<Scalar> number;
    if (operand.isKnown())
      number = operand.known.uniform();
    if (number) {
      Expr literal = isFloat(number->kind) ? Expr(number->f) : Expr(number->i);
      elements.push_back(convert(literal, operand.kind()));
      continue;
    }
    Shape own = padded(operand.shape, shape->size());
    if (rows)
      own = asMaps(own);
    if (own.empty())
      own = {1};
    if (result.hasBatch() && !operand.hasBatch()) {
      // Of what is the same for all images, maps take vectors of channels.
      bool vector = operand.isKnown() && own.size() > 1;
      for (auto [d, size] : llvm::enumerate(own))
        vector &= d == 1 || size == 1;
      if (!vector)
        return byCoordinates();
      own = Shape{own[1]};
    }
    elements.push_back(readOf(values.size(), operand.kind(), {}));
    values.push_back(value(operand, own));
    types.push_back(operand.type);
    if (!values.back())
      return result;
  }
  if (!owner.elementType(type)) {
    (void)fail("its result has elements of " + nameOf(type) +
               ", for which there is no arithmetic here");
    return result;
  }
  // Operands that all are a single number: the shape needs coordinates.
  auto met = values.empty() ? std::nullopt
                            : cnn::MapOp::broadcast(ValueRange(values).getTypes());
  if (!met || ArrayRef(*met) != owner.typeOf(type, kept).getShape())
    return byCoordinates();
  result.value = emitMap(builder(), loc(), StringRef(node.op).lower(),
                         owner.typeOf(type, kept), type, element(elements),
                         values, types);
  return result;
}

/// The same function of what the operands' values hold.
Tensor NodeContext::mapIn(const Shape &order, ArrayRef<int64_t> shape,
                          ArrayRef<Tensor> operands, DataType type,
                          ElementMap element) {
  SmallVector<Tensor> held;
  for (const Tensor &operand : operands) {
    Tensor whole = reshape(operand, padded(operand.shape, shape.size()));
    Tensor turned = ordered(whole, order).held();
    // A vector keeps its name, wherever it stands.
    if (operand.isKnown() && operand.known.count() == operand.shape.back())
      turned.name = operand.name;
    held.push_back(turned);
  }
  Tensor result = map(held, type, element);
  result.shape.assign(shape.begin(), shape.end());
  result.order.assign(order.begin(), order.end());
  return result;
}

} // namespace halcyon::onnx
