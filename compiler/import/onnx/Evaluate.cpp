//===- Evaluate.cpp - Formulas of known numbers ---------------------------===//

#include "compiler/import/onnx/Formula.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <limits>

using namespace llvm;

namespace halcyon::onnx {

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Scalar realUnary(ExprOp op, Kind kind, double x) {
  auto value = [&]() -> double {
    switch (op) {
    case ExprOp::Neg:
      return -x;
    case ExprOp::Abs:
      return std::fabs(x);
    case ExprOp::Exp:
      return std::exp(x);
    case ExprOp::Log:
      return std::log(x);
    case ExprOp::Sqrt:
      return std::sqrt(x);
    case ExprOp::Sin:
      return std::sin(x);
    case ExprOp::Cos:
      return std::cos(x);
    case ExprOp::Tan:
      return std::tan(x);
    case ExprOp::Asin:
      return std::asin(x);
    case ExprOp::Acos:
      return std::acos(x);
    case ExprOp::Atan:
      return std::atan(x);
    case ExprOp::Sinh:
      return std::sinh(x);
    case ExprOp::Cosh:
      return std::cosh(x);
    case ExprOp::Tanh:
      return std::tanh(x);
    case ExprOp::Asinh:
      return std::asinh(x);
    case ExprOp::Acosh:
      return std::acosh(x);
    case ExprOp::Atanh:
      return std::atanh(x);
    case ExprOp::Erf:
      return std::erf(x);
    case ExprOp::Floor:
      return std::floor(x);
    case ExprOp::Ceil:
      return std::ceil(x);
    case ExprOp::Round:
      return std::nearbyint(x);
    default:
      return x;
    }
  };
  return Scalar::real(value(), kind);
}

static Scalar unaryOf(ExprOp op, Kind kind, const Scalar &x) {
  switch (op) {
  case ExprOp::IsNan:
    return Scalar::integer(std::isnan(x.asReal()), Kind::Bool);
  case ExprOp::IsInf:
    return Scalar::integer(std::isinf(x.asReal()), Kind::Bool);
  case ExprOp::Not:
    return Scalar::integer(kind == Kind::Bool ? !x.i : ~x.i, kind);
  case ExprOp::BitsOf:
    return Scalar::integer(bit_cast<int32_t>(float(x.f)), kind);
  case ExprOp::FromBits:
    return Scalar::real(bit_cast<float>(uint32_t(x.i)));
  default:
    break;
  }
  if (isFloat(kind))
    return realUnary(op, kind, x.asReal());
  int64_t value = op == ExprOp::Neg || (op == ExprOp::Abs && x.i < 0 &&
                                        kind != Kind::U64)
                      ? int64_t(-uint64_t(x.i))
                      : x.i;
  return Scalar::integer(value, kind);
}

static Scalar realBinary(ExprOp op, Kind kind, double x, double y) {
  auto nan = std::isnan(x) || std::isnan(y);
  switch (op) {
  case ExprOp::Add:
  case ExprOp::Sum:
    return Scalar::real(x + y, kind);
  case ExprOp::Sub:
    return Scalar::real(x - y, kind);
  case ExprOp::Mul:
  case ExprOp::Product:
    return Scalar::real(x * y, kind);
  case ExprOp::Div:
    return Scalar::real(x / y, kind);
  case ExprOp::Rem:
    return Scalar::real(std::fmod(x, y), kind);
  case ExprOp::Pow:
    return Scalar::real(std::pow(x, y), kind);
  case ExprOp::Min:
  case ExprOp::Minimum:
    return Scalar::real(nan ? NAN : std::min(x, y), kind);
  default:
    return Scalar::real(nan ? NAN : std::max(x, y), kind);
  }
}

/// x to the power of a whole number, wrapping.
static uint64_t wholePower(uint64_t x, int64_t y) {
  if (y < 0)
    return x == 1 ? 1 : x == uint64_t(-1) ? (y & 1 ? x : 1) : 0;
  uint64_t result = 1;
  for (; y; y >>= 1, x *= x)
    if (y & 1)
      result *= x;
  return result;
}

static Scalar wholeBinary(ExprOp op, Kind kind, int64_t x, int64_t y) {
  uint64_t a = x, b = y;
  bool natural = kind == Kind::U64;
  auto value = [&]() -> int64_t {
    switch (op) {
    case ExprOp::Add:
    case ExprOp::Sum:
      return a + b;
    case ExprOp::Sub:
      return a - b;
    case ExprOp::Mul:
    case ExprOp::Product:
      return a * b;
    case ExprOp::Div:
      if (b == 0)
        return 0;
      return natural ? a / b : y == -1 ? -a : x / y;
    case ExprOp::FloorDiv:
      if (b == 0)
        return 0;
      return natural ? a / b : x / y - (x % y != 0 && (x < 0) != (y < 0));
    case ExprOp::Rem:
      if (b == 0)
        return 0;
      return natural ? a % b : y == -1 ? 0 : x % y;
    case ExprOp::Pow:
      return wholePower(a, y);
    case ExprOp::Min:
    case ExprOp::Minimum:
      return natural ? std::min(a, b) : std::min(x, y);
    case ExprOp::Max:
    case ExprOp::Maximum:
      return natural ? std::max(a, b) : std::max(x, y);
    case ExprOp::And:
      return a & b;
    case ExprOp::Or:
      return a | b;
    case ExprOp::Xor:
      return a ^ b;
    case ExprOp::Shl:
      return b > 63 ? 0 : a << b;
    default:
      return b > 63 ? (natural || x >= 0 ? 0 : -1) : natural ? a >> b : x >> b;
    }
  };
  return Scalar::integer(value(), kind);
}

static Scalar compareOf(ExprOp op, const Scalar &x, const Scalar &y) {
  auto answer = [&](auto a, auto b) {
    return op == ExprOp::Eq   ? a == b
           : op == ExprOp::Ne ? a != b
           : op == ExprOp::Lt ? a < b
                              : a <= b;
  };
  bool result = isFloat(x.kind)        ? answer(x.f, y.f)
                : x.kind == Kind::U64 ? answer(uint64_t(x.i), uint64_t(y.i))
                                      : answer(x.i, y.i);
  return Scalar::integer(result, Kind::Bool);
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

namespace {

/// Values are kept until a variable that they depend on changes.
class Evaluator {
public:
  Evaluator(ArrayRef<HostTensor> operands, int64_t budget)
      : operands(operands), budget(budget) {}

  std::optional<HostTensor> run(const Expr &formula, DataType type,
                                ArrayRef<int64_t> shape);

private:
  struct Slot {
    Scalar value;
    int64_t time = -1;
    SmallVector<unsigned, 4> depends; ///< numbers in `changed`
  };

  Slot &slotOf(const ExprNode *node);
  Scalar get(const Expr &expr);
  Scalar compute(const ExprNode &node);
  Scalar reduceOver(const ExprNode &node);
  Scalar read(const ExprNode &node);
  Scalar binary(const ExprNode &node, const Scalar &x, const Scalar &y);

  ArrayRef<HostTensor> operands;
  int64_t budget, clock = 0;
  bool failed = false;
  SmallVector<int64_t> coords;
  DenseMap<unsigned, int64_t> vars;
  DenseMap<unsigned, unsigned> varNumbers;
  SmallVector<int64_t> changed = {0}; ///< the element, then variables
  DenseMap<const ExprNode *, std::unique_ptr<Slot>> slots;
};

} // namespace

Evaluator::Slot &Evaluator::slotOf(const ExprNode *node) {
  auto &slot = slots[node];
  if (slot)
    return *slot;
  auto made = std::make_unique<Slot>();
  auto depend = [&](unsigned number) {
    if (!llvm::is_contained(made->depends, number))
      made->depends.push_back(number);
  };
  auto number = [&](unsigned var) {
    auto [found, fresh] = varNumbers.try_emplace(var, changed.size());
    if (fresh)
      changed.push_back(0);
    return found->second;
  };
  if (node->op == ExprOp::Coord)
    depend(0);
  else if (node->op == ExprOp::Var)
    depend(number(node->index));
  for (unsigned var : node->vars)
    number(var);
  for (const Expr &operand : node->operands)
    for (unsigned d : slotOf(operand.get()).depends)
      if (llvm::none_of(node->vars,
                        [&](unsigned var) { return varNumbers[var] == d; }))
        depend(d);
  auto &again = slots[node]; // the map may have moved
  again = std::move(made);
  return *again;
}

Scalar Evaluator::get(const Expr &expr) {
  if (failed)
    return {};
  const ExprNode &node = *expr.get();
  if (node.op == ExprOp::Const)
    return node.value;
  if (node.op == ExprOp::Coord)
    return Scalar::integer(coords[node.index], Kind::Index);
  if (node.op == ExprOp::Var)
    return Scalar::integer(vars[node.index], Kind::Index);
  Slot &slot = *slots[&node];
  bool fresh = slot.time >= 0 && llvm::all_of(slot.depends, [&](unsigned d) {
                 return changed[d] <= slot.time;
               });
  if (fresh)
    return slot.value;
  if (--budget < 0)
    failed = true;
  Scalar value = compute(node);
  slot.value = value;
  slot.time = clock;
  return value;
}

Scalar Evaluator::read(const ExprNode &node) {
  const HostTensor &tensor = operands[node.index];
  int64_t place = 0;
  for (auto [expr, size] : llvm::zip(node.operands, tensor.shape())) {
    Scalar at = get(expr);
    failed |= at.batch != 0;
    if (at.i < 0 || at.i >= size)
      return Scalar::integer(0).as(node.kind);
    place = place * size + at.i;
  }
  return failed ? Scalar() : tensor.at(place).as(node.kind);
}

Scalar Evaluator::binary(const ExprNode &node, const Scalar &x,
                         const Scalar &y) {
  if (x.batch || y.batch) {
    // a + b N: sums, and products with what is known.
    Scalar result = Scalar::integer(0, node.kind);
    if (node.op == ExprOp::Add || node.op == ExprOp::Sub) {
      int64_t sign = node.op == ExprOp::Add ? 1 : -1;
      result.i = x.i + sign * y.i;
      result.batch = x.batch + sign * y.batch;
      return result;
    }
    if (node.op == ExprOp::Mul && !(x.batch && y.batch)) {
      result.i = x.i * y.i;
      result.batch = x.batch ? x.batch * y.i : y.batch * x.i;
      return result;
    }
    bool divides = node.op == ExprOp::Div || node.op == ExprOp::FloorDiv;
    if (divides && !y.batch && y.i && x.i % y.i == 0 &&
        x.batch % y.i == 0) {
      result.i = x.i / y.i;
      result.batch = x.batch / y.i;
      return result;
    }
    failed = true;
    return {};
  }
  if (node.kind == Kind::Bool && node.op >= ExprOp::Eq &&
      node.op <= ExprOp::Le)
    return compareOf(node.op, x, y);
  return isFloat(node.kind) ? realBinary(node.op, node.kind, x.f, y.f)
                            : wholeBinary(node.op, node.kind, x.i, y.i);
}

Scalar Evaluator::reduceOver(const ExprNode &node) {
  Scalar result = identityOf(node.op, node.kind);
  // Sums of f32 are rounded once.
  double total = result.f;
  bool first = true;
  SmallVector<int64_t> index(node.vars.size(), 0);
  for (unsigned var : node.vars) {
    vars[var] = 0;
    changed[varNumbers[var]] = ++clock;
  }
  while (!failed) {
    Scalar element = get(node.operands[0]);
    failed |= element.batch != 0;
    if (isFloat(node.kind) && node.op == ExprOp::Sum)
      total += element.f;
    else if (first && node.op != ExprOp::Sum && node.op != ExprOp::Product)
      result = element;
    else
      result = isFloat(node.kind)
                   ? realBinary(node.op, node.kind, result.f, element.f)
                   : wholeBinary(node.op, node.kind, result.i, element.i);
    first = false;
    size_t d = index.size();
    while (d-- > 0) {
      bool carry = ++index[d] == node.extents[d];
      if (carry)
        index[d] = 0;
      vars[node.vars[d]] = index[d];
      changed[varNumbers[node.vars[d]]] = ++clock;
      if (!carry)
        break;
    }
    if (d == size_t(-1))
      break;
  }
  return isFloat(node.kind) && node.op == ExprOp::Sum
             ? Scalar::real(total, node.kind)
             : result;
}

Scalar Evaluator::compute(const ExprNode &node) {
  switch (node.op) {
  case ExprOp::Read:
    return read(node);
  case ExprOp::Convert: {
    Scalar x = get(node.operands[0]);
    // That there are images is known.
    failed |= x.batch && isFloat(node.kind);
    return x.as(node.kind);
  }
  case ExprOp::Select: {
    Scalar condition = get(node.operands[0]);
    return get(node.operands[condition.i ? 1 : 2]);
  }
  case ExprOp::Sum:
  case ExprOp::Product:
  case ExprOp::Maximum:
  case ExprOp::Minimum:
    return reduceOver(node);
  default:
    break;
  }
  Scalar x = get(node.operands[0]);
  if (node.operands.size() == 2) {
    Scalar y = get(node.operands[1]);
    return failed ? Scalar() : binary(node, x, y);
  }
  failed |= x.batch != 0;
  return failed ? Scalar() : unaryOf(node.op, node.kind, x);
}

std::optional<HostTensor> Evaluator::run(const Expr &formula, DataType type,
                                         ArrayRef<int64_t> shape) {
  slotOf(formula.get());
  int64_t count = *elementCount(shape);
  // Every element takes a step at least, and memory.
  if (count > std::min<int64_t>(budget, 1 << 22))
    return std::nullopt;
  std::vector<Scalar> values;
  values.reserve(count);
  coords.assign(shape.size(), 0);
  for (int64_t i = 0; i < count && !failed; ++i) {
    changed[0] = ++clock;
    values.push_back(get(formula));
    for (size_t d = shape.size(); d-- > 0;) {
      if (++coords[d] < shape[d])
        break;
      coords[d] = 0;
    }
  }
  if (failed)
    return std::nullopt;
  return HostTensor::of(type, shape, values);
}

std::optional<HostTensor> evaluate(const Expr &formula, DataType type,
                                   ArrayRef<int64_t> shape,
                                   ArrayRef<HostTensor> operands,
                                   int64_t budget) {
  return Evaluator(operands, budget).run(formula, type, shape);
}

} // namespace halcyon::onnx
