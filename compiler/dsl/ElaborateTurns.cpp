//===- ElaborateTurns.cpp - Models that are trained in turn ----------------===//
//
//   models  g = generator, d = discriminator
//   step d  minimize bce(d(image), 1) + bce(d(stop(g(noise))), 0)
//   step g  minimize bce(d(g(noise)), 1)
//
// Each model is one instance of the name that it gets. A step has a loss of its
// own, an output "loss:PART", and changes the weights of its parts alone.
//
//===----------------------------------------------------------------------===//

#include "ElaborateTrain.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::StringRef;
using llvm::Twine;

void TrainElaborator::models(const ClauseStmt &clause) {
  for (const Argument &item : clause.items) {
    auto *call = llvm::dyn_cast<CallExpr>(item.value);
    Value callee = e.evaluate(call ? *call->callee : *item.value);
    std::vector<Arg> args;
    if (callee.isPoison() || (call && !e.evaluateArgs(*call, callee, args)))
      continue;
    bool isModel = callee.kind() == ValueKind::Callable &&
                   callee.asCallable().kind == Callable::Defined &&
                   callee.asCallable().definition->kind == Definition::Model;
    StringRef name = item.name.text;
    if (!isModel || name.empty()) {
      e.error(item.value->range,
              isModel ? Twine("a model that is trained with another has a name here")
                      : "this is no model, but " + kindText(callee),
              {"write: models g = generator, d = discriminator(base=16)"});
      continue;
    }
    auto instance = std::make_shared<Instance>();
    instance->callee = callee.asCallable();
    instance->args = std::move(args);
    instance->path = name.str();
    instance->where = item.name.range;
    players.push_back({name.str(), instance.get()});
    e.frame->variables[name] = {Value::instance(std::move(instance)),
                                item.name.range};
  }
}

/// The input of this name that one of the models has, as the model declares it.
Value TrainElaborator::modelInput(StringRef name) {
  mlir::RankedTensorType type;
  mlir::DictionaryAttr image;
  llvm::SMRange where;
  for (auto &[player, instance] : players) {
    const Definition &model = *instance->callee.definition;
    Frame inner{model.file, &model, e.frame, instance->where, Scope{}};
    if (!e.bindParams(model, instance->args, instance->where, inner))
      return Value();
    llvm::SaveAndRestore enter(e.frame, &inner);
    for (const Stmt *statement : model.body) {
      auto *input = llvm::dyn_cast<InputStmt>(statement);
      if (!input || input->name.text != name)
        continue;
      auto found = llvm::dyn_cast_or_null<mlir::RankedTensorType>(e.inputType(*input));
      if (!found)
        return Value();
      if (type && type.getShape().drop_front() != found.getShape().drop_front())
        return e.error(input->range, "two of the models have an input '" + name +
                                         "', of different shapes",
                       {"say in the train block which is meant: input " + name.str() +
                        ": f32[N, ...]"});
      type = found;
      where = input->name.range;
      if (input->source)
        image = e.imageAttr(*input->source, found, false);
    }
  }
  if (!type)
    return Value();
  llvm::SmallVector<int64_t> shape(type.getShape());
  shape.front() = mlir::ShapedType::kDynamic;
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&model.getBody().front());
  auto input =
      cnn::InputOp::create(builder, e.location(where, name), type.clone(shape),
                           builder.getStringAttr(name), image);
  Value value = Value::tensor(input.getResult(), where, "input");
  e.frame->variables[name] = {value, where};
  return value;
}

void TrainElaborator::turn(const ClauseStmt &clause) {
  if (!only(clause, "what it makes small"))
    return;
  StringRef name = clause.parts.front().text;
  for (const ClauseStmt *other : turns)
    if (other->parts.front().text == name) {
      e.error(clause.parts.front().range, "there already is a step of '" + name + "'");
      return;
    }
  turns.push_back(&clause);
  const Expr &expr = *clause.items[0].value;
  if (Value value = minimized(expr); value.isTensor())
    cnn::OutputOp::create(builder, e.location(expr.range, "loss"), value.asMlir(),
                          builder.getStringAttr("loss:" + name), nullptr);
}

/// Which weights change with which step.
void TrainElaborator::findTurns() {
  if (turns.empty() && players.empty())
    return;
  if (turns.empty() && !training.broken && !e.frame->incomplete)
    e.error(training.name.range,
            "training '" + training.name.text + "' needs a 'step' of its models",
            {"write: step " + players.front().first +
             " minimize what it makes small"});
  if (seen.contains("loss"))
    e.error(seen["loss"], "models in turn have no 'loss': each step says its own");
  if (mixes)
    e.error(training.name.range, "mixup and cutmix are for a training with one loss");
  llvm::SmallVector<mlir::Attribute> made;
  for (const ClauseStmt *clause : turns) {
    llvm::SmallVector<mlir::Attribute> names;
    for (const Identifier &part : clause->parts)
      for (StringRef weight : weightsOf(part))
        names.push_back(text(weight));
    made.push_back(dictionary({{"name", text(clause->parts.front().text)},
                               {"weights", builder.getArrayAttr(names)}}));
  }
  entries["turns"] = builder.getArrayAttr(made);
  llvm::SmallVector<mlir::Attribute> names;
  for (auto &[name, instance] : players)
    names.push_back(text(name));
  entries["models"] = builder.getArrayAttr(names);
}
