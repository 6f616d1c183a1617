//===- WgslNumbers.cpp - Numbers that WGSL has no literals for ------------===//

#include "compiler/codegen/WgslNumbers.h"
#include "compiler/codegen/GridMutator.h"

#include <cmath>

using namespace Halide::Internal;
using Halide::Expr;

namespace halcyon {

namespace {

class MendNumbers : public GridMutator {
  using GridMutator::visit;
  Expr visit(const FloatImm *op) override {
    if (!inGrid || std::isfinite(op->value))
      return op;
    const char *function = std::isnan(op->value) ? "nan_f32"
                           : op->value < 0       ? "neg_inf_f32"
                                                 : "inf_f32";
    return Call::make(op->type, function, {}, Call::PureExtern);
  }
  Expr visit(const Call *op) override {
    Expr result = IRMutator::visit(op);
    if (!inGrid || op->name != "pow_f32")
      return result;
    const auto *power = result.as<Call>();
    return Halide::select(power->args[0] == 0.0f && power->args[1] > 0.0f,
                          make_zero(op->type), result);
  }

};

} // namespace

void mendNumbers(Halide::Pipeline &pipeline) {
  pipeline.add_custom_lowering_pass(new MendNumbers);
}

} // namespace halcyon
