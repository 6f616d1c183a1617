//===- Scalar.cpp - Scalar operations as Halide expressions ---------------===//
//
// Functions for which Halide would call libm one lane at a time are written so
// that they vectorize.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Builder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using Halide::Expr;

namespace halcyon {

/// exp(x) = 2^n * exp(r), x = n ln 2 + r: relative error below 2e-7 on [-8, 8],
/// infinity from 128 ln 2 on, 1e-43 where it would be less. Zen 5, AVX-512: 5
/// cycles a vector, 7 in silu; Halide's 10, 11.
static Expr expExpr(Expr x) {
  const float ln2 = 0.693147182464599609375f; // times 128 without rounding
  // Just above -127 ln 2: the bits of the result neither wrap nor fall below 0.
  Expr t = Halide::clamp(x, -88.02968f, 128 * ln2);
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  Expr shifted = t * 1.44269504f + 12582912.0f;
  Expr n = Halide::reinterpret<int>(shifted) - 0x4B400000;
  Expr r = t - Halide::cast<float>(n) * ln2;
  // Least relative error, 9e-8, of all with these powers and exactly 1 at 0.
  Expr p = 0.008290272066f;
  for (float k : {0.04189815964f, 0.1666763813f, 0.4999914784f, 0.9999997063f,
                  1.0f})
    p = p * r + k;
  // Unsigned, for what is shifted out.
  auto bits = [](Expr e) { return Halide::reinterpret<uint32_t>(e); };
  return Halide::reinterpret<float>(bits(p) + (bits(shifted) << 23));
}

/// 1 - 2 / (exp(2|x|) + 1) with the sign of x; a series near 0, where the
/// difference would cancel.
static Expr tanhExpr(Expr x) {
  Expr a = Halide::min(Halide::abs(x), 20.0f);
  Expr far = 1.0f - 2.0f / (expExpr(2.0f * a) + 1.0f);
  Expr s = a * a;
  Expr near = a * (1.0f + s * (-1.0f / 3 + s * (2.0f / 15 + s * (-17.0f / 315))));
  Expr t = Halide::select(a < 0.25f, near, far);
  return Halide::select(x < 0.0f, -t, t);
}

/// x * P(x^2) / Q(x^2) on [-4, 4], where erf has reached 1: the minimax
/// approximation of Eigen's and XLA's 32-bit erf, relative error below 4e-7.
static Expr erfExpr(Expr x) {
  const float p[] = {-1.60960333262415e-02f, -2.95459980854025e-03f,
                     -7.34990630326855e-04f, -5.69250639462346e-05f,
                     -2.10102402082508e-06f, 2.77068142495902e-08f,
                     -2.72614225801306e-10f};
  const float q[] = {-1.42647390514189e-02f, -7.37332916720468e-03f,
                     -1.68282697438203e-03f, -2.13374055278905e-04f,
                     -1.45660718464996e-05f};
  Expr t = Halide::clamp(x, -4.0f, 4.0f), s = t * t;
  auto polynomial = [&](llvm::ArrayRef<float> c) {
    Expr value = c.back();
    for (float k : llvm::reverse(c.drop_back()))
      value = value * s + k;
    return value;
  };
  return t * polynomial(p) / polynomial(q);
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

SmallVector<Expr> scalarRegion(Block &body, ArrayRef<Expr> arguments,
                               bool smooth) {
  llvm::DenseMap<Value, Expr> values;
  for (auto [argument, value] : llvm::zip(body.getArguments(), arguments))
    values[argument] = value;
  auto of = [&](Operation &op) {
    return llvm::map_to_vector(op.getOperands(),
                               [&](Value v) { return values.lookup(v); });
  };
  for (Operation &op : body.without_terminator())
    values[op.getResult(0)] = scalarExpr(op, of(op), smooth);
  return of(*body.getTerminator());
}

Expr scalarExpr(Operation &op, ArrayRef<Expr> v, bool smooth) {
  if (Expr whole = wholeExpr(op, v); whole.defined())
    return whole;
  // The fast forms are f32's.
  smooth |= !v.empty() && v[0].type() == Halide::Float(64);
  return llvm::TypeSwitch<Operation *, Expr>(&op)
      .Case([&](arith::ConstantOp o) -> Expr {
        if (auto f = dyn_cast<FloatAttr>(o.getValue()))
          return f.getType().isF64() ? Expr(f.getValueAsDouble())
                                     : Expr((float)f.getValueAsDouble());
        return Halide::cast<bool>(Expr((int)cast<IntegerAttr>(o.getValue()).getInt()));
      })
      .Case([&](cnn::DerivativeOp o) { return derivativeExpr(o, v); })
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
      .Case([&](math::ExpOp) { return smooth ? Halide::exp(v[0]) : expExpr(v[0]); })
      .Case([&](math::LogOp) { return Halide::log(v[0]); })
      .Case([&](math::Log1pOp) {
        // Where x is below 1e-4, log(1 + x) has lost it: x - x^2 / 2.
        return Halide::select(Halide::abs(v[0]) < 1e-4f,
                              v[0] * (1.0f - 0.5f * v[0]),
                              Halide::log(1.0f + v[0]));
      })
      .Case([&](math::SqrtOp) { return Halide::sqrt(v[0]); })
      .Case([&](math::RsqrtOp) { return 1.0f / Halide::sqrt(v[0]); })
      .Case([&](math::TanhOp) { return smooth ? Halide::tanh(v[0]) : tanhExpr(v[0]); })
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
