//===- Indexed.cpp - Index notation as nodes of ONNX ----------------------===//
//
// Every scalar of the region is a tensor whose dimensions are those of the
// result, then the variables of the reductions around it; its size is 1 along
// those that it does not depend on. Whole numbers that follow from coordinates
// are computed here, and elements read at them are gathered; what the data
// decide is computed and gathered when the file is run.
//
//===----------------------------------------------------------------------===//

#include "compiler/emit/onnx/Export.h"
#include "dialects/cnn/IndexAnalysis.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using namespace halcyon;

namespace {

/// Whole numbers known here: dense, row-major, broadcasting.
struct Numbers {
  SmallVector<int64_t> shape;
  std::vector<int64_t> values;
};

/// A tensor of the graph: its sizes, 1 along what it does not depend on.
struct Known {
  std::string name;
  SmallVector<int64_t> shape;
};

/// Room for indices of one read.
constexpr int64_t kMostIndices = int64_t(1) << 26;
/// Truth values, more of them than of what they follow from, are not computed here.
constexpr int64_t kMostTruths = int64_t(1) << 16;

class IndexedWriter {
public:
  IndexedWriter(cnn::IndexedOp op, OnnxWriter &w)
      : op(op), w(w), analysis(op),
        rank(cnn::tensorOf(op.getResult()).getRank()) {}

  LogicalResult run();

private:
  LogicalResult block(Block &block);
  LogicalResult scalar(Operation &op);
  LogicalResult read(cnn::ReadOp read);
  LogicalResult reduce(cnn::ReduceOp reduce);
  LogicalResult fail(Operation *at) {
    return op.emitError() << "'" << at->getName().getStringRef() << "' of '"
                          << op.getFunction() << "' has no form in ONNX here";
  }

  /// A vector of whole numbers along one dimension.
  Numbers along(unsigned dim, int64_t from, int64_t size) const;
  std::optional<Numbers> numbersOf(Operation &op);
  /// The numbers as a constant of the graph, of a scalar's type.
  std::string constantOf(const Numbers &numbers, Type type);
  /// The tensor that a value is, with all the dimensions that there are now.
  std::string tensor(Value value);
  /// The sizes that values have together, with all the dimensions.
  SmallVector<int64_t> shapeOf(ValueRange values);
  void set(Value value, std::string name, SmallVector<int64_t> shape) {
    shape.resize(extents.size(), 1);
    tensors[value] = {std::move(name), std::move(shape)};
  }
  /// Elements at places that are numbers of the graph; where a value has
  /// images, the places of one are in a row.
  void gather(cnn::ReadOp read, const std::string &flat,
              SmallVector<int64_t> shape, const std::string &mask);
  LogicalResult readAtData(cnn::ReadOp read);
  /// Both index and mask of a read; nothing where the data decide about it.
  bool place(cnn::ReadOp read, Numbers &flat, Numbers &mask, bool &masked,
             bool &same);

  cnn::IndexedOp op;
  OnnxWriter &w;
  cnn::IndexAnalysis analysis;
  const unsigned rank;
  SmallVector<int64_t> extents; ///< of the dimensions that there are now
  llvm::DenseMap<Value, Numbers> numbers;
  llvm::DenseMap<Value, Known> tensors;
};

/// The sizes of two tensors together; the first ones are those that are there.
void widen(SmallVector<int64_t> &shape, ArrayRef<int64_t> other) {
  shape.resize(std::max(shape.size(), other.size()), 1);
  for (auto [size, own] : llvm::zip(shape, other))
    if (own != 1)
      size = own;
}

bool isOfImages(ArrayRef<int64_t> shape) {
  return !shape.empty() && ShapedType::isDynamic(shape[0]);
}

/// Joins numbers element by element; nothing where they would be too many.
template <typename Function>
std::optional<Numbers> join(ArrayRef<Numbers> operands, Function function) {
  Numbers result;
  for (const Numbers &operand : operands)
    widen(result.shape, operand.shape);
  int64_t count = 1;
  for (int64_t size : result.shape)
    if ((count *= size) > kMostIndices)
      return std::nullopt;
  SmallVector<int64_t> own(operands.size());
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<int64_t> at(result.shape.size());
    for (int64_t rest = i, d = at.size(); d-- > 0; rest /= result.shape[d])
      at[d] = rest % result.shape[d];
    for (auto [k, operand] : llvm::enumerate(operands)) {
      int64_t place = 0;
      for (auto [d, size] : llvm::enumerate(operand.shape))
        place = place * size + (size == 1 ? 0 : at[d]);
      own[k] = operand.values[place];
    }
    result.values.push_back(function(own));
  }
  return result;
}

} // namespace

