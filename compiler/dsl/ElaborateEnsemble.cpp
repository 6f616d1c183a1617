//===- ElaborateEnsemble.cpp - Several answers, and their mean -------------===//
//
// The model's body runs again: with the weights of other files, whose names begin
// with "member_2", "member_3" and so on, and on other views of the pictures. What
// it gives is the mean of all softmaxes.
//
//===----------------------------------------------------------------------===//

#include "Elaborator.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::StringRef;

namespace {
/// A call of the library's that gives another view of a map, and one that undoes it.
struct View {
  StringRef function;
  std::vector<int64_t> arguments, undo;
};
} // namespace

static std::vector<View> viewsOf(const FrontendOptions &options) {
  std::vector<View> views = {{}};
  if (options.mirror)
    views.push_back({"mirrored", {}, {}});
  for (auto [down, right] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}})
    if (options.shift)
      views.push_back({"shifted", {down, right}, {-down, -right}});
  return views;
}

void Elaborator::average(const Definition &model) {
  std::vector<View> views = viewsOf(options);
  if (options.members * views.size() == 1 || diags.hasErrors())
    return;
  mlir::Block &body = *builder.getInsertionBlock();
  auto where = model.name.range;
  auto look = [&](StringRef function, llvm::ArrayRef<int64_t> numbers, const Value &x) {
    if (function.empty())
      return x;
    std::vector<Arg> args(1);
    args[0].value = x;
    for (int64_t number : numbers) {
      args.emplace_back();
      args.back().value = Value::integer(number);
    }
    return callOp(*library.find(function), std::move(args), where, function.str());
  };
  auto isMap = [](mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType()).getRank() == 4;
  };
  auto likely = [&](const Value &x) {
    if (x.isTensor() && x.asMlir().getDefiningOp<cnn::SoftmaxOp>())
      return x;
    std::vector<Arg> args(1);
    args[0].value = x;
    return call(*findLayer("softmax"), std::move(args), where, nullptr);
  };
  llvm::SmallVector<cnn::OutputOp> outputs(body.getOps<cnn::OutputOp>());
  llvm::SmallVector<cnn::InputOp> inputs(body.getOps<cnn::InputOp>());
  std::vector<Value> sums;
  for (cnn::OutputOp output : outputs) {
    auto type = llvm::cast<mlir::RankedTensorType>(output.getValue().getType());
    if ((type.getRank() != 2 && type.getRank() != 4) || !type.getElementType().isF32()) {
      error(where, "the mean of several answers is one of classes, and output '" +
                       output.getName() + "' is " + cnn::shapeText(type));
      return;
    }
    sums.push_back(likely(Value::tensor(output.getValue(), where, "output")));
  }
  for (unsigned member = 1; member <= options.members; ++member)
    for (auto [index, view] : llvm::enumerate(views)) {
      if (member == 1 && index == 0)
        continue; // that was the model itself
      std::vector<Arg> args;
      for (cnn::InputOp input : inputs) {
        Arg arg;
        arg.name = {input.getName(), where};
        arg.range = where;
        arg.value = Value::tensor(input.getResult(), where, "input");
        if (isMap(input.getResult()))
          arg.value = look(view.function, view.arguments, arg.value);
        args.push_back(arg);
      }
      for (const Param &param : model.params) {
        Arg arg;
        arg.name = param.name;
        arg.range = where;
        arg.value = frame->variables[param.name.text].value;
        args.push_back(arg);
      }
      Scope scope;
      scope.path = member == 1 ? "" : "member_" + std::to_string(member);
      scope.repeats = index > 0;
      Value made = callDefinition(model, std::move(args), where, std::move(scope));
      std::vector<Value> parts = {made};
      if (made.isSequence())
        parts = made.items();
      for (auto [sum, part] : llvm::zip(sums, parts)) {
        if (!part.isTensor())
          return;
        Value own = likely(part);
        if (isMap(part.asMlir()))
          own = look(view.function, view.undo, own);
        sum = applyBinary(BinaryOp::Add, sum, own, where);
      }
    }
  double share = 1.0 / double(options.members * views.size());
  for (auto [output, sum] : llvm::zip(outputs, sums)) {
    sum = applyBinary(BinaryOp::Mul, sum, Value::real(share), where);
    if (!sum.isTensor())
      return;
    output->moveBefore(&body, body.end());
    output.getValueMutable().assign(sum.asMlir());
  }
}
