//===- ElaborateModel.cpp - A model, its parameters, inputs and outputs ---===//

#include "ElaborateTrain.h"
#include "Parser.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SMRange;
using llvm::StringRef;
using llvm::Twine;

/// More labels than any set of classes has.
static constexpr uint64_t maxLabelFile = 16 << 20;
static constexpr int64_t maxExtent = int64_t(1) << 20;

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

const Definition *Elaborator::chooseModel(const File &file) {
  std::vector<StringRef> names;
  const Definition *last = nullptr;
  for (const auto &definition : file.definitions) {
    if (definition->kind != Definition::Model)
      continue;
    names.push_back(definition->name.text);
    last = definition.get();
    if (definition->name.text == options.model)
      return last;
  }
  if (!options.model.empty()) {
    const Definition *broken = file.find(options.model);
    if (!broken || broken->kind != Definition::Broken)
      diags.error("'" + file.path + "' has no model '" + options.model + "'" +
                  didYouMean(options.model, names));
    return nullptr;
  }
  if (!last && !file.incomplete)
    diags.error("'" + file.path + "' has no model",
                {"a model begins: model name(classes = 10) { ... }"});
  return last;
}

void Elaborator::bindModelParams(const Definition &model, Frame &frame) {
  std::vector<StringRef> names;
  for (const Param &param : model.params)
    names.push_back(param.name.text);
  for (const auto &[name, text] : options.set) {
    if (!llvm::is_contained(names, name)) {
      diags.error(
          "--set " + name + "=" + text + ": model '" + model.name.text +
              "' has no parameter '" + name + "'" + didYouMean(name, names),
          names.empty() ? std::vector<std::string>{}
                        : std::vector<std::string>{"its parameters: " +
                                                   llvm::join(names, ", ")});
      continue;
    }
    // Parsed as the language writes it: 10, 0.5, true, (64, 128), relu.
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(text, "--set " + name);
    StringRef value = buffer->getBuffer();
    diags.sourceMgr().AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
    Expr *expr = parseExpression(value, diags, optionValues);
    frame.variables[name] = {expr ? evaluate(*expr) : Value(),
                             model.name.range};
  }
  for (const Param &param : model.params) {
    if (frame.variables.contains(param.name.text))
      continue;
    Value value;
    if (param.defaultValue)
      value = evaluate(*param.defaultValue);
    else
      error(param.name.range, "'" + param.name.text + "' has no value",
            {"give it one here, or with --set " + param.name.text.str() +
             "=..."});
    frame.variables[param.name.text] = {value, param.name.range};
  }
}

void Elaborator::bindProperties(const Definition &model) {
  static constexpr StringRef known[] = {"max_error"};
  for (const Argument &property : model.properties) {
    StringRef name = property.name.text;
    if (!llvm::is_contained(known, name))
      error(property.name.range,
            "a model has no property '" + name + "'" + didYouMean(name, known));
    else if (frame->maxError)
      error(property.name.range, "'" + name + "' is given twice");
    else
      frame->maxError = maxError(evaluate(*property.value), property.value->range);
  }
}

std::optional<double> Elaborator::maxError(const Value &value, SMRange where) {
  if (value.hasPoison())
    return std::nullopt;
  if (value.isNumber() && value.asReal() >= cnn::kLeastMaxError &&
      value.asReal() <= cnn::kMostMaxError)
    return value.asReal();
  auto number = [](double x) { return valueText(Value::real(x)); };
  error(where,
        "'max_error' is a number from " + number(cnn::kLeastMaxError) + " to " +
            number(cnn::kMostMaxError) +
            (value.isNumber() ? std::string() : ", not " + kindText(value)),
        {"it is the largest difference from the exact result, over the largest "
         "value of the result; " +
         number(cnn::kDefaultMaxError) + " where nothing is said"});
  return std::nullopt;
}

std::optional<double> Elaborator::calledMaxError() const {
  for (const Frame *at = frame; at && !at->isTop; at = at->caller)
    if (at->maxError)
      return at->maxError;
  return std::nullopt;
}

/// Options that name no input are mistakes too.
void Elaborator::checkLeftOver(const Definition &model) {
  std::vector<StringRef> names;
  for (const auto &name : frame->portNames)
    if (name.first().starts_with("input "))
      names.push_back(name.first().drop_front(6));
  llvm::sort(names);
  for (const auto &[name, shape] : options.shapes)
    if (!llvm::is_contained(names, name) && !frame->incomplete)
      diags.error("--shape " + name + ": model '" + model.name.text +
                      "' has no input '" + name + "'" + didYouMean(name, names),
                  {"its inputs: " + llvm::join(names, ", ")});
}

