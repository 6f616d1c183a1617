//===- Elementwise.cpp - Functions of one element -------------------------===//

#include "compiler/import/onnx/Graph.h"

#include <numbers>

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

using Function = Expr (*)(NodeContext &, Expr);

/// An importer of a function of one operand.
template <Function function>
static LogicalResult importUnary(NodeContext &node) {
  if (!node.has(0))
    return node.fail("its operand is missing");
  return node.set(node.map({node.in(0)}, node.in(0).type,
                           [&](ArrayRef<Expr> e) { return function(node, e[0]); }));
}

template <ExprOp op> static Expr plain(NodeContext &, Expr x) {
  return unary(op, x);
}

static RegisterOperator functions[] = {
    {"Abs", importUnary<plain<ExprOp::Abs>>},
    {"Neg", importUnary<plain<ExprOp::Neg>>},
    {"Exp", importUnary<plain<ExprOp::Exp>>},
    {"Log", importUnary<plain<ExprOp::Log>>},
    {"Sqrt", importUnary<plain<ExprOp::Sqrt>>},
    {"Sin", importUnary<plain<ExprOp::Sin>>},
    {"Cos", importUnary<plain<ExprOp::Cos>>},
    {"Tan", importUnary<plain<ExprOp::Tan>>},
    {"Asin", importUnary<plain<ExprOp::Asin>>},
    {"Acos", importUnary<plain<ExprOp::Acos>>},
    {"Atan", importUnary<plain<ExprOp::Atan>>},
    {"Sinh", importUnary<plain<ExprOp::Sinh>>},
    {"Cosh", importUnary<plain<ExprOp::Cosh>>},
    {"Tanh", importUnary<plain<ExprOp::Tanh>>},
    {"Asinh", importUnary<plain<ExprOp::Asinh>>},
    {"Acosh", importUnary<plain<ExprOp::Acosh>>},
    {"Atanh", importUnary<plain<ExprOp::Atanh>>},
    {"Erf", importUnary<plain<ExprOp::Erf>>},
    {"Floor", importUnary<plain<ExprOp::Floor>>},
    {"Ceil", importUnary<plain<ExprOp::Ceil>>},
    {"Round", importUnary<plain<ExprOp::Round>>},
};
static RegisterTakes takesFunctions(functions);

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static Expr zeroLike(Expr x) { return convert(Expr(0), x.kind()); }

static Expr sigmoid(Expr x) { return Expr(1.0) / (Expr(1.0) + exp(-x)); }

/// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))
static Expr softplus(Expr x) {
  return max(x, Expr(0.0)) + log(Expr(1.0) + exp(-abs(x)));
}

static Expr relu(NodeContext &, Expr x) { return max(x, zeroLike(x)); }
static Expr sigmoidOf(NodeContext &, Expr x) { return sigmoid(x); }
static Expr softplusOf(NodeContext &, Expr x) { return softplus(x); }
static Expr leakyRelu(NodeContext &node, Expr x) {
  return select(x < Expr(0.0), x * Expr(node.number("alpha", 0.01)), x);
}
static Expr elu(NodeContext &node, Expr x) {
  Expr less = Expr(node.number("alpha", 1)) * (exp(min(x, Expr(0.0))) - Expr(1.0));
  return select(x < Expr(0.0), less, x);
}
static Expr celu(NodeContext &node, Expr x) {
  Expr alpha(node.number("alpha", 1));
  return max(x, Expr(0.0)) +
         min(Expr(0.0), alpha * (exp(min(x, Expr(0.0)) / alpha) - Expr(1.0)));
}
static Expr selu(NodeContext &node, Expr x) {
  bool old = node.opset() < 6;
  Expr alpha(node.number("alpha", old ? 1.6732 : 1.67326319217681884765625));
  Expr gamma(node.number("gamma", old ? 1.0507 : 1.05070102214813232421875));
  return gamma *
         select(x <= Expr(0.0), alpha * (exp(min(x, Expr(0.0))) - Expr(1.0)), x);
}
static Expr hardSigmoidOf(Expr x, double alpha, double beta) {
  return clamp(x * Expr(alpha) + Expr(beta), Expr(0.0), Expr(1.0));
}
static Expr hardSigmoid(NodeContext &node, Expr x) {
  return hardSigmoidOf(x, node.number("alpha", 0.2), node.number("beta", 0.5));
}
static Expr hardSwish(NodeContext &, Expr x) {
  return x * hardSigmoidOf(x, 1.0 / 6, 0.5);
}
static Expr softsign(NodeContext &, Expr x) {
  return x / (Expr(1.0) + abs(x));
}
static Expr mish(NodeContext &, Expr x) { return x * tanh(softplus(x)); }
static Expr swish(NodeContext &node, Expr x) {
  double alpha = node.number("alpha", 1);
  return x * sigmoid(alpha == 1 ? x : x * Expr(alpha));
}
static Expr gelu(NodeContext &node, Expr x) {
  if (node.word("approximate", "none") == "tanh") {
    Expr inner = Expr(std::sqrt(2 / std::numbers::pi)) *
                 (x + Expr(0.044715) * x * x * x);
    return Expr(0.5) * x * (Expr(1.0) + tanh(inner));
  }
  return Expr(0.5) * x *
         (Expr(1.0) + unary(ExprOp::Erf, x * Expr(std::sqrt(0.5))));
}
static Expr thresholdedRelu(NodeContext &node, Expr x) {
  return select(x > Expr(node.number("alpha", 1)), x, zeroLike(x));
}
static Expr shrink(NodeContext &node, Expr x) {
  Expr bias(node.number("bias", 0)), lambda(node.number("lambd", 0.5));
  return convert(select(x < -lambda, x + bias,
                        select(x > lambda, x - bias, Expr(0.0))),
                 x.kind());
}
static Expr reciprocal(NodeContext &, Expr x) { return Expr(1.0) / x; }
static Expr sign(NodeContext &, Expr x) {
  Expr zero = zeroLike(x);
  return convert(select(x > zero, Expr(1), select(x < zero, Expr(-1), Expr(0))),
                 x.kind());
}
static Expr bitwiseNot(NodeContext &, Expr x) { return unary(ExprOp::Not, x); }

