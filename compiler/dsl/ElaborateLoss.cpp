//===- ElaborateLoss.cpp - What training makes small, and what it shows ----===//

#include "ElaborateTrain.h"

#include <map>

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

void TrainElaborator::loss(const ClauseStmt &clause) {
  if (!only(clause, "what training makes small"))
    return;
  const Expr &expr = *clause.items[0].value;
  Value value = minimized(expr);
  if (mixes && value.isTensor())
    value = mixedLoss(expr, value);
  if (value.isTensor())
    cnn::OutputOp::create(builder, e.location(expr.range, "loss"), value.asMlir(),
                          builder.getStringAttr("loss"), nullptr);
}

/// What a loss comes to; poison, and reported, where it is none.
Value TrainElaborator::minimized(const Expr &expr) {
  Value value = e.evaluate(expr);
  if (value.isPoison())
    return Value();
  if (!value.isTensor())
    return e.error(expr.range, "the loss is a tensor, not " + kindText(value));
  auto type = mlir::cast<mlir::RankedTensorType>(value.asMlir().getType());
  bool single = llvm::all_of(
      type.getShape().drop_front(type.getRank() > 0 && type.isDynamicDim(0)),
      [](int64_t size) { return size == 1; });
  if (!single || !type.getElementType().isF32())
    return e.error(expr.range, "the loss is one number per image or one in all, and " +
                                   e.describe(value));
  return value;
}

/// share * loss of the label + (1 - share) * loss of the other image's label.
Value TrainElaborator::mixedLoss(const Expr &expr, const Value &loss) {
  Frame &frame = *e.frame;
  auto label = frame.variables.find("label");
  if (label == frame.variables.end() || !label->second.value.isTensor())
    return e.error(expr.range, "mixed images need a loss of 'label'");
  Variable own = label->second;
  auto input = [&](StringRef name, mlir::Type type) {
    auto made = cnn::InputOp::create(builder, e.location(expr.range, name), type,
                                     builder.getStringAttr(name), nullptr);
    return Value::tensor(made.getResult(), expr.range, "input");
  };
  frame.variables["label"].value =
      input("label.mixed", own.value.asMlir().getType());
  // The same layers again, with the same weights.
  Scope before = frame.scope;
  frame.scope.repeats = true;
  Value other = e.evaluate(expr);
  frame.scope = std::move(before);
  frame.variables["label"] = own;
  if (!other.isTensor())
    return Value();
  Value share = input("label.share", loss.asMlir().getType());
  Value difference = e.applyBinary(BinaryOp::Sub, loss, other, expr.range);
  Value part = e.applyBinary(BinaryOp::Mul, share, difference, expr.range);
  return e.applyBinary(BinaryOp::Add, other, part, expr.range);
}

/// Adds what weights cost: of each element what an op says, `l1` the library's
/// l1_penalty, or an op of the user's own.
void TrainElaborator::penalty(const ClauseStmt &clause) {
  // What is said of parts comes first, and counts alone there.
  std::vector<StringRef> chosen;
  for (const Identifier &part : clause.parts)
    llvm::append_range(chosen, weightsOf(part));
  if (clause.parts.empty())
    for (auto &[name, op] : weights)
      if (llvm::cast<mlir::RankedTensorType>(op.getType()).getRank() > 1)
        chosen.push_back(name);
  auto isStatistic = [&](StringRef name) {
    mlir::Value value = weights[name].getResult();
    return llvm::any_of(value.getUsers(), [&](mlir::Operation *user) {
      auto norm = llvm::dyn_cast<cnn::BatchNormOp>(user);
      return norm && (norm.getRunningMean() == value || norm.getRunningVar() == value);
    });
  };
  llvm::erase_if(chosen, [&](StringRef name) {
    return isStatistic(name) || (clause.parts.empty() ? penalized.contains(name)
                                                      : !penalized.insert(name).second);
  });
  std::map<std::string, Value> totals; ///< by the loss that they belong to
  for (const Argument &item : clause.items) {
    auto *call = llvm::dyn_cast<CallExpr>(item.value);
    const Expr &called = call ? *call->callee : *item.value;
    auto *word = llvm::dyn_cast<NameExpr>(&called);
    Value callee = word ? e.lookup((word->name + "_penalty").str()) : Value();
    if (callee.kind() != ValueKind::Callable)
      callee = e.evaluate(called);
    std::vector<Arg> args;
    if (callee.isPoison() || (call && !e.evaluateArgs(*call, callee, args)))
      continue;
    bool isOp = callee.kind() == ValueKind::Callable &&
                callee.asCallable().kind == Callable::Defined &&
                callee.asCallable().definition->kind == Definition::Op &&
                !callee.asCallable().definition->isIndexed;
    if (!isOp) {
      e.error(called.range, "a penalty is an op over the elements of weights, not " +
                                kindText(callee),
              {"there are l1(strength), l2(strength) and elastic(strength, part=0.5)"});
      continue;
    }
    for (StringRef name : chosen) {
      std::vector<Arg> all = args;
      Arg weight;
      weight.range = called.range;
      weight.value = Value::tensor(weights[name].getResult(), called.range, "weight");
      all.insert(all.begin(), weight);
      Value cost = e.callOp(*callee.asCallable().definition, std::move(all),
                            called.range, "penalty");
      if (!cost.isTensor())
        return;
      mlir::Type one = mlir::RankedTensorType::get({1}, builder.getF32Type());
      auto sum = cnn::SumOp::create(builder, e.location(called.range, "penalty"),
                                    mlir::TypeRange(one),
                                    mlir::ValueRange(cost.asMlir()));
      Value &total = totals[lossOf(name)];
      Value own = Value::tensor(sum.getResult(0), called.range, "penalty");
      total = total.isTensor()
                  ? e.applyBinary(BinaryOp::Add, total, own, called.range)
                  : own;
    }
  }
  for (auto output : model.getBody().front().getOps<cnn::OutputOp>()) {
    auto total = totals.find(output.getName().str());
    if (total == totals.end())
      continue;
    Value loss = Value::tensor(output.getValue(), clause.range, "loss");
    loss = e.applyBinary(BinaryOp::Add, loss, total->second, clause.range);
    if (!loss.isTensor())
      return;
    output->moveBefore(&model.getBody().front(), model.getBody().front().end());
    output.getValueMutable().assign(loss.asMlir());
  }
}

