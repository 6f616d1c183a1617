//===- FormulaText.cpp - Regions as formulas of the language --------------===//
//
// The inverse of what elaborates an op: operations of arith and math become
// operators and functions, reads become `x[n, c, i, j]`, reductions sums over
// indices. What is used twice gets a name.
//
//===----------------------------------------------------------------------===//

#include "compiler/dsl/ElementFunctions.h"
#include "compiler/write/Formulas.h"

#include "dialects/cnn/IndexAnalysis.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace mlir;

namespace halcyon::write {

/// How strongly the language's operators bind.
enum Strength { Weakest, Or, And, Not, Compare, Sum, Product, Sign, Whole };

/// Where the text may hold a number that varies, until it is cut.
static constexpr char numberBegin = '\1', numberEnd = '\2';

static std::string varying(int64_t number) {
  return numberBegin + std::to_string(number) + numberEnd;
}

namespace {
struct Infix {
  const char *symbol;
  Strength strength;
};

struct Text {
  std::string text;
  Strength strength = Whole;
};

class FormulaText {
public:
  explicit FormulaText(Operation *op) : op(op) {}
  /// The definition behind the name of the op.
  std::string definition();
  std::string trouble;

private:
  std::string scalar(Value value, Strength least);
  Text compute(Value value);
  Text constant(arith::ConstantOp op);
  Text infix(Operation *op, Infix how);
  std::optional<Text> special(Operation *op);
  Text read(cnn::ReadOp read);
  Text reduce(cnn::ReduceOp reduce);
  std::string range(Value index, int64_t from, int64_t size);
  std::string fresh(StringRef wanted);
  void nameShared(Block &block, std::string &lines);
  void complain(const Twine &why) {
    if (trouble.empty())
      trouble = why.str();
  }

