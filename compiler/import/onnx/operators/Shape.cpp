//===- Shape.cpp - Shapes, and what has the same elements -----------------===//

#include "compiler/import/onnx/operators/Axes.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static Tensor integersOf(NodeContext &node, ArrayRef<Scalar> numbers,
                         ArrayRef<int64_t> shape) {
  return node.constant(HostTensor::of(DataType::I64, shape, numbers));
}

static Scalar sizeScalar(int64_t size) {
  return size == kOpen ? Scalar{Kind::Int, 0, 0, 1} : Scalar::integer(size);
}

static LogicalResult importShape(NodeContext &node) {
  const Tensor &x = node.in(0);
  int64_t rank = x.rank();
  auto bound = [&](StringRef name, int64_t otherwise) {
    int64_t at = node.integer(name, otherwise);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  int64_t start = bound("start", 0), end = bound("end", rank);
  SmallVector<Scalar> sizes;
  for (int64_t d = start; d < end; ++d)
    sizes.push_back(sizeScalar(x.shape[d]));
  return node.set(integersOf(node, sizes, {int64_t(sizes.size())}));
}
static RegisterOperator shape("Shape", importShape);
static RegisterTakes takesShape(shape, {Operand::Turned});

static LogicalResult importSize(NodeContext &node) {
  const Tensor &x = node.in(0);
  Scalar count = Scalar::integer(1);
  for (int64_t size : x.shape) {
    if (size == kOpen)
      count = {Kind::Int, 0, 0, 1};
    else if (count.batch)
      count.batch *= size;
    else
      count.i *= size;
  }
  return node.set(integersOf(node, count, {}));
}
static RegisterOperator sizeOf("Size", importSize);

//===----------------------------------------------------------------------===//
// Reshape, Flatten, Squeeze, Unsqueeze
//===----------------------------------------------------------------------===//

/// The shape that the numbers of a Reshape stand for. An open batch stays the
/// outermost size, whether it is written as its number, as 0, as -1, or as the
/// number that the file was made with.
static std::optional<Shape> targetShape(NodeContext &node, const Tensor &x,
                                        ArrayRef<int64_t> numbers,
                                        bool allowZero) {
  Shape shape;
  std::optional<unsigned> rest;
  for (auto [d, number] : llvm::enumerate(numbers)) {
    int64_t size = number;
    if (number == 0 && !allowZero) {
      if (int64_t(d) >= x.rank()) {
        (void)node.fail("there is no size " + Twine(d) + " to keep");
        return std::nullopt;
      }
      size = x.shape[d];
    } else if (number == kBatchNumber) {
      size = kOpen;
    } else if (number == -1) {
      if (rest) {
        (void)node.fail("two sizes are -1");
        return std::nullopt;
      }
      rest = d;
      size = 1;
    } else if (number < -1) {
      (void)node.fail("a size is " + Twine(number));
      return std::nullopt;
    }
    shape.push_back(size);
  }
  bool open = x.hasBatch();
  auto count = elementCount(x.sizes().drop_front(open));
  if (open) {
    // The batch is the first size; all others are known.
    bool first = !shape.empty() && (shape[0] == kOpen || rest == 0u);
    auto others = elementCount(ArrayRef(shape).drop_front(!shape.empty()));
    if (!first && !shape.empty() && others && count && (rest || others == count))
      first = shape[0] == node.importer().declaredBatch;
    if (!first) {
      (void)node.mixesBatch("its result has no batch of its own");
      return std::nullopt;
    }
    if (rest == 0u)
      rest.reset();
    shape[0] = kOpen;
  }
  ArrayRef<int64_t> known = ArrayRef(shape).drop_front(open);
  if (llvm::is_contained(known, kOpen)) {
    (void)node.mixesBatch("the batch becomes another dimension");
    return std::nullopt;
  }
  auto others = elementCount(known);
  if (rest && others && count && *others && *count % *others == 0) {
    shape[*rest] = *count / *others;
    others = count;
  }
  if (!others || others != count) {
    if (open)
      (void)node.mixesBatch("its result has another number of elements an image");
    else
      (void)node.fail("its result has another number of elements");
    return std::nullopt;
  }
  return shape;
}

static LogicalResult importReshape(NodeContext &node) {
  const Tensor &x = node.in(0);
  bool given;
  auto numbers = node.integersAt(1, "shape", given);
  if (!numbers)
    return failure();
  auto shape = targetShape(node, x, *numbers, node.integer("allowzero"));
  if (!shape)
    return failure();
  return node.set(node.reshape(x, *shape));
}
static RegisterOperator reshape("Reshape", importReshape);

static LogicalResult importFlatten(NodeContext &node) {
  const Tensor &x = node.in(0);
  int64_t number = node.integer("axis", 1), rank = x.rank();
  if (number < -rank || number > rank)
    return node.fail("there is no axis " + Twine(number) + " of " + Twine(rank));
  int64_t axis = number < 0 ? number + rank : number;
  if (x.hasBatch() && axis != 1)
    return node.mixesBatch("the batch is joined with other dimensions");
  auto before = x.hasBatch() ? std::optional(kOpen)
                             : elementCount(x.sizes().take_front(axis));
  auto after = elementCount(x.sizes().drop_front(axis));
  if (!before || !after)
    return node.fail("its result is too large");
  return node.set(node.reshape(x, {*before, *after}));
}
static RegisterOperator flatten("Flatten", importFlatten);

static LogicalResult importSqueeze(NodeContext &node) {
  const Tensor &x = node.in(0);
  bool given;
  auto numbers = node.integersAt(1, "axes", given);
  if (!numbers)
    return failure();
  auto axes = node.axes(*numbers, x.rank());
  if (!axes)
    return failure();
  Shape shape;
  int64_t countedAxis = x.countedAxis;
  for (auto [d, size] : llvm::enumerate(x.shape)) {
    bool isCounted = x.isCounted() && int64_t(d) == x.countedAxis;
    bool drop = given ? llvm::is_contained(*axes, int64_t(d))
                      : size == 1 && !isCounted;
    if (drop && isCounted)
      return node.fail("the data decide about the size that it drops");
    countedAxis -= drop && int64_t(d) < x.countedAxis;
    if (drop && size == kOpen)
      return node.mixesBatch("it drops the batch");
    if (drop && size != 1)
      return node.fail("the size " + Twine(size) + " can't be dropped");
    if (!drop)
      shape.push_back(size);
  }
  Tensor result = node.reshape(x, shape);
  result.countedAxis = countedAxis;
  return node.set(result);
}
static RegisterOperator squeeze("Squeeze", importSqueeze);
static RegisterTakes takesSqueeze(squeeze);

static LogicalResult importUnsqueeze(NodeContext &node) {
  const Tensor &x = node.in(0);
  bool given;
  auto numbers = node.integersAt(1, "axes", given);
  if (!numbers)
    return failure();
  auto axes = node.axes(*numbers, x.rank() + numbers->size());
  if (!axes)
    return failure();
  Shape shape;
  int64_t countedAxis = -1;
  for (int64_t d = 0, next = 0, rank = x.rank() + axes->size(); d < rank; ++d) {
    bool added = llvm::is_contained(*axes, d);
    if (!added && next == x.countedAxis)
      countedAxis = d;
    shape.push_back(added ? 1 : x.shape[next++]);
  }
  Tensor result = node.reshape(x, shape);
  result.countedAxis = countedAxis;
  return node.set(result);
}
static RegisterOperator unsqueeze("Unsqueeze", importUnsqueeze);
static RegisterTakes takesUnsqueeze(unsqueeze);

//===----------------------------------------------------------------------===//
// Transpose, Concat
//===----------------------------------------------------------------------===//

static LogicalResult importTranspose(NodeContext &node) {
  const Tensor &x = node.in(0);
  std::vector<int64_t> order = node.integers("perm");
  if (order.empty())
    for (int64_t d = x.rank(); d-- > 0;)
      order.push_back(d);
  auto axes = node.axes(order, x.rank());
  if (!axes || int64_t(axes->size()) != x.rank())
    return node.fail("perm does not name every dimension once");
  return node.set(node.transpose(x, *axes));
}
static RegisterOperator transpose("Transpose", importTranspose);
static RegisterTakes takesTranspose(transpose);

Tensor onnx::concatenated(NodeContext &node, ArrayRef<Tensor> parts,
                          int64_t axis) {
  Shape shape = parts.front().shape;
  shape[axis] = 0;
  for (const Tensor &part : parts)
    shape[axis] += part.shape[axis];
  return node.compute(
      parts.front().type, shape, parts, [&](Coords at, ArrayRef<Reader> in) {
        // The last part whose beginning is not behind the coordinate.
        Expr element;
        int64_t begin = 0;
        for (const Reader &part : in) {
          SmallVector<Expr> from(at);
          from[axis] = at[axis] - Expr(begin);
          Expr own = part(from);
          element = element ? select(at[axis] < Expr(begin), element, own) : own;
          begin += part.sizes()[axis];
        }
        return element;
      });
}

static LogicalResult importConcat(NodeContext &node) {
  SmallVector<Tensor> parts = node.all();
  if (parts.empty())
    return node.fail("it joins nothing");
  int64_t rank = parts[0].rank();
  auto axis = node.axis(node.integer("axis", 1), rank);
  if (!axis)
    return failure();
  const Shape shape = parts[0].shape;
  const Tensor first = parts[0];
  for (Tensor &part : parts) {
    if (part.count != first.count || part.countedAxis != first.countedAxis ||
        (part.isCounted() && part.countedAxis == *axis))
      return node.fail("the data decide about the sizes that it joins");
    part.count = nullptr;
  }
  bool maps = rank == 4 || rank == 2;
  for (const Tensor &part : parts) {
    if (part.rank() != rank)
      return node.fail("its operands differ in the number of dimensions");
    for (int64_t d = 0; d < rank; ++d) {
      if (part.shape[d] == kOpen && d == *axis)
        return node.mixesBatch("it joins images");
      if (d != *axis && part.shape[d] != shape[d])
        return openAxis(part.shape) != openAxis(shape)
                   ? node.mixesBatch("its operands differ in the batch")
                   : node.fail("its operands differ in size");
    }
    maps &= part.type == DataType::F32 && part.hasBatch();
  }
  if (maps && *axis == 1) {
    SmallVector<mlir::Value> values;
    for (const Tensor &part : parts)
      values.push_back(node.value(part, part.shape));
    if (node.failed())
      return failure();
    mlir::Value joined = cnn::ConcatOp::create(node.builder(), node.loc(), values);
    return node.set(node.made(joined, parts[0].type));
  }
  Tensor joined = concatenated(node, parts, *axis);
  return node.set(first.isCounted() ? node.counted(joined, first, first.countedAxis)
                                    : joined);
}
static RegisterOperator concat("Concat", importConcat);
static RegisterTakes takesConcat(concat);
