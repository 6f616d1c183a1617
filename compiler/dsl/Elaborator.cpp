//===- Elaborator.cpp - Statements, and what elaboration stands on --------===//

#include "Elaborator.h"

#include "llvm/ADT/StringExtras.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// What a model may unroll to: 50 times the largest network that we know, and
/// still under a second.
static constexpr uint64_t maxSteps = 1000000;
/// Elements of one tensor, of one image; beyond, offsets overflow 32 bits.
static constexpr int64_t maxElements = int64_t(1) << 31;

Elaborator::Elaborator(mlir::MLIRContext &context, Diagnostics &diags,
                       const FrontendOptions &options, const File &library)
    : context(context), diags(diags), options(options), library(library),
      builder(&context, &marker) {
  context.getOrLoadDialect<cnn::CnnDialect>();
  context.getOrLoadDialect<mlir::arith::ArithDialect>();
  context.getOrLoadDialect<mlir::math::MathDialect>();
  for (mlir::RegisteredOperationName op : context.getRegisteredOperations()) {
    auto *layer = op.getInterface<cnn::LayerOpInterface>();
    if (!layer)
      continue;
    layers.try_emplace(op.stripDialect(), op);
    for (const cnn::LayerParam &param : layer->layerSignature().params)
      enumerants.insert(param.enumerants.begin(), param.enumerants.end());
  }
}

//===----------------------------------------------------------------------===//
// Mistakes and places
//===----------------------------------------------------------------------===//

SMRange Elaborator::userPlace(SMRange where) const {
  for (const Frame *f = frame; f && f->file->isLibrary; f = f->caller)
    where = f->callSite;
  return where;
}

Value Elaborator::error(SMRange where, const Twine &message,
                        std::vector<std::string> notes) {
  SMRange place = userPlace(where);
  unsigned shown = 0;
  for (const Frame *f = frame; f && f->caller && shown < 3; f = f->caller) {
    // A mistake in the call itself is not inside what is called.
    std::string line = diags.line(f->callSite.Start, place.Start);
    if (f->file->isLibrary || line == diags.line(place.Start, place.Start))
      continue;
    notes.push_back(
        ("in '" + f->definition->name.text + "', called on " + line).str());
    ++shown;
  }
  diags.error(place, message, std::move(notes));
  return Value();
}

bool Elaborator::countStep(SMRange where) {
  if (aborted)
    return false;
  if (++steps <= maxSteps)
    return true;
  aborted = true;
  error(where, "this model unrolls to more than " + Twine(maxSteps) + " steps",
        {"a loop or a block that calls itself makes too many layers"});
  return false;
}

mlir::Location Elaborator::location(SMRange where, StringRef path) {
  where = userPlace(where);
  mlir::Location place = mlir::UnknownLoc::get(&context);
  llvm::SourceMgr &sources = diags.sourceMgr();
  if (unsigned buffer = sources.FindBufferContainingLoc(where.Start)) {
    auto [line, column] = sources.getLineAndColumn(where.Start, buffer);
    place = mlir::FileLineColLoc::get(
        &context, sources.getMemoryBuffer(buffer)->getBufferIdentifier(), line,
        column);
  }
  if (path.empty())
    return place;
  return mlir::NameLoc::get(builder.getStringAttr(path), place);
}

std::string Elaborator::describe(const Value &tensor) const {
  return describe(tensor.asMlir());
}

