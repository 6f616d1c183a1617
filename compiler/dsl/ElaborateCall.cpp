//===- ElaborateCall.cpp - Calls of blocks, ops, models and instances -----===//

#include "Elaborator.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// Calls within calls: a block may call itself, but not for ever.
static constexpr unsigned maxCalls = 100;

/// "basic(x, channels, stride = 1)": for notes.
static std::string signatureText(const Definition &definition) {
  std::vector<std::string> params;
  for (const Param &param : definition.params) {
    if (param.isWeight)
      continue;
    std::string text = param.name.text.str();
    if (param.defaultValue) {
      SMRange range = param.defaultValue->range;
      text += "=" + printable({range.Start.getPointer(),
                               size_t(range.End.getPointer() -
                                      range.Start.getPointer())});
    }
    params.push_back(std::move(text));
  }
  return definition.name.text.str() + "(" + llvm::join(params, ", ") + ")";
}

/// The name under which a call's layers and weights are found.
std::optional<std::string> Elaborator::layerPath(StringRef name,
                                                 const StringExpr *as) {
  Scope &scope = frame->scope;
  std::string step;
  if (as) {
    std::optional<std::string> text = evaluateText(*as);
    if (!text)
      return std::nullopt;
    step = *text;
    auto usable = [](char c) {
      return llvm::isAlnum(c) || StringRef("_.-/").contains(c);
    };
    // Without a name of its own, what a block calls is the block itself.
    if (step.empty() && !scope.path.empty())
      return scope.path;
    if (step.empty() || !llvm::all_of(step, usable)) {
      error(as->range, "a layer's name consists of letters, digits, '_', '.', "
                       "'-' and '/'");
      return std::nullopt;
    }
  } else {
    step = (name + "_" + Twine(++scope.counts[name])).str();
  }
  return scope.path.empty() ? step : scope.path + "." + step;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

bool Elaborator::evaluateArgs(const CallExpr &expr, const Value &callee,
                              std::vector<Arg> &args) {
  const Callable *callable = nullptr;
  if (callee.kind() == ValueKind::Callable)
    callable = &callee.asCallable();
  else if (callee.kind() == ValueKind::Instance)
    callable = &callee.asInstance().callee;
  bool isLayer = callable && callable->kind == Callable::Layer;
  bool fine = true;
  for (const Argument &argument : expr.args) {
    Arg arg{argument.name, Value(), argument.value->range, argument.value};
    // A layer's parameter may take the word; binding knows.
    auto *name = llvm::dyn_cast<NameExpr>(argument.value);
    if (isLayer && name)
      arg.value = lookup(name->name);
    bool unknown =
        arg.value.kind() == ValueKind::Word && !arg.value.origin.isValid();
    if (unknown)
      arg.value = Value::word(name->name, name->range);
    else
      arg.value = evaluate(*argument.value);
    bool positional = argument.name.text.empty();
    if (positional && !args.empty() && !args.back().name.text.empty()) {
      error(arg.range, "an argument without a name cannot follow '" +
                           args.back().name.text + "='");
      fine = false;
    }
    for (const Arg &other : args)
      if (!positional && other.name.text == arg.name.text) {
        error(arg.name.range, "'" + arg.name.text + "' is given twice");
        fine = false;
      }
    args.push_back(std::move(arg));
  }
  return fine;
}

/// Binds arguments and defaults to the variables of `callee`, reporting in the
/// caller's frame.
bool Elaborator::bindParams(const Definition &definition,
                            const std::vector<Arg> &args, SMRange where,
                            Frame &callee) {
  std::vector<Param> params = definition.params;
  llvm::erase_if(params, [](const Param &param) { return param.isWeight; });
  std::vector<std::string> notes;
  if (!definition.file->isLibrary)
    notes.push_back(signatureText(definition) + " is defined on " +
                    diags.line(definition.name.range.Start, where.Start));
  else
    notes.push_back("write: " + signatureText(definition));
  bool fine = true;
  size_t position = 0;
  for (const Arg &arg : args) {
    const Param *param = nullptr;
    if (arg.name.text.empty()) {
      if (position == params.size()) {
        size_t given = llvm::count_if(
            args, [](const Arg &a) { return a.name.text.empty(); });
        error(arg.range,
              "'" + definition.name.text + "' takes " + Twine(params.size()) +
                  (params.size() == 1 ? " argument" : " arguments") + ", not " +
                  Twine(given),
              notes);
        return false;
      }
      param = &params[position++];
    } else {
      auto it = llvm::find_if(
          params, [&](const Param &p) { return p.name.text == arg.name.text; });
      if (it == params.end()) {
        std::vector<StringRef> names;
        for (const Param &p : params)
          names.push_back(p.name.text);
        error(arg.name.range,
              "'" + definition.name.text + "' has no parameter '" +
                  arg.name.text + "'" + didYouMean(arg.name.text, names),
              notes);
        fine = false;
        continue;
      }
      param = &*it;
      if (callee.variables.contains(param->name.text)) {
        error(arg.name.range, "'" + arg.name.text + "' is given twice", notes);
        fine = false;
        continue;
      }
    }
    SMRange place = arg.value.isTensor() && arg.value.origin.isValid()
                        ? arg.value.origin
                        : arg.range;
    callee.variables[param->name.text] = {arg.value, place};
  }
  if (!fine)
    return false;
  for (const Param &param : params) {
    if (callee.variables.contains(param.name.text))
      continue;
    if (!param.defaultValue) {
      error(where,
            "'" + definition.name.text + "' needs '" + param.name.text + "'",
            notes);
      return false;
    }
    llvm::SaveAndRestore enter(frame, &callee);
    Value value = evaluate(*param.defaultValue);
    callee.variables[param.name.text] = {std::move(value), param.name.range};
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

Value Elaborator::evaluateCall(const CallExpr &expr) {
  Value callee = evaluate(*expr.callee);
  if (callee.kind() == ValueKind::Callable &&
      callee.asCallable().kind == Callable::Helper)
    if (auto reduced = reduceElements(callee.asCallable().name, expr))
      return *reduced;
  std::vector<Arg> args;
  bool fine = evaluateArgs(expr, callee, args);
  SMRange where = expr.callee->range;
  if (callee.isPoison() || !fine)
    return Value();
  if (callee.kind() == ValueKind::Instance) {
    if (expr.as)
      return error(expr.as->range, "an instance has its name already",
                   {"write 'as' where it is made: " +
                    printable(StringRef("tower = instance encoder(64) as ")) +
                    "\"tower\""});
    return callInstance(callee.asInstance(), std::move(args), where);
  }
  if (callee.kind() != ValueKind::Callable) {
    std::vector<std::string> notes;
    if (auto *name = llvm::dyn_cast<NameExpr>(expr.callee))
      if (frame->variables.contains(name->name))
        notes.push_back(
            "'" + name->name.str() + "' was set on " +
            diags.line(frame->variables[name->name].where.Start, where.Start));
    return error(where,
                 "only layers, blocks, ops and models are called, not " +
                     kindText(callee),
                 std::move(notes));
  }
  return call(callee.asCallable(), std::move(args), where, expr.as);
}

Value Elaborator::call(const Callable &callee, std::vector<Arg> args,
                       SMRange where, const StringExpr *as) {
  if (callee.kind == Callable::Helper)
    return helper(callee.name, args, where, as);
  if (callee.kind == Callable::Defined &&
      callee.definition->kind == Definition::Model)
    return callModel(*callee.definition, std::move(args), where, as);
  // An op inside a formula makes no layer, and takes no name.
  bool inFormula =
      llvm::any_of(args, [](const Arg &arg) { return arg.value.isScalar(); });
  bool isOp = callee.kind == Callable::Defined &&
              callee.definition->kind == Definition::Op;
  std::optional<std::string> path = std::string();
  if (!(isOp && inFormula))
    path = layerPath(callee.name, as);
  if (!path)
    return Value();
  if (isOp)
    return callOp(*callee.definition, std::move(args), where, *path);
  Scope scope{std::move(*path), {}, frame->scope.repeats};
  if (callee.kind == Callable::Layer)
    return callLayer(callee, std::move(args), where, std::move(scope));
  return callDefinition(*callee.definition, std::move(args), where,
                        std::move(scope));
}

Value Elaborator::callDefinition(const Definition &definition,
                                 std::vector<Arg> args, SMRange where,
                                 Scope scope) {
  if (calls >= maxCalls)
    return error(where,
                 "calls of blocks are nested more than " + Twine(maxCalls) +
                     " deep",
                 {"'" + definition.name.text.str() +
                  "' may be calling itself without an end"});
  Frame callee{definition.file, &definition, frame, where, std::move(scope)};
  if (definition.kind == Definition::Model) {
    // Positional arguments and names of inputs feed `input` statements.
    std::vector<Arg> params;
    for (Arg &arg : args) {
      bool isParam = llvm::any_of(definition.params, [&](const Param &param) {
        return param.name.text == arg.name.text;
      });
      (isParam ? params : callee.inputs).push_back(arg);
    }
    args = std::move(params);
  }
  if (!bindParams(definition, args, where, callee))
    return Value();
  ++calls;
  {
    llvm::SaveAndRestore enter(frame, &callee);
    bindProperties(definition);
    execute(definition.body);
  }
  --calls;
  if (definition.kind == Definition::Model) {
    bool surplus = !callee.inputs.empty() && !callee.incomplete;
    if (surplus)
      return error(callee.inputs.front().range,
                   "'" + definition.name.text + "' has no input for this");
    if (callee.outputs.size() == 1)
      return callee.outputs.front();
    if (callee.outputs.empty())
      return callee.incomplete
                 ? Value()
                 : error(where, "'" + definition.name.text + "' has no output");
    return Value::sequence(false, std::move(callee.outputs));
  }
  if (callee.hasReturned || callee.incomplete || aborted)
    return callee.result;
  diags.error(userPlace(definition.name.range),
              "block '" + definition.name.text + "' returns nothing",
              {"its last line is: return x"});
  return Value();
}

Value Elaborator::callOp(const Definition &definition, std::vector<Arg> args,
                         SMRange where, const std::string &path) {
  if (calls >= maxCalls)
    return error(
        where, "calls of ops are nested more than " + Twine(maxCalls) + " deep",
        {"'" + definition.name.text.str() +
         "' may be calling itself without an end"});
  Frame callee{definition.file, &definition, frame, where,
               Scope{path, {}, frame->scope.repeats}};
  if (!bindParams(definition, args, where, callee))
    return Value();
  for (const Param &param : definition.params)
    if (!param.isWeight &&
        callee.variables[param.name.text].value.hasPoison())
      return Value();
  if (!bindWeights(definition, callee, where, path))
    return Value();
  llvm::SmallVector<std::pair<std::string, mlir::Value>> made;
  for (const Param &param : definition.params)
    if (param.isWeight)
      made.push_back({path + "." + param.name.text.str(),
                      callee.variables[param.name.text].value.asMlir()});
  // A weight that the formula does not read is none.
  llvm::scope_exit dropUnread([&] {
    for (auto &[name, weight] : made)
      if (weight.use_empty()) {
        weights.erase(name);
        weight.getDefiningOp()->erase();
      }
  });
  if (definition.isIndexed) {
    for (const Param &param : definition.params)
      if (callee.variables[param.name.text].value.isScalar())
        return error(where,
                     "'" + definition.name.text +
                         "' takes tensors, and reads their elements itself",
                     {"write: " + definition.name.text.str() + "(x)[n, c, i, j]"});
    ++calls;
    Value result = callIndexed(definition, callee, where, path);
    --calls;
    return result;
  }
  std::vector<Value> values;
  for (const Param &param : definition.params) {
    Value &value = callee.variables[param.name.text].value;
    bool numbers = value.isSequence() &&
                   llvm::all_of(value.items(), [](const Value &item) {
                     return item.isNumber();
                   });
    if ((value.isSequence() && !numbers) ||
        value.kind() == ValueKind::Instance)
      return error(where, "'" + definition.name.text +
                              "' takes tensors and numbers, not " +
                              kindText(value));
    values.push_back(value);
  }
  auto formula = [&](std::vector<Value> elements) {
    for (auto [param, element] : llvm::zip(definition.params, elements))
      callee.variables[param.name.text].value = element;
    ++calls;
    llvm::SaveAndRestore enter(frame, &callee);
    Value result = evaluateFormula(definition);
    --calls;
    return result;
  };
  return mapElements(definition.name.text, std::move(values), where, path,
                     formula);
}

Value Elaborator::evaluateFormula(const Definition &definition) {
  if (definition.formula)
    return evaluate(*definition.formula);
  execute(definition.body);
  if (frame->hasReturned || frame->incomplete || aborted)
    return frame->result;
  diags.error(userPlace(definition.name.range),
              "op '" + definition.name.text + "' returns nothing",
              {"its last line is: return x"});
  return Value();
}

/// Makes the weights of an op, whose sizes may depend on its arguments.
bool Elaborator::bindWeights(const Definition &definition, Frame &callee,
                             SMRange where, const std::string &path) {
  llvm::SaveAndRestore enter(frame, &callee);
  for (const Param &param : definition.params) {
    if (!param.isWeight)
      continue;
    if (path.empty()) {
      error(where, "'" + definition.name.text +
                       "' has weights, and is called on tensors, not on "
                       "elements");
      return false;
    }
    if (param.elementType.text != "f32") {
      error(param.elementType.range, "the elements of a weight are f32");
      return false;
    }
    llvm::SmallVector<int64_t> shape;
    for (const Expr *dim : param.dims) {
      Value size = evaluate(*dim);
      if (size.isPoison())
        return false;
      if (!size.isInt() || size.asInt() < 1) {
        error(dim->range, "a size is a whole number above 0, not " +
                              kindText(size));
        return false;
      }
      shape.push_back(size.asInt());
    }
    bool reported = false;
    mlir::OpBuilder::InsertionGuard guard(builder);
    if (formula)
      builder.restoreInsertionPoint(formula->outside);
    mlir::Value weight = makeWeight(
        path + "." + param.name.text.str(), shape, definition.name.text,
        callee.scope.repeats, location(where, path), where, reported);
    if (reported)
      return false;
    callee.variables[param.name.text] = {
        Value::tensor(weight, param.name.range, "weight"), param.name.range};
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Instances: weights that several calls share
//===----------------------------------------------------------------------===//

Value Elaborator::evaluateInstance(const InstanceExpr &expr) {
  const CallExpr &call = *expr.call;
  Value callee = evaluate(*call.callee);
  std::vector<Arg> args;
  bool fine = evaluateArgs(call, callee, args);
  if (callee.isPoison() || !fine)
    return Value();
  bool hasWeights = callee.kind() == ValueKind::Callable &&
                    (callee.asCallable().kind == Callable::Layer ||
                     (callee.asCallable().kind == Callable::Defined &&
                      callee.asCallable().definition->kind != Definition::Op));
  if (!hasWeights)
    return error(call.callee->range,
                 "'instance' is for layers, blocks and models, not " +
                     kindText(callee));
  const Callable &callable = callee.asCallable();
  std::optional<std::string> path = layerPath(callable.name, call.as);
  if (!path)
    return Value();
  auto instance = std::make_shared<Instance>();
  instance->callee = callable;
  instance->args = std::move(args);
  instance->path = *path;
  instance->where = expr.range;
  return Value::instance(std::move(instance));
}

Value Elaborator::callInstance(Instance &instance, std::vector<Arg> args,
                               SMRange where) {
  // The call's own arguments come first: `x -> tower` is `encoder(x, 64)`.
  std::vector<Arg> all;
  auto take = [&](std::vector<Arg> &from, bool named) {
    for (const Arg &arg : from)
      if (arg.name.text.empty() != named)
        all.push_back(arg);
  };
  for (bool named : {false, true}) {
    take(args, named);
    take(instance.args, named);
  }
  bool repeats = frame->scope.repeats || instance.calls > 0;
  ++instance.calls;
  Scope scope{instance.path, {}, repeats};
  if (instance.callee.kind == Callable::Layer)
    return callLayer(instance.callee, std::move(all), where, std::move(scope));
  return callDefinition(*instance.callee.definition, std::move(all), where,
                        std::move(scope));
}

/// A model that another one uses is one instance, whoever calls it.
Value Elaborator::callModel(const Definition &model, std::vector<Arg> args,
                            SMRange where, const StringExpr *as) {
  std::shared_ptr<Instance> instance = models.lookup(&model);
  if (!instance) {
    Scope &scope = frame->scope;
    std::string step = model.name.text.str();
    if (as) {
      std::optional<std::string> path = layerPath("", as);
      if (!path)
        return Value();
      step = *path;
    } else if (!scope.path.empty()) {
      step = scope.path + "." + step;
    }
    instance = std::make_shared<Instance>();
    instance->callee.kind = Callable::Defined;
    instance->callee.name = model.name.text;
    instance->callee.definition = &model;
    instance->path = step;
    instance->where = where;
    models[&model] = instance;
  } else if (as) {
    return error(as->range,
                 "'" + model.name.text +
                     "' is one instance, and has its name "
                     "from its first call",
                 {"the first call is on " +
                  diags.line(instance->where.Start, where.Start)});
  }
  return callInstance(*instance, std::move(args), where);
}
