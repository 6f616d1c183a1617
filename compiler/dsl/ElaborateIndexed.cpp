//===- ElaborateIndexed.cpp - Ops in index notation -----------------------===//
//
// `op f(x)[n, c, i, j] = formula` becomes one operation with a region. Inside
// it indices hold whole numbers known at run time, tensors stay tensors, and
// reading one of their elements, or reducing over indices, makes operations.
//
//===----------------------------------------------------------------------===//

#include "Elaborator.h"

#include "dialects/cnn/IndexAnalysis.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SmallVector;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;
using mlir::Location;
namespace arith = mlir::arith;
namespace math = mlir::math;

static mlir::RankedTensorType typeOf(const Value &tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.asMlir().getType());
}

//===----------------------------------------------------------------------===//
// Elements and indices
//===----------------------------------------------------------------------===//

bool Elaborator::isWhole(const Value &value) {
  return value.isInt() ||
         (value.isScalar() && value.asMlir().getType().isIndex());
}

/// The index that a floating-point element is where it is made of whole
/// numbers: floor(y) + u; null where it is not.
static mlir::Value wholeElement(mlir::OpBuilder &builder, mlir::Value element) {
  mlir::Operation *maker = element.getDefiningOp();
  Location loc = element.getLoc();
  if (!maker)
    return nullptr;
  if (llvm::isa<math::FloorOp, math::CeilOp, math::RoundEvenOp>(maker)) {
    mlir::Value whole = arith::FPToSIOp::create(
        builder, loc, builder.getI32Type(), element);
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      whole);
  }
  // What toNumber has made of an index.
  if (auto number = llvm::dyn_cast<arith::SIToFPOp>(maker))
    if (auto cast = number.getIn().getDefiningOp<arith::IndexCastOp>())
      return cast.getIn();
  if (auto constant = llvm::dyn_cast<arith::ConstantOp>(maker)) {
    auto number = llvm::dyn_cast<mlir::FloatAttr>(constant.getValue());
    double value = number ? number.getValueAsDouble() : 0.5;
    if (value != std::floor(value) || std::fabs(value) > 1e9)
      return nullptr;
    return arith::ConstantIndexOp::create(builder, loc, (int64_t)value);
  }
  if (!llvm::isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(maker))
    return nullptr;
  mlir::Value a = wholeElement(builder, maker->getOperand(0));
  mlir::Value b = a ? wholeElement(builder, maker->getOperand(1)) : nullptr;
  if (!b)
    return nullptr;
  if (llvm::isa<arith::AddFOp>(maker))
    return builder.createOrFold<arith::AddIOp>(loc, a, b);
  if (llvm::isa<arith::SubFOp>(maker))
    return builder.createOrFold<arith::SubIOp>(loc, a, b);
  return builder.createOrFold<arith::MulIOp>(loc, a, b);
}

/// The index that `value` is; null, and reported, if none.
mlir::Value Elaborator::toIndex(const Value &value, SMRange where) {
  Location loc = location(where, "");
  if (value.isScalar() && value.asMlir().getType().isIndex())
    return value.asMlir();
  if (value.isInt() && std::abs(value.asInt()) < maxIndex)
    return arith::ConstantIndexOp::create(builder, loc, value.asInt());
  if (value.isScalar())
    if (mlir::Value whole = wholeElement(builder, value.asMlir()))
      return whole;
  if (value.isInt())
    error(where, "this number is too large for an index");
  else if (!value.isPoison())
    error(where,
          "an index is a whole number, not " +
              (value.isScalar() ? std::string("an element")
                                : kindText(value)),
          value.isNumber() || value.isScalar()
              ? std::vector<std::string>{"write: floor(...)"}
              : std::vector<std::string>{});
  return nullptr;
}

