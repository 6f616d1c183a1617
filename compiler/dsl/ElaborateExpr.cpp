//===- ElaborateExpr.cpp - Expressions ------------------------------------===//

#include "ElaborateTrain.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// Expressions within expressions, over all calls: bounds the stack.
static constexpr unsigned maxEvaluationDepth = 2000;
static constexpr size_t maxListLength = 65536, maxListDepth = 50,
                        maxTextLength = 4096;

Value Elaborator::evaluate(const Expr &expr) {
  if (!countStep(expr.range))
    return Value();
  ++depth;
  llvm::scope_exit leave([&] { --depth; });
  if (depth > maxEvaluationDepth)
    return error(expr.range, "calls and expressions are nested too deeply");
  return evaluateKind(expr);
}

Value Elaborator::evaluateKind(const Expr &expr) {
  switch (expr.kind) {
  case NodeKind::Number: {
    auto &number = llvm::cast<NumberExpr>(expr);
    return number.isInt ? Value::integer(number.integer)
                        : Value::real(number.real);
  }
  case NodeKind::Bool:
    return Value::boolean(llvm::cast<BoolExpr>(expr).value);
  case NodeKind::String: {
    std::optional<std::string> text =
        evaluateText(llvm::cast<StringExpr>(expr));
    return text ? Value::string(*text) : Value();
  }
  case NodeKind::Name:
    return evaluateName(llvm::cast<NameExpr>(expr));
  case NodeKind::Sequence: {
    auto &sequence = llvm::cast<SequenceExpr>(expr);
    std::vector<Value> items;
    for (const Expr *item : sequence.items)
      items.push_back(evaluate(*item));
    Value result = Value::sequence(sequence.isList, std::move(items));
    if (result.asSequence().depth > maxListDepth)
      return error(expr.range, "lists are nested too deeply");
    return result;
  }
  case NodeKind::Unary:
    return evaluateUnary(llvm::cast<UnaryExpr>(expr));
  case NodeKind::Binary:
    return evaluateBinary(llvm::cast<BinaryExpr>(expr));
  case NodeKind::Call:
    return evaluateCall(llvm::cast<CallExpr>(expr));
  case NodeKind::Member:
    return evaluateMember(llvm::cast<MemberExpr>(expr));
  case NodeKind::Index:
    return evaluateIndex(llvm::cast<IndexExpr>(expr));
  case NodeKind::If:
    return evaluateIf(llvm::cast<IfExpr>(expr));
  case NodeKind::Instance:
    return evaluateInstance(llvm::cast<InstanceExpr>(expr));
  case NodeKind::Each:
    return evaluateEach(llvm::cast<EachExpr>(expr));
  default:
    llvm_unreachable("a statement is no expression");
  }
}