Numbers IndexedWriter::along(unsigned dim, int64_t from, int64_t size) const {
  Numbers result;
  result.shape.assign(dim + 1, 1);
  result.shape[dim] = size;
  for (int64_t i = 0; i < size; ++i)
    result.values.push_back(from + i);
  return result;
}

static bool compared(arith::CmpIPredicate predicate, int64_t a, int64_t b) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::ult:
    return uint64_t(a) < uint64_t(b);
  case arith::CmpIPredicate::ule:
    return uint64_t(a) <= uint64_t(b);
  case arith::CmpIPredicate::ugt:
    return uint64_t(a) > uint64_t(b);
  case arith::CmpIPredicate::uge:
    return uint64_t(a) >= uint64_t(b);
  }
  return false;
}

static int64_t floorDivided(int64_t a, int64_t b) {
  return b ? a / b - (a % b != 0 && (a < 0) != (b < 0)) : 0;
}

std::optional<Numbers> IndexedWriter::numbersOf(Operation &scalar) {
  if (auto constant = dyn_cast<arith::ConstantOp>(scalar)) {
    auto integer = dyn_cast<IntegerAttr>(constant.getValue());
    if (!integer)
      return std::nullopt;
    bool truth = integer.getType().isInteger(1);
    return Numbers{{}, {truth ? int64_t(integer.getValue().getBoolValue())
                              : integer.getInt()}};
  }
  SmallVector<Numbers> operands;
  for (Value operand : scalar.getOperands()) {
    auto found = numbers.find(operand);
    if (found == numbers.end())
      return std::nullopt;
    operands.push_back(found->second);
  }
  if (scalar.getResult(0).getType().isInteger(1)) {
    SmallVector<int64_t> shape;
    size_t most = kMostTruths;
    for (const Numbers &operand : operands) {
      widen(shape, operand.shape);
      most = std::max(most, operand.values.size());
    }
    if (llvm::product_of(shape) > int64_t(most))
      return std::nullopt;
  }
  using In = ArrayRef<int64_t>;
  auto with = [&](auto function) { return join(operands, function); };
  if (auto compare = dyn_cast<arith::CmpIOp>(scalar))
    return with([&](In in) {
      return int64_t(compared(compare.getPredicate(), in[0], in[1]));
    });
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp, arith::ExtUIOp>(
          scalar))
    return with([](In in) { return in[0]; });
  if (isa<arith::AddIOp>(scalar))
    return with([](In in) { return in[0] + in[1]; });
  if (isa<arith::SubIOp>(scalar))
    return with([](In in) { return in[0] - in[1]; });
  if (isa<arith::MulIOp>(scalar))
    return with([](In in) { return in[0] * in[1]; });
  if (isa<arith::FloorDivSIOp>(scalar))
    return with([](In in) { return floorDivided(in[0], in[1]); });
  if (isa<arith::CeilDivSIOp>(scalar))
    return with([](In in) { return -floorDivided(-in[0], in[1]); });
  if (isa<arith::DivSIOp>(scalar))
    return with([](In in) { return in[1] ? in[0] / in[1] : 0; });
  if (isa<arith::RemSIOp>(scalar))
    return with([](In in) { return in[1] ? in[0] % in[1] : 0; });
  if (isa<arith::MinSIOp>(scalar))
    return with([](In in) { return std::min(in[0], in[1]); });
  if (isa<arith::MaxSIOp>(scalar))
    return with([](In in) { return std::max(in[0], in[1]); });
  if (isa<arith::AndIOp>(scalar))
    return with([](In in) { return in[0] & in[1]; });
  if (isa<arith::OrIOp>(scalar))
    return with([](In in) { return in[0] | in[1]; });
  if (isa<arith::XOrIOp>(scalar))
    return with([](In in) { return in[0] ^ in[1]; });
  if (isa<arith::SelectOp>(scalar))
    return with([](In in) { return in[0] ? in[1] : in[2]; });
  return std::nullopt;
}

