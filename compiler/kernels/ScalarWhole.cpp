//===- ScalarWhole.cpp - Whole numbers, bits and conversions in Halide ----===//

#include "compiler/kernels/Builder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using Halide::Expr;

namespace halcyon {

static Halide::Type halideType(Type type) {
  if (type.isIndex())
    return Halide::Int(32);
  if (type.isInteger(1))
    return Halide::Bool();
  int bits = (int)type.getIntOrFloatBitWidth();
  return isa<FloatType>(type) ? Halide::Float(bits) : Halide::Int(bits);
}

/// The same bits as a number from 0 on.
static Expr natural(Expr x) {
  if (x.type().is_bool())
    return Halide::cast<uint8_t>(x);
  return Halide::cast(x.type().with_code(Halide::Type::UInt), x);
}

static Expr compareWhole(arith::CmpIPredicate predicate, Expr a, Expr b) {
  if (a.type().is_bool() || predicate >= arith::CmpIPredicate::ult) {
    a = natural(a);
    b = natural(b);
  }
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
  case arith::CmpIPredicate::ult:
    return a < b;
  case arith::CmpIPredicate::sle:
  case arith::CmpIPredicate::ule:
    return a <= b;
  case arith::CmpIPredicate::sgt:
  case arith::CmpIPredicate::ugt:
    return a > b;
  case arith::CmpIPredicate::sge:
  case arith::CmpIPredicate::uge:
    return a >= b;
  }
  llvm_unreachable("a predicate");
}

/// x to the power of y by squaring, wrapping; 0 where y is negative, but for
/// 1 and -1.
static Expr wholePower(Expr x, Expr y) {
  auto number = [&](int64_t n) {
    return Halide::Internal::make_const(x.type(), n);
  };
  Expr result = number(1), square = x;
  for (int bit = 0; bit < 6; ++bit) {
    result = Halide::select(((y >> bit) & 1) != 0, result * square, result);
    square = square * square;
  }
  Expr odd = (y & 1) != 0;
  Expr less = Halide::select(x == 1, number(1), x == -1,
                             Halide::select(odd, number(-1), number(1)),
                             number(0));
  return Halide::select(y < 0, less, result);
}

/// Where the machine would trap, 1: for 0, which lanes outside of a tensor may
/// hold, and for -1, whose quotient may not be there.
static Expr safeDivisor(Expr x) {
  if (Halide::Internal::is_const(x))
    return x;
  Expr one = Halide::Internal::make_one(x.type());
  return Halide::select(x == 0 || x == -1, one, x);
}

Expr wholeExpr(Operation &op, ArrayRef<Expr> given) {
  // An element of a tensor of natural numbers is the same bits here.
  SmallVector<Expr> v(given);
  for (auto [x, operand] : llvm::zip(v, op.getOperands()))
    if (operand.getType().isIntOrIndex() && !operand.getType().isInteger(1) &&
        x.type().is_uint() && !isa<arith::ExtUIOp, arith::UIToFPOp>(op))
      x = Halide::cast(halideType(operand.getType()), x);
  Type type = op.getResult(0).getType();
  auto converted = [&] { return Halide::cast(halideType(type), v[0]); };
  auto fromNatural = [&](Expr x) { return Halide::cast(halideType(type), x); };
  bool truth = type.isInteger(1);
  return llvm::TypeSwitch<Operation *, Expr>(&op)
      .Case([&](arith::ConstantOp o) -> Expr {
        auto whole = dyn_cast<IntegerAttr>(o.getValue());
        if (!whole || truth)
          return Expr();
        return Halide::Internal::make_const(halideType(type),
                                            whole.getValue().getSExtValue());
      })
      .Case([&](arith::AddIOp) { return v[0] + v[1]; })
      .Case([&](arith::SubIOp) { return v[0] - v[1]; })
      .Case([&](arith::MulIOp) { return v[0] * v[1]; })
      .Case([&](arith::FloorDivSIOp) { return v[0] / v[1]; })
      .Case([&](arith::DivSIOp) {
        Expr quotient = Halide::div_round_to_zero(v[0], safeDivisor(v[1]));
        return Halide::select(v[1] == -1, -v[0], quotient);
      })
      .Case([&](arith::RemSIOp) {
        return Halide::mod_round_to_zero(v[0], safeDivisor(v[1]));
      })
      .Case([&](arith::DivUIOp) {
        return fromNatural(natural(v[0]) / natural(v[1]));
      })
      .Case([&](arith::RemUIOp) {
        return fromNatural(natural(v[0]) % natural(v[1]));
      })
      .Case([&](arith::MinSIOp) { return Halide::min(v[0], v[1]); })
      .Case([&](arith::MaxSIOp) { return Halide::max(v[0], v[1]); })
      .Case([&](arith::MinUIOp) {
        return fromNatural(Halide::min(natural(v[0]), natural(v[1])));
      })
      .Case([&](arith::MaxUIOp) {
        return fromNatural(Halide::max(natural(v[0]), natural(v[1])));
      })
      .Case([&](arith::AndIOp) { return truth ? v[0] && v[1] : v[0] & v[1]; })
      .Case([&](arith::OrIOp) { return truth ? v[0] || v[1] : v[0] | v[1]; })
      .Case([&](arith::XOrIOp) {
        return truth ? natural(v[0]) != natural(v[1]) : v[0] ^ v[1];
      })
      .Case([&](arith::ShLIOp) { return v[0] << natural(v[1]); })
      .Case([&](arith::ShRSIOp) { return v[0] >> natural(v[1]); })
      .Case([&](arith::ShRUIOp) {
        return fromNatural(natural(v[0]) >> natural(v[1]));
      })
      .Case([&](arith::CmpIOp o) {
        return compareWhole(o.getPredicate(), v[0], v[1]);
      })
      .Case([&](math::IPowIOp) { return wholePower(v[0], v[1]); })
      .Case([&](arith::BitcastOp) {
        return Halide::reinterpret(halideType(type), v[0]);
      })
      .Case<arith::ExtUIOp, arith::UIToFPOp>([&](auto) {
        return Halide::cast(halideType(type), natural(v[0]));
      })
      .Case([&](arith::FPToUIOp) {
        return fromNatural(
            Halide::cast(natural(fromNatural(v[0])).type(), v[0]));
      })
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::SIToFPOp,
            arith::FPToSIOp, arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp,
            arith::TruncIOp>([&](auto) { return converted(); })
      .Case([&](arith::RemFOp) {
        // Of a number within the divisor nothing is subtracted.
        Expr rest = v[0] - v[1] * Halide::trunc(v[0] / v[1]);
        return Halide::select(Halide::abs(v[0]) < Halide::abs(v[1]), v[0], rest);
      })
      .Case([&](math::TanOp) { return Halide::tan(v[0]); })
      .Case([&](math::AsinOp) { return Halide::asin(v[0]); })
      .Case([&](math::AcosOp) { return Halide::acos(v[0]); })
      .Case([&](math::AtanOp) { return Halide::atan(v[0]); })
      .Case([&](math::SinhOp) { return Halide::sinh(v[0]); })
      .Case([&](math::CoshOp) { return Halide::cosh(v[0]); })
      .Case([&](math::AsinhOp) { return Halide::asinh(v[0]); })
      .Case([&](math::AcoshOp) { return Halide::acosh(v[0]); })
      .Case([&](math::AtanhOp) { return Halide::atanh(v[0]); })
      .Default([](Operation *) { return Expr(); });
}

} // namespace halcyon
