//===- ElaborateLayer.cpp - Calls of layers -------------------------------===//
//
// Binds a call to the parameters that the layer's operation declares, and has
// the operation build itself.
//
//===----------------------------------------------------------------------===//

#include "Elaborator.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::dsl;
using cnn::LayerParam;
using cnn::LayerValue;
using cnn::ParamKind;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// The parameter that no single layer declares.
static constexpr llvm::StringLiteral kMaxError = "max_error";

/// Sizes, strides and counts beyond this are mistakes, and would overflow.
static constexpr int64_t maxNumber = int64_t(1) << 24;

namespace halcyon::dsl {

class LayerBinder final : public cnn::LayerContext {
public:
  LayerBinder(Elaborator &elaborator, const Callable &callee, SMRange where,
              Scope scope)
      : LayerContext(elaborator.builder,
                     elaborator.location(where, scope.path)),
        elaborator(elaborator), name(callee.name), where(where),
        scope(std::move(scope)),
        interface(callee.layer->getInterface<cnn::LayerOpInterface>()),
        signature(interface->layerSignature()) {}

  Value run(const std::vector<Arg> &given);

  mlir::Value weight(StringRef role, llvm::ArrayRef<int64_t> shape) override;
  mlir::LogicalResult error(StringRef param, const Twine &message,
                            const Twine &note) override;
  std::string describe(mlir::Value tensor) override {
    return elaborator.describe(tensor);
  }

private:
  bool bind(const std::vector<Arg> &given);
  bool bindOne(const LayerParam &param, const Arg &arg);
  bool bindTensors(const LayerParam &param, const std::vector<Arg> &given,
                   size_t &position);
  std::optional<LayerValue> convert(const LayerParam &param, const Arg &arg);
  std::optional<std::string> word(const LayerParam &param, const Arg &arg);
  std::optional<std::vector<int64_t>> integers(const LayerParam &param,
                                               const Arg &arg);
  std::optional<int64_t> integer(const Value &value) const;
  bool bindMaxError(const Arg &arg);
  bool boundError(llvm::ArrayRef<mlir::Value> results);
  bool reject(const LayerParam &param, const Arg &arg);
  std::string signatureText() const;
  const LayerParam *find(StringRef param) const {
    auto it = llvm::find_if(
        signature.params, [&](const LayerParam &p) { return p.name == param; });
    return it == signature.params.end() ? nullptr : &*it;
  }

  Elaborator &elaborator;
  StringRef name;
  SMRange where;
  Scope scope;
  cnn::LayerOpInterface::Concept *interface;
  cnn::LayerSignature signature;
  llvm::StringMap<SMRange> places;
  std::optional<double> maxError;
  bool poisoned = false, reported = false;
};

} // namespace halcyon::dsl

static std::string paramText(const LayerParam &param) {
  auto number = [](double value) { return valueText(Value::real(value)); };
  std::string text = param.name;
  if (param.kind == ParamKind::Tensors)
    text += "...";
  const LayerValue &value = param.defaultValue;
  if (auto *integer = std::get_if<int64_t>(&value))
    text += "=" + std::to_string(*integer);
  else if (auto *real = std::get_if<double>(&value))
    text += "=" + number(*real);
  else if (auto *flag = std::get_if<bool>(&value))
    text += *flag ? "=true" : "=false";
  else if (auto *word = std::get_if<std::string>(&value))
    text += "=" + *word;
  else if (auto *numbers = std::get_if<std::vector<int64_t>>(&value)) {
    if (llvm::all_equal(*numbers) && !numbers->empty())
      return text + "=" + std::to_string(numbers->front());
    std::vector<std::string> items;
    for (int64_t n : *numbers)
      items.push_back(std::to_string(n));
    text += "=(" + llvm::join(items, ", ") + ")";
  }
  return text;
}