/// The train block of the model that is asked for, or the last one.
const Training *Elaborator::chooseTraining(const File &file) {
  std::vector<StringRef> names;
  for (const auto &training : file.trainings) {
    names.push_back(training->name.text);
    if (options.model.empty() || training->name.text == options.model)
      if (training == file.trainings.back() || !options.model.empty())
        return training.get();
  }
  if (!file.incomplete && !diags.hasErrors())
    diags.error(options.model.empty()
                    ? "'" + file.path + "' says nothing of training"
                    : "'" + file.path + "' does not train '" + options.model +
                          "'" + didYouMean(options.model, names),
                {"a train block begins: train name { data ... }"});
  return nullptr;
}

/// What a train block is about: the model of its name, or models that it names
/// itself.
const Definition *Elaborator::modelOf(const Training &training) {
  const Definition *model = training.file->find(training.name.text);
  for (const ImportItem &item : training.file->imports)
    if (!model && item.file)
      model = item.file->find(training.name.text);
  if (model && model->kind == Definition::Model)
    return model;
  bool named = llvm::any_of(training.body, [](const Stmt *statement) {
    auto *clause = llvm::dyn_cast<ClauseStmt>(statement);
    return clause && clause->keyword.text == "models";
  });
  if (named)
    return &training.models;
  bool broken = training.file->incomplete || training.broken ||
                (model && model->kind == Definition::Broken);
  if (!broken)
    diags.error(training.name.range,
                "there is no model '" + training.name.text + "' to train");
  return nullptr;
}

mlir::OwningOpRef<mlir::ModuleOp> Elaborator::run(const File &file) {
  const Training *training = options.train ? chooseTraining(file) : nullptr;
  if (options.train && !training)
    return nullptr;
  const Definition *model = training ? modelOf(*training) : chooseModel(file);
  if (!model)
    return nullptr;
  Frame top{&file, model, nullptr, model->name.range, Scope{}};
  top.isTop = true;
  llvm::SaveAndRestore enter(frame, &top);

  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(location(model->name.range, ""));
  builder.setInsertionPointToEnd(module->getBody());
  auto modelOp = cnn::ModelOp::create(builder, location(model->name.range, ""),
                                      model->name.text);
  builder.createBlock(&modelOp.getBody());

  bindModelParams(*model, top);
  bindProperties(*model);
  if (top.maxError)
    modelOp->setAttr(cnn::kMaxErrorAttr,
                     builder.getF64FloatAttr(*top.maxError));
  execute(model->body);
  if (!training)
    average(*model);
  if (training) {
    TrainElaborator elaborator(*this, *training, modelOp);
    llvm::SaveAndRestore enter(trainer, &elaborator);
    elaborator.run();
  }
  checkLeftOver(*model);
  bool whole = !top.incomplete && !file.incomplete && !aborted;
  bool inTurn = training && model == &training->models;
  if (top.outputs.empty() && whole && !inTurn)
    error(model->name.range, "model '" + model->name.text + "' has no output",
          {"its last line is: output x"});
  if (diags.hasErrors())
    return nullptr;

  // Whatever the layers let through is said without their internals.
  std::string complaint;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) {
        if (complaint.empty()) {
          cnn::LayerLocation at = cnn::layerLocation(diagnostic.getLocation());
          complaint = at.file + ":" + std::to_string(at.line) + ": " + at.path +
                      " cannot be built";
        }
        return mlir::success();
      });
  if (mlir::failed(mlir::verify(*module))) {
    diags.error(complaint);
    return nullptr;
  }
  return module;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// The type of an input as declared; null, and reported, where it is wrong.
/// The type of elements by its name; null where there is none of it.
static mlir::Type elementType(mlir::Builder &builder, StringRef name) {
  return llvm::StringSwitch<mlir::Type>(name)
      .Case("f32", builder.getF32Type())
      .Case("f64", builder.getF64Type())
      .Case("i8", builder.getI8Type())
      .Case("u8", builder.getIntegerType(8, /*isSigned=*/false))
      .Case("i32", builder.getI32Type())
      .Case("i64", builder.getI64Type())
      .Case("bool", builder.getI1Type())
      .Default(nullptr);
}

