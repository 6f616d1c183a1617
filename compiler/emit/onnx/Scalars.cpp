//===- Scalars.cpp - Elementwise functions as nodes of ONNX ---------------===//
//
// Each operation on scalars becomes a node on tensors.
//
//===----------------------------------------------------------------------===//

#include "compiler/emit/onnx/Export.h"
#include "dialects/cnn/Support.h"

#include "onnx-ml.pb.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace halcyon;

/// The operator that computes what an operation on scalars does.
static StringRef operatorOf(Operation &op) {
  return llvm::StringSwitch<StringRef>(op.getName().getStringRef())
      .Case("arith.addf", "Add")
      .Case("arith.subf", "Sub")
      .Case("arith.mulf", "Mul")
      .Case("arith.divf", "Div")
      .Case("arith.negf", "Neg")
      .Cases({"arith.maximumf", "arith.maxnumf", "arith.maxsi"}, "Max")
      .Cases({"arith.minimumf", "arith.minnumf", "arith.minsi"}, "Min")
      .Case("arith.addi", "Add")
      .Case("arith.subi", "Sub")
      .Case("arith.muli", "Mul")
      .Case("arith.divsi", "Div")
      .Case("arith.select", "Where")
      .Case("math.exp", "Exp")
      .Case("math.log", "Log")
      .Case("math.sqrt", "Sqrt")
      .Case("math.sin", "Sin")
      .Case("math.cos", "Cos")
      .Case("math.tan", "Tan")
      .Case("math.tanh", "Tanh")
      .Case("math.erf", "Erf")
      .Case("math.absf", "Abs")
      .Case("math.floor", "Floor")
      .Case("math.ceil", "Ceil")
      .Case("math.roundeven", "Round")
      .Case("math.powf", "Pow")
      .Default("");
}

static StringRef comparisonOf(arith::CmpFPredicate predicate) {
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
  case arith::CmpFPredicate::UEQ:
    return "Equal";
  case arith::CmpFPredicate::OGT:
  case arith::CmpFPredicate::UGT:
    return "Greater";
  case arith::CmpFPredicate::OGE:
  case arith::CmpFPredicate::UGE:
    return "GreaterOrEqual";
  case arith::CmpFPredicate::OLT:
  case arith::CmpFPredicate::ULT:
    return "Less";
  case arith::CmpFPredicate::OLE:
  case arith::CmpFPredicate::ULE:
    return "LessOrEqual";
  default:
    return "";
  }
}

static StringRef comparisonOf(arith::CmpIPredicate predicate) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return "Equal";
  case arith::CmpIPredicate::sgt:
    return "Greater";
  case arith::CmpIPredicate::sge:
    return "GreaterOrEqual";
  case arith::CmpIPredicate::slt:
    return "Less";
  case arith::CmpIPredicate::sle:
    return "LessOrEqual";
  default:
    return "";
  }
}

/// The operator on truth values, or on the bits of whole numbers.
static StringRef bitsOf(Operation &op) {
  bool truth = op.getResult(0).getType().isInteger(1);
  return llvm::StringSwitch<StringRef>(op.getName().getStringRef())
      .Case("arith.andi", truth ? "And" : "BitwiseAnd")
      .Case("arith.ori", truth ? "Or" : "BitwiseOr")
      .Case("arith.xori", truth ? "Xor" : "BitwiseXor")
      .Default("");
}

/// In what a formula computes with scalars of a type.
static int64_t computedIn(Type scalar) {
  if (scalar.isInteger(1))
    return ::onnx::TensorProto::BOOL;
  return isa<FloatType>(scalar) ? ::onnx::TensorProto::FLOAT
                                : ::onnx::TensorProto::INT64;
}

static std::string cast(OnnxWriter &w, const std::string &name, int64_t to) {
  std::string result = w.node("Cast", {name});
  w.attribute("to", to);
  return result;
}

std::string halcyon::widened(const std::string &name, Type element, OnnxWriter &w) {
  int64_t to = computedIn(element);
  return elementTypeOf(element) == to ? name : ::cast(w, name, to);
}

std::string halcyon::narrowed(const std::string &name, Type element, OnnxWriter &w) {
  int64_t to = elementTypeOf(element);
  return computedIn(element) == to ? name : ::cast(w, name, to);
}

/// Whole numbers are rounded as the operation says, and wide enough for any.
static std::string writeWhole(Operation &op, ArrayRef<std::string> inputs,
                              OnnxWriter &w) {
  auto floored = [&](const std::string &a, const std::string &b) {
    return w.node("Div", {w.node("Sub", {a, w.node("Mod", {a, b})}), b});
  };
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) {
    bool truth = compare.getLhs().getType().isInteger(1);
    if (compare.getPredicate() == arith::CmpIPredicate::ne)
      return w.node("Not", {w.node("Equal", inputs)});
    StringRef name = comparisonOf(compare.getPredicate());
    return name.empty() || (truth && name != "Equal") ? "" : w.node(name, inputs);
  }
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::FPToSIOp,
          arith::SIToFPOp, arith::UIToFPOp>(op)) {
    int64_t to = computedIn(op.getResult(0).getType());
    return computedIn(op.getOperand(0).getType()) == to ? inputs[0]
                                                        : ::cast(w, inputs[0], to);
  }
  if (isa<arith::TruncIOp>(op)) {
    // What lies above the bits that are kept is lost.
    Type narrow = op.getResult(0).getType();
    return widened(::cast(w, inputs[0], elementTypeOf(narrow)), narrow, w);
  }
  if (isa<arith::SelectOp>(op)) {
    std::string no = w.node("Not", {inputs[0]});
    return w.node("Or", {w.node("And", {inputs[0], inputs[1]}),
                         w.node("And", {no, inputs[2]})});
  }
  if (isa<arith::FloorDivSIOp>(op))
    return floored(inputs[0], inputs[1]);
  if (isa<arith::CeilDivSIOp>(op))
    return w.node("Neg", {floored(w.node("Neg", {inputs[0]}), inputs[1])});
  if (isa<arith::RemSIOp>(op)) {
    std::string name = w.node("Mod", inputs);
    w.attribute("fmod", int64_t(1));
    return name;
  }
  StringRef name = bitsOf(op);
  return name.empty() ? "" : w.node(name, inputs);
}

