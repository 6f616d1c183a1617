//===- ElaborateMap.cpp - Elementwise functions ---------------------------===//
//
// A formula over elements becomes one operation with a region. Inside it the
// parameters of an op hold elements, and arithmetic makes operations on them.
//
//===----------------------------------------------------------------------===//

#include "ElementFunctions.h"
#include "Elaborator.h"

#include "dialects/cnn/Exact.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/SaveAndRestore.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SmallVector;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;
using mlir::Location;
using mlir::OpBuilder;
namespace arith = mlir::arith;
namespace math = mlir::math;

Value Elaborator::mapElements(StringRef name, std::vector<Value> args,
                              SMRange where, const std::string &path,
                              const ElementFunction &function) {
  SmallVector<mlir::Value> inputs;
  for (const Value &arg : args) {
    if (arg.hasPoison())
      return Value();
    if (arg.isTensor() && !llvm::is_contained(inputs, arg.asMlir()))
      inputs.push_back(arg.asMlir());
  }
  if (inputs.empty())
    return function(std::move(args));
  for (const Value &arg : args)
    if (arg.isScalar())
      return error(where,
                   "'" + name + "' takes tensors or elements, not both\n" +
                       describe(inputs.front()),
                   {"an element of a tensor: x[n, c, i, j]"});

  auto shape = cnn::MapOp::broadcast(mlir::ValueRange(inputs).getTypes());
  if (!shape) {
    std::vector<std::string> shapes;
    for (mlir::Value input : inputs)
      shapes.push_back(describe(input));
    // An operator is called what it looks like.
    StringRef written(where.Start.getPointer(),
                      where.End.getPointer() - where.Start.getPointer());
    StringRef shown = written.size() <= 2 ? written : name;
    return error(where,
                 "'" + shown + "' needs tensors of one shape\n" +
                     llvm::join(shapes, ", "),
                 {"a size of 1 goes with any size"});
  }
  Location loc = location(where, path);
  auto type = mlir::RankedTensorType::get(*shape, builder.getF32Type());
  OpBuilder::InsertionGuard guard(builder);
  if (formula)
    builder.restoreInsertionPoint(formula->outside);
  llvm::SaveAndRestore elements(formula, (Formula *)nullptr);
  auto map = cnn::MapOp::create(builder, loc, type, name, inputs);
  mlir::Block *block = builder.createBlock(&map.getBody());
  for (Value &arg : args) {
    if (!arg.isTensor())
      continue;
    unsigned index = llvm::find(inputs, arg.asMlir()) - inputs.begin();
    while (block->getNumArguments() <= index)
      block->addArgument(builder.getF32Type(), loc);
    arg = Value::scalar(block->getArgument(index));
  }
  Value result = function(std::move(args));
  mlir::Value element = result.isPoison() ? nullptr : toElement(result, where);
  if (element && block->getOperations().size() > maxFormula) {
    error(where, "the formula of '" + name + "' has more than " +
                     Twine(maxFormula) + " operations");
    element = nullptr;
  }
  if (!element) {
    map.erase();
    return Value();
  }
  cnn::YieldOp::create(builder, loc, element);
  return Value::tensor(map.getResult(), where, name);
}

/// The number that `value` is inside a formula; null, and reported, if none.
mlir::Value Elaborator::toElement(const Value &value, SMRange where) {
  if (value.isScalar() && !value.asMlir().getType().isInteger(1))
    return toNumber(value.asMlir(), location(where, ""));
  if (value.isNumber()) {
    auto rounded = builder.getFloatAttr(
        formula ? formula->number : builder.getF32Type(), value.asReal());
    auto constant =
        arith::ConstantOp::create(builder, location(where, ""), rounded);
    if (options.exact && rounded.getValueAsDouble() != value.asReal())
      constant->setAttr(cnn::kExactAttr, builder.getF64FloatAttr(value.asReal()));
    return constant;
  }
  if (value.isScalar() || value.isBool())
    error(where, "a condition is no number",
          {"write: if a > b { 1 } else { 0 }"});
  else if (value.isTensor())
    error(where,
          "an op with indices computes with elements, not with tensors\n" +
              describe(value),
          {"an element of a tensor: x[n, c, i, j]"});
  else if (!value.isPoison())
    error(where, "an op computes numbers, not " + kindText(value));
  return nullptr;
}