mlir::Type Elaborator::inputType(const InputStmt &statement) {
  mlir::Type element = elementType(builder, statement.elementType.text);
  if (!element) {
    error(statement.elementType.range,
          "there is no type '" + printable(statement.elementType.text) + "'",
          {"elements are f32, f64, i8, u8, i32, i64 or bool"});
    return nullptr;
  }
  if (statement.dims.empty() || statement.dims.size() > 8) {
    error(statement.typeRange,
          "an input has 1 to 8 sizes, such as (N, channels, height, width), "
          "not " +
              Twine(statement.dims.size()));
    return nullptr;
  }
  llvm::SmallVector<int64_t> shape;
  bool fine = true;
  for (auto [i, dim] : llvm::enumerate(statement.dims)) {
    auto *name = llvm::dyn_cast<NameExpr>(dim);
    if (name && name->name == "N" && !frame->variables.contains("N")) {
      if (i != 0) {
        error(dim->range, "only the first size, the batch, may be open");
        fine = false;
      }
      shape.push_back(mlir::ShapedType::kDynamic);
      continue;
    }
    Value size = evaluate(*dim);
    if (size.isInt() && size.asInt() >= 1 && size.asInt() <= maxExtent) {
      shape.push_back(size.asInt());
      continue;
    }
    if (!size.isPoison())
      error(dim->range,
            size.isInt() ? "a size is between 1 and " + Twine(maxExtent)
                         : "a size is a whole number, not " + kindText(size));
    fine = false;
  }
  if (!fine || !checkSize(shape, statement.typeRange))
    return nullptr;
  return mlir::RankedTensorType::get(shape, element);
}

static std::string shapeOption(llvm::ArrayRef<int64_t> shape) {
  std::vector<std::string> sizes;
  for (int64_t size : shape)
    sizes.push_back(mlir::ShapedType::isDynamic(size) || size == -1
                        ? "N"
                        : std::to_string(size));
  return llvm::join(sizes, ",");
}

void Elaborator::executeInput(const InputStmt &statement) {
  StringRef name = statement.name.text;
  Variable &variable = frame->variables[name];
  variable = {Value(), statement.name.range};
  if (frame->definition->kind != Definition::Model) {
    error(statement.range, "an input belongs to a model, not to a block",
          {"a block gets its tensors as arguments"});
    return;
  }
  if (!frame->portNames.insert(("input " + name).str()).second) {
    error(statement.name.range, "there already is an input '" + name + "'");
    return;
  }
  mlir::Type type = inputType(statement);
  if (!type)
    return;
  llvm::ArrayRef<int64_t> declared =
      mlir::cast<mlir::RankedTensorType>(type).getShape();

  if (!frame->isTop) {
    auto given = llvm::find_if(frame->inputs, [&](const Arg &arg) {
      return arg.name.text.empty() || arg.name.text == name;
    });
    if (given == frame->inputs.end()) {
      error(frame->callSite, "'" + frame->definition->name.text +
                                 "' needs its input '" + name + "'");
      return;
    }
    Arg arg = *given;
    frame->inputs.erase(given);
    if (arg.value.isPoison())
      return;
    if (!arg.value.isTensor()) {
      error(arg.range,
            "the input '" + name + "' is a tensor, not " + kindText(arg.value));
      return;
    }
    auto actual =
        mlir::cast<mlir::RankedTensorType>(arg.value.asMlir().getType());
    if (actual.getShape().drop_front() != declared.drop_front()) {
      error(arg.range, "the input '" + name + "' of '" +
                           frame->definition->name.text + "' is " +
                           cnn::shapeText(type) + ", and " +
                           describe(arg.value));
      return;
    }
    frame->variables[name] = {arg.value, statement.name.range};
    return;
  }

  bool overridden = false;
  for (const auto &[option, shape] : options.shapes) {
    if (option != name)
      continue;
    overridden = true;
    std::string text = "--shape " + name.str() + "=" + shapeOption(shape);
    llvm::SmallVector<int64_t> sizes;
    bool fine = shape.size() == declared.size();
    for (auto [i, size] : llvm::enumerate(shape)) {
      fine &= (size >= 1 && size <= maxExtent) || (size == -1 && i == 0);
      sizes.push_back(size == -1 ? mlir::ShapedType::kDynamic : size);
    }
    if (!fine) {
      diags.error(text + ": '" + name + "' has " + Twine(declared.size()) +
                  " sizes, such as " + shapeOption(declared));
      return;
    }
    if (!checkSize(sizes, statement.typeRange))
      return;
    type = mlir::RankedTensorType::get(
        sizes, mlir::cast<mlir::RankedTensorType>(type).getElementType());
  }
  mlir::DictionaryAttr image;
  if (statement.source)
    image = imageAttr(*statement.source, type, overridden);
  // Kernels run on any batch: a number of images only says how many there are.
  auto tensor = mlir::cast<mlir::RankedTensorType>(type);
  llvm::SmallVector<int64_t> sizes(tensor.getShape());
  sizes.front() = mlir::ShapedType::kDynamic;
  type = tensor.clone(sizes);
  auto input =
      cnn::InputOp::create(builder, location(statement.name.range, name), type,
                           builder.getStringAttr(name), image);
  frame->variables[name] = {
      Value::tensor(input.getResult(), statement.name.range, "input"),
      statement.name.range};
}

