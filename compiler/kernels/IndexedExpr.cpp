//===- IndexedExpr.cpp - Index notation as Halide expressions -------------===//

#include "compiler/kernels/IndexedExpr.h"
#include "compiler/kernels/Builder.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

/// Windows of up to so many elements are written out.
constexpr int64_t kWrittenOut = 32;

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

Expr IndexedExpr::at(ArrayRef<Expr> coordinates) {
  Values known;
  Block &body = op.getBody().front();
  for (auto [argument, coordinate] : llvm::zip(body.getArguments(), coordinates))
    known[argument] = coordinate;
  return value(body.getTerminator()->getOperand(0), known);
}

Expr IndexedExpr::value(Value value, Values &known) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  Operation *maker = value.getDefiningOp();
  assert(maker && "an index without a value");
  Expr result;
  if (auto reader = dyn_cast<cnn::ReadOp>(maker)) {
    result = read(reader, known);
  } else if (auto reducer = dyn_cast<cnn::ReduceOp>(maker)) {
    result = reduce(reducer, known);
  } else {
    SmallVector<Expr> operands;
    for (Value operand : maker->getOperands())
      operands.push_back(this->value(operand, known));
    result = scalarExpr(*maker, operands, smooth);
  }
  known[value] = result;
  return result;
}

/// What `edge` makes of a coordinate: one inside.
static Expr inside(cnn::PadMode edge, Expr i, Expr size) {
  switch (edge) {
  case cnn::PadMode::circular:
    return i % size;
  case cnn::PadMode::reflect: {
    Expr period = Halide::max(2 * (size - 1), 1), place = i % period;
    return Halide::select(place < size, place, period - place);
  }
  default:
    return Halide::clamp(i, 0, size - 1);
  }
}

