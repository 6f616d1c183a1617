//===- Node.cpp - What importers of operators work with -------------------===//

#include "compiler/import/onnx/Graph.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/STLExtras.h"

#include <charconv>
#include <set>

using namespace mlir;
using llvm::StringRef;
using llvm::Twine;

namespace halcyon::onnx {

//===----------------------------------------------------------------------===//
// The registry
//===----------------------------------------------------------------------===//

using Versions = std::map<int64_t, ImportFunction>;

static std::map<std::string, Versions> &registry() {
  static std::map<std::string, Versions> operators;
  return operators;
}

RegisterOperator::RegisterOperator(StringRef name, ImportFunction import,
                                   int64_t since, StringRef domain)
    : key((domain + ":" + name).str()) {
  registry()[key][since] = import;
}

static std::set<std::pair<std::string, Operand>> &takers() {
  static std::set<std::pair<std::string, Operand>> keys;
  return keys;
}

RegisterTakes::RegisterTakes(ArrayRef<RegisterOperator> operators,
                             std::initializer_list<Operand> kinds) {
  for (const RegisterOperator &op : operators)
    for (Operand kind : kinds)
      takers().insert({op.key, kind});
}

bool takesOperand(StringRef domain, StringRef name, Operand kind) {
  return takers().count({(domain + ":" + name).str(), kind});
}

ImportFunction findOperator(StringRef domain, StringRef name, int64_t opset) {
  auto found = registry().find((domain + ":" + name).str());
  if (found == registry().end())
    return nullptr;
  auto next = found->second.upper_bound(opset);
  return next == found->second.begin() ? nullptr : std::prev(next)->second;
}

//===----------------------------------------------------------------------===//
// Operands and attributes
//===----------------------------------------------------------------------===//

NodeContext::NodeContext(Importer &importer, const Node &node)
    : node(node), owner(importer), layerPath(importer.pathOf(node)),
      location(importer.locationOf(node, layerPath)) {}

OpBuilder &NodeContext::builder() { return owner.builder; }

bool NodeContext::has(unsigned i) const {
  return i < node.inputs.size() && !node.inputs[i].empty();
}

const Tensor &NodeContext::in(unsigned i) const {
  static const Tensor none;
  return has(i) ? owner.values.at(node.inputs[i]) : none;
}

SmallVector<Tensor> NodeContext::all() const {
  SmallVector<Tensor> tensors;
  for (unsigned i = 0; i < size(); ++i)
    if (has(i))
      tensors.push_back(in(i));
  return tensors;
}

std::optional<HostTensor> NodeContext::known(unsigned i) {
  if (!has(i)) {
    (void)fail("operand " + Twine(i + 1) + " is missing");
    return std::nullopt;
  }
  const Tensor &tensor = in(i);
  if (tensor.isKnown())
    return tensor.known;
  (void)fail("its operand '" + node.inputs[i] +
             "' decides about shapes, and is not known while compiling; an input "
             "of the model gets its numbers by --value NAME=FILE");
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> NodeContext::knownIntegers(unsigned i) {
  auto tensor = known(i);
  if (!tensor)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (int64_t k = 0, n = tensor->count(); k < n; ++k) {
    Scalar number = tensor->at(k).as(Kind::Int);
    // The batch itself is an open size; anything else of it is no number.
    if (number.batch == 1 && number.i == 0) {
      result.push_back(kBatchNumber);
      continue;
    }
    if (number.batch) {
      (void)mixesBatch("a size is computed from it");
      return std::nullopt;
    }
    result.push_back(number.i);
  }
  return result;
}

std::optional<SmallVector<double>> NodeContext::knownReals(unsigned i) {
  auto tensor = known(i);
  if (!tensor)
    return std::nullopt;
  SmallVector<double> result;
  for (int64_t k = 0, n = tensor->count(); k < n; ++k)
    result.push_back(tensor->real(k));
  return result;
}

std::optional<SmallVector<int64_t>>
NodeContext::integersAt(unsigned i, StringRef attribute, bool &isGiven) {
  isGiven = true;
  if (has(i))
    return knownIntegers(i);
  isGiven = given(attribute);
  std::vector<int64_t> numbers = integers(attribute);
  return SmallVector<int64_t>(numbers.begin(), numbers.end());
}

template <typename T>
static const T *attributeOf(const Node &node, StringRef name) {
  auto found = node.attributes.find(name.str());
  if (found == node.attributes.end())
    return nullptr;
  return std::get_if<T>(&found->second.value);
}

bool NodeContext::given(StringRef name) const {
  return node.attributes.count(name.str());
}
int64_t NodeContext::integer(StringRef name, int64_t otherwise) const {
  auto *value = attributeOf<int64_t>(node, name);
  return value ? *value : otherwise;
}
double NodeContext::number(StringRef name, double otherwise) const {
  auto *value = attributeOf<float>(node, name);
  if (!value)
    return otherwise;
  // The number that was meant: 1e-5, not the f32 that is nearest to it.
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, *value);
  double result = 0;
  std::from_chars(text, end.ptr, result);
  return result;
}
std::string NodeContext::word(StringRef name, StringRef otherwise) const {
  auto *value = attributeOf<std::string>(node, name);
  return value ? *value : otherwise.str();
}
std::vector<int64_t> NodeContext::integers(StringRef name,
                                           std::vector<int64_t> otherwise) const {
  auto *value = attributeOf<std::vector<int64_t>>(node, name);
  return value ? *value : otherwise;
}
std::vector<float> NodeContext::numbers(StringRef name) const {
  auto *value = attributeOf<std::vector<float>>(node, name);
  return value ? *value : std::vector<float>();
}
const HostTensor *NodeContext::tensor(StringRef name) const {
  return attributeOf<HostTensor>(node, name);
}
const Graph *NodeContext::graph(StringRef name) const {
  auto *value = attributeOf<std::shared_ptr<Graph>>(node, name);
  return value ? value->get() : nullptr;
}

std::optional<int64_t> NodeContext::axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  (void)fail("there is no axis " + Twine(axis) + " of " + Twine(rank));
  return std::nullopt;
}