std::string LayerBinder::signatureText() const {
  std::vector<std::string> params;
  for (const LayerParam &param : signature.params)
    params.push_back(paramText(param));
  return "write: " + name.str() + "(" + llvm::join(params, ", ") + ")";
}

//===----------------------------------------------------------------------===//
// What a parameter takes
//===----------------------------------------------------------------------===//

static std::string expectation(const LayerParam &param) {
  auto oneOf = [&] { return "one of " + joinWords(param.enumerants, "or"); };
  switch (param.kind) {
  case ParamKind::Tensor:
    return "a tensor";
  case ParamKind::Tensors:
    return "tensors";
  case ParamKind::Int:
    return "a whole number";
  case ParamKind::Pair:
    return "a whole number or a pair (height, width)";
  case ParamKind::Pad:
    return (param.enumerants.empty() ? "" : oneOf() + ", ") +
           "a number, (vertical, horizontal) or (top, left, bottom, right)";
  case ParamKind::Float:
    return "a number";
  case ParamKind::Bool:
    return "true or false";
  case ParamKind::Enum:
    return oneOf();
  case ParamKind::Shape:
    return "a tuple of whole numbers";
  }
  llvm_unreachable("a kind");
}

bool LayerBinder::reject(const LayerParam &param, const Arg &arg) {
  reported = true;
  bool takesWord =
      param.kind == ParamKind::Enum || param.kind == ParamKind::Pad;
  std::string text;
  if (arg.value.kind() == ValueKind::Word)
    text = arg.value.asText();
  else if (takesWord && arg.value.kind() == ValueKind::Callable)
    text = arg.value.asCallable().name.str();
  if (!text.empty() && !llvm::is_contained(param.enumerants, text)) {
    std::vector<StringRef> near(param.enumerants.begin(),
                                param.enumerants.end());
    if (!takesWord)
      near = elaborator.visibleNames();
    std::string suggestion = didYouMean(text, near);
    if (elaborator.frame->file->incomplete && !takesWord && suggestion.empty())
      return false;
    std::string message =
        takesWord ? "'" + param.name + "' is " + expectation(param) +
                        ", not '" + printable(text) + "'"
                  : "nothing is called '" + printable(text) + "' here";
    elaborator.error(arg.range, message + suggestion);
    return false;
  }
  std::vector<std::string> notes;
  bool first = &param == &signature.params.front();
  if (param.kind == ParamKind::Tensor && first && !arg.value.isScalar())
    notes.push_back("write: x -> " + name.str() + "(...)");
  if (arg.value.isScalar())
    notes.push_back("an op sees single elements; a layer goes into a block");
  bool tensors =
      param.kind == ParamKind::Tensors || param.kind == ParamKind::Tensor;
  std::string subject =
      (tensors && first ? "'" + name + "' takes "
                        : "'" + param.name + "' of '" + name + "' is ")
          .str();
  elaborator.error(
      arg.range, subject + expectation(param) + ", not " + kindText(arg.value),
      std::move(notes));
  return false;
}

/// A whole number within reason; 2.0 is one.
std::optional<int64_t> LayerBinder::integer(const Value &value) const {
  if (!value.isNumber() || std::fabs(value.asReal()) > maxNumber ||
      value.asReal() != std::floor(value.asReal()))
    return std::nullopt;
  return static_cast<int64_t>(value.asReal());
}

std::optional<std::vector<int64_t>>
LayerBinder::integers(const LayerParam &param, const Arg &arg) {
  std::vector<int64_t> numbers;
  if (std::optional<int64_t> single = integer(arg.value)) {
    numbers.push_back(*single);
  } else {
    if (!arg.value.isSequence())
      return std::nullopt;
    for (const Value &item : arg.value.items()) {
      std::optional<int64_t> number = integer(item);
      if (!number)
        return std::nullopt;
      numbers.push_back(*number);
    }
  }
  size_t count = numbers.size();
  if (param.kind == ParamKind::Shape)
    return numbers;
  if (param.kind == ParamKind::Pair) {
    if (count == 1)
      numbers.push_back(numbers[0]);
    return numbers.size() == 2 ? std::optional(numbers) : std::nullopt;
  }
  if (count == 1)
    return std::vector<int64_t>(4, numbers[0]);
  if (count == 2)
    return std::vector<int64_t>{numbers[0], numbers[1], numbers[0], numbers[1]};
  return count == 4 ? std::optional(numbers) : std::nullopt;
}