/// The output in whose step a weight changes.
std::string TrainElaborator::lossOf(StringRef weight) {
  for (const ClauseStmt *turn : turns)
    for (const Identifier &part : turn->parts)
      if (weight == part.text || weight.starts_with((part.text + ".").str()))
        return ("loss:" + turn->parts.front().text).str();
  return "loss";
}

void TrainElaborator::metrics(const ClauseStmt &clause) {
  llvm::SmallVector<mlir::Attribute> made;
  llvm::StringMap<std::string> outputs;
  auto outputOf = [&](mlir::Value tensor, SMRange where) {
    for (mlir::Operation *user : tensor.getUsers())
      if (auto output = llvm::dyn_cast<cnn::OutputOp>(user))
        return output.getName().str();
    std::string name = ("metric." + Twine(made.size())).str();
    cnn::OutputOp::create(builder, e.location(where, name), tensor,
                          builder.getStringAttr(name), nullptr);
    return name;
  };
  for (const Argument &item : clause.items) {
    auto *call = llvm::dyn_cast<CallExpr>(item.value);
    auto *callee = llvm::dyn_cast_or_null<NameExpr>(call ? call->callee : nullptr);
    std::string name = item.name.text.str();
    if (name.empty() && callee)
      name = callee->name.str();
    if (name.empty() || name == "loss" || llvm::is_contained(metricNames, name)) {
      e.error(item.value->range,
              name.empty() || name == "loss"
                  ? Twine("a metric has a name of its own")
                  : "there already is a metric '" + name + "'",
              {"write: metrics top1 = accuracy(logits, label)"});
      continue;
    }
    metricNames.push_back(name);
    // What is counted over all images comes before the library's means of each,
    // and an op or a block of the user's own before both.
    bool counted = callee && dsl::metrics().find(callee->name);
    if (counted) {
      Value own = e.lookup(callee->name);
      counted = own.kind() != ValueKind::Callable ||
                own.asCallable().kind != Callable::Defined ||
                own.asCallable().definition->file->isLibrary;
    }
    if (!counted) {
      Value value = e.evaluate(*item.value);
      if (value.isPoison())
        continue;
      if (!value.isTensor()) {
        e.error(item.value->range, "a metric is made of tensors, and this is " +
                                       kindText(value));
        continue;
      }
      made.push_back(dictionary(
          {{"name", text(name)},
           {"call", text("mean")},
           {"value", text(outputOf(value.asMlir(), item.value->range))}}));
      continue;
    }
    // What the model says comes first, what is right last.
    size_t tensors = dsl::metrics().find(callee->name)->tensors;
    std::vector<std::string> ports;
    for (size_t i = 0; i < tensors && i < call->args.size(); ++i) {
      bool last = i + 1 == tensors;
      Value value = e.evaluate(*call->args[i].value);
      if (value.isPoison())
        break;
      cnn::InputOp input;
      if (value.isTensor())
        input = value.asMlir().getDefiningOp<cnn::InputOp>();
      if (!value.isTensor() || (last && !input)) {
        static constexpr StringRef places[] = {"first", "second", "third", "fourth"};
        e.error(call->args[i].value->range,
                "the " + places[i] + " argument is " +
                    (last ? tensors == 2 ? "what data yield: label or mask"
                                         : "what data yield: boxes"
                          : "a tensor, not " + kindText(value)));
        break;
      }
      ports.push_back(last ? input.getName().str()
                           : outputOf(value.asMlir(), call->args[i].value->range));
    }
    if (call->args.size() < tensors)
      e.error(callee->range, "'" + callee->name +
                                 "' takes what the model says and what is right",
              {"write: " + callee->name.str() +
               (tensors == 2 ? "(logits, label)" : "(found, scores, classes, boxes)")});
    if (ports.size() != tensors)
      continue;
    mlir::DictionaryAttr how = setting(dsl::metrics(), *call, tensors);
    if (!how)
      continue;
    llvm::SmallVector<mlir::Attribute> more;
    for (size_t i = 1; i + 1 < tensors; ++i)
      more.push_back(text(ports[i]));
    llvm::SmallVector<std::pair<StringRef, mlir::Attribute>> items = {
        {"name", text(name)}, {"value", text(ports[0])}, {"right", text(ports.back())}};
    if (!more.empty())
      items.push_back({"more", builder.getArrayAttr(more)});
    for (mlir::NamedAttribute entry : how)
      items.push_back({entry.getName(), entry.getValue()});
    made.push_back(dictionary(items));
  }
  entries["metrics"] = builder.getArrayAttr(made);
}
