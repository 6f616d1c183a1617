//===- ElaborateTrain.cpp - The lines of a train block ---------------------===//

#include "ElaborateTrain.h"
#include "Parser.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// More of either is a mistake.
static constexpr int64_t maxBatch = 1 << 20, maxEpochs = 1000000;

void TrainElaborator::run() {
  // Any line may name an input, wherever that is declared.
  for (bool inputs : {true, false})
    for (const Stmt *statement : training.body) {
      if (e.aborted)
        return;
      if (llvm::isa<InputStmt>(statement) != inputs)
        continue;
      if (auto *clause = llvm::dyn_cast<ClauseStmt>(statement))
        execute(*clause);
      else if (e.countStep(statement->range))
        e.execute(*statement);
    }
  findWeights();
  // What is said of a part counts more than what is said of all.
  for (bool ofParts : {true, false})
    for (const ClauseStmt *clause : aboutParts)
      if (clause->parts.empty() != ofParts)
        (this->*find(clause->keyword.text)->run)(*clause);
  for (const auto &[where, name] : namedMetrics) {
    std::vector<StringRef> known(metricNames.begin(), metricNames.end());
    known.push_back("loss");
    if (!llvm::is_contained(known, name))
      e.error(where, "there is no metric '" + name + "'" +
                         didYouMean(name, known),
              {"a metric gets its name where it is made: metrics top1 = "
               "accuracy(logits, label)"});
  }
  findTurns();
  checkMissing();
  findLastNorms();
  entries["inputs"] = describeInputs();
  entries["name"] = text(training.name.text);
  std::vector<StringRef> names;
  for (const auto &entry : entries)
    names.push_back(entry.first());
  llvm::sort(names);
  llvm::SmallVector<std::pair<StringRef, mlir::Attribute>> items;
  for (StringRef name : names)
    items.push_back({name, entries[name]});
  model->setAttr(cnn::kTrainAttr, dictionary(items));
}

const TrainElaborator::Line *TrainElaborator::find(StringRef word) {
  static constexpr Line lines[] = {
      {"accumulate", &TrainElaborator::number},
      {"average", &TrainElaborator::list},
      {"batch", &TrainElaborator::number},
      {"clip", &TrainElaborator::list},
      {"data", &TrainElaborator::data},
      {"decay", &TrainElaborator::decay},
      {"epochs", &TrainElaborator::number},
      {"freeze", &TrainElaborator::freeze},
      {"from", &TrainElaborator::from},
      {"init", &TrainElaborator::list},
      {"keep", &TrainElaborator::list},
      {"loss", &TrainElaborator::loss},
      {"metrics", &TrainElaborator::metrics},
      {"models", &TrainElaborator::models},
      {"optimizer", &TrainElaborator::optimizer},
      {"penalty", &TrainElaborator::penalty},
      {"precision", &TrainElaborator::precision},
      {"rate", &TrainElaborator::rate},
      {"step", &TrainElaborator::turn},
      {"stop", &TrainElaborator::list},
      {"validate", &TrainElaborator::data}};
  const Line *line =
      llvm::find_if(lines, [&](const Line &l) { return l.word == word; });
  return line == std::end(lines) ? nullptr : line;
}

void TrainElaborator::execute(const ClauseStmt &clause) {
  StringRef word = clause.keyword.text;
  bool repeats = word == "freeze" || !clause.parts.empty();
  if (!repeats) {
    auto [first, fresh] = seen.try_emplace(word, clause.keyword.range);
    if (!fresh) {
      e.error(clause.keyword.range, "'" + word + "' is said twice",
              {"first on " + e.diags.line(first->second.Start,
                                          clause.keyword.range.Start)});
      return;
    }
  }
  static constexpr StringRef aboutWeights[] = {"decay", "freeze", "from", "penalty"};
  if (llvm::is_contained(aboutWeights, word) ||
      (word == "rate" && !clause.parts.empty())) {
    aboutParts.push_back(&clause);
    return;
  }
  (this->*find(word)->run)(clause);
}