/// The enumerant that an argument is. It may have the name of a function, as
/// long as no variable has it.
std::optional<std::string> LayerBinder::word(const LayerParam &param,
                                             const Arg &arg) {
  std::string text;
  if (arg.value.isText())
    text = arg.value.asText();
  else if (auto *bare = llvm::dyn_cast_or_null<NameExpr>(arg.expr))
    if (arg.value.kind() == ValueKind::Callable &&
        !elaborator.frame->variables.contains(bare->name))
      text = bare->name.str();
  if (llvm::is_contained(param.enumerants, text))
    return text;
  return std::nullopt;
}

std::optional<LayerValue> LayerBinder::convert(const LayerParam &param,
                                               const Arg &arg) {
  const Value &value = arg.value;
  switch (param.kind) {
  case ParamKind::Tensor:
    if (value.isTensor())
      return value.asMlir();
    return std::nullopt;
  case ParamKind::Int:
    if (std::optional<int64_t> number = integer(value))
      return *number;
    return std::nullopt;
  case ParamKind::Float:
    if (value.isNumber())
      return value.asReal();
    return std::nullopt;
  case ParamKind::Bool:
    if (value.isBool())
      return value.asBool();
    return std::nullopt;
  case ParamKind::Enum:
  case ParamKind::Pad:
    if (std::optional<std::string> text = word(param, arg))
      return *text;
    if (param.kind == ParamKind::Enum)
      return std::nullopt;
    [[fallthrough]];
  case ParamKind::Pair:
  case ParamKind::Shape:
    if (auto numbers = integers(param, arg))
      return *numbers;
    return std::nullopt;
  case ParamKind::Tensors:
    llvm_unreachable("bound by bindTensors");
  }
  llvm_unreachable("a kind");
}

//===----------------------------------------------------------------------===//
// Binding
//===----------------------------------------------------------------------===//

bool LayerBinder::bindOne(const LayerParam &param, const Arg &arg) {
  places[param.name] = arg.range;
  if (arg.value.hasPoison()) {
    poisoned = true;
    args[param.name] = std::monostate{};
    return true;
  }
  if (std::optional<LayerValue> value = convert(param, arg)) {
    args[param.name] = std::move(*value);
    return true;
  }
  // A number that only is too large, or broken, says so.
  if (arg.value.isNumber() &&
      (param.kind == ParamKind::Int || param.kind == ParamKind::Pair ||
       param.kind == ParamKind::Pad)) {
    reported = true;
    bool large = std::fabs(arg.value.asReal()) > maxNumber;
    elaborator.error(
        arg.range, "'" + param.name + "' is " +
                       (large ? "too large"
                              : "a whole number, not " + valueText(arg.value)));
    return false;
  }
  return reject(param, arg);
}

/// Takes the leading tensors, and lists of tensors, of a call.
bool LayerBinder::bindTensors(const LayerParam &param,
                              const std::vector<Arg> &given, size_t &position) {
  std::vector<mlir::Value> tensors;
  bool fine = true;
  for (; position < given.size(); ++position) {
    const Arg &arg = given[position];
    bool named = !arg.name.text.empty();
    if (named && arg.name.text != param.name)
      break;
    places.try_emplace(param.name, arg.range);
    if (arg.value.hasPoison()) {
      poisoned = true;
    } else if (arg.value.isTensor()) {
      tensors.push_back(arg.value.asMlir());
    } else if (arg.value.isSequence()) {
      for (const Value &item : arg.value.items()) {
        if (item.isTensor()) {
          tensors.push_back(item.asMlir());
          continue;
        }
        reported = true;
        elaborator.error(arg.range, "'" + name +
                                        "' joins tensors, and the "
                                        "list holds " +
                                        kindText(item));
        fine = false;
        break;
      }
    } else if (!named && !tensors.empty() && signature.params.size() > 1) {
      break;
    } else {
      reject(param, arg);
      fine = false;
    }
  }
  args[param.name] = std::move(tensors);
  return fine;
}

