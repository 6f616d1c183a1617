//===- Indexed.cpp - Index notation as nodes of ONNX ----------------------===//
//
// Every scalar of the region is a tensor whose dimensions are those of the
// result, then the variables of the reductions around it; its size is 1 along
// those that it does not depend on. Whole numbers that follow from coordinates
// are computed here, and elements read at them are gathered.
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

/// Room for indices of one read.
constexpr int64_t kMostIndices = int64_t(1) << 26;

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
  /// The numbers as a constant of the graph.
  std::string constantOf(const Numbers &numbers, bool truth);
  /// The tensor that a value is, with all the dimensions that there are now.
  std::string tensor(Value value);
  /// Both index and mask of a read; nothing where the data decide about it.
  bool place(cnn::ReadOp read, Numbers &flat, Numbers &mask, bool &masked,
             bool &same);

  cnn::IndexedOp op;
  OnnxWriter &w;
  cnn::IndexAnalysis analysis;
  const unsigned rank;
  SmallVector<int64_t> extents; ///< of the dimensions that there are now
  llvm::DenseMap<Value, Numbers> numbers;
  llvm::DenseMap<Value, std::pair<std::string, unsigned>> tensors; ///< and rank
};

/// Joins numbers element by element; nothing where they would be too many.
template <typename Function>
std::optional<Numbers> join(ArrayRef<Numbers> operands, Function function) {
  Numbers result;
  for (const Numbers &operand : operands) {
    result.shape.resize(std::max(result.shape.size(), operand.shape.size()), 1);
    for (auto [size, own] : llvm::zip(result.shape, operand.shape))
      size = std::max(size, own);
  }
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

std::string IndexedWriter::constantOf(const Numbers &from, bool truth) {
  std::vector<float> values(from.values.begin(), from.values.end());
  SmallVector<int64_t> shape = from.shape;
  shape.resize(extents.size(), 1);
  std::string name = w.constant(values, shape);
  return truth ? w.node("Greater", {name, w.scalar(0.5)}) : name;
}

std::string IndexedWriter::tensor(Value value) {
  if (auto known = numbers.find(value); known != numbers.end())
    return constantOf(known->second, value.getType().isInteger(1));
  auto [name, own] = tensors.lookup(value);
  if (own == 0 || own == extents.size())
    return name;
  SmallVector<int64_t> axes;
  for (unsigned d = own; d < extents.size(); ++d)
    axes.push_back(d);
  return w.node("Unsqueeze", {name, w.constant(axes)});
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

LogicalResult IndexedWriter::read(cnn::ReadOp read) {
  RankedTensorType type = read.getTensorType();
  Numbers flat, mask;
  bool masked, same;
  if (!place(read, flat, mask, masked, same))
    return fail(read);
  Value source = op.getInputs()[read.getOperand()];
  if (!type.getElementType().isF32()) {
    // Whole numbers of the file, such as indices, are known here too.
    auto known = w.wholeNumbers(source);
    if (!known)
      return fail(read);
    auto taken = join({flat, mask}, [&](ArrayRef<int64_t> in) {
      return in[1] ? (*known)[in[0]] : 0;
    });
    if (!taken)
      return fail(read);
    numbers[read.getResult()] = *taken;
    return success();
  }
  std::string x = w.name(source);
  if (same && !masked) {
    tensors[read.getResult()] = {x, rank};
    return success();
  }
  bool batch = type.getRank() && type.isDynamicDim(0);
  SmallVector<int64_t> row = {-1}, shape = flat.shape;
  if (batch)
    row = {0, -1};
  shape.resize(extents.size(), 1);
  if (batch)
    shape[0] = 0;
  std::string rows = w.node("Reshape", {x, w.constant(row)});
  std::string taken = w.node("Gather", {rows, w.constant(flat.values)});
  w.attribute("axis", int64_t(batch));
  taken = w.node("Reshape", {taken, w.constant(shape)});
  if (masked)
    taken = w.node("Where", {constantOf(mask, true), taken, w.scalar(0)});
  tensors[read.getResult()] = {taken, unsigned(extents.size())};
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
  extents.truncate(outer);
  tensors[reduce.getResult()] = {total, outer};
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
  SmallVector<std::string> inputs;
  for (Value operand : scalar.getOperands()) {
    if (!numbers.count(operand) && !tensors.count(operand))
      return fail(&scalar);
    inputs.push_back(tensor(operand));
  }
  // Whole numbers that are known are written as real ones.
  std::string name = isa<arith::SIToFPOp, arith::UIToFPOp>(scalar) &&
                             numbers.count(scalar.getOperand(0))
                         ? constantOf(numbers[scalar.getOperand(0)], false)
                         : writeScalar(scalar, inputs, w);
  if (name.empty())
    return fail(&scalar);
  tensors[scalar.getResult(0)] = {
      name, isa<arith::ConstantOp>(scalar) ? 0u : unsigned(extents.size())};
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
  bool batch = ShapedType::isDynamic(shape[0]);
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
  if (!ofImages || !yielded.getType().isF32())
    return fail(op);
  w.result(op, w.node("Expand", {tensor(yielded), w.constant(full)}));
  return success();
}

static LogicalResult writeIndexed(Operation *op, OnnxWriter &w) {
  return IndexedWriter(cast<cnn::IndexedOp>(op), w).run();
}
static RegisterOnnxWriter indexed("cnn.indexed", writeIndexed);