std::string IndexedWriter::constantOf(const Numbers &from, Type type) {
  SmallVector<int64_t> shape = from.shape;
  shape.resize(extents.size(), 1);
  if (!isa<FloatType>(type) && !type.isInteger(1))
    return w.constant(from.values, shape);
  std::vector<float> values(from.values.begin(), from.values.end());
  std::string name = w.constant(values, shape);
  return type.isInteger(1) ? w.node("Greater", {name, w.scalar(0.5)}) : name;
}

std::string IndexedWriter::tensor(Value value) {
  if (auto known = numbers.find(value); known != numbers.end())
    return constantOf(known->second, value.getType());
  const Known &known = tensors[value];
  if (known.shape.empty() || known.shape.size() == extents.size())
    return known.name;
  SmallVector<int64_t> axes;
  for (unsigned d = known.shape.size(); d < extents.size(); ++d)
    axes.push_back(d);
  return w.node("Unsqueeze", {known.name, w.constant(axes)});
}

SmallVector<int64_t> IndexedWriter::shapeOf(ValueRange values) {
  SmallVector<int64_t> shape(extents.size(), 1);
  for (Value value : values)
    if (auto known = numbers.find(value); known != numbers.end())
      widen(shape, known->second.shape);
    else
      widen(shape, tensors[value].shape);
  return shape;
}

/// What `edge` makes of a place beyond the end of a dimension.
static int64_t edged(cnn::PadMode edge, int64_t i, int64_t size) {
  switch (edge) {
  case cnn::PadMode::circular:
    return i - floorDivided(i, size) * size;
  case cnn::PadMode::reflect: {
    int64_t period = std::max<int64_t>(2 * (size - 1), 1);
    int64_t place = i - floorDivided(i, period) * period;
    return place < size ? place : period - place;
  }
  default:
    return std::clamp<int64_t>(i, 0, size - 1);
  }
}

bool IndexedWriter::place(cnn::ReadOp read, Numbers &flat, Numbers &mask,
                          bool &masked, bool &same) {
  RankedTensorType type = read.getTensorType();
  Block &body = op.getBody().front();
  flat = Numbers{{}, {0}};
  mask = Numbers{{}, {1}};
  masked = false;
  same = type.getRank() == int64_t(rank);
  for (auto [dim, index] : llvm::enumerate(read.getAt())) {
    int64_t size = type.getDimSize(dim);
    same = same && index == body.getArgument(dim) &&
           size == cnn::tensorOf(op.getResult()).getDimSize(dim);
    if (ShapedType::isDynamic(size)) {
      if (dim != 0 || index != body.getArgument(0))
        return false;
      continue;
    }
    auto found = numbers.find(index);
    if (found == numbers.end())
      return false;
    const Numbers at = found->second;
    cnn::PadMode edge = read.getEdge();
    bool leaves = llvm::any_of(
        at.values, [&](int64_t i) { return i < 0 || i >= size; });
    auto next = join({flat, at}, [&](ArrayRef<int64_t> in) {
      return in[0] * size + edged(edge, in[1], size);
    });
    if (!next)
      return false;
    flat = *next;
    if (!leaves || edge != cnn::PadMode::zero)
      continue;
    auto inside = join({mask, at}, [&](ArrayRef<int64_t> in) {
      return int64_t(in[0] && in[1] >= 0 && in[1] < size);
    });
    if (!inside)
      return false;
    mask = *inside;
    masked = true;
  }
  return true;
}