/// Every layer with structure takes it, by name.
bool LayerBinder::bindMaxError(const Arg &arg) {
  if (!places.try_emplace(kMaxError, arg.range).second) {
    elaborator.error(arg.name.range,
                     "'" + Twine(kMaxError) + "' is given twice");
    return false;
  }
  poisoned |= arg.value.hasPoison();
  maxError = elaborator.maxError(arg.value, arg.range);
  return maxError || poisoned;
}

bool LayerBinder::bind(const std::vector<Arg> &given) {
  const std::vector<LayerParam> &params = signature.params;
  bool fine = true;
  size_t position = 0, next = 0;
  if (!params.empty() && params[0].kind == ParamKind::Tensors) {
    fine = bindTensors(params[0], given, position);
    next = 1;
  }
  for (; position < given.size(); ++position) {
    const Arg &arg = given[position];
    const LayerParam *param = nullptr;
    if (arg.name.text == kMaxError) {
      fine &= bindMaxError(arg);
      continue;
    }
    if (arg.name.text.empty()) {
      if (next == params.size()) {
        elaborator.error(arg.range,
                         "'" + name + "' takes " + Twine(params.size()) +
                             (params.size() == 1 ? " argument" : " arguments") +
                             " and gets one more",
                         {signatureText()});
        return false;
      }
      param = &params[next++];
    } else if (!(param = find(arg.name.text))) {
      std::vector<StringRef> names;
      for (const LayerParam &p : params)
        names.push_back(p.name);
      names.push_back(kMaxError);
      elaborator.error(arg.name.range,
                       "'" + name + "' has no parameter '" + arg.name.text +
                           "'" + didYouMean(arg.name.text, names),
                       {signatureText()});
      fine = false;
      continue;
    } else if (places.contains(param->name)) {
      elaborator.error(arg.name.range, "'" + param->name + "' is given twice",
                       {signatureText()});
      fine = false;
      continue;
    }
    fine &= bindOne(*param, arg);
  }
  for (const LayerParam &param : params) {
    if (places.contains(param.name))
      continue;
    bool hasDefault = param.optional || !std::holds_alternative<std::monostate>(
                                            param.defaultValue);
    if (hasDefault) {
      args[param.name] = param.defaultValue;
      continue;
    }
    // With a wrong argument, what is missing is hard to tell.
    if (fine)
      elaborator.error(where, "'" + name + "' needs '" + param.name + "'",
                       {signatureText()});
    return false;
  }
  return fine;
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

mlir::LogicalResult LayerBinder::error(StringRef param, const Twine &message,
                                       const Twine &note) {
  reported = true;
  auto place = places.find(param);
  std::vector<std::string> notes;
  if (!note.isTriviallyEmpty())
    notes.push_back(note.str());
  llvm::erase_if(notes, [](const std::string &text) { return text.empty(); });
  elaborator.error(place == places.end() ? where : place->second, message,
                   std::move(notes));
  return mlir::failure();
}

/// Gives the layer's operation the bound of the call, or of a model around it.
bool LayerBinder::boundError(llvm::ArrayRef<mlir::Value> results) {
  std::optional<double> bound = maxError;
  if (!bound)
    bound = elaborator.calledMaxError();
  if (!bound)
    return true;
  bool taken = false;
  for (mlir::Value result : results) {
    // A layer that does nothing returns what another one made.
    mlir::Operation *op = result.getDefiningOp();
    if (!op || op->getLoc() != loc || !cnn::takesMaxError(op))
      continue;
    op->setAttr(cnn::kMaxErrorAttr, builder.getF64FloatAttr(*bound));
    taken = true;
  }
  if (taken || !maxError)
    return true;
  elaborator.error(places[kMaxError],
                   "'" + name + "' is exact in any case: '" + kMaxError +
                       "' is for layers such as conv and linear");
  return false;
}

mlir::Value LayerBinder::weight(StringRef role, llvm::ArrayRef<int64_t> shape) {
  return elaborator.makeWeight(scope.path + "." + role.str(), shape, name,
                               scope.repeats, loc, where, reported);
}

mlir::Value Elaborator::makeWeight(const std::string &path,
                                   llvm::ArrayRef<int64_t> shape,
                                   StringRef name, bool repeats,
                                   mlir::Location loc, SMRange where,
                                   bool &reported) {
  mlir::Type type = mlir::RankedTensorType::get(shape, builder.getF32Type());
  SMRange place = userPlace(where);
  auto make = [&] {
    return cnn::WeightOp::create(builder, loc, type,
                                 builder.getStringAttr(path));
  };
  auto found = weights.find(path);
  if (found == weights.end()) {
    if (!checkSize(shape, where))
      reported = true;
    mlir::Value value = make();
    weights[path] = {value, place};
    return value;
  }
  Weight &weight = found->second;
  std::string line = diags.line(weight.where.Start, place.Start);
  if (!repeats) {
    if (!reported)
      error(where, "two layers have the weight '" + path + "'",
            {"the other is on " + line +
                 "; another name after 'as' tells them apart",
             "to share weights on purpose: f = instance " + name.str() +
                 "(...)"});
    reported = true;
  } else if (weight.value.getType() != type) {
    auto text = [](mlir::Type t) {
      std::vector<std::string> sizes;
      for (int64_t n : mlir::cast<mlir::RankedTensorType>(t).getShape())
        sizes.push_back(std::to_string(n));
      return llvm::join(sizes, "x");
    };
    error(where,
          "the shared weight '" + path + "' is " +
              text(weight.value.getType()) + ", and this call needs " +
              text(type),
          {"it was made on " + line});
    reported = true;
    return make();
  }
  return weight.value;
}

Value LayerBinder::run(const std::vector<Arg> &given) {
  if (!bind(given) || poisoned)
    return Value();
  // What an operation finds wrong with itself is said in its own terms; the
  // user gets the sentence without the names of this program's insides.
  std::string complaint;
  mlir::ScopedDiagnosticHandler handler(builder.getContext(),
                                        [&](mlir::Diagnostic &diagnostic) {
                                          complaint = diagnostic.str();
                                          return mlir::success();
                                        });
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> results =
      interface->buildLayer(*this);
  if (mlir::failed(results) || reported || results->empty()) {
    if (!reported) {
      StringRef text = complaint;
      if (text.starts_with("'"))
        text = text.drop_front().split("' op ").second;
      elaborator.error(where, text.empty() ? "'" + name + "' cannot take this"
                                           : "'" + name + "': " + text);
    }
    return Value();
  }
  if (!boundError(*results))
    return Value();
  std::vector<Value> values;
  for (mlir::Value result : *results) {
    auto type = mlir::cast<mlir::RankedTensorType>(result.getType());
    if (!elaborator.checkSize(type.getShape(), where))
      return Value();
    values.push_back(Value::tensor(result, where, name));
  }
  return values.size() == 1 ? values.front()
                            : Value::sequence(false, std::move(values));
}

Value Elaborator::callLayer(const Callable &callee, std::vector<Arg> args,
                            SMRange where, Scope scope) {
  // In a formula, tensors are made before it.
  mlir::OpBuilder::InsertionGuard guard(builder);
  if (formula)
    builder.restoreInsertionPoint(formula->outside);
  return LayerBinder(*this, callee, where, std::move(scope)).run(args);
}
