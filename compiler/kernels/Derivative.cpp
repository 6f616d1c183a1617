//===- Derivative.cpp - Derivatives of functions of scalars ---------------===//
//
// Halide differentiates Funcs: a function of scalars becomes one of a single
// variable, and the Funcs that its adjoint consists of are put together again
// as an expression.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Builder.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace halcyon {

namespace {
/// Replaces calls of Funcs by what they are at the one point there is.
class Inliner : public Halide::Internal::IRMutator {
public:
  std::map<std::string, Expr> known;

  Expr valueOf(Halide::Internal::Function function) {
    auto found = known.find(function.name());
    if (found != known.end())
      return found->second;
    Expr value = mutate(function.values()[0]);
    for (const auto &update : function.updates()) {
      known[function.name()] = value;
      value = mutate(update.values()[0]);
    }
    return known[function.name()] = value;
  }

private:
  using IRMutator::visit;
  Expr visit(const Halide::Internal::Call *call) override {
    if (call->call_type != Halide::Internal::Call::Halide)
      return IRMutator::visit(call);
    return valueOf(Halide::Internal::Function(call->func));
  }
};
} // namespace

Expr derivativeExpr(cnn::DerivativeOp op, ArrayRef<Expr> operands) {
  Var v("v");
  SmallVector<Func> inputs;
  SmallVector<Expr> arguments;
  Inliner inliner;
  for (auto [index, operand] : llvm::enumerate(operands)) {
    Func in("operand" + std::to_string(index));
    // A leaf of the right type; the operand itself takes its place afterwards.
    in(v) = Halide::Internal::Variable::make(
        operand.type(), in.name() + "_value",
        Halide::Parameter(operand.type(), false, 0, in.name() + "_value"));
    inliner.known[in.name()] = operand;
    inputs.push_back(in);
    arguments.push_back(in(v));
  }
  Func out("function"), seed("seed");
  out(v) = scalarRegion(op.getBody().front(), arguments, /*smooth=*/true).front();
  seed(v) = Halide::Internal::make_one(out.types()[0]);
  if (!llvm::is_contained(llvm::map_range(Halide::Internal::build_environment({out.function()}),
                                          [](auto &entry) { return entry.first; }),
                          inputs[op.getWrt()].name()))
    return Halide::Internal::make_zero(out.types()[0]);
  Halide::Derivative derivative =
      Halide::propagate_adjoints(out, seed, {{Expr(0), Expr(0)}});
  return Halide::Internal::simplify(Halide::Internal::common_subexpression_elimination(
      inliner.valueOf(derivative(inputs[op.getWrt()]).function())));
}

} // namespace halcyon
