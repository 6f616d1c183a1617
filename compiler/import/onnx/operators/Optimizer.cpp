//===- Optimizer.cpp - Steps of training ----------------------------------===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static constexpr StringRef training = "ai.onnx.preview.training";

/// The rule for one parameter: its new value and its new state, from the rate,
/// the number of steps, the value, the gradient and the state.
using Rule = SmallVector<Expr> (*)(NodeContext &, Expr rate, Expr steps, Expr x,
                                   Expr gradient, ArrayRef<Expr> state);

/// Operands are the rate, the number of steps, all parameters, all gradients
/// and all states; results are all parameters and all states.
static LogicalResult importRule(NodeContext &node, unsigned states, Rule rule) {
  unsigned kinds = 2 + states, count = (node.size() - 2) / kinds;
  if (node.size() < 2 || node.size() != 2 + count * kinds)
    return node.fail("it has a parameter, a gradient and a state each");
  for (unsigned p = 0; p < count; ++p) {
    SmallVector<Tensor> operands = {node.in(0), node.in(1)};
    for (unsigned kind = 0; kind < kinds; ++kind)
      operands.push_back(node.in(2 + kind * count + p));
    for (unsigned result = 0; result <= states; ++result) {
      Tensor updated =
          node.map(operands, operands[2].type, [&](ArrayRef<Expr> e) {
            Expr steps = convert(e[1], Kind::F32);
            return rule(node, e[0], steps, e[2], e[3], e.drop_front(4))[result];
          });
      if (failed(node.set(result * count + p, updated)))
        return failure();
    }
  }
  return success();
}

static SmallVector<Expr> momentum(NodeContext &node, Expr rate, Expr steps,
                                  Expr x, Expr gradient, ArrayRef<Expr> state) {
  double alpha = node.number("alpha"), beta = node.number("beta");
  Expr g = Expr(node.number("norm_coefficient")) * x + gradient;
  // The first gradient counts whole.
  Expr factor = select(steps > Expr(0.0), Expr(beta), Expr(1.0));
  Expr v = Expr(alpha) * state[0] + factor * g;
  Expr step = node.word("mode") == "nesterov" ? g + Expr(alpha) * v : v;
  return {x - rate * step, v};
}

static SmallVector<Expr> adagrad(NodeContext &node, Expr rate, Expr steps,
                                 Expr x, Expr gradient, ArrayRef<Expr> state) {
  Expr decayed = rate / (Expr(1.0) + steps * Expr(node.number("decay_factor")));
  Expr g = Expr(node.number("norm_coefficient")) * x + gradient;
  Expr squares = state[0] + g * g;
  return {x - decayed * g / (sqrt(squares) + Expr(node.number("epsilon", 1e-6))),
          squares};
}

static SmallVector<Expr> adam(NodeContext &node, Expr rate, Expr steps, Expr x,
                              Expr gradient, ArrayRef<Expr> state) {
  double alpha = node.number("alpha", 0.9), beta = node.number("beta", 0.999);
  Expr g = Expr(node.number("norm_coefficient")) * x + gradient;
  Expr v = Expr(alpha) * state[0] + Expr(1 - alpha) * g;
  Expr h = Expr(beta) * state[1] + Expr(1 - beta) * g * g;
  Expr corrected = rate * sqrt(Expr(1.0) - pow(Expr(beta), steps)) /
                   (Expr(1.0) - pow(Expr(alpha), steps));
  Expr rateNow = select(steps > Expr(0.0), corrected, rate);
  Expr y = x - rateNow * v / (sqrt(h) + Expr(node.number("epsilon", 1e-6)));
  return {y * Expr(1 - node.number("norm_coefficient_post")), v, h};
}

static LogicalResult importMomentum(NodeContext &node) {
  return importRule(node, 1, momentum);
}
static LogicalResult importAdagrad(NodeContext &node) {
  return importRule(node, 1, adagrad);
}
static LogicalResult importAdam(NodeContext &node) {
  return importRule(node, 2, adam);
}
static RegisterOperator momentumOf("Momentum", importMomentum, 1, training);
static RegisterOperator adagradOf("Adagrad", importAdagrad, 1, training);
static RegisterOperator adamOf("Adam", importAdam, 1, training);