/// Whether the line says one thing, without a name.
bool TrainElaborator::only(const ClauseStmt &clause, const Twine &what) {
  if (clause.items.size() == 1 && clause.items[0].name.text.empty())
    return true;
  e.error(clause.range, "'" + clause.keyword.text + "' takes " + what);
  return false;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

void TrainElaborator::data(const ClauseStmt &clause) {
  if (!only(clause, "a source, such as images(\"train/\") -> flip(0.5)"))
    return;
  mlir::ArrayAttr made = chain(sources(), augmentations(), *clause.items[0].value);
  if (!made)
    return;
  entries[clause.keyword.text] = made;
  for (auto call : made.getAsRange<mlir::DictionaryAttr>()) {
    StringRef name = call.getAs<mlir::StringAttr>("call");
    if (name == "coco")
      mostBoxes = std::max(mostBoxes, call.getAs<mlir::IntegerAttr>("most").getInt());
    mixes |= clause.keyword.text == "data" && (name == "mixup" || name == "cutmix");
  }
  if (mixes && seen.contains("loss"))
    e.error(clause.keyword.range, "data that are mixed come before the loss");
}

void TrainElaborator::number(const ClauseStmt &clause) {
  if (!only(clause, "a whole number"))
    return;
  const Expr &expr = *clause.items[0].value;
  Value value = e.evaluate(expr);
  int64_t most = clause.keyword.text == "epochs" ? maxEpochs : maxBatch;
  if (value.isPoison())
    return;
  if (!value.isInt() || value.asInt() < 1 || value.asInt() > most) {
    e.error(expr.range, "'" + clause.keyword.text + "' is a whole number from 1 to " +
                            Twine(most) +
                            (value.isInt() ? "" : ", not " + kindText(value)));
    return;
  }
  entries[clause.keyword.text] = whole(value.asInt());
}

Value TrainElaborator::sourceInput(StringRef name) {
  auto dynamic = mlir::ShapedType::kDynamic;
  llvm::SmallVector<int64_t> shape = {dynamic};
  mlir::Type element = builder.getI32Type();
  if (name == "mask") {
    // As large as the picture.
    for (auto input : model.getBody().front().getOps<cnn::InputOp>()) {
      auto type = mlir::cast<mlir::RankedTensorType>(input.getType());
      if (type.getRank() == 4 && shape.size() == 1)
        llvm::append_range(shape, type.getShape().take_back(2));
    }
    if (shape.size() == 1)
      return Value();
  } else if (name == "boxes" && mostBoxes > 0) {
    // Left, top, right, bottom and class; -1 behind the last.
    llvm::append_range(shape, llvm::ArrayRef<int64_t>{mostBoxes, 5});
    element = builder.getF32Type();
  } else if (name != "label") {
    return modelInput(name);
  }
  auto type = mlir::RankedTensorType::get(shape, element);
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&model.getBody().front());
  SMRange where = training.name.range;
  auto input = cnn::InputOp::create(builder, e.location(where, name), type,
                                    builder.getStringAttr(name), nullptr);
  Value value = Value::tensor(input.getResult(), where, "input");
  e.frame->variables[name] = {value, where};
  return value;
}