Value Elaborator::indexBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                              SMRange where) {
  mlir::Value a = toIndex(lhs, where), b = a ? toIndex(rhs, where) : nullptr;
  if (!b)
    return Value();
  Location loc = location(where, "");
  auto divide = [&]() -> mlir::Value {
    std::optional<int64_t> by = cnn::constantIndex(b);
    if (by && *by > 0)
      return builder.createOrFold<arith::FloorDivSIOp>(loc, a, b);
    error(where, "an index is divided by a number above 0 that is known while "
                 "compiling");
    return nullptr;
  };
  switch (op) {
  case BinaryOp::Add:
    return Value::scalar(builder.createOrFold<arith::AddIOp>(loc, a, b));
  case BinaryOp::Sub:
    return Value::scalar(builder.createOrFold<arith::SubIOp>(loc, a, b));
  case BinaryOp::Mul:
    return Value::scalar(builder.createOrFold<arith::MulIOp>(loc, a, b));
  case BinaryOp::Div: {
    mlir::Value quotient = divide();
    return quotient ? Value::scalar(quotient) : Value();
  }
  case BinaryOp::Mod: {
    mlir::Value quotient = divide();
    if (!quotient)
      return Value();
    mlir::Value whole = builder.createOrFold<arith::MulIOp>(loc, quotient, b);
    return Value::scalar(builder.createOrFold<arith::SubIOp>(loc, a, whole));
  }
  default:
    return error(where, "'" + spelling(op) + "' is not for indices");
  }
}

Value Elaborator::indexCompare(BinaryOp op, const Value &lhs, const Value &rhs,
                               SMRange where) {
  using Predicate = arith::CmpIPredicate;
  mlir::Value a = toIndex(lhs, where), b = a ? toIndex(rhs, where) : nullptr;
  if (!b)
    return Value();
  Predicate predicate = op == BinaryOp::Eq   ? Predicate::eq
                        : op == BinaryOp::Ne ? Predicate::ne
                        : op == BinaryOp::Lt ? Predicate::slt
                        : op == BinaryOp::Le ? Predicate::sle
                        : op == BinaryOp::Gt ? Predicate::sgt
                                             : Predicate::sge;
  return Value::scalar(
      arith::CmpIOp::create(builder, location(where, ""), predicate, a, b));
}

/// Functions of whole numbers that give whole numbers; nothing for others.
std::optional<Value> Elaborator::indexHelper(StringRef name,
                                             const std::vector<Value> &args,
                                             SMRange where) {
  bool rounds = name == "floor" || name == "ceil" || name == "round";
  if (rounds)
    return args[0];
  if (name != "max" && name != "min" && name != "clamp" && name != "abs")
    return std::nullopt;
  Location loc = location(where, "");
  SmallVector<mlir::Value> x;
  for (const Value &arg : args) {
    x.push_back(toIndex(arg, where));
    if (!x.back())
      return Value();
  }
  auto larger = [&](mlir::Value a, mlir::Value b) {
    return builder.createOrFold<arith::MaxSIOp>(loc, a, b);
  };
  auto smaller = [&](mlir::Value a, mlir::Value b) {
    return builder.createOrFold<arith::MinSIOp>(loc, a, b);
  };
  if (name == "clamp")
    return Value::scalar(smaller(larger(x[0], x[1]), x[2]));
  if (name == "abs") {
    mlir::Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    return Value::scalar(larger(
        x[0], builder.createOrFold<arith::SubIOp>(loc, zero, x[0])));
  }
  mlir::Value best = x[0];
  for (mlir::Value other : llvm::drop_begin(x))
    best = name == "max" ? larger(best, other) : smaller(best, other);
  return Value::scalar(best);
}

