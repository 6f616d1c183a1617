//===- ElaborateSettings.cpp - Calls that are data for the trainer ---------===//

#include "ElaborateTrain.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;
using Kind = SettingKind;

static std::string numberText(double value) {
  return valueText(Value::real(value));
}

static std::string paramText(const SettingParam &param) {
  std::string text = param.name.str();
  if (auto *number = std::get_if<double>(&param.otherwise))
    return text + "=" + numberText(*number);
  if (auto *flag = std::get_if<bool>(&param.otherwise))
    return text + (*flag ? "=true" : "=false");
  if (auto *word = std::get_if<StringRef>(&param.otherwise))
    return word->empty() ? text : text + "=" + word->str();
  if (auto *list = std::get_if<std::vector<double>>(&param.otherwise)) {
    std::vector<std::string> items;
    for (double item : *list)
      items.push_back(numberText(item));
    return text + "=(" + llvm::join(items, ", ") + ")";
  }
  return text;
}

static std::string signatureText(const Setting &setting) {
  std::vector<std::string> params;
  for (const SettingParam &param : setting.params)
    params.push_back(paramText(param));
  return "write: " + setting.name.str() + "(" + llvm::join(params, ", ") + ")";
}

static bool isOptional(const SettingParam &param) {
  return !std::holds_alternative<std::monostate>(param.otherwise);
}

static bool isWithin(const SettingParam &param, double value) {
  return value >= param.least && value <= param.most;
}

static std::string rangeText(const SettingParam &param) {
  std::string text;
  if (std::isfinite(param.least) && std::isfinite(param.most) && param.most < 1e9)
    return " from " + numberText(param.least) + " to " + numberText(param.most);
  if (std::isfinite(param.least))
    return " of at least " + numberText(param.least);
  return "";
}

mlir::DictionaryAttr TrainElaborator::dictionary(
    llvm::ArrayRef<std::pair<StringRef, mlir::Attribute>> items) {
  llvm::SmallVector<mlir::NamedAttribute> named;
  for (auto [name, value] : items)
    if (value)
      named.push_back(builder.getNamedAttr(name, value));
  return builder.getDictionaryAttr(named);
}

mlir::Attribute TrainElaborator::wrong(const SettingParam &param,
                                       const Argument &arg,
                                       const Twine &wanted) {
  e.error(arg.value->range, "'" + param.name + "' is " + wanted);
  return nullptr;
}

mlir::Attribute TrainElaborator::defaultOf(const SettingParam &param) {
  if (auto *number = std::get_if<double>(&param.otherwise))
    return param.kind == Kind::Whole ? whole(int64_t(*number)) : real(*number);
  if (auto *flag = std::get_if<bool>(&param.otherwise))
    return builder.getBoolAttr(*flag);
  if (auto *word = std::get_if<StringRef>(&param.otherwise))
    return text(*word);
  return builder.getF64ArrayAttr(
      std::get<std::vector<double>>(param.otherwise));
}

/// `5 epochs`, `1000 steps`; a number alone counts epochs.
mlir::Attribute TrainElaborator::duration(const Argument &arg,
                                          const SettingParam &param) {
  auto *number = llvm::dyn_cast<NumberExpr>(arg.value);
  Value value = e.evaluate(*arg.value);
  if (value.hasPoison())
    return nullptr;
  if (!value.isNumber() || value.asReal() <= 0 || value.asReal() > 1e9)
    return wrong(param, arg, "a time, such as 5 epochs or 1000 steps");
  bool steps = number && number->unit == "steps";
  return dictionary({{steps ? "steps" : "epochs", real(value.asReal())}});
}