void IndexedWriter::gather(cnn::ReadOp read, const std::string &flat,
                           SmallVector<int64_t> shape,
                           const std::string &mask) {
  RankedTensorType type = read.getTensorType();
  std::string x = w.name(op.getInputs()[read.getOperand()]);
  bool batch = type.getRank() && type.isDynamicDim(0);
  // Each image has places of its own, or all have the same.
  bool own = isOfImages(shape);
  SmallVector<int64_t> one = {-1}, rows = {0, -1}, back = shape;
  for (int64_t &size : back)
    size = ShapedType::isDynamic(size) ? 0 : size;
  std::string taken;
  if (!batch) {
    if (type.getRank() != 1)
      x = w.node("Reshape", {x, w.constant(one)});
    taken = w.node("Gather", {x, flat});
  } else {
    x = w.node("Reshape", {x, w.constant(rows)});
    taken = w.node(own ? "GatherElements" : "Gather", {x, flat});
    w.attribute("axis", int64_t(1));
    back[0] = 0;
    shape[0] = ShapedType::kDynamic;
    taken = w.node("Reshape", {taken, w.constant(back)});
  }
  Type element = type.getElementType();
  taken = widened(taken, element, w);
  if (!mask.empty() && element.isInteger(1))
    taken = w.node("And", {mask, taken});
  else if (!mask.empty())
    taken = w.node("Where", {mask, taken, element.isF32() ? w.scalar(0) : w.number(0)});
  set(read.getResult(), taken, shape);
}

LogicalResult IndexedWriter::read(cnn::ReadOp read) {
  RankedTensorType type = read.getTensorType();
  Numbers flat, mask;
  bool masked, same;
  bool known = place(read, flat, mask, masked, same);
  Value source = op.getInputs()[read.getOperand()];
  // Whole numbers of the file, such as indices, are known here too.
  if (auto numbersThere = w.wholeNumbers(source); known && numbersThere) {
    auto taken = join({flat, mask}, [&](ArrayRef<int64_t> in) {
      return in[1] ? (*numbersThere)[in[0]] : 0;
    });
    if (!taken)
      return fail(read);
    numbers[read.getResult()] = *taken;
    return success();
  }
  if (!known)
    return readAtData(read);
  if (same && !masked) {
    tensors[read.getResult()] = {
        widened(w.name(source), type.getElementType(), w),
        SmallVector<int64_t>(type.getShape())};
    return success();
  }
  SmallVector<int64_t> shape = flat.shape;
  shape.resize(extents.size(), 1);
  bool batch = type.getRank() && type.isDynamicDim(0);
  gather(read, batch ? w.constant(flat.values) : w.constant(flat.values, shape),
         shape,
         masked ? constantOf(mask, IntegerType::get(op.getContext(), 1)) : "");
  return success();
}

/// What `edge` makes of a place, as nodes; `mask` says where it is none at all.
static std::string edgedNodes(OnnxWriter &w, cnn::PadMode edge, std::string at,
                              int64_t size, std::string &mask) {
  switch (edge) {
  case cnn::PadMode::circular:
    return w.node("Mod", {at, w.number(size)});
  case cnn::PadMode::reflect: {
    int64_t period = std::max<int64_t>(2 * (size - 1), 1);
    std::string place = w.node("Mod", {at, w.number(period)});
    return w.node("Min", {place, w.node("Sub", {w.number(period), place})});
  }
  case cnn::PadMode::zero: {
    std::string inside =
        w.node("And", {w.node("GreaterOrEqual", {at, w.number(0)}),
                       w.node("Less", {at, w.number(size)})});
    mask = mask.empty() ? inside : w.node("And", {mask, inside});
    break;
  }
  default:
    break;
  }
  return w.node("Max", {w.node("Min", {at, w.number(size - 1)}), w.number(0)});
}

LogicalResult IndexedWriter::readAtData(cnn::ReadOp read) {
  RankedTensorType type = read.getTensorType();
  std::string flat, mask;
  SmallVector<Value> indices;
  for (auto [dim, index] : llvm::enumerate(read.getAt())) {
    int64_t size = type.getDimSize(dim);
    if (ShapedType::isDynamic(size)) {
      if (dim != 0 || index != op.getBody().front().getArgument(0))
        return fail(read);
      continue;
    }
    auto known = numbers.find(index);
    if (known == numbers.end() && !tensors.count(index))
      return fail(read);
    std::string at = tensor(index);
    if (known == numbers.end() ||
        llvm::any_of(known->second.values,
                     [&](int64_t i) { return i < 0 || i >= size; }))
      at = edgedNodes(w, read.getEdge(), at, size, mask);
    if (!indices.empty())
      at = w.node("Add", {w.node("Mul", {flat, w.number(size)}), at});
    flat = at;
    indices.push_back(index);
  }
  SmallVector<int64_t> shape = shapeOf(indices);
  if (type.getRank() && type.isDynamicDim(0)) {
    SmallVector<int64_t> one = {-1}, rows = {0, -1};
    flat = w.node("Reshape", {flat, w.constant(isOfImages(shape) ? rows : one)});
  }
  gather(read, flat, shape, mask);
  return success();
}

