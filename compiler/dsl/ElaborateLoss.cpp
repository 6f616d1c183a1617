//===- ElaborateLoss.cpp - What training makes small, and what it shows ----===//

#include "ElaborateTrain.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

void TrainElaborator::loss(const ClauseStmt &clause) {
  if (!only(clause, "what training makes small"))
    return;
  const Expr &expr = *clause.items[0].value;
  Value value = e.evaluate(expr);
  if (value.isPoison())
    return;
  if (!value.isTensor()) {
    e.error(expr.range, "the loss is a tensor, not " + kindText(value));
    return;
  }
  auto type = mlir::cast<mlir::RankedTensorType>(value.asMlir().getType());
  bool single = llvm::all_of(
      type.getShape().drop_front(type.getRank() > 0 && type.isDynamicDim(0)),
      [](int64_t size) { return size == 1; });
  if (!single || !type.getElementType().isF32()) {
    e.error(expr.range, "the loss is one number per image or one in all, and " +
                            e.describe(value));
    return;
  }
  if (mixes)
    value = mixedLoss(expr, value);
  if (value.isTensor())
    cnn::OutputOp::create(builder, e.location(expr.range, "loss"), value.asMlir(),
                          builder.getStringAttr("loss"), nullptr);
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
    std::vector<std::string> ports;
    for (size_t i = 0; i < 2 && i < call->args.size(); ++i) {
      Value value = e.evaluate(*call->args[i].value);
      if (value.isPoison())
        break;
      cnn::InputOp input;
      if (value.isTensor())
        input = value.asMlir().getDefiningOp<cnn::InputOp>();
      if (!value.isTensor() || (i == 1 && !input)) {
        e.error(call->args[i].value->range,
                i == 1 ? "the second argument is what data yield: label or mask"
                       : "the first argument is a tensor, not " + kindText(value));
        break;
      }
      ports.push_back(i == 1 ? input.getName().str()
                             : outputOf(value.asMlir(), call->args[i].value->range));
    }
    if (call->args.size() < 2)
      e.error(callee->range, "'" + callee->name +
                                 "' takes what the model says and what is right",
              {"write: " + callee->name.str() + "(logits, label)"});
    if (ports.size() != 2)
      continue;
    mlir::DictionaryAttr how = setting(dsl::metrics(), *call, 2);
    if (!how)
      continue;
    llvm::SmallVector<std::pair<StringRef, mlir::Attribute>> items = {
        {"name", text(name)}, {"value", text(ports[0])}, {"right", text(ports[1])}};
    for (mlir::NamedAttribute entry : how)
      items.push_back({entry.getName(), entry.getValue()});
    made.push_back(dictionary(items));
  }
  entries["metrics"] = builder.getArrayAttr(made);
}
