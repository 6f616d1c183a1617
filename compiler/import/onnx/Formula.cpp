//===- Formula.cpp - What an operator computes, element by element --------===//

#include "compiler/import/onnx/Formula.h"

#include "llvm/ADT/STLExtras.h"

#include <atomic>
#include <limits>

using namespace llvm;

namespace halcyon::onnx {

static Expr make(ExprNode node) {
  return Expr(std::make_shared<const ExprNode>(std::move(node)));
}

static Expr constant(Scalar value) {
  ExprNode node{ExprOp::Const, value.kind, {}, value, 0, {}, {}};
  return make(std::move(node));
}

/// Literals take the kind of what they are computed with.
Expr::Expr(int64_t value) {
  *this = constant(Scalar::integer(value, Kind::Index));
}
/// Literals keep all their digits until they meet what they are computed with.
Expr::Expr(double value) { *this = constant({Kind::F32, 0, value, 0}); }
Expr::Expr(bool value) { *this = constant(Scalar::integer(value, Kind::Bool)); }

Kind Expr::kind() const { return node->kind; }

std::optional<Scalar> Expr::literal() const {
  if (node->op != ExprOp::Const)
    return std::nullopt;
  return node->value;
}

Expr coord(unsigned index) {
  return make({ExprOp::Coord, Kind::Index, {}, {}, index, {}, {}});
}

Expr readOf(unsigned operand, Kind kind, Coords at) {
  ExprNode node{ExprOp::Read, kind, {}, {}, operand, {}, {}};
  for (const Expr &index : at)
    node.operands.push_back(convert(index, Kind::Index));
  return make(std::move(node));
}

Expr convert(Expr x, Kind kind) {
  if (x.kind() == kind)
    return x;
  if (auto value = x.literal()) {
    if (isFloat(kind) && isFloat(x.kind()))
      return constant({kind, 0, value->f, 0});
    return constant(value->as(kind));
  }
  return make({ExprOp::Convert, kind, {x}, {}, 0, {}, {}});
}

/// Two numbers in the wider of their kinds.
static Kind promote(Expr &a, Expr &b) {
  Kind kind = std::max(a.kind(), b.kind());
  a = convert(a, kind);
  b = convert(b, kind);
  return kind;
}

static std::optional<int64_t> wholeLiteral(const Expr &x) {
  auto value = x.literal();
  if (!value || isFloat(value->kind))
    return std::nullopt;
  return value->i;
}

static Expr binary(ExprOp op, Expr a, Expr b) {
  Kind kind = promote(a, b);
  return make({op, kind, {a, b}, {}, 0, {}, {}});
}

static Expr arithmetic(ExprOp op, Expr a, Expr b) {
  if (std::max(a.kind(), b.kind()) == Kind::Bool)
    a = convert(a, Kind::Index);
  return binary(op, a, b);
}

Expr operator+(Expr a, Expr b) {
  auto x = wholeLiteral(a), y = wholeLiteral(b);
  if (x && y)
    return Expr(int64_t(uint64_t(*x) + uint64_t(*y)));
  if (x == 0 && b.kind() != Kind::Bool)
    return b;
  if (y == 0 && a.kind() != Kind::Bool)
    return a;
  return arithmetic(ExprOp::Add, a, b);
}
Expr operator-(Expr a, Expr b) {
  auto x = wholeLiteral(a), y = wholeLiteral(b);
  if (x && y)
    return Expr(int64_t(uint64_t(*x) - uint64_t(*y)));
  if (y == 0 && a.kind() != Kind::Bool)
    return a;
  return arithmetic(ExprOp::Sub, a, b);
}
Expr operator*(Expr a, Expr b) {
  auto x = wholeLiteral(a), y = wholeLiteral(b);
  if (x && y)
    return Expr(int64_t(uint64_t(*x) * uint64_t(*y)));
  if (x == 1 && b.kind() != Kind::Bool)
    return b;
  if (y == 1 && a.kind() != Kind::Bool)
    return a;
  return arithmetic(ExprOp::Mul, a, b);
}
Expr operator/(Expr a, Expr b) {
  if (wholeLiteral(b) == 1 && a.kind() != Kind::Bool)
    return a;
  return arithmetic(ExprOp::Div, a, b);
}
Expr operator%(Expr a, Expr b) { return arithmetic(ExprOp::Rem, a, b); }
Expr operator-(Expr a) { return unary(ExprOp::Neg, a); }

static Expr compare(ExprOp op, Expr a, Expr b) {
  promote(a, b);
  return make({op, Kind::Bool, {a, b}, {}, 0, {}, {}});
}
Expr operator==(Expr a, Expr b) { return compare(ExprOp::Eq, a, b); }
Expr operator!=(Expr a, Expr b) { return compare(ExprOp::Ne, a, b); }
Expr operator<(Expr a, Expr b) { return compare(ExprOp::Lt, a, b); }
Expr operator<=(Expr a, Expr b) { return compare(ExprOp::Le, a, b); }

static Expr truth(Expr a) { return convert(a, Kind::Bool); }
Expr operator&&(Expr a, Expr b) { return binary(ExprOp::And, truth(a), truth(b)); }
Expr operator||(Expr a, Expr b) { return binary(ExprOp::Or, truth(a), truth(b)); }
Expr operator!(Expr a) { return unary(ExprOp::Not, truth(a)); }
Expr operator&(Expr a, Expr b) { return binary(ExprOp::And, a, b); }
Expr operator|(Expr a, Expr b) { return binary(ExprOp::Or, a, b); }
Expr operator^(Expr a, Expr b) { return binary(ExprOp::Xor, a, b); }
Expr operator<<(Expr a, Expr b) { return binary(ExprOp::Shl, a, b); }
Expr operator>>(Expr a, Expr b) { return binary(ExprOp::Shr, a, b); }
Expr min(Expr a, Expr b) { return binary(ExprOp::Min, a, b); }
Expr max(Expr a, Expr b) { return binary(ExprOp::Max, a, b); }
Expr pow(Expr a, Expr b) { return binary(ExprOp::Pow, a, b); }

Expr select(Expr condition, Expr a, Expr b) {
  Kind kind = promote(a, b);
  if (auto value = condition.literal())
    return value->as(Kind::Bool).i ? a : b;
  return make({ExprOp::Select, kind, {truth(condition), a, b}, {}, 0, {}, {}});
}

Expr unary(ExprOp op, Expr a) {
  Kind kind = a.kind();
  switch (op) {
  case ExprOp::IsNan:
  case ExprOp::IsInf:
    kind = Kind::Bool;
    break;
  case ExprOp::BitsOf:
    a = convert(a, Kind::F32);
    kind = Kind::Int;
    break;
  case ExprOp::FromBits:
    a = convert(a, Kind::Int);
    kind = Kind::F32;
    break;
  case ExprOp::Not:
    break;
  case ExprOp::Neg:
  case ExprOp::Abs:
    if (kind == Kind::Bool)
      kind = Kind::Int;
    a = convert(a, kind);
    break;
  case ExprOp::Floor:
  case ExprOp::Ceil:
  case ExprOp::Round:
    if (!isFloat(kind))
      return a;
    break;
  default:
    // Functions of real numbers.
    if (!isFloat(kind))
      kind = Kind::F32;
    a = convert(a, kind);
    break;
  }
  return make({op, kind, {a}, {}, 0, {}, {}});
}

Expr floorDiv(Expr a, Expr b) {
  auto x = wholeLiteral(a), y = wholeLiteral(b);
  if (y == 1)
    return a;
  if (x && y && *y > 0)
    return Expr(*x / *y - (*x % *y < 0));
  return arithmetic(ExprOp::FloorDiv, a, b);
}
Expr floorMod(Expr a, Expr b) { return a - floorDiv(a, b) * b; }

Scalar identityOf(ExprOp op, Kind kind) {
  auto number = [&](double real, int64_t whole) {
    return isFloat(kind) ? Scalar{kind, 0, real, 0}
                         : Scalar::integer(whole, kind);
  };
  double infinity = std::numeric_limits<double>::infinity();
  switch (op) {
  case ExprOp::Product:
    return number(1, 1);
  case ExprOp::Maximum:
    return number(-infinity, kind == Kind::Int || kind == Kind::Index ? INT64_MIN : 0);
  case ExprOp::Minimum:
    return number(infinity, kind == Kind::Int || kind == Kind::Index ? INT64_MAX
                            : kind == Kind::Bool ? 1
                                                 : -1);
  default:
    return number(0, 0);
  }
}

Expr reduce(ExprOp op, ArrayRef<int64_t> extents,
            function_ref<Expr(Coords)> body) {
  static std::atomic<unsigned> next = 0;
  ExprNode node{op, Kind::Int, {}, {}, 0, {}, SmallVector<int64_t, 2>(extents)};
  SmallVector<Expr> vars;
  for (int64_t extent : extents) {
    node.vars.push_back(next++);
    // The only value of a variable needs no loop.
    vars.push_back(extent == 1 ? Expr(0)
                               : make({ExprOp::Var, Kind::Index, {}, {},
                                       node.vars.back(), {}, {}}));
  }
  Expr element = body(vars);
  if (element.kind() == Kind::Index ||
      (element.kind() == Kind::Bool &&
       (op == ExprOp::Sum || op == ExprOp::Product)))
    element = convert(element, Kind::Int);
  node.kind = element.kind();
  if (llvm::all_of(extents, [](int64_t extent) { return extent == 1; }))
    return element;
  if (llvm::is_contained(extents, 0))
    return constant(identityOf(op, node.kind));
  node.operands.push_back(element);
  return make(std::move(node));
}

SmallVector<Expr> unravel(Expr place, ArrayRef<int64_t> shape) {
  SmallVector<Expr> at(shape.size(), Expr(0));
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d] == 1)
      continue;
    at[d] = d == 0 ? place : floorMod(place, Expr(shape[d]));
    place = floorDiv(place, Expr(shape[d]));
  }
  return at;
}

Expr ravel(Coords at, ArrayRef<int64_t> shape) {
  Expr place(0);
  for (auto [index, size] : llvm::zip(at, shape))
    place = place * Expr(size) + index;
  return place;
}

} // namespace halcyon::onnx