Value Elaborator::elementBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                                SMRange where) {
  if (lhs.isNumber() && rhs.isNumber())
    return arithmetic(op, lhs, rhs, where);
  if (isWhole(lhs) && isWhole(rhs) && op != BinaryOp::Pow)
    return indexBinary(op, lhs, rhs, where);
  mlir::Value a = toElement(lhs, where);
  if (!a)
    return Value();
  Location loc = location(where, "");
  if (op == BinaryOp::Pow && rhs.isNumber()) {
    double power = rhs.asReal();
    if (power == 0.5)
      return Value::scalar(math::SqrtOp::create(builder, loc, a));
    // Small powers by multiplication: exact, and far cheaper than pow.
    if (power >= 1 && power <= 8 && power == std::floor(power)) {
      mlir::Value result = a;
      for (int i = 1; i < power; ++i)
        result = arith::MulFOp::create(builder, loc, result, a);
      return Value::scalar(result);
    }
  }
  mlir::Value b = toElement(rhs, where);
  if (!b)
    return Value();
  switch (op) {
  case BinaryOp::Add:
    return Value::scalar(arith::AddFOp::create(builder, loc, a, b));
  case BinaryOp::Sub:
    return Value::scalar(arith::SubFOp::create(builder, loc, a, b));
  case BinaryOp::Mul:
    return Value::scalar(arith::MulFOp::create(builder, loc, a, b));
  case BinaryOp::Div:
    return Value::scalar(arith::DivFOp::create(builder, loc, a, b));
  case BinaryOp::Pow:
    return Value::scalar(math::PowFOp::create(builder, loc, a, b));
  default:
    return error(where, "'" + spelling(op) + "' is not for elements");
  }
}

Value Elaborator::elementCompare(BinaryOp op, const Value &lhs,
                                 const Value &rhs, SMRange where) {
  using Predicate = arith::CmpFPredicate;
  if (isWhole(lhs) && isWhole(rhs))
    return indexCompare(op, lhs, rhs, where);
  mlir::Value a = toElement(lhs, where);
  mlir::Value b = a ? toElement(rhs, where) : nullptr;
  if (!b)
    return Value();
  Predicate predicate = op == BinaryOp::Eq   ? Predicate::OEQ
                        : op == BinaryOp::Ne ? Predicate::UNE
                        : op == BinaryOp::Lt ? Predicate::OLT
                        : op == BinaryOp::Le ? Predicate::OLE
                        : op == BinaryOp::Gt ? Predicate::OGT
                                             : Predicate::OGE;
  return Value::scalar(
      arith::CmpFOp::create(builder, location(where, ""), predicate, a, b));
}

Value Elaborator::elementSelect(const Value &condition, const Value &yes,
                                const Value &no, SMRange where) {
  bool whole = isWhole(yes) && isWhole(no) && (yes.isScalar() || no.isScalar());
  auto convert = [&](const Value &value) {
    return whole ? toIndex(value, where) : toElement(value, where);
  };
  mlir::Value a = convert(yes), b = a ? convert(no) : nullptr;
  if (!b)
    return Value();
  return Value::scalar(arith::SelectOp::create(builder, location(where, ""),
                                               condition.asMlir(), a, b));
}

Value Elaborator::elementHelper(StringRef name, const std::vector<Value> &args,
                                SMRange where) {
  if (name == "pow")
    return elementBinary(BinaryOp::Pow, args[0], args[1], where);
  if (llvm::all_of(args, isWhole))
    if (std::optional<Value> whole = indexHelper(name, args, where))
      return *whole;
  SmallVector<mlir::Value> x;
  for (const Value &arg : args) {
    x.push_back(toElement(arg, where));
    if (!x.back())
      return Value();
  }
  Location loc = location(where, "");
  auto larger = [&](mlir::Value a, mlir::Value b) -> mlir::Value {
    return arith::MaximumFOp::create(builder, loc, a, b);
  };
  auto smaller = [&](mlir::Value a, mlir::Value b) -> mlir::Value {
    return arith::MinimumFOp::create(builder, loc, a, b);
  };
  if (name == "max" || name == "min") {
    mlir::Value best = x[0];
    for (mlir::Value other : llvm::drop_begin(x))
      best = name == "max" ? larger(best, other) : smaller(best, other);
    return Value::scalar(best);
  }
  if (name == "clamp")
    return Value::scalar(smaller(larger(x[0], x[1]), x[2]));

  using Maker = mlir::Value (*)(OpBuilder &, Location, mlir::Value);
  auto maker = llvm::StringSwitch<Maker>(name);
#define HALCYON_FUNCTION(SPELLING, OP)                                         \
  maker.Case(SPELLING, [](OpBuilder &b, Location l, mlir::Value v) {           \
    return mlir::Value(OP::create(b, l, v));                                   \
  });
  HALCYON_ELEMENT_FUNCTIONS(HALCYON_FUNCTION)
#undef HALCYON_FUNCTION
  return Value::scalar(maker.Default(nullptr)(builder, loc, x[0]));
}