mlir::Attribute TrainElaborator::normalization(const Argument &arg,
                                               const SettingParam &param) {
  auto pair = [&](llvm::ArrayRef<double> mean, llvm::ArrayRef<double> deviation) {
    return dictionary({{"mean", builder.getF64ArrayAttr(mean)},
                       {"std", builder.getF64ArrayAttr(deviation)}});
  };
  auto *word = llvm::dyn_cast<NameExpr>(arg.value);
  if (word && word->name == "imagenet")
    return pair(imagenetMean, imagenetStd);
  Value value = e.evaluate(*arg.value);
  if (value.hasPoison())
    return nullptr;
  std::vector<double> parts[2];
  bool fits = value.isSequence() && value.items().size() == 2;
  for (int i = 0; fits && i < 2; ++i) {
    const Value &part = value.items()[i];
    llvm::ArrayRef<Value> items = part;
    if (part.isSequence())
      items = part.items();
    for (const Value &item : items) {
      fits &= item.isNumber();
      if (item.isNumber())
        parts[i].push_back(item.asReal());
    }
    fits &= !parts[i].empty();
  }
  if (!fits || llvm::is_contained(parts[1], 0.0))
    return wrong(param, arg,
                 "imagenet, or (mean, deviation), each a number or one for "
                 "each channel");
  return pair(parts[0], parts[1]);
}

mlir::Attribute TrainElaborator::numbers(const Argument &arg,
                                         const SettingParam &param) {
  Value value = e.evaluate(*arg.value);
  if (value.hasPoison())
    return nullptr;
  llvm::ArrayRef<Value> items = value;
  if (value.isSequence())
    items = value.items();
  std::vector<double> found;
  for (const Value &item : items)
    if (item.isNumber() && isWithin(param, item.asReal()))
      found.push_back(item.asReal());
  bool single = param.kind == Kind::Numbers && items.size() == 1;
  bool fits = found.size() == items.size() && !found.empty() &&
              (param.kind == Kind::List || single ||
               found.size() == param.count);
  if (!fits)
    return wrong(param, arg,
                 (param.kind == Kind::List ? "a list of numbers"
                                           : "a number or a pair of numbers") +
                     rangeText(param));
  if (single && !param.alone)
    found.resize(param.count, found.front());
  return builder.getF64ArrayAttr(found);
}

mlir::Attribute TrainElaborator::argument(const SettingFamily &family,
                                          const Setting &setting,
                                          const SettingParam &param,
                                          const Argument &arg) {
  auto *word = llvm::dyn_cast<NameExpr>(arg.value);
  switch (param.kind) {
  case Kind::Duration:
    return duration(arg, param);
  case Kind::Normalize:
    return normalization(arg, param);
  case Kind::Numbers:
  case Kind::List:
    return numbers(arg, param);
  case Kind::Word: {
    if (word && llvm::is_contained(param.words, word->name))
      return text(word->name);
    std::vector<std::string> words(param.words.begin(), param.words.end());
    return wrong(param, arg,
                 joinWords(words, "or") +
                     (word ? ", not '" + word->name + "'" : Twine()));
  }
  case Kind::Metric:
    if (!word)
      return wrong(param, arg, "the name of a metric");
    // Metrics may be named further down.
    namedMetrics.push_back({word->range, word->name.str()});
    return text(word->name);
  case Kind::Settings: {
    auto *list = llvm::dyn_cast<SequenceExpr>(arg.value);
    if (!list || list->items.empty())
      return wrong(param, arg, "a list: [flip(0.5), rotate(10)]");
    llvm::SmallVector<mlir::Attribute> items;
    for (const Expr *item : list->items)
      if (mlir::Attribute made = this->setting(family, *item))
        items.push_back(made);
    return builder.getArrayAttr(items);
  }
  default:
    break;
  }
  Value value = e.evaluate(*arg.value);
  if (value.hasPoison())
    return nullptr;
  switch (param.kind) {
  case Kind::Flag:
    if (value.isBool())
      return builder.getBoolAttr(value.asBool());
    return wrong(param, arg, "true or false, not " + kindText(value));
  case Kind::Text:
    if (value.isText())
      return text(value.asText());
    return wrong(param, arg, "a text in quotes, not " + kindText(value));
  case Kind::Path: {
    if (!value.isText() || value.asText().find('\0') != std::string::npos)
      return wrong(param, arg, "a path in quotes, not " + kindText(value));
    llvm::SmallString<128> path(value.asText());
    llvm::sys::path::make_absolute(
        llvm::sys::path::parent_path(training.file->path), path);
    // The program that trains may run anywhere.
    llvm::sys::fs::make_absolute(path);
    return text(path);
  }
  case Kind::Whole:
    if (value.isInt() && isWithin(param, value.asReal()))
      return whole(value.asInt());
    return wrong(param, arg, "a whole number" + rangeText(param) +
                                 (value.isInt() ? "" : ", not " + kindText(value)));
  default:
    if (value.isNumber() && isWithin(param, value.asReal()))
      return real(value.asReal());
    return wrong(param, arg,
                 "a number" + rangeText(param) +
                     (value.isNumber() ? "" : ", not " + kindText(value)));
  }
}