std::string halcyon::writeScalar(Operation &op, ArrayRef<std::string> inputs,
                                 OnnxWriter &w) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto real = dyn_cast<FloatAttr>(constant.getValue()))
      return w.scalar(real.getValueAsDouble());
    auto whole = cast<IntegerAttr>(constant.getValue());
    if (!whole.getType().isInteger(1))
      return w.number(whole.getInt());
    // A truth value: whether a number is above 0.
    double truth = whole.getInt() ? 1 : 0;
    return w.node("Greater", {w.scalar(truth), w.scalar(0.5)});
  }
  if (auto compare = dyn_cast<arith::CmpFOp>(op)) {
    auto predicate = compare.getPredicate();
    if (predicate == arith::CmpFPredicate::UNE ||
        predicate == arith::CmpFPredicate::ONE)
      return w.node("Not", {w.node("Equal", inputs)});
    StringRef name = comparisonOf(predicate);
    return name.empty() ? "" : w.node(name, inputs);
  }
  if (isa<math::RsqrtOp>(op))
    return w.node("Reciprocal", {w.node("Sqrt", inputs)});
  if (isa<math::Log1pOp>(op))
    return w.node("Log", {w.node("Add", {inputs[0], w.scalar(1)})});
  if (isa<math::RoundOp>(op)) {
    // Halves away from zero: sign(x) * floor(|x| + 0.5)
    std::string size = w.node("Add", {w.node("Abs", inputs), w.scalar(0.5)});
    return w.node("Mul", {w.node("Sign", inputs), w.node("Floor", {size})});
  }
  // There is no Where of truth values.
  if (isa<arith::SelectOp>(op) && op.getResult(0).getType().isInteger(1))
    return writeWhole(op, inputs, w);
  StringRef name = operatorOf(op);
  return name.empty() ? writeWhole(op, inputs, w) : w.node(name, inputs);
}

/// max(x, 0), as most networks have it.
static bool isRelu(cnn::MapOp map) {
  Block &body = map.getBody().front();
  auto max = body.getTerminator()->getOperand(0).getDefiningOp<arith::MaximumFOp>();
  if (!max || map.getInputs().size() != 1)
    return false;
  auto zero = max.getRhs().getDefiningOp<arith::ConstantOp>();
  auto number = zero ? dyn_cast<FloatAttr>(zero.getValue()) : FloatAttr();
  return number && number.getValue().isZero() &&
         max.getLhs() == body.getArgument(0);
}

static LogicalResult writeMap(Operation *op, OnnxWriter &w) {
  auto map = cast<cnn::MapOp>(op);
  if (isRelu(map)) {
    w.result(op, w.node("Relu", {w.name(map.getInputs()[0])}));
    return success();
  }
  int64_t rank = cnn::tensorOf(map.getResult()).getRank();
  Block &body = map.getBody().front();
  llvm::DenseMap<Value, std::string> names;
  for (auto [argument, input] : llvm::zip(body.getArguments(), map.getInputs())) {
    // A vector lies along the channels.
    auto type = cnn::tensorOf(input);
    std::string name = w.name(input);
    if (type.getRank() == 1 && rank > 2) {
      SmallVector<int64_t> shape(rank, 1);
      shape[1] = type.getDimSize(0);
      name = w.node("Reshape", {name, w.constant(shape)});
    }
    names[argument] = widened(name, type.getElementType(), w);
  }
  for (Operation &scalar : body.without_terminator()) {
    SmallVector<std::string> inputs;
    for (Value operand : scalar.getOperands())
      inputs.push_back(names[operand]);
    std::string name = writeScalar(scalar, inputs, w);
    if (name.empty())
      return op->emitError() << "'" << scalar.getName().getStringRef()
                             << "' has no form in ONNX here";
    names[scalar.getResult(0)] = name;
  }
  std::string result = names[body.getTerminator()->getOperand(0)];
  // A function that is one of its operands, or a number.
  if (!body.getTerminator()->getOperand(0).getDefiningOp() ||
      isa<arith::ConstantOp>(body.getTerminator()->getOperand(0).getDefiningOp()))
    result = w.node("Identity", {result});
  w.result(op, narrowed(result, cnn::tensorOf(map.getResult()).getElementType(), w));
  return success();
}
static RegisterOnnxWriter map("cnn.map", writeMap);