std::optional<std::string> Elaborator::evaluateText(const StringExpr &expr) {
  std::string text;
  for (const StringExpr::Part &part : expr.parts) {
    text += part.text;
    if (part.value) {
      Value value = evaluate(*part.value);
      if (value.hasPoison())
        return std::nullopt;
      if (!value.isNumber() && !value.isBool() && !value.isText() &&
          !value.isSequence()) {
        error(part.value->range, "text cannot hold " + kindText(value));
        return std::nullopt;
      }
      text += valueText(value);
    }
    if (text.size() > maxTextLength) {
      error(expr.range, "this text is too long");
      return std::nullopt;
    }
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// Poison where nothing has this name; a definition that did not parse is one
/// as well, so callers ask for `isKnown` first.
Value Elaborator::lookup(StringRef name) {
  auto variable = frame->variables.find(name);
  if (variable != frame->variables.end())
    return variable->second.value;
  // `label` is what the data yield, wherever a loss or a metric names it.
  if (trainer && frame->isTop)
    if (Value value = trainer->sourceInput(name); !value.isPoison())
      return value;
  auto defined = [](const Definition *definition) {
    Callable callable;
    callable.kind = Callable::Defined;
    callable.name = definition->name.text;
    callable.definition = definition;
    return definition->kind == Definition::Broken ? Value()
                                                  : Value::callable(callable);
  };
  if (const Definition *definition = frame->file->find(name))
    return defined(definition);
  for (const ImportItem &import : frame->file->imports)
    if (import.file)
      if (const Definition *definition = import.file->find(name))
        return defined(definition);
  if (const Definition *definition = library.find(name))
    return defined(definition);
  if (std::optional<Callable> layer = findLayer(name))
    return Value::callable(*layer);
  if (isHelper(name)) {
    Callable callable;
    callable.name = name;
    return Value::callable(callable);
  }
  return Value::word(name, {});
}

std::vector<StringRef> Elaborator::visibleNames() const {
  std::vector<StringRef> names;
  for (const auto &variable : frame->variables)
    names.push_back(variable.first());
  auto add = [&](const File &file) {
    for (const auto &definition : file.definitions)
      names.push_back(definition->name.text);
  };
  add(*frame->file);
  for (const ImportItem &import : frame->file->imports)
    if (import.file)
      add(*import.file);
  add(library);
  for (const auto &layer : layers)
    names.push_back(layer.first());
  llvm::append_range(names, helperNames());
  llvm::sort(names);
  return names;
}

Value Elaborator::evaluateName(const NameExpr &expr) {
  Value value = lookup(expr.name);
  if (value.kind() != ValueKind::Word || value.origin.isValid())
    return value;
  if (enumerants.contains(expr.name))
    return Value::word(expr.name, expr.range);
  std::string suggestion = didYouMean(expr.name, visibleNames());
  // A definition or an import that did not parse may have brought the name.
  if (frame->file->incomplete && suggestion.empty())
    return Value();
  std::vector<std::string> notes;
  if (expr.name == "x" && frame->variables.empty())
    notes.push_back("a model's tensors come from its inputs: input image: "
                    "f32[N, 3, 224, 224]");
  return error(expr.range,
               "nothing is called '" + printable(expr.name) + "' here" +
                   suggestion,
               std::move(notes));
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

Value Elaborator::evaluateUnary(const UnaryExpr &expr) {
  Value value = evaluate(*expr.operand);
  if (value.isPoison())
    return value;
  if (expr.op == UnaryOp::Not) {
    if (value.isBool())
      return Value::boolean(!value.asBool());
    if (value.isScalar() && value.asMlir().getType().isInteger(1)) {
      mlir::Location loc = location(expr.range, "");
      mlir::Value one = mlir::arith::ConstantOp::create(
          builder, loc, builder.getBoolAttr(true));
      return Value::scalar(
          mlir::arith::XOrIOp::create(builder, loc, value.asMlir(), one));
    }
    return error(expr.range,
                 "'not' is for true and false, not " + kindText(value));
  }
  if (value.isNumber())
    return arithmetic(BinaryOp::Sub, Value::integer(0), value, expr.range);
  if (isWhole(value))
    return indexBinary(BinaryOp::Sub, Value::integer(0), value, expr.range);
  auto negate = [&](std::vector<Value> args) {
    mlir::Value element = toElement(args[0], expr.range);
    if (!element)
      return Value();
    return Value::scalar(mlir::arith::NegFOp::create(
        builder, location(expr.range, ""), element));
  };
  if (value.isTensor()) {
    std::optional<std::string> path = layerPath("neg", nullptr);
    return mapElements("neg", {value}, expr.range, *path, negate);
  }
  if (value.isScalar())
    return negate({value});
  return error(expr.range,
               "'-' is for numbers and tensors, not " + kindText(value));
}

Value Elaborator::evaluateLogic(const BinaryExpr &expr) {
  Value lhs = evaluate(*expr.lhs);
  bool isAnd = expr.op == BinaryOp::And;
  if (lhs.isBool() && lhs.asBool() != isAnd)
    return lhs;
  Value rhs = evaluate(*expr.rhs);
  if (lhs.isPoison() || rhs.isPoison())
    return Value();
  if (lhs.isBool() && rhs.isBool())
    return rhs;
  for (auto [value, side] :
       {std::pair(&lhs, expr.lhs), std::pair(&rhs, expr.rhs)}) {
    bool condition =
        value->isBool() ||
        (value->isScalar() && value->asMlir().getType().isInteger(1));
    if (!condition)
      return error(side->range, "'" + spelling(expr.op) +
                                    "' is for true and false, not " +
                                    kindText(*value));
  }
  mlir::Location loc = location(expr.range, "");
  auto bit = [&](const Value &value) -> mlir::Value {
    if (value.isScalar())
      return value.asMlir();
    return mlir::arith::ConstantOp::create(builder, loc,
                                           builder.getBoolAttr(value.asBool()));
  };
  mlir::Value a = bit(lhs), b = bit(rhs);
  if (isAnd)
    return Value::scalar(mlir::arith::AndIOp::create(builder, loc, a, b));
  return Value::scalar(mlir::arith::OrIOp::create(builder, loc, a, b));
}

Value Elaborator::evaluateBinary(const BinaryExpr &expr) {
  if (expr.op == BinaryOp::And || expr.op == BinaryOp::Or)
    return evaluateLogic(expr);
  // A chain of `a + b + c` is as deep as it is long; its left spine is walked
  // by a loop.
  llvm::SmallVector<const BinaryExpr *> spine;
  const Expr *first = &expr;
  while (auto *binary = llvm::dyn_cast<BinaryExpr>(first)) {
    if (binary->op == BinaryOp::And || binary->op == BinaryOp::Or)
      break;
    spine.push_back(binary);
    first = binary->lhs;
  }
  Value value = evaluate(*first);
  for (const BinaryExpr *binary : llvm::reverse(spine)) {
    Value rhs = evaluate(*binary->rhs);
    value = applyBinary(binary->op, value, rhs, binary->opRange);
  }
  return value;
}

static StringRef functionName(BinaryOp op) {
  switch (op) {
  case BinaryOp::Add:
    return "add";
  case BinaryOp::Sub:
    return "sub";
  case BinaryOp::Mul:
    return "mul";
  case BinaryOp::Div:
    return "div";
  case BinaryOp::Pow:
    return "pow";
  default:
    return "";
  }
}

Value Elaborator::applyBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                              SMRange where) {
  if (lhs.isPoison() || rhs.isPoison())
    return Value();
  bool comparison = precedence(op) == precedence(BinaryOp::Eq);
  bool tensors = lhs.isTensor() || rhs.isTensor();
  bool elements = lhs.isScalar() || rhs.isScalar();
  auto isNumeric = [](const Value &value) {
    return value.isNumber() || value.isTensor() || value.isScalar();
  };
  if ((tensors || elements) && isNumeric(lhs) && isNumeric(rhs)) {
    if (tensors && elements) {
      toElement(lhs.isTensor() ? lhs : rhs, where);
      return Value();
    }
    if (comparison) {
      if (!tensors)
        return elementCompare(op, lhs, rhs, where);
      return error(where, "tensors are compared element by element, in an op",
                   {"op larger(a, b) = if a > b { a } else { b }"});
    }
    if (!tensors && (op == BinaryOp::Mod ? isWhole(lhs) && isWhole(rhs) : true))
      return elementBinary(op, lhs, rhs, where);
    StringRef name = functionName(op);
    if (name.empty())
      return error(where, "'" + spelling(op) + "' is for numbers, not tensors");
    std::optional<std::string> path = layerPath(name, nullptr);
    return mapElements(name, {lhs, rhs}, where, *path,
                       [&](std::vector<Value> args) {
                         return elementBinary(op, args[0], args[1], where);
                       });
  }
  if (op == BinaryOp::Add && lhs.isSequence() && rhs.isSequence()) {
    std::vector<Value> items = lhs.items();
    llvm::append_range(items, rhs.items());
    if (items.size() > maxListLength)
      return error(where,
                   "a list of more than " + Twine(maxListLength) + " elements");
    // A long list that grows one by one costs its length each time.
    steps += items.size() / 16;
    return Value::sequence(lhs.asSequence().isList, std::move(items));
  }
  if (op == BinaryOp::Add && (lhs.isSequence() || rhs.isSequence()))
    return error(where,
                 "a list grows by a list, not by " +
                     kindText(lhs.isSequence() ? rhs : lhs),
                 {"write: xs + [x]"});
  if (comparison)
    return compare(op, lhs, rhs, where);
  if (op == BinaryOp::Range) {
    if (lhs.isInt() && rhs.isInt())
      return makeRange(lhs.asInt(), rhs.asInt(), where);
    return error(where,
                 "'..' goes from one whole number to another, not from " +
                     kindText(lhs) + " to " + kindText(rhs));
  }
  if (lhs.isNumber() && rhs.isNumber())
    return arithmetic(op, lhs, rhs, where);
  return error(where, "'" + spelling(op) + "' cannot combine " + kindText(lhs) +
                          " and " + kindText(rhs));
}

//===----------------------------------------------------------------------===//
// Properties, elements, conditions
//===----------------------------------------------------------------------===//

Value Elaborator::evaluateMember(const MemberExpr &expr) {
  Value base = evaluate(*expr.base);
  if (base.isPoison())
    return base;
  static constexpr StringRef properties[] = {"channels", "height", "width",
                                             "shape"};
  StringRef name = expr.member.text;
  SMRange where = expr.member.range;
  if (!base.isTensor()) {
    std::vector<std::string> notes;
    if (base.isScalar())
      notes.push_back("an op sees one element of a tensor, not its shape");
    return error(where,
                 kindText(base) + " has no property '" + printable(name) + "'",
                 std::move(notes));
  }
  llvm::ArrayRef<int64_t> shape =
      mlir::cast<mlir::RankedTensorType>(base.asMlir().getType()).getShape();
  if (name == "shape") {
    std::vector<Value> sizes;
    for (int64_t size : shape.drop_front())
      sizes.push_back(Value::integer(size));
    return Value::sequence(false, std::move(sizes));
  }
  const auto *found = llvm::find(properties, name);
  if (found == std::end(properties))
    return error(where,
                 "a tensor has no property '" + printable(name) + "'" +
                     didYouMean(name, properties),
                 {"its properties are channels, height, width and shape"});
  size_t dim = found - std::begin(properties) + 1;
  if (dim >= shape.size())
    return error(where,
                 "'" + name + "' is for feature maps, and " + describe(base));
  return Value::integer(shape[dim]);
}

Value Elaborator::evaluateIndex(const IndexExpr &expr) {
  Value base = evaluate(*expr.base);
  if (base.isTensor())
    return readElement(expr, base);
  const Expr &chosen = *expr.indices.front();
  Value index = evaluate(chosen);
  if (base.isPoison() || index.isPoison())
    return Value();
  if (!base.isSequence())
    return error(expr.base->range,
                 "only lists and tuples have elements, not " + kindText(base));
  if (expr.indices.size() != 1)
    return error(expr.indices[1]->range, "a list has one index",
                 {"write: xs[i][j]"});
  const std::vector<Value> &items = base.items();
  int64_t count = items.size();
  auto element = [&](const Value &at) -> const Value * {
    int64_t i = at.isInt() ? at.asInt() : count;
    if (i < 0)
      i += count;
    if (i >= 0 && i < count && at.isInt())
      return &items[i];
    if (!at.isInt())
      error(chosen.range,
            "an element is chosen by a whole number, not " + kindText(at));
    else if (count == 0)
      error(chosen.range, "the list is empty");
    else
      error(chosen.range, "there is no element " + Twine(at.asInt()) +
                                   ": the list has " + Twine(count) +
                                   ", numbered from 0 to " + Twine(count - 1));
    return nullptr;
  };
  if (!index.isSequence()) {
    const Value *item = element(index);
    return item ? *item : Value();
  }
  std::vector<Value> elements;
  for (const Value &at : index.items()) {
    const Value *item = element(at);
    if (!item)
      return Value();
    elements.push_back(*item);
  }
  return Value::sequence(base.asSequence().isList, std::move(elements));
}

Value Elaborator::evaluateBranch(const Body &body, SMRange where) {
  for (const Stmt *statement : body) {
    if (frame->hasReturned || !countStep(statement->range))
      return Value();
    auto *last = llvm::dyn_cast<ExprStmt>(statement);
    if (statement == body.back() && last)
      return evaluate(*last->value);
    execute(*statement);
  }
  if (frame->hasReturned ||
      (!body.empty() && llvm::isa<BrokenStmt>(body.back())))
    return Value();
  return error(where, "this branch of 'if' has no value",
               {"the last line of a branch is its value: { x }"});
}

Value Elaborator::evaluateIf(const IfExpr &expr) {
  Value condition = evaluate(*expr.condition);
  if (condition.isPoison())
    return condition;
  SMRange word = {expr.range.Start, llvm::SMLoc::getFromPointer(
                                        expr.range.Start.getPointer() + 2)};
  if (condition.isBool()) {
    if (condition.asBool())
      return evaluateBranch(expr.thenBody, word);
    if (expr.hasElse)
      return evaluateBranch(expr.elseBody, word);
    return error(word, "an 'if' that is a value needs an 'else'");
  }
  if (!condition.isScalar() || !condition.asMlir().getType().isInteger(1))
    return error(expr.condition->range,
                 "the condition of 'if' is true or false, not " +
                     kindText(condition));
  if (!expr.hasElse)
    return error(word, "an 'if' that is a value needs an 'else'");
  for (const Body *body : {&expr.thenBody, &expr.elseBody})
    if (body->size() != 1 || !llvm::isa<ExprStmt>(body->front()))
      return error(word, "a branch in an op is one formula");
  Value yes = evaluateBranch(expr.thenBody, word);
  Value no = evaluateBranch(expr.elseBody, word);
  if (yes.isPoison() || no.isPoison())
    return Value();
  return elementSelect(condition, yes, no, word);
}