/// "skip is 64x57x57 (line 9)", by the name it has where the reader looks.
std::string Elaborator::describe(mlir::Value tensor) const {
  std::string shape = cnn::shapeText(tensor.getType());
  const Frame *f = frame;
  while (f && f->file->isLibrary)
    f = f->caller;
  if (!f)
    return "the tensor is " + shape;
  StringRef name;
  const Variable *found = nullptr;
  for (const auto &entry : f->variables) {
    const Variable &variable = entry.second;
    if (!variable.value.isTensor() || variable.value.asMlir() != tensor)
      continue;
    // The map's order depends on hashes; a message must not.
    if (!found ||
        variable.where.Start.getPointer() > found->where.Start.getPointer() ||
        (variable.where.Start == found->where.Start && entry.first() < name)) {
      found = &variable;
      name = entry.first();
    }
  }
  llvm::SMLoc here = f->definition->name.range.Start;
  if (found)
    return (name + " is " + shape + " (" +
            diags.line(found->where.Start, here) + ")")
        .str();
  cnn::LayerLocation made = cnn::layerLocation(tensor.getLoc());
  std::string what = "this";
  if (mlir::Operation *op = tensor.getDefiningOp()) {
    what = op->getName().stripDialect().str();
    if (auto map = mlir::dyn_cast<cnn::MapOp>(op))
      what = map.getFunction().str();
    what = "the result of '" + what + "'";
  }
  std::string line =
      made.line ? " (line " + std::to_string(made.line) + ")" : "";
  return what + " is " + shape + line;
}

bool Elaborator::checkSize(llvm::ArrayRef<int64_t> shape, SMRange where) {
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (mlir::ShapedType::isDynamic(size))
      continue;
    if (size < 1) {
      error(where, "this gives a tensor without elements");
      return false;
    }
    if (size > maxElements / elements) {
      error(where, "this gives a tensor of more than " +
                       Twine(maxElements >> 20) + " million elements");
      return false;
    }
    elements *= size;
  }
  return true;
}

