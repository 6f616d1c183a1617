//===- DeviceDoubles.cpp - Double precision on devices --------------------===//

#include "compiler/codegen/DeviceDoubles.h"
#include "compiler/codegen/GridMutator.h"

#include <bit>
#include <cmath>

using namespace Halide::Internal;
using Halide::Expr;

namespace halcyon {

namespace {

class MendDoubles : public GridMutator {
public:
  explicit MendDoubles(const Halide::Target &machine)
      : functions(machine.has_feature(Halide::Target::Vulkan)) {}

private:
  using GridMutator::visit;
  Expr visit(const FloatImm *op) override {
    if (!inGrid || op->type.bits() != 64)
      return op;
    return number(op->type, op->value);
  }
  Expr visit(const Call *op) override {
    Expr whole = IRMutator::visit(op);
    if (!inGrid || !functions || !op->type.is_float() || op->type.bits() != 64)
      return whole;
    const std::vector<Expr> &args = whole.as<Call>()->args;
    if (op->name == "sqrt_f64")
      return sqrt(args[0]);
    if (op->name == "exp_f64")
      return exp(args[0]);
    if (op->name == "log_f64")
      return log(args[0]);
    if (op->name == "pow_f64")
      return pow(args[0], args[1]);
    if (op->name == "tanh_f64")
      return tanh(args[0]);
    if (op->name == "cosh_f64")
      return cosh(args[0]);
    return whole;
  }

  static Expr number(Halide::Type type, double value) {
    const int64_t bits = std::bit_cast<int64_t>(value);
    return Halide::reinterpret(type, make_const(Halide::Int(64, type.lanes()), bits));
  }
  static Expr single(const Expr &x) {
    return Halide::cast(Halide::Float(32, x.type().lanes()), x);
  }
  static Expr twice(const Expr &x) {
    return Halide::cast(Halide::Float(64, x.type().lanes()), x);
  }
  /// An expression that uses `value` more than once.
  template <class F> static Expr let(const Expr &value, F make) {
    std::string name = unique_name("double");
    return Let::make(name, value, make(Variable::make(value.type(), name)));
  }

  /// Newton's method: each step has twice the digits of the one before.
  static Expr sqrt(const Expr &value) {
    return let(value, [](Expr x) {
      auto closer = [&](const Expr &root) {
        return let(root, [&](Expr r) { return number(x.type(), 0.5) * (r + x / r); });
      };
      Expr near = closer(closer(twice(Halide::sqrt(single(x)))));
      return Halide::select(x > number(x.type(), 0), near, number(x.type(), 0));
    });
  }

  /// exp(n ln 2) exp(r), where a few terms are enough for r.
  static Expr exp(const Expr &value) {
    const Halide::Type type = value.type();
    // ln 2 in two parts, of which n times the first is exact.
    const double high = 0x1.62e42fefap-1, low = M_LN2 - high;
    Expr within = Halide::max(Halide::min(value, number(type, 709)), number(type, -708));
    return let(within, [&](Expr x) {
      Expr whole = Halide::cast(Halide::Int(32, type.lanes()),
                                Halide::floor(single(x * number(type, M_LOG2E)) + 0.5f));
      return let(whole, [&](Expr n) {
        Expr rest = x - twice(n) * number(type, high) - twice(n) * number(type, low);
        return let(rest, [&](Expr r) {
          Expr sum = number(type, 1);
          for (int term = 14; term > 0; --term)
            sum = number(type, 1) + r * number(type, 1.0 / term) * sum;
          Expr bits = Halide::cast(Halide::Int(64, type.lanes()), n + 1023) << 52;
          return sum * Halide::reinterpret(type, bits);
        });
      });
    });
  }

  /// Halley's method: one step has three times the digits.
  static Expr log(const Expr &value) {
    const Halide::Type type = value.type();
    return let(value, [&](Expr x) {
      return let(twice(Halide::log(single(x))), [&](Expr near) {
        return let(exp(near), [&](Expr y) {
          Expr better = near + number(type, 2) * ((x - y) / (x + y));
          return Halide::select(x > number(type, 0), better, near);
        });
      });
    });
  }

  /// Of a negative number it is one where the exponent is whole.
  static Expr pow(const Expr &base, const Expr &exponent) {
    const Halide::Type type = base.type();
    return let(base, [&](Expr x) {
      return let(exponent, [&](Expr y) {
        Expr zero = number(type, 0), size = Halide::select(x < zero, -x, x);
        Expr half = y * number(type, 0.5);
        Expr odd = twice(Halide::floor(single(half))) != half;
        return let(exp(y * log(size)), [&](Expr power) {
          Expr sign = Halide::select(x < zero && odd, -power, power);
          return Halide::select(y == zero, number(type, 1),
                                Halide::select(x == zero, zero, sign));
        });
      });
    });
  }

  static Expr tanh(const Expr &x) {
    const Halide::Type type = x.type();
    return number(type, 1) -
           number(type, 2) / (exp(number(type, 2) * x) + number(type, 1));
  }

  static Expr cosh(const Expr &x) {
    return let(exp(x), [&](Expr e) {
      return number(x.type(), 0.5) * (e + number(x.type(), 1) / e);
    });
  }

  const bool functions;
};

} // namespace

void mendDoubles(Halide::Pipeline &pipeline, const Halide::Target &machine) {
  pipeline.add_custom_lowering_pass(new MendDoubles(machine));
}

} // namespace halcyon