/// `x[n, c, i + u, j]`: an element of a tensor. Elements of a tensor of whole
/// numbers are indices, those of one of bits conditions.
Value Elaborator::readElement(const IndexExpr &expr, const Value &tensor) {
  if (!formula)
    return error(expr.base->range,
                 "elements of a tensor are read in an op with indices",
                 {"op flip(x)[n, c, i, j in 0..x.width - 1] = "
                  "x[n, c, i, x.width - 1 - j]"});
  mlir::RankedTensorType type = typeOf(tensor);
  if ((int64_t)expr.indices.size() != type.getRank()) {
    std::string axes = type.getRank() == 1 ? " axis" : " axes";
    return error(expr.range, "a tensor of " + Twine(type.getRank()) + axes +
                                 " has no element with " +
                                 Twine(expr.indices.size()) + " indices\n" +
                                 describe(tensor),
                 {"the batch is an axis, too: x[n, c, i, j]"});
  }
  SmallVector<mlir::Value> at;
  SmallVector<SMRange> places;
  bool fine = true;
  for (const Expr *index : expr.indices) {
    Value value = evaluate(*index);
    at.push_back(toIndex(value, index->range));
    places.push_back(index->range);
    fine &= bool(at.back());
  }
  if (!fine)
    return Value();
  auto *known = llvm::find(formula->inputs, tensor.asMlir());
  int64_t number = known - formula->inputs.begin();
  if (known == formula->inputs.end())
    formula->inputs.push_back(tensor.asMlir());
  mlir::Type element = type.getElementType();
  auto integer = mlir::dyn_cast<mlir::IntegerType>(element);
  if (integer)
    element = builder.getIntegerType(integer.getWidth());
  Location loc = location(expr.range, "");
  auto read = cnn::ReadOp::create(builder, loc, element, number, at,
                                  formula->edge);
  formula->reads.push_back({read, places});
  if (!integer || integer.getWidth() == 1)
    return Value::scalar(toNumber(read, loc));
  if (integer.isUnsigned())
    return Value::scalar(arith::IndexCastUIOp::create(
        builder, loc, builder.getIndexType(), read));
  return Value::scalar(
      arith::IndexCastOp::create(builder, loc, builder.getIndexType(), read));
}