std::optional<Callable> Elaborator::findLayer(StringRef name) const {
  auto it = layers.find(name);
  if (it == layers.end())
    return std::nullopt;
  Callable callable;
  callable.kind = Callable::Layer;
  callable.name = it->first();
  callable.layer = it->second;
  return callable;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void Elaborator::execute(const Body &body) {
  for (const Stmt *statement : body) {
    if (frame->hasReturned || aborted)
      return;
    if (countStep(statement->range))
      execute(*statement);
  }
}

void Elaborator::execute(const Stmt &statement) {
  switch (statement.kind) {
  case NodeKind::Assign:
    return executeAssign(llvm::cast<AssignStmt>(statement));
  case NodeKind::For:
    return executeFor(llvm::cast<ForStmt>(statement));
  case NodeKind::Precision:
    return executePrecision(llvm::cast<PrecisionStmt>(statement));
  case NodeKind::Input:
    return executeInput(llvm::cast<InputStmt>(statement));
  case NodeKind::Output:
    return executeOutput(llvm::cast<OutputStmt>(statement));
  case NodeKind::Return: {
    auto &returns = llvm::cast<ReturnStmt>(statement);
    std::vector<Value> values;
    for (const Expr *value : returns.values)
      values.push_back(evaluate(*value));
    if (frame->definition->kind == Definition::Model) {
      error(returns.range, "a model has outputs and returns nothing",
            {"write: output x"});
      return;
    }
    frame->result = values.size() == 1 ? std::move(values.front())
                                       : Value::sequence(false, values);
    frame->hasReturned = true;
    return;
  }
  case NodeKind::ExprStmt: {
    const Expr &expr = *llvm::cast<ExprStmt>(statement).value;
    if (auto *branch = llvm::dyn_cast<IfExpr>(&expr)) {
      Value condition = evaluate(*branch->condition);
      if (condition.isBool())
        return execute(condition.asBool() ? branch->thenBody
                                          : branch->elseBody);
      if (!condition.isPoison())
        error(branch->condition->range,
              "the condition of 'if' is true or false, not " +
                  kindText(condition));
      // Either branch could have assigned anything, or returned.
      frame->incomplete = true;
      for (const Body *body : {&branch->thenBody, &branch->elseBody})
        for (const Stmt *inner : *body)
          if (auto *assigned = llvm::dyn_cast<AssignStmt>(inner))
            for (const Pattern &target : assigned->targets)
              poison(target);
      return;
    }
    Value value = evaluate(expr);
    if (value.isTensor() && !frame->file->isLibrary)
      diags.warning(expr.range, "the result of this is not used");
    return;
  }
  case NodeKind::Broken:
    frame->incomplete = true;
    for (StringRef name : llvm::cast<BrokenStmt>(statement).names)
      frame->variables[name] = {Value(), statement.range};
    return;
  default:
    llvm_unreachable("an expression is no statement");
  }
}

void Elaborator::executeAssign(const AssignStmt &statement) {
  std::vector<Value> values;
  for (const Expr *value : statement.values)
    values.push_back(evaluate(*value));
  if (frame->hasReturned)
    return;
  const auto &targets = statement.targets;
  if (values.size() == 1 && targets.size() > 1)
    return assign(targets, values.front(), statement.values.front()->range);
  if (values.size() != targets.size()) {
    error(statement.range,
          Twine(targets.size()) + (targets.size() == 1 ? " name" : " names") +
              " cannot take " + Twine(values.size()) + " values");
    for (const Pattern &target : targets)
      poison(target);
    return;
  }
  for (auto [target, value] : llvm::zip(targets, values))
    assign(target, value);
}

void Elaborator::poison(const Pattern &pattern) { assign(pattern, Value()); }

void Elaborator::assign(const Pattern &pattern, const Value &value) {
  if (!pattern.items.empty())
    return assign(pattern.items, value, pattern.range);
  frame->variables[pattern.name.text] = {value, pattern.range};
}

void Elaborator::assign(llvm::ArrayRef<Pattern> patterns, const Value &value,
                        SMRange where) {
  bool fits = value.isSequence() && value.items().size() == patterns.size();
  if (!fits && !value.isPoison())
    error(where, value.isSequence()
                     ? Twine(patterns.size()) + " names cannot take " +
                           Twine(value.items().size()) + " values"
                     : "this is one value, " + kindText(value) + ", for " +
                           Twine(patterns.size()) + " names");
  for (auto [i, pattern] : llvm::enumerate(patterns))
    assign(pattern, fits ? value.items()[i] : Value());
}

void Elaborator::executeFor(const ForStmt &statement) {
  Value list = evaluate(*statement.list);
  if (frame->hasReturned)
    return;
  if (!list.isSequence()) {
    if (!list.isPoison())
      error(statement.list->range,
            "'for' goes through a list, not " + kindText(list),
            list.isInt() ? std::vector<std::string>{"write: for i in 1.." +
                                                    valueText(list)}
                         : std::vector<std::string>{});
    // The body is checked once all the same.
    for (const Pattern &target : statement.targets)
      poison(target);
    return execute(statement.body);
  }
  const std::vector<Pattern> &targets = statement.targets;
  for (auto [i, item] : llvm::enumerate(list.items())) {
    if (frame->hasReturned || !countStep(statement.range))
      return;
    if (targets.size() == 2)
      assign(targets.front(), Value::integer(i));
    assign(targets.back(), item);
    execute(statement.body);
  }
}

void PrecisionMarker::notifyOperationInserted(mlir::Operation *op,
                                              mlir::OpBuilder::InsertPoint) {
  if (precision && llvm::isa<cnn::ComputeOpInterface>(op))
    op->setAttr(cnn::kPrecisionAttr,
                mlir::StringAttr::get(op->getContext(),
                                      cnn::stringifyPrecision(*precision)));
}

void Elaborator::executePrecision(const PrecisionStmt &statement) {
  static constexpr StringRef known[] = {"f32", "bf16"};
  StringRef name = statement.name.text;
  std::optional<cnn::Precision> asked = cnn::symbolizePrecision(name);
  if (!asked)
    error(statement.name.range,
          "there is no precision '" + name + "'" + didYouMean(name, known),
          {"layers are stored as f32 or bf16"});
  auto around = marker.precision;
  marker.precision = asked;
  execute(statement.body);
  marker.precision = around;
}
