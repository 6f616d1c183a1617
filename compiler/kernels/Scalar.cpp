//===- Scalar.cpp - Scalar operations as Halide expressions ---------------===//
//
// Functions for which Halide would call libm one lane at a time are written so
// that they vectorize.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Builder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using Halide::Expr;

namespace halcyon {

/// 1 - 2 / (exp(2|x|) + 1) with the sign of x; a series near 0, where the
/// difference would cancel.
static Expr tanhExpr(Expr x) {
  Expr a = Halide::min(Halide::abs(x), 20.0f);
  Expr far = 1.0f - 2.0f / (Halide::exp(2.0f * a) + 1.0f);
  Expr s = a * a;
  Expr near = a * (1.0f + s * (-1.0f / 3 + s * (2.0f / 15 + s * (-17.0f / 315))));
  Expr t = Halide::select(a < 0.25f, near, far);
  return Halide::select(x < 0.0f, -t, t);
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26 in its
/// six-term form 7.1.28: |error| < 3e-7.
static Expr erfExpr(Expr x) {
  Expr a = Halide::abs(x);
  Expr p = 1.0f + a * (0.0705230784f +
                       a * (0.0422820123f +
                            a * (0.0092705272f +
                                 a * (0.0001520143f +
                                      a * (0.0002765672f + a * 0.0000430638f)))));
  Expr p2 = p * p, p4 = p2 * p2, p8 = p4 * p4;
  Expr e = 1.0f - 1.0f / (p8 * p8);
  return Halide::select(x < 0.0f, -e, e);
}

static Expr compareExpr(arith::CmpFPredicate predicate, Expr a, Expr b) {
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
  case arith::CmpFPredicate::UEQ:
    return a == b;
  case arith::CmpFPredicate::ONE:
  case arith::CmpFPredicate::UNE:
    return a != b;
  case arith::CmpFPredicate::OGT:
  case arith::CmpFPredicate::UGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
  case arith::CmpFPredicate::UGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
  case arith::CmpFPredicate::ULT:
    return a < b;
  case arith::CmpFPredicate::OLE:
  case arith::CmpFPredicate::ULE:
    return a <= b;
  default:
    llvm::report_fatal_error("comparison without a Halide form");
  }
}

Expr scalarExpr(Operation &op, ArrayRef<Expr> v) {
  return llvm::TypeSwitch<Operation *, Expr>(&op)
      .Case([&](arith::ConstantOp o) -> Expr {
        if (auto f = dyn_cast<FloatAttr>(o.getValue()))
          return Expr((float)f.getValueAsDouble());
        return Halide::cast<bool>(Expr((int)cast<IntegerAttr>(o.getValue()).getInt()));
      })
      .Case([&](arith::AddFOp) { return v[0] + v[1]; })
      .Case([&](arith::SubFOp) { return v[0] - v[1]; })
      .Case([&](arith::MulFOp) { return v[0] * v[1]; })
      .Case([&](arith::DivFOp) { return v[0] / v[1]; })
      .Case([&](arith::NegFOp) { return -v[0]; })
      .Case([&](arith::MaximumFOp) { return Halide::max(v[0], v[1]); })
      .Case([&](arith::MinimumFOp) { return Halide::min(v[0], v[1]); })
      .Case([&](arith::MaxNumFOp) { return Halide::max(v[0], v[1]); })
      .Case([&](arith::MinNumFOp) { return Halide::min(v[0], v[1]); })
      .Case([&](arith::CmpFOp o) {
        return compareExpr(o.getPredicate(), v[0], v[1]);
      })
      .Case([&](arith::SelectOp) { return Halide::select(v[0], v[1], v[2]); })
      .Case([&](arith::AndIOp) { return v[0] && v[1]; })
      .Case([&](arith::OrIOp) { return v[0] || v[1]; })
      .Case([&](arith::XOrIOp) { return v[0] != v[1]; })
      .Case([&](math::ExpOp) { return Halide::exp(v[0]); })
      .Case([&](math::LogOp) { return Halide::log(v[0]); })
      .Case([&](math::Log1pOp) {
        // Where x is below 1e-4, log(1 + x) has lost it: x - x^2 / 2.
        return Halide::select(Halide::abs(v[0]) < 1e-4f,
                              v[0] * (1.0f - 0.5f * v[0]),
                              Halide::log(1.0f + v[0]));
      })
      .Case([&](math::SqrtOp) { return Halide::sqrt(v[0]); })
      .Case([&](math::RsqrtOp) { return 1.0f / Halide::sqrt(v[0]); })
      .Case([&](math::TanhOp) { return tanhExpr(v[0]); })
      .Case([&](math::ErfOp) { return erfExpr(v[0]); })
      .Case([&](math::AbsFOp) { return Halide::abs(v[0]); })
      .Case([&](math::PowFOp) { return Halide::pow(v[0], v[1]); })
      .Case([&](math::SinOp) { return Halide::sin(v[0]); })
      .Case([&](math::CosOp) { return Halide::cos(v[0]); })
      .Case([&](math::FloorOp) { return Halide::floor(v[0]); })
      .Case([&](math::CeilOp) { return Halide::ceil(v[0]); })
      .Case([&](math::RoundEvenOp) { return Halide::round(v[0]); })
      .Case([&](math::RoundOp) {
        return Halide::select(v[0] < 0.0f, Halide::ceil(v[0] - 0.5f),
                              Halide::floor(v[0] + 0.5f));
      })
      .Default([](Operation *op) -> Expr {
        llvm::report_fatal_error("no Halide form of " +
                                 op->getName().getStringRef());
      });
}

} // namespace halcyon
