//===- ElaborateRule.cpp - An optimizer as a region of scalars -------------===//
//
// An optimizer is a block over elements. `weight`, `gradient`, `rate`, `decay`
// and `step` are given; a parameter without a default that is none of them is a
// slot, which the block returns anew behind the weight; the others are settings.
//
//===----------------------------------------------------------------------===//

#include "ElaborateTrain.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

static bool isElement(const Param &param) {
  return cnn::RuleOp::isGiven(param.name.text) || !param.defaultValue;
}

/// Gives settings by position their names: the block's own order has the
/// elements between them.
static bool nameSettings(const Definition &definition, std::vector<Arg> &args) {
  size_t next = 0;
  for (Arg &arg : args) {
    if (!arg.name.text.empty())
      continue;
    while (next < definition.params.size() && isElement(definition.params[next]))
      ++next;
    if (next == definition.params.size())
      return false;
    arg.name = definition.params[next++].name;
  }
  return true;
}

/// Drops slots that the rule only passes on: without momentum, a velocity.
static void dropIdleSlots(cnn::RuleOp rule) {
  mlir::Block &block = rule.getBody().front();
  mlir::Operation *yield = block.getTerminator();
  auto operands = llvm::to_vector(rule.getOperandNames());
  auto results = llvm::to_vector(rule.getResultNames());
  for (size_t result = results.size(); result-- > 1;) {
    size_t operand = llvm::find(operands, results[result]) - operands.begin();
    mlir::BlockArgument slot = block.getArgument(operand);
    if (yield->getOperand(result) != slot || !slot.hasOneUse())
      continue;
    yield->eraseOperand(result);
    block.eraseArgument(operand);
    results.erase(results.begin() + result);
    operands.erase(operands.begin() + operand);
  }
  for (size_t operand = operands.size(); operand-- > 2;)
    if (cnn::RuleOp::isGiven(
            llvm::cast<mlir::StringAttr>(operands[operand]).getValue()) &&
        block.getArgument(operand).use_empty()) {
      block.eraseArgument(operand);
      operands.erase(operands.begin() + operand);
    }
  mlir::Builder builder(rule.getContext());
  rule.setOperandNamesAttr(builder.getArrayAttr(operands));
  rule.setResultNamesAttr(builder.getArrayAttr(results));
}

void TrainElaborator::buildRule(const Callable &callee, std::vector<Arg> args,
                                SMRange where) {
  const Definition &definition = *callee.definition;
  auto refuse = [&](const Twine &message) {
    e.error(where, message,
            {"an optimizer is a block such as: block sgd(weight, gradient, "
             "rate) { return weight - rate * gradient }"});
  };
  std::vector<StringRef> elements = {"weight", "gradient"}, slots;
  for (const Param &param : definition.params) {
    StringRef name = param.name.text;
    if (!cnn::RuleOp::isGiven(name) && !param.defaultValue)
      slots.push_back(name);
  }
  llvm::append_range(elements, slots);
  for (StringRef needed : elements)
    if (llvm::none_of(definition.params, [&](const Param &param) {
          return param.name.text == needed;
        }))
      return refuse("'" + callee.name + "' is no optimizer: it takes no '" +
                    needed + "'");
  for (const Param &param : definition.params)
    if (cnn::RuleOp::isGiven(param.name.text) &&
        !llvm::is_contained(elements, param.name.text))
      elements.push_back(param.name.text);
  if (!nameSettings(definition, args)) {
    e.error(where, "'" + callee.name + "' has not so many settings");
    return;
  }
  for (const Arg &arg : args)
    if (llvm::is_contained(elements, arg.name.text)) {
      e.error(arg.range,
              "'" + arg.name.text + "' of '" + callee.name +
                  "' comes from the training",
              {arg.name.text == "rate" || arg.name.text == "decay"
                   ? "it has a line of its own: " + arg.name.text.str() + " 0.01"
                   : "it differs from element to element"});
      return;
    }

  std::vector<StringRef> results = {"weight"};
  llvm::append_range(results, slots);
  mlir::OpBuilder::InsertionGuard guard(builder);
  mlir::Location loc = e.location(where, "");
  auto rule = cnn::RuleOp::create(builder, loc, builder.getStringAttr(callee.name),
                                  builder.getStrArrayAttr(elements),
                                  builder.getStrArrayAttr(results));
  mlir::Block *block = builder.createBlock(&rule.getBody());
  for (StringRef name : elements) {
    Arg arg;
    arg.name = {name, where};
    arg.range = where;
    arg.value = Value::scalar(block->addArgument(builder.getF32Type(), loc));
    args.push_back(std::move(arg));
  }
  Value value = e.callDefinition(definition, std::move(args), where, Scope{});
  std::vector<Value> values = {value};
  if (value.isSequence())
    values = value.items();
  llvm::SmallVector<mlir::Value> yielded;
  bool fits = !value.hasPoison() && values.size() == results.size();
  if (!value.hasPoison() && !fits)
    refuse("'" + callee.name + "' returns " + Twine(values.size()) +
           (values.size() == 1 ? " value" : " values") + ", and has a weight and " +
           Twine(slots.size()) + (slots.size() == 1 ? " slot" : " slots"));
  for (const Value &one : values)
    if (fits) {
      yielded.push_back(e.toElement(one, where));
      fits = yielded.back() != nullptr;
    }
  if (!fits) {
    rule.erase();
    return;
  }
  cnn::YieldOp::create(builder, loc, yielded);
  dropIdleSlots(rule);
}