static RegisterOperator activations[] = {
    {"Relu", importUnary<relu>},
    {"Sigmoid", importUnary<sigmoidOf>},
    {"Softplus", importUnary<softplusOf>},
    {"LeakyRelu", importUnary<leakyRelu>},
    {"Elu", importUnary<elu>},
    {"Celu", importUnary<celu>},
    {"Selu", importUnary<selu>},
    {"HardSigmoid", importUnary<hardSigmoid>},
    {"HardSwish", importUnary<hardSwish>},
    {"Softsign", importUnary<softsign>},
    {"Mish", importUnary<mish>},
    {"Swish", importUnary<swish>},
    {"Gelu", importUnary<gelu>},
    {"ThresholdedRelu", importUnary<thresholdedRelu>},
    {"Shrink", importUnary<shrink>},
    {"Reciprocal", importUnary<reciprocal>},
    {"Sign", importUnary<sign>},
    {"BitwiseNot", importUnary<bitwiseNot>},
};
static RegisterTakes takesActivations(activations);

static LogicalResult importPRelu(NodeContext &node) {
  Tensor x = node.in(0), slope = node.in(1);
  // Versions before 7 have one slope for each channel.
  if (node.opset() < 7 && slope.rank() == 1 && x.rank() > 2) {
    Shape along(x.rank(), 1);
    along[1] = slope.shape[0];
    slope = node.reshape(slope, along);
  }
  return node.set(node.map({x, slope}, x.type, [](ArrayRef<Expr> e) {
    return select(e[0] < zeroLike(e[0]), e[0] * e[1], e[0]);
  }));
}
static RegisterOperator prelu("PRelu", importPRelu);

static LogicalResult importClip(NodeContext &node) {
  SmallVector<Tensor> operands = {node.in(0)};
  for (unsigned i : {1, 2})
    if (node.has(i))
      operands.push_back(node.in(i));
  return node.set(node.map(operands, node.in(0).type, [&](ArrayRef<Expr> e) {
    Expr x = e[0];
    unsigned next = 1;
    auto bound = [&](unsigned i, StringRef name) {
      if (node.has(i))
        return e[next++];
      return node.given(name) ? Expr(node.number(name)) : Expr();
    };
    if (Expr low = bound(1, "min"))
      x = max(x, low);
    if (Expr high = bound(2, "max"))
      x = min(x, high);
    return x;
  }));
}
static RegisterOperator clip("Clip", importClip);
static RegisterTakes takesClip(clip);

/// What tests numbers.
template <Function function>
static LogicalResult importTest(NodeContext &node) {
  return node.set(node.map({node.in(0)}, DataType::Bool, [&](ArrayRef<Expr> e) {
    return function(node, e[0]);
  }));
}
static Expr isNan(NodeContext &, Expr x) { return unary(ExprOp::IsNan, x); }
static Expr isInf(NodeContext &node, Expr x) {
  Expr result = unary(ExprOp::IsInf, x);
  if (!node.integer("detect_positive", 1))
    result = result && x < zeroLike(x);
  if (!node.integer("detect_negative", 1))
    result = result && x > zeroLike(x);
  return result;
}
static Expr logicalNot(NodeContext &, Expr x) { return !x; }
static RegisterOperator tests[] = {{"IsNaN", importTest<isNan>},
                                   {"IsInf", importTest<isInf>},
                                   {"Not", importTest<logicalNot>}};
static RegisterTakes takesTests(tests);

//===----------------------------------------------------------------------===//
// What changes nothing
//===----------------------------------------------------------------------===//

static LogicalResult importIdentity(NodeContext &node) {
  return node.set(node.in(0));
}
static RegisterOperator identity("Identity", importIdentity);
static RegisterTakes takesIdentity(identity);