/// How a picture becomes the input: scaled so that its shorter side has
/// `resize` pixels, or stretched where there is none, cut from the middle to
/// the input's size; then (value * scale - mean) / std.
mlir::DictionaryAttr Elaborator::imageAttr(const CallExpr &call,
                                           mlir::Type type, bool overridden) {
  auto tensor = mlir::cast<mlir::RankedTensorType>(type);
  auto *name = llvm::dyn_cast<NameExpr>(call.callee);
  if (!name || name->name != "image") {
    error(call.callee->range, "an input comes from image(...)");
    return nullptr;
  }
  int64_t channels = tensor.getDimSize(1);
  if (tensor.getRank() != 4 || (channels != 1 && channels != 3)) {
    error(call.callee->range,
          "a picture has 1 or 3 channels, and the input is " +
              cnn::shapeText(type));
    return nullptr;
  }
  int64_t height = tensor.getDimSize(2), width = tensor.getDimSize(3);
  std::optional<int64_t> resize;
  double scale = 1.0 / 255;
  std::vector<double> mean(channels, 0), deviation(channels, 1);
  bool fine = true;
  auto wrong = [&](SMRange where, const Twine &message,
                   std::vector<std::string> notes = {}) {
    error(where, message, std::move(notes));
    fine = false;
  };
  auto perChannel = [&](const Value &value, std::vector<double> &into) {
    if (value.isNumber()) {
      into.assign(channels, value.asReal());
      return true;
    }
    if (!value.isSequence() || int64_t(value.items().size()) != channels ||
        !llvm::all_of(value.items(),
                      [](const Value &v) { return v.isNumber(); }))
      return false;
    for (auto [i, item] : llvm::enumerate(value.items()))
      into[i] = item.asReal();
    return true;
  };
  static constexpr StringRef known[] = {"resize", "crop", "normalize", "scale"};
  llvm::StringSet<> seen;
  for (const Argument &arg : call.args) {
    StringRef key = arg.name.text;
    SMRange where = arg.value->range;
    if (key.empty()) {
      wrong(where, "the arguments of image have names: image(resize=256)");
      continue;
    }
    if (!seen.insert(key).second) {
      wrong(arg.name.range, "'" + key + "' is given twice");
      continue;
    }
    auto *word = llvm::dyn_cast<NameExpr>(arg.value);
    if (key == "normalize" && word && word->name == "imagenet") {
      if (channels != 3) {
        wrong(where, "normalize=imagenet is for 3 channels");
        continue;
      }
      mean.assign(std::begin(imagenetMean), std::end(imagenetMean));
      deviation.assign(std::begin(imagenetStd), std::end(imagenetStd));
      continue;
    }
    if (!llvm::is_contained(known, key)) {
      wrong(arg.name.range,
            "image has no parameter '" + key + "'" + didYouMean(key, known),
            {"write: image(resize=256, crop=224, normalize=imagenet, "
             "scale=1/255)"});
      continue;
    }
    Value value = evaluate(*arg.value);
    if (value.hasPoison()) {
      fine = false;
    } else if (key == "resize") {
      if (!value.isInt() || value.asInt() < 1 || value.asInt() > maxExtent)
        wrong(where, "'resize' is the number of pixels of the shorter side");
      else
        resize = value.asInt();
    } else if (key == "crop") {
      std::vector<Value> sizes{value, value};
      if (value.isSequence())
        sizes = value.items();
      if (sizes.size() != 2 || !sizes[0].isInt() || !sizes[1].isInt())
        wrong(where, "'crop' is a number of pixels, or (height, width)");
      else if (!overridden &&
               (sizes[0].asInt() != height || sizes[1].asInt() != width))
        wrong(where, "crop=" + valueText(value) +
                         " does not give the input's size, " + Twine(height) +
                         "x" + Twine(width));
    } else if (key == "scale") {
      if (!value.isNumber())
        wrong(where, "'scale' is a number");
      else
        scale = value.asReal();
    } else {
      bool pair = value.isSequence() && value.items().size() == 2;
      if (!pair || !perChannel(value.items()[0], mean) ||
          !perChannel(value.items()[1], deviation) ||
          llvm::is_contained(deviation, 0.0))
        wrong(where,
              "'normalize' is imagenet, or (mean, deviation), each a number "
              "or one for each of the " +
                  Twine(channels) + " channels");
    }
  }
  if (resize && !overridden && *resize < std::max(height, width)) {
    wrong(call.callee->range, "resize=" + Twine(*resize) +
                                  " leaves less than the input's " +
                                  Twine(height) + "x" + Twine(width));
  }
  if (!fine)
    return nullptr;
  llvm::SmallVector<mlir::NamedAttribute> entries;
  // A shape from outside has its own proportions: the picture is stretched.
  if (resize && !overridden)
    entries.push_back(
        builder.getNamedAttr("resize", builder.getI64IntegerAttr(*resize)));
  entries.push_back(
      builder.getNamedAttr("mean", builder.getDenseF64ArrayAttr(mean)));
  entries.push_back(
      builder.getNamedAttr("std", builder.getDenseF64ArrayAttr(deviation)));
  entries.push_back(
      builder.getNamedAttr("scale", builder.getF64FloatAttr(scale)));
  return builder.getDictionaryAttr(entries);
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

mlir::StringAttr Elaborator::labelsAttr(const StringExpr &expr) {
  std::optional<std::string> name = evaluateText(expr);
  if (!name)
    return nullptr;
  llvm::SmallString<128> path(*name);
  llvm::sys::path::make_absolute(
      llvm::sys::path::parent_path(frame->file->path), path);
  mlir::StringAttr &cached = labelFiles[path];
  if (cached)
    return cached;
  llvm::sys::fs::file_status status;
  if (name->find('\0') != std::string::npos ||
      llvm::sys::fs::status(path, status) ||
      !llvm::sys::fs::is_regular_file(status)) {
    error(expr.range, "there is no label file '" + printable(path) + "'");
    return nullptr;
  }
  if (status.getSize() > maxLabelFile) {
    error(expr.range, "the label file is larger than " +
                          Twine(maxLabelFile >> 20) + " MiB");
    return nullptr;
  }
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer) {
    error(expr.range, "the label file '" + printable(path) +
                          "' cannot be read: " + buffer.getError().message());
    return nullptr;
  }
  std::string text = (*buffer)->getBuffer().str();
  llvm::erase(text, '\r');
  return cached = builder.getStringAttr(text);
}

void Elaborator::executeOutput(const OutputStmt &statement) {
  if (frame->definition->kind != Definition::Model) {
    error(statement.range, "an output belongs to a model, not to a block",
          {"a block returns its results: return x"});
    return;
  }
  for (const OutputStmt::Item &item : statement.items) {
    Value value = evaluate(*item.value);
    if (!value.isTensor() && !value.isPoison())
      value = error(item.value->range,
                    "an output is a tensor, not " + kindText(value));
    std::string name = item.name.text.str();
    SMRange place = item.name.range;
    if (name.empty()) {
      place = item.value->range;
      if (auto *variable = llvm::dyn_cast<NameExpr>(item.value))
        name = variable->name.str();
      else
        name = "output";
    }
    if (!frame->portNames.insert("output " + name).second)
      error(place, "there already is an output '" + name + "'",
            {"give it a name: output scores = x"});
    frame->outputs.push_back(value);
    // The labels of a model that another one calls are of no use there.
    if (!frame->isTop)
      continue;
    mlir::StringAttr labels;
    if (item.labels)
      labels = labelsAttr(*item.labels);
    if (value.isTensor())
      cnn::OutputOp::create(builder, location(place, name), value.asMlir(),
                            builder.getStringAttr(name), labels);
  }
}