Expr IndexedExpr::read(cnn::ReadOp read, Values &known) {
  RankedTensorType type = read.getTensorType();
  cnn::PadMode edge = read.getEdge();
  Value innermost;
  if (unsigned rank = op.getBody().getNumArguments())
    innermost = op.getBody().getArgument(rank - 1);
  SmallVector<Expr> at;
  Expr condition;
  for (auto [dim, index] : llvm::enumerate(read.getAt())) {
    Expr i = value(index, known);
    int64_t size = type.getDimSize(dim);
    bool open = ShapedType::isDynamic(size);
    cnn::IndexRange range = analysis.range(index);
    bool fits = open ? analysis.runsThroughBatch(index) ||
                           (range.isConstant() && range.least == 0)
                     : range.within(size);
    if (fits) {
      at.push_back(i);
      continue;
    }
    Expr extent = open ? batch : Expr((int)size);
    // Along a row Halide splits the loop, so that the inside is read without
    // tests.
    auto form = innermost ? analysis.around(index, innermost) : std::nullopt;
    bool hinted = !analysis.readsData(index) && form && form->first != 0;
    Expr likely = hinted ? Halide::likely(i) : i;
    if (edge == cnn::PadMode::zero) {
      Expr low = range.least < 0 ? i >= 0 : Expr(),
           high = open || range.most >= size ? i < extent : Expr(), both;
      both = low.defined() && high.defined() ? low && high
             : low.defined()                 ? low
                                             : high;
      if (hinted)
        both = Halide::likely(both);
      condition = condition.defined() ? condition && both : both;
    }
    at.push_back(inside(edge, edge == cnn::PadMode::zero ||
                                      edge == cnn::PadMode::replicate
                                  ? likely
                                  : i,
                        extent));
  }
  Expr element = readElement(read, at);
  if (!condition.defined())
    return element;
  return Halide::select(condition, element,
                        Halide::Internal::make_zero(element.type()));
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static Expr join(cnn::ReduceKind kind, Expr a, Expr b) {
  switch (kind) {
  case cnn::ReduceKind::sum:
  case cnn::ReduceKind::mean:
    return a + b;
  case cnn::ReduceKind::product:
    return a * b;
  case cnn::ReduceKind::max:
    return Halide::max(a, b);
  case cnn::ReduceKind::min:
    return Halide::min(a, b);
  }
  llvm_unreachable("a kind");
}

static Expr neutral(cnn::ReduceKind kind, Halide::Type type) {
  switch (kind) {
  case cnn::ReduceKind::sum:
  case cnn::ReduceKind::mean:
    return Halide::Internal::make_zero(type);
  case cnn::ReduceKind::product:
    return Halide::Internal::make_one(type);
  case cnn::ReduceKind::max:
    return type.min();
  case cnn::ReduceKind::min:
    return type.max();
  }
  llvm_unreachable("a kind");
}

/// A mean divides by the full count.
Expr IndexedExpr::meanOf(cnn::ReduceOp reduce, Expr sum) {
  if (reduce.getKind() != cnn::ReduceKind::mean)
    return sum;
  double count = 1;
  bool open = false;
  for (int64_t size : reduce.getSize()) {
    count *= size < 0 ? 1 : (double)size;
    open |= size < 0;
  }
  Expr factor = Halide::Internal::make_const(sum.type(), 1 / count);
  if (open)
    factor = factor / Halide::cast(sum.type(), batch);
  return sum * factor;
}

/// Whether every element computes its own value of a small window.
bool IndexedExpr::writesOut(cnn::ReduceOp reduce) {
  int64_t count = reduce.getCount();
  if (count < 0 || count > kWrittenOut)
    return false;
  return count == 1 ||
         2 * analysis.instances(reduce) >= analysis.runs(reduce->getBlock());
}

Expr IndexedExpr::writtenOut(cnn::ReduceOp reduce, const Values &known) {
  Block &body = reduce.getBody().front();
  Expr total;
  int64_t count = reduce.getCount();
  for (int64_t number = 0; number < count; ++number) {
    Values inner = known;
    int64_t rest = number;
    for (int axis = (int)body.getNumArguments() - 1; axis >= 0; --axis) {
      int64_t size = reduce.getSize()[axis];
      inner[body.getArgument(axis)] =
          Expr((int)(reduce.getFrom()[axis] + rest % size));
      rest /= size;
    }
    Expr element = value(reduce.getYielded(), inner);
    total = total.defined() ? join(reduce.getKind(), total, element) : element;
  }
  return meanOf(reduce, total);
}

Expr IndexedExpr::reduce(cnn::ReduceOp reduce, Values &known) {
  if (writesOut(reduce))
    return writtenOut(reduce, known);
  const Stage &stage = stageOf(reduce);
  Func func = stage.func;
  std::vector<Expr> at;
  for (Value key : llvm::reverse(SmallVector<Value>(stage.keys)))
    at.push_back(value(key, known));
  return meanOf(reduce, at.empty() ? func() : func(at));
}

/// The sum of an element over a domain, for every combination of `vars`.
static Func sumOf(StringRef name, const std::vector<Var> &vars, Expr element) {
  Func func(name.str());
  if (vars.empty()) {
    func() = Halide::Internal::make_zero(element.type());
    func() += element;
  } else {
    func(vars) = Halide::Internal::make_zero(element.type());
    func(vars) += element;
  }
  return func;
}

/// A whole number that grows with `value`: whole numbers have no derivatives, and
/// Halide does not look for any of a reduction that gives one.
static Expr ordered(Expr value) {
  if (!value.type().is_float())
    return value;
  Halide::Type whole = value.type().with_code(Halide::Type::Int);
  Expr bits = Halide::reinterpret(whole, value);
  return Halide::select(bits < 0, bits ^ whole.max(), bits);
}

/// The largest or smallest element of a domain as something whose derivative is
/// right: the mean of the elements that equal it. Halide differentiates a
/// comparison as a constant.
static Func meanOfEqual(cnn::ReduceKind kind, const std::vector<Var> &vars,
                        Expr element) {
  std::vector<Expr> at(vars.begin(), vars.end());
  Func best("best");
  Expr number = ordered(element);
  if (vars.empty()) {
    best() = neutral(kind, number.type());
    best() = join(kind, best(), number);
  } else {
    best(vars) = neutral(kind, number.type());
    best(vars) = join(kind, best(vars), number);
  }
  Expr same = number == (at.empty() ? best() : best(at));
  Expr zero = Halide::Internal::make_zero(element.type());
  Func sum = sumOf("equal", vars, Halide::select(same, element, zero));
  Func count = sumOf("equals", vars, Halide::cast(element.type(), same));
  Func mean("of_equal");
  if (vars.empty())
    mean() = sum() / count();
  else
    mean(vars) = sum(at) / count(at);
  return mean;
}

const IndexedExpr::Stage &IndexedExpr::stageOf(cnn::ReduceOp reduce) {
  if (auto found = stageNumbers.find(reduce); found != stageNumbers.end())
    return stages[found->second];
  Stage stage;
  stage.reduce = reduce;
  stage.keys = SmallVector<Value>(analysis.keys(reduce));
  Values known;
  for (Value key : llvm::reverse(stage.keys)) {
    stage.vars.emplace_back("k" + std::to_string(stage.vars.size()));
    known[key] = stage.vars.back();
  }
  std::vector<Halide::Range> ranges;
  for (auto [from, size] : llvm::reverse(
           llvm::zip(reduce.getFrom(), reduce.getSize())))
    ranges.emplace_back(Expr((int)from), size < 0 ? batch : Expr((int)size));
  stage.domain = RDom(ranges);
  Block &body = reduce.getBody().front();
  unsigned rank = body.getNumArguments();
  // In a Func of its own, which becomes part of the loop again: Halide sees a
  // sum whatever is summed. What it differentiates is better left whole.
  std::vector<Var> inner;
  std::vector<Expr> place(stage.vars.begin(), stage.vars.end());
  for (unsigned axis = 0; axis < rank; ++axis) {
    inner.emplace_back("r" + std::to_string(axis));
    Halide::RVar own = stage.domain[rank - 1 - axis];
    known[body.getArgument(axis)] = smooth ? Expr(own) : Expr(inner.back());
    place.push_back(own);
  }
  cnn::ReduceKind kind = reduce.getKind();
  Expr element = value(reduce.getYielded(), known);
  if (!smooth) {
    Func apart("element");
    std::vector<Var> all = stage.vars;
    all.insert(all.end(), inner.begin(), inner.end());
    apart(all) = element;
    element = apart(place);
  }
  if (smooth && (kind == cnn::ReduceKind::max || kind == cnn::ReduceKind::min)) {
    stage.func = meanOfEqual(kind, stage.vars, element);
  } else {
    Func func(cnn::stringifyReduceKind(kind).str());
    if (stage.vars.empty()) {
      func() = neutral(kind, element.type());
      func() = join(kind, func(), element);
    } else {
      func(stage.vars) = neutral(kind, element.type());
      func(stage.vars) = join(kind, func(stage.vars), element);
    }
    stage.func = func;
  }
  stageNumbers[reduce] = stages.size();
  stages.push_back(std::move(stage));
  return stages.back();
}

} // namespace halcyon