std::optional<Shape> NodeContext::axes(ArrayRef<int64_t> numbers,
                                       int64_t rank) {
  Shape result;
  for (int64_t number : numbers) {
    auto found = axis(number, rank);
    if (!found)
      return std::nullopt;
    if (llvm::is_contained(result, *found)) {
      (void)fail("the axis " + Twine(number) + " is named twice");
      return std::nullopt;
    }
    result.push_back(*found);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Results and messages
//===----------------------------------------------------------------------===//

LogicalResult NodeContext::set(unsigned i, Tensor tensor) {
  if (bad || (!tensor.isKnown() && !tensor.value)) {
    bad = true;
    return failure();
  }
  if (i < node.outputs.size() && !node.outputs[i].empty())
    owner.values[node.outputs[i]] = std::move(tensor);
  return success();
}

LogicalResult NodeContext::fail(const Twine &message) {
  if (!bad)
    owner.errors.push_back(owner.describe(node) + ": " + message.str());
  bad = true;
  return failure();
}

LogicalResult NodeContext::mixesBatch(const Twine &how) {
  if (owner.mixed.empty())
    owner.mixed = owner.describe(node) + ": " + how.str();
  bad = true;
  return failure();
}

//===----------------------------------------------------------------------===//
// Formulas
//===----------------------------------------------------------------------===//

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

Expr Reader::operator()(Coords logical) const {
  SmallVector<Expr, 4> at = batchFirst(logical, shape);
  if (shape.size() == kept.size())
    return readOf(operand, elements, at);
  if (shape.empty())
    return readOf(operand, elements, {Expr(0)});
  return readOf(operand, elements, {at[0], at[1], Expr(0), at[2]});
}

/// The coordinates of an element of a result.
static SmallVector<Expr> coordsOf(ArrayRef<int64_t> shape) {
  SmallVector<Expr> at;
  int64_t batch = openAxis(shape);
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d) {
    int64_t held = d == batch ? 0 : d < batch ? d + 1 : d;
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
    values.push_back(value(operand, kept));
    types.push_back(operand.type);
    if (!values.back())
      return result;
  }
  Shape kept = owner.keptShape(result);
  Expr formula = element(coordsOf(shape), readers);
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

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

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

Tensor NodeContext::reshape(const Tensor &x, ArrayRef<int64_t> shape) {
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
  result.name.clear();
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
  if (x.isKnown()) {
    Tensor known = x;
    if (x.known.dependsOnBatch()) {
      (void)mixesBatch("it computes with the number of images");
      return nullptr;
    }
    if (ArrayRef(x.shape) != shape)
      known = reshape(x, shape), known.name = x.name;
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
