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

/// Windows of up to so many elements are written out. Of whole numbers Halide
/// looks for bounds, for which it takes minutes where there are many choices.
constexpr int64_t kWrittenOut = 32, kWholeWrittenOut = 9;

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

Expr IndexedExpr::element(cnn::ReadOp read, ArrayRef<Expr> coordinates,
                          ArrayRef<Reach> reaches) {
  RankedTensorType type = read.getTensorType();
  cnn::PadMode edge = read.getEdge();
  SmallVector<Expr> at;
  Expr condition;
  for (auto [dim, i] : llvm::enumerate(coordinates)) {
    auto [below, above, hinted] = reaches[dim];
    if (!below && !above) {
      at.push_back(i);
      continue;
    }
    int64_t size = type.getDimSize(dim);
    Expr extent = ShapedType::isDynamic(size) ? batch : Expr((int)size);
    if (edge == cnn::PadMode::zero) {
      Expr fits = above ? i < extent : i >= 0;
      if (below && above)
        fits = i >= 0 && fits;
      if (hinted)
        fits = Halide::likely(fits);
      condition = condition.defined() ? condition && fits : fits;
    }
    bool clamped = edge == cnn::PadMode::zero || edge == cnn::PadMode::replicate;
    at.push_back(inside(edge, hinted && clamped ? Halide::likely(i) : i,
                        extent));
  }
  Expr element = readElement(read, at);
  if (!condition.defined())
    return element;
  return Halide::select(condition, element,
                        Halide::Internal::make_zero(element.type()));
}

/// Whether what is read lies beyond an edge here and there, and so often is read
/// that it pays to have the edges in memory.
bool IndexedExpr::isPadded(cnn::ReadOp read) {
  RankedTensorType type = read.getTensorType();
  if (smooth || !within || type.getRank() == 0)
    return false;
  double elements = 1, padded = 1;
  for (auto [dim, index] : llvm::enumerate(read.getAt())) {
    int64_t size = type.getDimSize(dim);
    if (ShapedType::isDynamic(size)) {
      if (!analysis.runsThroughBatch(index))
        return false;
      continue;
    }
    cnn::IndexRange range = analysis.range(index);
    if (analysis.readsData(index) || !range.isBounded())
      return false;
    elements *= (double)size;
    padded *= (double)std::max(size, range.most + 1) - (double)std::min<int64_t>(0, range.least);
  }
  return padded <= 4 * elements && analysis.runs(&within.getBody().front()) >= 4 * padded;
}

std::vector<Func> IndexedExpr::paddedOperands() const {
  std::vector<Func> funcs;
  for (auto &[key, func] : padded)
    funcs.push_back(func);
  return funcs;
}

Expr IndexedExpr::read(cnn::ReadOp read, Values &known) {
  RankedTensorType type = read.getTensorType();
  Value innermost;
  if (unsigned rank = op.getBody().getNumArguments())
    innermost = op.getBody().getArgument(rank - 1);
  SmallVector<Expr> at;
  SmallVector<Reach> reaches;
  for (auto [dim, index] : llvm::enumerate(read.getAt())) {
    at.push_back(value(index, known));
    int64_t size = type.getDimSize(dim);
    cnn::IndexRange range = analysis.range(index);
    Reach reach = {range.least < 0, range.most >= size};
    if (ShapedType::isDynamic(size)) {
      bool fits = analysis.runsThroughBatch(index) ||
                  (range.isConstant() && range.least == 0);
      reach = {!fits && range.least < 0, !fits};
    }
    // Along a row.
    auto form = innermost ? analysis.around(index, innermost) : std::nullopt;
    reach.hinted = !analysis.readsData(index) && form && form->first != 0;
    reaches.push_back(reach);
  }
  bool fits = llvm::none_of(reaches, [](Reach r) { return r.below || r.above; });
  if (fits || !isPadded(read))
    return element(read, at, reaches);
  Func &whole = padded[{read.getOperand(), read.getEdge()}];
  if (!whole.defined()) {
    whole = Func("padded");
    std::vector<Var> vars;
    for (size_t i = 0; i < at.size(); ++i)
      vars.emplace_back("p" + std::to_string(i));
    SmallVector<Reach> all;
    for (int64_t size : type.getShape())
      all.push_back({!ShapedType::isDynamic(size), !ShapedType::isDynamic(size), true});
    SmallVector<Expr> place(vars.rbegin(), vars.rend());
    whole(vars) = element(read, place, all);
  }
  return whole(std::vector<Expr>(at.rbegin(), at.rend()));
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

/// How often a value is needed: where reductions read it, for each of their terms.
static double needs(cnn::IndexAnalysis &analysis, Value value) {
  double most = 0;
  SmallVector<Value> pending = {value};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!pending.empty())
    for (Operation *user : pending.pop_back_val().getUsers()) {
      if (!seen.insert(user).second)
        continue;
      most = std::max(most, analysis.runs(user->getBlock()));
      if (!isa<cnn::ReduceOp>(user))
        llvm::append_range(pending, user->getResults());
    }
  return most;
}