/// A floating-point element in the precision in which the formula computes.
mlir::Value Elaborator::toNumber(mlir::Value element, Location loc) {
  mlir::Type number = formula ? formula->number : builder.getF32Type();
  if (element.getType().isIndex()) {
    mlir::Value whole = arith::IndexCastOp::create(
        builder, loc, builder.getI32Type(), element);
    return arith::SIToFPOp::create(builder, loc, number, whole);
  }
  if (!mlir::isa<mlir::FloatType>(element.getType()) ||
      element.getType() == number)
    return element;
  return arith::ExtFOp::create(builder, loc, number, element);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static std::optional<cnn::ReduceKind> reduceKind(StringRef name) {
  return cnn::symbolizeReduceKind(name);
}

/// The elements of a list, one for each of the values of the indices.
Value Elaborator::evaluateEach(const EachExpr &expr) {
  SmallVector<std::vector<Value>> lists;
  for (const IndexRangeExpr &index : expr.indices) {
    if (!index.range)
      return error(index.name.range,
                   "'" + index.name.text + "' goes through a list: for " +
                       index.name.text + " in [1, 3, 5]");
    Value list = evaluate(*index.range);
    if (list.isPoison())
      return Value();
    if (!list.isSequence())
      return error(index.range->range,
                   "'for' goes through a list, not " + kindText(list));
    lists.push_back(list.items());
  }
  std::vector<Value> values;
  SmallVector<size_t> at(lists.size(), 0);
  if (llvm::any_of(lists, [](const auto &list) { return list.empty(); }))
    return Value::sequence(true, {});
  llvm::SaveAndRestore keep(frame->variables);
  for (;;) {
    for (auto [index, list, i] : llvm::zip(expr.indices, lists, at))
      frame->variables[index.name.text] = {list[i], index.name.range};
    if (!countStep(expr.range))
      return Value();
    values.push_back(evaluate(*expr.value));
    size_t axis = at.size();
    while (axis > 0 && ++at[axis - 1] == lists[axis - 1].size())
      at[--axis] = 0;
    if (axis == 0)
      return Value::sequence(true, std::move(values));
  }
}

/// `sum(x[n, c, i + u, j] for u in -1..1)`; nothing where the function, or what
/// it goes through, is none of a reduction.
std::optional<Value> Elaborator::reduceElements(StringRef name,
                                                const CallExpr &call) {
  std::optional<cnn::ReduceKind> kind = reduceKind(name);
  auto *each = call.args.size() == 1
                   ? llvm::dyn_cast<EachExpr>(call.args.front().value)
                   : nullptr;
  if (!formula || !kind || !each || each->brackets)
    return std::nullopt;
  for (const IndexRangeExpr &index : each->indices) {
    auto *dots = llvm::dyn_cast_or_null<BinaryExpr>(index.range);
    // A list of any numbers is written out.
    if (index.range && !(dots && dots->op == BinaryOp::Range))
      return std::nullopt;
  }
  SmallVector<int64_t> from, size;
  for (const IndexRangeExpr &index : each->indices) {
    std::optional<IndexBounds> bounds =
        index.range ? explicitRange(index)
                    : wholeAxis(index.name, [&](AxisVisitor visit) {
                        visit(*each->value);
                      });
    if (!bounds)
      return Value();
    from.push_back(bounds->from);
    size.push_back(bounds->size);
  }
  Location loc = location(call.callee->range, "");
  auto reduce = cnn::ReduceOp::create(builder, loc, formula->number, *kind,
                                      from, size);
  mlir::OpBuilder::InsertionGuard guard(builder);
  mlir::Block *block = builder.createBlock(&reduce.getBody());
  llvm::SaveAndRestore keep(frame->variables);
  for (const IndexRangeExpr &index : each->indices)
    frame->variables[index.name.text] = {
        Value::scalar(block->addArgument(builder.getIndexType(), loc)),
        index.name.range};
  mlir::Value element = toElement(evaluate(*each->value), each->value->range);
  if (!element) {
    // Its place among the operations is harmless: all of them are dropped.
    return Value();
  }
  cnn::YieldOp::create(builder, loc, element);
  return Value::scalar(reduce);
}

//===----------------------------------------------------------------------===//
// The operation
//===----------------------------------------------------------------------===//

std::optional<cnn::PadMode> Elaborator::edgeOf(const Definition &definition) {
  cnn::PadMode edge = cnn::PadMode::zero;
  for (const Argument &property : definition.properties) {
    if (property.name.text != "edge") {
      error(property.name.range,
            "an op has no property '" + property.name.text + "'",
            {"edge=replicate says what is read outside of a tensor"});
      return std::nullopt;
    }
    Value value = evaluate(*property.value);
    if (value.isPoison())
      return std::nullopt;
    std::optional<cnn::PadMode> mode;
    if (value.isText())
      mode = cnn::symbolizePadMode(value.asText());
    if (!mode) {
      error(property.value->range,
            "'edge' is one of zero, reflect, replicate or circular, not " +
                kindText(value));
      return std::nullopt;
    }
    edge = *mode;
  }
  return edge;
}

/// Reports what is never inside of its tensor.
void Elaborator::checkReads(cnn::IndexedOp op, const Formula &formula) {
  cnn::IndexAnalysis analysis(op);
  for (const Formula::Read &read : formula.reads) {
    cnn::ReadOp reader = read.op;
    if (reader.getEdge() != cnn::PadMode::zero)
      continue;
    mlir::RankedTensorType type = reader.getTensorType();
    for (auto [dim, index] : llvm::enumerate(reader.getAt())) {
      cnn::IndexRange range = analysis.range(index);
      int64_t size = type.getDimSize(dim);
      bool outside = range.most < 0 || (!mlir::ShapedType::isDynamic(size) &&
                                        range.least >= size);
      if (outside)
        error(read.places[dim],
              "this is always outside: " +
                  (range.isConstant()
                       ? "it is " + Twine(range.least)
                       : "it is from " + Twine(range.least) + " to " +
                             Twine(range.most)) +
                  ", of " + Twine(size) + "\n" + describe(reader.getTensor()));
    }
  }
}

/// Leaves the inputs of which an element is read.
static void dropUnread(mlir::Block &body, SmallVector<mlir::Value> &inputs) {
  SmallVector<int64_t> numbers(inputs.size(), -1);
  SmallVector<mlir::Value> kept;
  body.walk([&](cnn::ReadOp read) { numbers[read.getOperand()] = 0; });
  for (auto [number, input] : llvm::zip(numbers, inputs))
    if (number == 0) {
      number = (int64_t)kept.size();
      kept.push_back(input);
    }
  body.walk([&](cnn::ReadOp read) {
    read.setOperand(numbers[read.getOperand()]);
  });
  inputs = kept;
}

Value Elaborator::callIndexed(const Definition &definition, Frame &callee,
                              SMRange where, const std::string &path) {
  Location loc = location(where, path);
  Formula own;
  // In another formula, tensors are made before it.
  own.outside = formula ? formula->outside : builder.saveInsertionPoint();
  own.number = builder.getF32Type();
  for (const Param &param : definition.params) {
    const Value &value = callee.variables[param.name.text].value;
    if (!value.isTensor())
      continue;
    if (typeOf(value).getElementType().isF64())
      own.number = builder.getF64Type();
    if (!llvm::is_contained(own.inputs, value.asMlir()))
      own.inputs.push_back(value.asMlir());
  }
  mlir::Region region;
  mlir::Block &block = region.emplaceBlock();
  mlir::OpBuilder::InsertionGuard guard(builder);
  llvm::SaveAndRestore enter(frame, &callee);
  std::optional<cnn::PadMode> edge = edgeOf(definition);
  SmallVector<int64_t> shape;
  bool fine = edge.has_value();
  for (const IndexRangeExpr &index : definition.indices) {
    std::optional<IndexBounds> bounds =
        index.range ? explicitRange(index)
                    : wholeAxis(index.name, [&](AxisVisitor visit) {
                        if (definition.formula)
                          visit(*definition.formula);
                        for (const Stmt *statement : definition.body)
                          visit(*statement);
                      });
    fine &= bounds.has_value();
    if (!bounds)
      continue;
    if (bounds->from != 0) {
      error(index.range->range, "an index of the result begins at 0");
      fine = false;
    }
    if (bounds->size < 0 && &index != &definition.indices.front()) {
      error(index.name.range, "the batch is the first axis of a result");
      fine = false;
    }
    shape.push_back(bounds->size < 0 ? mlir::ShapedType::kDynamic
                                     : bounds->size);
    callee.variables[index.name.text] = {
        Value::scalar(block.addArgument(builder.getIndexType(), loc)),
        index.name.range};
  }
  if (!fine)
    return Value();
  own.edge = *edge;
  // A number for each image is N x 1, one alone a vector of one.
  if (shape.empty() || (shape.size() == 1 && mlir::ShapedType::isDynamic(shape[0]))) {
    shape.push_back(1);
    block.addArgument(builder.getIndexType(), loc);
  }
  if (!checkSize(shape, where))
    return Value();

  builder.setInsertionPointToEnd(&block);
  mlir::Value element;
  {
    llvm::SaveAndRestore inside(formula, &own);
    SMRange end = definition.formula ? definition.formula->range
                                     : definition.range;
    element = toElement(evaluateFormula(definition), end);
  }
  unsigned operations = 0;
  block.walk([&](mlir::Operation *) { ++operations; });
  if (element && operations > maxFormula) {
    error(where, "the formula of '" + definition.name.text + "' has more than " +
                     Twine(maxFormula) + " operations");
    element = nullptr;
  }
  if (!element)
    return Value();
  cnn::YieldOp::create(builder, loc, element);
  dropUnread(block, own.inputs);
  builder.restoreInsertionPoint(own.outside);
  auto type = mlir::RankedTensorType::get(shape, own.number);
  auto op = cnn::IndexedOp::create(builder, loc, type, definition.name.text,
                                   own.inputs);
  op.getBody().takeBody(region);
  checkReads(op, own);
  return Value::tensor(op.getResult(), where, definition.name.text);
}