mlir::Attribute TrainElaborator::describeInputs() {
  llvm::SmallVector<mlir::Attribute> inputs;
  for (auto input : model.getBody().front().getOps<cnn::InputOp>())
    inputs.push_back(dictionary(
        {{"name", text(input.getName())},
         {"type", mlir::TypeAttr::get(input.getType())},
         {"image", input.getImageAttr()}}));
  return builder.getArrayAttr(inputs);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

void TrainElaborator::optimizer(const ClauseStmt &clause) {
  if (!only(clause, "a rule such as sgd(momentum=0.9)"))
    return;
  const Expr *rule = clause.items[0].value;
  while (true) {
    auto *change = llvm::dyn_cast<CallExpr>(rule);
    auto *name = llvm::dyn_cast<NameExpr>(change ? change->callee : rule);
    bool known = name && optimizerChanges().find(name->name);
    if (!known && !(change && change->arrow))
      break;
    if (!change || change->args.empty() || !change->args[0].name.text.empty()) {
      e.error(rule->range,
              "'" + name->name + "' changes an optimizer, and there is none",
              {"write: momentum(0.9) -> " + name->name.str()});
      return;
    }
    mlir::DictionaryAttr made = setting(optimizerChanges(), *change, /*given=*/1);
    if (!made)
      return;
    StringRef word = made.getAs<mlir::StringAttr>("call");
    if (entries.contains(word)) {
      e.error(change->range, "'" + word + "' is said twice");
      return;
    }
    entries[word] = made;
    rule = change->args[0].value;
  }
  const Expr &expr = *rule;
  auto *call = llvm::dyn_cast<CallExpr>(&expr);
  Value callee = e.evaluate(call ? *call->callee : expr);
  SMRange where = call ? call->callee->range : expr.range;
  std::vector<Arg> args;
  if (callee.isPoison() || (call && !e.evaluateArgs(*call, callee, args)))
    return;
  bool isBlock = callee.kind() == ValueKind::Callable &&
                 callee.asCallable().kind == Callable::Defined &&
                 callee.asCallable().definition->kind != Definition::Model;
  if (!isBlock) {
    e.error(where, "an optimizer is a block over elements, not " + kindText(callee));
    return;
  }
  buildRule(callee.asCallable(), std::move(args), where);
}

void TrainElaborator::rate(const ClauseStmt &clause) {
  if (clause.parts.empty()) {
    if (!only(clause, "a number or a schedule, such as cosine(0.1)"))
      return;
    const Expr &expr = *clause.items[0].value;
    auto *call = llvm::dyn_cast<CallExpr>(&expr);
    auto *name = llvm::dyn_cast<NameExpr>(call ? call->callee : &expr);
    if (call && (call->arrow || (name && rates().find(name->name)))) {
      if (mlir::Attribute made = chain(rates(), rateChanges(), expr))
        entries["rate"] = made;
      return;
    }
    Value value = e.evaluate(expr);
    if (value.isPoison())
      return;
    if (!value.isNumber() || value.asReal() < 0) {
      e.error(expr.range, "'rate' is a number or a schedule, not " + kindText(value));
      return;
    }
    entries["rate"] = builder.getArrayAttr(
        {dictionary({{"call", text("constant")}, {"rate", real(value.asReal())}})});
    return;
  }
  if (!only(clause, "a number, or what it is of the base: 10 * base"))
    return;
  // scale * base + offset, found by asking at two points.
  const Expr &expr = *clause.items[0].value;
  double at[3] = {};
  for (int base = 0; base < 3; ++base) {
    e.frame->variables["base"] = {Value::real(base), clause.keyword.range};
    Value value = e.evaluate(expr);
    if (value.isPoison())
      return;
    if (!value.isNumber()) {
      e.error(expr.range, "'rate' is a number, not " + kindText(value));
      return;
    }
    at[base] = value.asReal();
  }
  e.frame->variables.erase("base");
  double scale = at[1] - at[0], offset = at[0];
  if (std::abs(at[2] - (2 * scale + offset)) > 1e-9 * std::abs(at[2]) ||
      scale < 0 || offset < 0) {
    e.error(expr.range, "'rate' of a part is a number, or a multiple of 'base'");
    return;
  }
  llvm::SmallVector<mlir::NamedAttribute> named;
  if (auto known = llvm::dyn_cast_or_null<mlir::DictionaryAttr>(entries["rates"]))
    llvm::append_range(named, known.getValue());
  mlir::NamedAttrList list(named);
  for (const Identifier &part : clause.parts)
    for (StringRef weight : weightsOf(part))
      list.set(weight, dictionary({{"scale", real(scale)}, {"offset", real(offset)}}));
  entries["rates"] = list.getDictionary(builder.getContext());
}

void TrainElaborator::decay(const ClauseStmt &clause) {
  if (!only(clause, "a number"))
    return;
  const Expr &expr = *clause.items[0].value;
  Value value = e.evaluate(expr);
  if (value.isPoison())
    return;
  if (!value.isNumber() || value.asReal() < 0) {
    e.error(expr.range, "'decay' is a number of at least 0, not " + kindText(value));
    return;
  }
  mlir::NamedAttrList list;
  if (auto known = llvm::dyn_cast_or_null<mlir::DictionaryAttr>(entries["decay"]))
    list.append(known.begin(), known.end());
  auto set = [&](StringRef weight) { list.set(weight, real(value.asReal())); };
  if (clause.parts.empty()) {
    // Weights of conv and linear; vectors are biases and norms. What is said of
    // a part comes before.
    for (auto &[name, op] : weights)
      if (mlir::cast<mlir::RankedTensorType>(op.getType()).getRank() >= 2 &&
          !list.get(name))
        set(name);
  }
  for (const Identifier &part : clause.parts)
    for (StringRef weight : weightsOf(part))
      set(weight);
  entries["decay"] = list.getDictionary(builder.getContext());
}

void TrainElaborator::list(const ClauseStmt &clause) {
  struct Row {
    StringRef word;
    const SettingFamily &(*family)();
  };
  static constexpr Row rows[] = {{"average", averages},
                                 {"clip", clippings},
                                 {"init", initializations},
                                 {"keep", keeps},
                                 {"stop", stops}};
  StringRef word = clause.keyword.text;
  const SettingFamily &family =
      llvm::find_if(rows, [&](const Row &row) { return row.word == word; })->family();
  llvm::SmallVector<mlir::Attribute> made;
  for (const Argument &item : clause.items) {
    if (!item.name.text.empty())
      e.error(item.name.range, "'" + word + "' takes no names");
    else if (mlir::Attribute one = setting(family, *item.value))
      made.push_back(one);
  }
  entries[word] = builder.getArrayAttr(made);
}

void TrainElaborator::precision(const ClauseStmt &clause) {
  auto *name = clause.items.size() == 1
                   ? llvm::dyn_cast<NameExpr>(clause.items[0].value)
                   : nullptr;
  if (name && cnn::symbolizePrecision(name->name)) {
    entries["precision"] = text(name->name);
    return;
  }
  e.error(clause.range, "'precision' is f32 or bf16");
}

//===----------------------------------------------------------------------===//
// Parts of the model
//===----------------------------------------------------------------------===//

void TrainElaborator::findWeights() {
  for (auto weight : model.getBody().front().getOps<cnn::WeightOp>())
    weights[weight.getName()] = weight;
}

/// The weights whose names begin with a path, or are it.
std::vector<StringRef> TrainElaborator::weightsOf(const Identifier &part) {
  std::vector<StringRef> found, known;
  for (auto &[name, op] : weights) {
    known.push_back(name);
    for (size_t dot = name.find('.'); dot != StringRef::npos;
         dot = name.find('.', dot + 1))
      known.push_back(name.take_front(dot));
    if (name == part.text || name.starts_with((part.text + ".").str()))
      found.push_back(name);
  }
  if (found.empty() && !e.frame->incomplete)
    e.error(part.range, "the model has no weights of '" + part.text + "'" +
                            didYouMean(part.text, known));
  return found;
}

void TrainElaborator::freeze(const ClauseStmt &clause) {
  Value until;
  if (clause.until) {
    until = e.evaluate(*clause.until);
    if (until.isPoison())
      return;
    if (!until.isInt() || until.asInt() < 1) {
      e.error(clause.until->range, "an epoch is a whole number, counted from 1");
      return;
    }
  }
  llvm::SmallVector<mlir::Attribute> frozen;
  mlir::NamedAttrList thawed;
  if (auto known = llvm::dyn_cast_or_null<mlir::ArrayAttr>(entries["frozen"]))
    llvm::append_range(frozen, known);
  if (auto known = llvm::dyn_cast_or_null<mlir::DictionaryAttr>(entries["thaw"]))
    thawed.append(known.begin(), known.end());
  for (const Identifier &part : clause.parts)
    for (StringRef weight : weightsOf(part)) {
      if (clause.until)
        thawed.set(weight, whole(until.asInt()));
      else
        frozen.push_back(text(weight));
    }
  if (!frozen.empty())
    entries["frozen"] = builder.getArrayAttr(frozen);
  if (thawed.empty())
    return;
  entries["thaw"] = thawed.getDictionary(builder.getContext());
  // Until then their rate is 0, and so an input.
  mlir::NamedAttrList own;
  if (auto known = llvm::dyn_cast_or_null<mlir::DictionaryAttr>(entries["rates"]))
    own.append(known.begin(), known.end());
  for (mlir::NamedAttribute weight : thawed)
    if (!own.get(weight.getName()))
      own.set(weight.getName(), dictionary({{"scale", real(1)}, {"offset", real(0)}}));
  entries["rates"] = own.getDictionary(builder.getContext());
}

void TrainElaborator::from(const ClauseStmt &clause) {
  if (!only(clause, "a safetensors file"))
    return;
  static const SettingParam file = {"from", SettingKind::Path};
  mlir::Attribute path =
      argument(sources(), sources().settings.front(), file, clause.items[0]);
  if (!clause.parts.empty() && !clause.isException())
    return fromOfParts(clause, path);
  llvm::SmallVector<mlir::Attribute> except;
  for (const Identifier &part : clause.parts)
    for (StringRef weight : weightsOf(part))
      except.push_back(text(weight));
  if (path)
    entries["from"] =
        dictionary({{"path", path}, {"except", builder.getArrayAttr(except)}});
}

/// A file of a part alone, whose names do without the part's.
void TrainElaborator::fromOfParts(const ClauseStmt &clause, mlir::Attribute path) {
  llvm::SmallVector<mlir::Attribute> files;
  if (auto known = llvm::dyn_cast_or_null<mlir::ArrayAttr>(entries["from_parts"]))
    llvm::append_range(files, known);
  for (const Identifier &part : clause.parts) {
    llvm::SmallVector<mlir::Attribute> names;
    for (StringRef weight : weightsOf(part))
      if (weight != part.text)
        names.push_back(text(weight.drop_front(part.text.size() + 1)));
    if (path)
      files.push_back(dictionary({{"path", path},
                                  {"part", text(part.text)},
                                  {"weights", builder.getArrayAttr(names)}}));
  }
  entries["from_parts"] = builder.getArrayAttr(files);
}

/// The norms whose results are added to a shortcut: with zeros there a block
/// begins as the identity. Of two norms, that of the longer way.
void TrainElaborator::findLastNorms() {
  bool asked = false;
  if (auto init = llvm::dyn_cast_or_null<mlir::ArrayAttr>(entries["init"]))
    for (auto call : init.getAsRange<mlir::DictionaryAttr>())
      asked |= call.getAs<mlir::StringAttr>("call") == "zero_last_norm";
  if (!asked) {
    if (!entries["init"])
      entries.erase("init");
    return;
  }
  llvm::DenseMap<mlir::Value, unsigned> depths;
  llvm::SmallVector<mlir::Attribute> names;
  for (mlir::Operation &op : model.getBody().front()) {
    unsigned depth = 0;
    for (mlir::Value operand : op.getOperands())
      depth = std::max(depth, depths.lookup(operand) + 1);
    for (mlir::Value result : op.getResults())
      depths[result] = depth;
    auto map = llvm::dyn_cast<cnn::MapOp>(op);
    if (!map || map.getInputs().size() < 2 ||
        map.getBody().getOps<mlir::arith::AddFOp>().empty())
      continue;
    cnn::BatchNormOp last;
    for (mlir::Value input : map.getInputs())
      if (auto norm = input.getDefiningOp<cnn::BatchNormOp>())
        if (!last || depths[input] > depths[last.getResult()])
          last = norm;
    auto weight = last ? last.getWeight().getDefiningOp<cnn::WeightOp>() : nullptr;
    if (weight)
      names.push_back(text(weight.getName()));
  }
  entries["last_norms"] = builder.getArrayAttr(names);
}

void TrainElaborator::checkMissing() {
  struct Row {
    StringRef word, example;
  };
  static constexpr Row rows[] = {{"data", "data images(\"train/\") -> flip(0.5)"},
                                 {"epochs", "epochs 30"},
                                 {"loss", "loss cross_entropy(logits, label)"},
                                 {"optimizer", "optimizer sgd(momentum=0.9)"},
                                 {"rate", "rate cosine(0.1)"}};
  for (const Row &row : rows)
    if (row.word == "loss" && !players.empty())
      continue;
    else if (!seen.contains(row.word) && !training.broken && !e.frame->incomplete)
      e.error(training.name.range,
              "training '" + training.name.text + "' needs '" + row.word + "'",
              {"write: " + row.example.str()});
  if (!entries.contains("batch"))
    entries["batch"] = whole(32);
}
