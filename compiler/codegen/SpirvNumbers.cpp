//===- SpirvNumbers.cpp - Quotients as Halide's SPIR-V has them right -----===//

#include "compiler/codegen/SpirvNumbers.h"
#include "compiler/codegen/GridMutator.h"

using namespace Halide::Internal;
using Halide::Expr;

namespace halcyon {

namespace {

class MendQuotients : public GridMutator {
  using GridMutator::visit;

  /// Rounded down, a quotient's complement is that of the complement:
  /// floor(a / b) = ~floor(~a / b).
  template <typename Quotient> static Expr floored(const Expr &a, Quotient quotient) {
    const Halide::Type type = a.type();
    Expr sign = Halide::select(a < make_zero(type), make_const(type, -1), make_zero(type));
    Expr positive = Halide::cast(type.with_code(Halide::Type::UInt), a ^ sign);
    return Halide::cast(type, quotient(positive)) ^ sign;
  }
  bool isWrong(const Expr &a, const Expr &b) const {
    auto by = as_const_int(b);
    return inGrid && a.type().is_int() && by && *by > 0;
  }
  Expr dividedBy(const Expr &a, const Expr &b) {
    return floored(a, [&](const Expr &positive) {
      return Div::make(positive, make_const(positive.type(), *as_const_int(b)));
    });
  }

  Expr visit(const Div *op) override {
    Expr a = mutate(op->a), b = mutate(op->b);
    return isWrong(a, b) ? common(a, [&](const Expr &a) { return dividedBy(a, b); })
                         : Div::make(a, b);
  }
  Expr visit(const Mod *op) override {
    Expr a = mutate(op->a), b = mutate(op->b);
    return isWrong(a, b)
               ? common(a, [&](const Expr &a) { return a - b * dividedBy(a, b); })
               : Mod::make(a, b);
  }
  Expr visit(const Call *op) override {
    Expr result = IRMutator::visit(op);
    const Call *call = result.as<Call>();
    if (!inGrid || !call || !call->is_intrinsic(Call::shift_right) ||
        !call->type.is_int())
      return result;
    return common(call->args[0], [&](const Expr &a) {
      return floored(a, [&](const Expr &positive) { return positive >> call->args[1]; });
    });
  }

  /// What is used several times is computed once.
  template <typename Use> static Expr common(const Expr &value, Use use) {
    if (value.as<Variable>())
      return use(value);
    std::string name = unique_name("dividend");
    return Let::make(name, value, use(Variable::make(value.type(), name)));
  }

};

} // namespace

void mendQuotients(Halide::Pipeline &pipeline) {
  pipeline.add_custom_lowering_pass(new MendQuotients);
}

} // namespace halcyon