/// Whether every element computes its own value of a small window.
bool IndexedExpr::writesOut(cnn::ReduceOp reduce) {
  int64_t count = reduce.getCount();
  bool whole = !isa<FloatType>(reduce.getType());
  if (count < 0 || count > (whole ? kWholeWrittenOut : kWrittenOut))
    return false;
  return count == 1 || 2 * analysis.instances(reduce) >=
                           needs(analysis, reduce.getResult());
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

/// A value as the whole number of its bits, and back: what Halide takes for a
/// constant when it differentiates.
static Expr bitsOf(Expr value) {
  return Halide::reinterpret(value.type().with_code(Halide::Type::Int), value);
}
static Expr heldOf(Halide::Type type, Expr bits) {
  return Halide::reinterpret(type, bits);
}

/// The product of the elements of a domain. Halide does not differentiate
/// products, but the sum, over the elements, of each times the product of all
/// others, and takes those products for constants: their derivatives are right,
/// also where an element is 0. The same sum of constants is taken off again.
static Func productOf(const std::vector<Var> &vars, Expr element) {
  std::vector<Expr> at(vars.begin(), vars.end());
  Halide::Type type = element.type();
  Expr zero = Halide::Internal::make_zero(type);
  Expr one = Halide::Internal::make_one(type);
  auto define = [&](StringRef name, Expr first,
                    llvm::function_ref<Expr(Expr)> next) {
    Func func(name.str());
    if (vars.empty()) {
      func() = first;
      func() = next(func());
    } else {
      func(vars) = first;
      func(vars) = next(func(at));
    }
    return vars.empty() ? Expr(func()) : Expr(func(at));
  };
  // Of all elements but those that are 0, and how many are.
  Expr rest =
      heldOf(type, define("rest", bitsOf(one), [&](Expr before) {
               return bitsOf(heldOf(type, before) *
                             Halide::select(element == zero, one, element));
             }));
  Expr none = define("none", Expr(0), [&](Expr before) {
    return before + Halide::cast<int>(element == zero);
  });
  Expr others =
      Halide::select(element == zero, Halide::select(none == 1, rest, zero),
                     none == 0, rest / element, zero);
  Expr held = heldOf(type, bitsOf(others));
  Expr moving =
      define("moving", zero, [&](Expr sum) { return sum + element * held; });
  Expr standing = heldOf(type, define("standing", bitsOf(zero), [&](Expr sum) {
                           return bitsOf(heldOf(type, sum) + element * others);
                         }));
  Func product("product");
  Expr whole = Halide::select(none > 0, zero, rest) + (moving - standing);
  if (vars.empty())
    product() = whole;
  else
    product(vars) = whole;
  return product;
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
  cnn::ReduceOp outside = std::exchange(within, reduce);
  Expr element = value(reduce.getYielded(), known);
  within = outside;
  if (!smooth) {
    Func apart("element");
    std::vector<Var> all = stage.vars;
    all.insert(all.end(), inner.begin(), inner.end());
    apart(all) = element;
    element = apart(place);
  }
  if (smooth && kind == cnn::ReduceKind::product) {
    stage.func = productOf(stage.vars, element);
  } else if (smooth && (kind == cnn::ReduceKind::max || kind == cnn::ReduceKind::min)) {
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