LogicalResult IndexedWriter::reduce(cnn::ReduceOp reduce) {
  unsigned outer = extents.size();
  Block &body = reduce.getBody().front();
  for (auto [i, size] : llvm::enumerate(reduce.getSize())) {
    if (size < 0)
      return fail(reduce);
    extents.push_back(size);
    numbers[body.getArgument(i)] = along(outer + i, reduce.getFrom()[i], size);
  }
  if (failed(block(body)))
    return failure();
  // Along what an element does not depend on it is there as often.
  SmallVector<int64_t> all(outer, 1), axes;
  for (unsigned d = outer; d < extents.size(); ++d) {
    all.push_back(extents[d]);
    axes.push_back(d);
  }
  std::string element = w.node("Expand", {tensor(reduce.getYielded()), w.constant(all)});
  const char *names[] = {"ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax",
                         "ReduceMin"};
  std::string total = w.node(names[int(reduce.getKind())], {element, w.constant(axes)});
  w.attribute("keepdims", int64_t(0));
  SmallVector<int64_t> shape = shapeOf(reduce.getYielded());
  extents.truncate(outer);
  shape.truncate(outer);
  set(reduce.getResult(), total, shape);
  return success();
}

LogicalResult IndexedWriter::scalar(Operation &scalar) {
  if (auto reader = dyn_cast<cnn::ReadOp>(scalar))
    return read(reader);
  if (auto reducer = dyn_cast<cnn::ReduceOp>(scalar))
    return reduce(reducer);
  if (auto known = numbersOf(scalar)) {
    numbers[scalar.getResult(0)] = *known;
    return success();
  }
  for (Value operand : scalar.getOperands())
    if (!numbers.count(operand) && !tensors.count(operand))
      return fail(&scalar);
  SmallVector<std::string> inputs;
  std::string name;
  // Whole numbers that are known are written as real ones.
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(scalar) &&
      numbers.count(scalar.getOperand(0))) {
    name = constantOf(numbers[scalar.getOperand(0)], scalar.getResult(0).getType());
  } else {
    for (Value operand : scalar.getOperands())
      inputs.push_back(tensor(operand));
    name = writeScalar(scalar, inputs, w);
  }
  if (name.empty())
    return fail(&scalar);
  if (isa<arith::ConstantOp>(scalar))
    tensors[scalar.getResult(0)] = {name, {}};
  else
    set(scalar.getResult(0), name, shapeOf(scalar.getOperands()));
  return success();
}

LogicalResult IndexedWriter::block(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(scalar(op)))
      return failure();
  return success();
}

LogicalResult IndexedWriter::run() {
  ArrayRef<int64_t> shape = cnn::tensorOf(op.getResult()).getShape();
  Block &body = op.getBody().front();
  SmallVector<int64_t> full;
  bool batch = isOfImages(shape);
  for (auto [d, size] : llvm::enumerate(shape)) {
    extents.push_back(size);
    full.push_back(ShapedType::isDynamic(size) ? 1 : size);
    if (!ShapedType::isDynamic(size))
      numbers[body.getArgument(d)] = along(d, 0, size);
  }
  if (failed(block(body)))
    return failure();
  Value yielded = body.getTerminator()->getOperand(0);
  bool ofImages = !batch || llvm::any_of(op.getInputs(), [](Value input) {
    return cnn::tensorOf(input).isDynamicDim(0);
  });
  if (!ofImages)
    return fail(op);
  std::string result = tensor(yielded);
  // A value that is another one as it is, or has too few elements.
  if (shapeOf(yielded) != SmallVector<int64_t>(shape) ||
      yielded.getDefiningOp<cnn::ReadOp>())
    result = w.node("Expand", {result, w.constant(full)});
  w.result(op, narrowed(result, cnn::tensorOf(op.getResult()).getElementType(), w));
  return success();
}

static LogicalResult writeIndexed(Operation *op, OnnxWriter &w) {
  return IndexedWriter(cast<cnn::IndexedOp>(op), w).run();
}
static RegisterOnnxWriter indexed("cnn.indexed", writeIndexed);