  Operation *op;
  llvm::DenseMap<Value, std::string> names;
  SmallVector<std::string> tensors;
  llvm::StringSet<> used;
  std::optional<cnn::PadMode> edge;
  size_t length = 0;
};
} // namespace

/// Of whole numbers and of others: which is which follows from the operands.
static std::optional<Infix> infixOf(Operation *op) {
  static const llvm::StringMap<Infix> infixes = {
      {"arith.addf", {"+", Sum}},     {"arith.addi", {"+", Sum}},
      {"arith.subf", {"-", Sum}},     {"arith.subi", {"-", Sum}},
      {"arith.mulf", {"*", Product}}, {"arith.muli", {"*", Product}},
      {"arith.divf", {"/", Product}}, {"arith.floordivsi", {"/", Product}},
      {"arith.andi", {"and", And}},   {"arith.ori", {"or", Or}}};
  if (auto found = infixes.find(op->getName().getStringRef());
      found != infixes.end())
    return found->second;
  using Real = arith::CmpFPredicate;
  static const std::map<Real, const char *> real = {
      {Real::OEQ, "=="}, {Real::UNE, "!="}, {Real::OLT, "<"},
      {Real::OLE, "<="}, {Real::OGT, ">"},  {Real::OGE, ">="}};
  using Integer = arith::CmpIPredicate;
  static const std::map<Integer, const char *> whole = {
      {Integer::eq, "=="},  {Integer::ne, "!="},  {Integer::slt, "<"},
      {Integer::sle, "<="}, {Integer::sgt, ">"}, {Integer::sge, ">="}};
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    if (auto found = real.find(compare.getPredicate()); found != real.end())
      return Infix{found->second, Compare};
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    if (auto found = whole.find(compare.getPredicate()); found != whole.end())
      return Infix{found->second, Compare};
  return std::nullopt;
}

static StringRef functionOf(Operation *op) {
  static const llvm::StringMap<StringRef> functions = {
#define HALCYON_FUNCTION(SPELLING, OP) {OP::getOperationName(), SPELLING},
      HALCYON_ELEMENT_FUNCTIONS(HALCYON_FUNCTION)
#undef HALCYON_FUNCTION
          {"arith.maximumf", "max"}, {"arith.minimumf", "min"},
      {"arith.maxsi", "max"},        {"arith.minsi", "min"},
      {"math.powf", "pow"}};
  return functions.lookup(op->getName().getStringRef());
}

std::string FormulaText::fresh(StringRef wanted) {
  std::string name = wanted.str();
  for (unsigned i = 2; !used.insert(name).second; ++i)
    name = wanted.str() + std::to_string(i);
  return name;
}

std::string FormulaText::scalar(Value value, Strength least) {
  auto named = names.find(value);
  if (named != names.end())
    return named->second;
  Text text = compute(value);
  length += text.text.size();
  if (length > (1 << 20))
    complain("its formula is too long");
  if (!trouble.empty())
    return "";
  return text.strength < least ? "(" + text.text + ")" : text.text;
}

Text FormulaText::constant(arith::ConstantOp op) {
  if (auto number = dyn_cast<FloatAttr>(op.getValue())) {
    double value = number.getValueAsDouble();
    if (std::isnan(value))
      complain("it computes with what is no number");
    // The first decimal that is rounded to infinity in f32.
    if (std::isinf(value))
      return {value < 0 ? "-1e39" : "1e39", value < 0 ? Sign : Whole};
    return {numberText(value, number.getType().isF32()),
            std::signbit(value) ? Sign : Whole};
  }
  auto number = dyn_cast<IntegerAttr>(op.getValue());
  if (!number || number.getType().isInteger(1))
    return {number && number.getInt() ? "0 == 0" : "0 == 1", Compare};
  return {varying(number.getInt()), number.getInt() < 0 ? Sign : Whole};
}

/// A number among whole ones is to be one of fractions: 2.0.
static bool isFromIndex(Value value) {
  auto made = value.getDefiningOp<arith::SIToFPOp>();
  return made && made.getIn().getDefiningOp<arith::IndexCastOp>();
}

Text FormulaText::infix(Operation *op, Infix how) {
  Value a = op->getOperand(0), b = op->getOperand(1);
  auto side = [&](Value value, Value other, Strength least) {
    std::string text = scalar(value, least);
    bool fraction = value.getDefiningOp<arith::ConstantOp>() &&
                    isFromIndex(other) && text.find_first_of(".e") == text.npos;
    return fraction ? text + ".0" : text;
  };
  // A comparison binds to neither side; the others to the left.
  Strength left = how.strength == Compare ? Sum : how.strength;
  std::string x = side(a, b, left);
  return {x + " " + how.symbol + " " + side(b, a, Strength(how.strength + 1)),
          how.strength};
}

Text FormulaText::read(cnn::ReadOp read) {
  if (edge && *edge != read.getEdge())
    complain("it reads outside of tensors in more than one way");
  edge = read.getEdge();
  std::string text = tensors[read.getOperand()] + "[";
  for (auto [i, index] : llvm::enumerate(read.getAt()))
    text += (i ? ", " : "") + scalar(index, Weakest);
  return {text + "]"};
}

/// " in 0..57", or nothing where the index runs along a whole axis, which is
/// what it does by itself.
std::string FormulaText::range(Value index, int64_t from, int64_t size) {
  bool whole = false, other = false;
  for (Operation *user : index.getUsers())
    if (auto read = dyn_cast<cnn::ReadOp>(user))
      for (auto [dim, at] : llvm::enumerate(read.getAt())) {
        int64_t extent = read.getTensorType().getDimSize(dim);
        if (at == index)
          (extent == size || (size < 0 && extent < 0) ? whole : other) = true;
      }
  if (whole && !other && from == 0)
    return "";
  if (size < 0) {
    complain("it goes through the batch without reading along it");
    return "";
  }
  return " in " + varying(from) + ".." + varying(from + size - 1);
}

Text FormulaText::reduce(cnn::ReduceOp reduce) {
  static constexpr StringRef wanted[] = {"u", "v", "w", "p", "q", "r", "s", "t"};
  Block &block = reduce.getBody().front();
  SmallVector<std::string> indices;
  for (auto [i, index] : llvm::enumerate(block.getArguments()))
    indices.push_back(names[index] = fresh(wanted[i % std::size(wanted)]));
  std::string text = scalar(reduce.getYielded(), Weakest);
  for (auto [i, index] : llvm::enumerate(block.getArguments()))
    text += (i ? ", " : " for ") + indices[i] +
            range(index, reduce.getFrom()[i], reduce.getSize()[i]);
  for (const std::string &index : indices)
    used.erase(index);
  return {stringifyReduceKind(reduce.getKind()).str() + "(" + text + ")"};
}

/// What has a form of its own in the language; nothing for other operations.
std::optional<Text> FormulaText::special(Operation *op) {
  if (auto number = dyn_cast<arith::ConstantOp>(op))
    return constant(number);
  if (auto element = dyn_cast<cnn::ReadOp>(op))
    return read(element);
  if (auto reduction = dyn_cast<cnn::ReduceOp>(op))
    return reduce(reduction);
  if (isa<arith::NegFOp>(op))
    return Text{"-" + scalar(op->getOperand(0), Whole), Sign};
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return Text{"if " + scalar(select.getCondition(), Weakest) + " { " +
                    scalar(select.getTrueValue(), Weakest) + " } else { " +
                    scalar(select.getFalseValue(), Weakest) + " }",
                Weakest};
  if (auto inverse = dyn_cast<arith::XOrIOp>(op))
    return Text{"not " + scalar(inverse.getLhs(), Whole), Not};
  // The language does these by itself, where a number is wanted.
  if (isFromIndex(op->getResult(0)))
    return Text{scalar(op->getOperand(0).getDefiningOp()->getOperand(0), Whole)};
  // a - a / b * b = a % b
  auto minus = dyn_cast<arith::SubIOp>(op);
  auto times = minus ? minus.getRhs().getDefiningOp<arith::MulIOp>() : nullptr;
  auto over =
      times ? times.getLhs().getDefiningOp<arith::FloorDivSIOp>() : nullptr;
  auto factor = times ? cnn::constantIndex(times.getRhs()) : std::nullopt;
  if (over && factor && over.getLhs() == minus.getLhs() &&
      cnn::constantIndex(over.getRhs()) == factor)
    return Text{scalar(minus.getLhs(), Product) + " % " + varying(*factor),
                Product};
  auto least = dyn_cast<arith::MinimumFOp>(op);
  auto most =
      least ? least.getLhs().getDefiningOp<arith::MaximumFOp>() : nullptr;
  if (most && !names.count(most))
    return Text{"clamp(" + scalar(most.getLhs(), Weakest) + ", " +
                scalar(most.getRhs(), Weakest) + ", " +
                scalar(least.getRhs(), Weakest) + ")"};
  return std::nullopt;
}

Text FormulaText::compute(Value value) {
  Operation *maker = value.getDefiningOp();
  Type type = value.getType();
  if (!maker || !(type.isF32() || type.isIndex() || type.isInteger(1))) {
    complain("it computes with elements other than f32");
    return {};
  }
  if (std::optional<Text> text = special(maker))
    return *text;
  if (std::optional<Infix> how = infixOf(maker))
    return infix(maker, *how);
  StringRef function = functionOf(maker);
  if (function.empty()) {
    complain("the language has no '" + maker->getName().getStringRef() + "'");
    return {};
  }
  std::string text;
  for (Value operand : maker->getOperands())
    text += (text.empty() ? "" : ", ") + scalar(operand, Weakest);
  return {function.str() + "(" + text + ")"};
}

/// What is used twice, and is more than a number, in the order it stands.
void FormulaText::nameShared(Block &block, std::string &lines) {
  for (Operation &inner : block.without_terminator()) {
    if (inner.getNumResults() != 1 || isa<arith::ConstantOp>(inner))
      continue;
    Value value = inner.getResult(0);
    Type type = value.getType();
    bool shared = std::distance(value.use_begin(), value.use_end()) > 1;
    if (!shared || !(type.isF32() || type.isIndex()) ||
        isa<arith::FloorDivSIOp>(inner))
      continue;
    auto reduce = dyn_cast<cnn::ReduceOp>(inner);
    std::string text = scalar(value, Weakest);
    StringRef wanted = !reduce ? "t" : "total";
    if (reduce && reduce.getKind() != cnn::ReduceKind::sum)
      wanted = reduce.getKind() == cnn::ReduceKind::max ? "most" : "m";
    names[value] = fresh(wanted);
    lines += "  " + names[value] + " = " + text + "\n";
  }
}

std::string FormulaText::definition() {
  static constexpr StringRef wanted[] = {"x", "y", "z", "a", "b", "d", "e", "f"};
  static constexpr StringRef axes[] = {"n", "c", "i", "j", "k", "l", "o", "g"};
  Block &block = op->getRegion(0).front();
  bool indexed = isa<cnn::IndexedOp>(op);
  for (StringRef axis : axes)
    used.insert(axis);
  std::string head = "(", weights;
  unsigned number = 0;
  for (Value input : op->getOperands()) {
    auto weight = input.getDefiningOp<cnn::WeightOp>();
    std::string name;
    if (weight) {
      StringRef source = weight.getName();
      name = fresh(wordOf(source.rsplit('.').second, "weight"));
      weights += ", weight " + name + ": f32[";
      auto type = cast<RankedTensorType>(input.getType());
      for (auto [d, size] : llvm::enumerate(type.getShape()))
        weights += (d ? ", " : "") + varying(size);
      weights += "]";
    } else {
      name = fresh(wanted[number++ % std::size(wanted)]);
      head += (head.size() > 1 ? ", " : "") + name;
    }
    tensors.push_back(name);
    if (!cast<RankedTensorType>(input.getType()).getElementType().isF32() &&
        (weight || !indexed))
      complain("it reads elements other than f32");
  }
  // \3 is where parameters of numbers go.
  head += "\3" + StringRef(weights).drop_front(head.size() == 1 ? 2 : 0).str() + ")";
  auto result = cast<RankedTensorType>(op->getResult(0).getType());
  if (indexed) {
    head += "[";
    // Without a batch the first axis is that of the channels.
    unsigned skip = result.getRank() == 1 || !result.isDynamicDim(0);
    for (auto [d, axis] : llvm::enumerate(block.getArguments())) {
      names[axis] = axes[(d + skip) % std::size(axes)].str();
      bool batch = result.isDynamicDim(d);
      head += (d ? ", " : "") + names[axis] +
              range(axis, 0, batch ? -1 : result.getDimSize(d));
    }
    head += "]";
  } else {
    for (auto [i, element] : llvm::enumerate(block.getArguments()))
      names[element] = tensors[i];
  }
  std::string lines;
  nameShared(block, lines);
  std::string value = scalar(block.getTerminator()->getOperand(0), Weakest);
  if (edge && *edge != cnn::PadMode::zero)
    head += " edge=" + stringifyPadMode(*edge).str();
  if (!lines.empty())
    return head + " {\n" + lines + "  return " + value + "\n}\n";
  bool wide = head.size() + value.size() > 90;
  return head + (wide ? " =\n  " : " = ") + value + "\n";
}

std::string templateOf(Operation *op, Template &result) {
  FormulaText formula(op);
  std::string text = formula.definition();
  if (!formula.trouble.empty())
    return formula.trouble;
  StringRef rest = text;
  while (true) {
    auto [piece, tail] = rest.split(numberBegin);
    result.pieces.back() += piece;
    if (piece.size() == rest.size())
      return "";
    auto [number, after] = tail.split(numberEnd);
    result.numbers.push_back(0);
    (void)!number.getAsInteger(10, result.numbers.back());
    result.pieces.emplace_back();
    rest = after;
  }
}

} // namespace halcyon::write
