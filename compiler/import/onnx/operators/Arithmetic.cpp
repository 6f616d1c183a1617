//===- Arithmetic.cpp - Functions of several elements, which broadcast ----===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

using Function = Expr (*)(Expr, Expr);

/// Before version 7 the second operand began at a dimension of the first.
static Tensor aligned(NodeContext &node, const Tensor &a, const Tensor &b) {
  if (node.opset() >= 7 || !node.integer("broadcast") || !node.given("axis"))
    return b;
  auto axis = node.axis(node.integer("axis"), a.rank());
  if (!axis || *axis + b.rank() > a.rank())
    return b;
  Shape shape = b.shape;
  shape.append(a.rank() - *axis - b.rank(), 1);
  return node.reshape(b, shape);
}

static SmallVector<Tensor> operandsOf(NodeContext &node) {
  SmallVector<Tensor> operands = node.all();
  if (operands.size() == 2)
    operands[1] = aligned(node, operands[0], operands[1]);
  return operands;
}

/// An importer of a function that takes its operands one after another.
template <Function function, bool isTest = false>
static LogicalResult importChain(NodeContext &node) {
  SmallVector<Tensor> operands = operandsOf(node);
  if (operands.empty())
    return node.fail("its operands are missing");
  DataType type = isTest ? DataType::Bool : operands[0].type;
  return node.set(node.map(operands, type, [](ArrayRef<Expr> e) {
    Expr result = e[0];
    for (const Expr &operand : e.drop_front())
      result = function(result, operand);
    return result;
  }));
}

static Expr add(Expr a, Expr b) { return a + b; }
static Expr sub(Expr a, Expr b) { return a - b; }
static Expr mul(Expr a, Expr b) { return a * b; }
static Expr divide(Expr a, Expr b) { return a / b; }
static Expr less(Expr a, Expr b) { return a < b; }
static Expr lessOrEqual(Expr a, Expr b) { return a <= b; }
static Expr greater(Expr a, Expr b) { return a > b; }
static Expr greaterOrEqual(Expr a, Expr b) { return a >= b; }
static Expr equal(Expr a, Expr b) { return a == b; }
static Expr both(Expr a, Expr b) { return a && b; }
static Expr either(Expr a, Expr b) { return a || b; }
static Expr oneOf(Expr a, Expr b) { return a != b; }
static Expr bitAnd(Expr a, Expr b) { return a & b; }
static Expr bitOr(Expr a, Expr b) { return a | b; }
static Expr bitXor(Expr a, Expr b) { return a ^ b; }

static RegisterOperator chains[] = {
    {"Add", importChain<add>},
    {"Sub", importChain<sub>},
    {"Mul", importChain<mul>},
    {"Div", importChain<divide>},
    {"Sum", importChain<add>},
    {"Max", importChain<onnx::max>},
    {"Min", importChain<onnx::min>},
    {"BitwiseAnd", importChain<bitAnd>},
    {"BitwiseOr", importChain<bitOr>},
    {"BitwiseXor", importChain<bitXor>},
    {"Less", importChain<less, true>},
    {"LessOrEqual", importChain<lessOrEqual, true>},
    {"Greater", importChain<greater, true>},
    {"GreaterOrEqual", importChain<greaterOrEqual, true>},
    {"Equal", importChain<equal, true>},
    {"And", importChain<both, true>},
    {"Or", importChain<either, true>},
    {"Xor", importChain<oneOf, true>},
};
static RegisterTakes takesChains(chains);

static LogicalResult importMean(NodeContext &node) {
  SmallVector<Tensor> operands = node.all();
  if (operands.empty())
    return node.fail("its operands are missing");
  return node.set(node.map(operands, operands[0].type, [](ArrayRef<Expr> e) {
    Expr total = e[0];
    for (const Expr &operand : e.drop_front())
      total = total + operand;
    return total / Expr(double(e.size()));
  }));
}
static RegisterOperator mean("Mean", importMean);

/// Small whole powers by multiplication: exact, and far cheaper.
static Expr power(Expr x, Expr y) {
  auto number = y.literal();
  if (number && isFloat(x.kind())) {
    double n = number->asReal();
    if (n == 0.5)
      return sqrt(x);
    if (n >= 1 && n <= 8 && n == int(n)) {
      Expr result = x;
      for (int i = 1; i < n; ++i)
        result = result * x;
      return result;
    }
  }
  return pow(x, y);
}

static LogicalResult importPow(NodeContext &node) {
  SmallVector<Tensor> operands = operandsOf(node);
  if (operands.size() != 2)
    return node.fail("it has two operands");
  return node.set(node.map(operands, operands[0].type, [](ArrayRef<Expr> e) {
    return power(e[0], e[1]);
  }));
}
static RegisterOperator powOf("Pow", importPow);
static RegisterTakes takesPow(powOf);

/// The remainder with the sign of the divisor, or, as C's fmod, of the dividend.
static LogicalResult importMod(NodeContext &node) {
  SmallVector<Tensor> operands = node.all();
  if (operands.size() != 2)
    return node.fail("it has two operands");
  bool truncates = node.integer("fmod");
  return node.set(
      node.map(operands, operands[0].type, [&](ArrayRef<Expr> e) -> Expr {
        Expr rest = e[0] % e[1];
        if (truncates || e[0].kind() == Kind::U64)
          return rest;
        Expr zero = convert(Expr(0), rest.kind());
        Expr differ = rest != zero && ((rest < zero) != (e[1] < zero));
        return select(differ, rest + e[1], rest);
      }));
}
static RegisterOperator mod("Mod", importMod);

static LogicalResult importBitShift(NodeContext &node) {
  SmallVector<Tensor> operands = node.all();
  if (operands.size() != 2)
    return node.fail("it has two operands");
  bool left = node.word("direction") == "LEFT";
  Expr width(int64_t(bitsOf(operands[0].type)));
  return node.set(node.map(operands, operands[0].type, [&](ArrayRef<Expr> e) {
    // Of a sign that comes in there is no end.
    Expr by = min(e[1], Expr(63));
    if (!left && e[0].kind() == Kind::Int)
      return e[0] >> by;
    Expr moved = left ? e[0] << by : e[0] >> by;
    return select(e[1] < width, moved, convert(Expr(0), moved.kind()));
  }));
}
static RegisterOperator bitShift("BitShift", importBitShift);

static LogicalResult importWhere(NodeContext &node) {
  SmallVector<Tensor> operands = node.all();
  if (operands.size() != 3)
    return node.fail("it has three operands");
  return node.set(node.map(operands, operands[1].type, [](ArrayRef<Expr> e) {
    return select(e[0], e[1], e[2]);
  }));
}
static RegisterOperator where("Where", importWhere);
static RegisterTakes takesWhere(where);