/// A call of a setting, or its name alone, as {call = "flip", p = 0.5}. The
/// first `given` arguments are something else's. Null where it is wrong.
mlir::DictionaryAttr TrainElaborator::setting(const SettingFamily &family,
                                              const Expr &expr, size_t given) {
  auto *call = llvm::dyn_cast<CallExpr>(&expr);
  auto *name = llvm::dyn_cast<NameExpr>(call ? call->callee : &expr);
  const Setting *found = name ? family.find(name->name) : nullptr;
  if (!found) {
    std::vector<std::string> known;
    for (StringRef other : family.names())
      known.push_back(other.str());
    e.error(call ? call->callee->range : expr.range,
            name ? "'" + name->name + "' is not " + family.what +
                       didYouMean(name->name, family.names())
                 : "expected " + family.what,
            {"there are " + joinWords(known)});
    return nullptr;
  }
  llvm::SmallVector<std::pair<StringRef, mlir::Attribute>> bound = {
      {"call", text(found->name)}};
  llvm::StringSet<> taken;
  bool fine = true;
  size_t next = 0;
  llvm::ArrayRef<Argument> args;
  if (call)
    args = llvm::ArrayRef(call->args).drop_front(given);
  for (const Argument &arg : args) {
    const SettingParam *param = nullptr;
    if (arg.name.text.empty()) {
      if (next == found->params.size()) {
        e.error(arg.value->range,
                "'" + found->name + "' takes " + Twine(found->params.size()) +
                    (found->params.size() == 1 ? " argument" : " arguments") +
                    " and gets one more",
                {signatureText(*found)});
        return nullptr;
      }
      param = &found->params[next++];
    } else {
      auto it = llvm::find_if(found->params, [&](const SettingParam &p) {
        return p.name == arg.name.text;
      });
      if (it == found->params.end()) {
        std::vector<StringRef> names;
        for (const SettingParam &p : found->params)
          names.push_back(p.name);
        e.error(arg.name.range,
                "'" + found->name + "' has no parameter '" + arg.name.text +
                    "'" + didYouMean(arg.name.text, names),
                {signatureText(*found)});
        fine = false;
        continue;
      }
      param = &*it;
    }
    if (!taken.insert(param->name).second) {
      e.error(arg.value->range, "'" + param->name + "' is given twice");
      fine = false;
      continue;
    }
    mlir::Attribute value = argument(family, *found, *param, arg);
    fine &= value != nullptr;
    bound.push_back({param->name, value});
  }
  for (const SettingParam &param : found->params) {
    if (taken.contains(param.name))
      continue;
    if (isOptional(param)) {
      bound.push_back({param.name, defaultOf(param)});
      continue;
    }
    if (fine)
      e.error(name->range, "'" + found->name + "' needs '" + param.name + "'",
              {signatureText(*found)});
    return nullptr;
  }
  return fine ? dictionary(bound) : nullptr;
}

/// `first(...) -> later(...) -> later(...)`.
mlir::ArrayAttr TrainElaborator::chain(const SettingFamily &first,
                                       const SettingFamily &later,
                                       const Expr &expr) {
  llvm::SmallVector<const Expr *> links = {&expr};
  while (auto *call = llvm::dyn_cast<CallExpr>(links.back())) {
    if (!call->arrow)
      break;
    links.push_back(call->args.front().value);
  }
  llvm::SmallVector<mlir::Attribute> made;
  for (auto [i, link] : llvm::enumerate(llvm::reverse(links)))
    if (mlir::Attribute one =
            setting(i == 0 ? first : later, *link, i == 0 ? 0 : 1))
      made.push_back(one);
  if (made.size() != links.size())
    return nullptr;
  return builder.getArrayAttr(made);
}
