//===- Import.cpp - ONNX models as models of the cnn dialect --------------===//

#include "compiler/import/onnx/Graph.h"

#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using llvm::StringRef;
using llvm::Twine;

namespace halcyon::onnx {

/// The limits of a tensor, as in the language: 2^31 elements an image.
static constexpr int64_t maxElements = int64_t(1) << 31;
static constexpr unsigned maxRank = 8;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Operations have no tensors of rank 0: a number is a vector of one.
static std::vector<int64_t> weightShape(const HostTensor &tensor) {
  if (tensor.rank() == 0)
    return {1};
  return tensor.shape().vec();
}

std::optional<std::vector<int64_t>> OnnxWeights::shapeOf(StringRef name) const {
  auto found = tensors.find(name.str());
  if (found == tensors.end())
    return std::nullopt;
  return weightShape(found->second);
}

ArrayRef<float> OnnxWeights::read(StringRef name, ArrayRef<int64_t>,
                                  std::vector<float> &storage) const {
  return tensors.find(name.str())->second.floats(storage);
}

std::string OnnxWeights::readAs(StringRef name, ArrayRef<int64_t>,
                                Type) const {
  return tensors.find(name.str())->second.dense();
}

std::vector<std::string> OnnxWeights::names() const {
  std::vector<std::string> result;
  for (auto &[name, tensor] : tensors)
    result.push_back(name);
  return result;
}

std::string OnnxWeights::add(StringRef wanted, const HostTensor &tensor) {
  std::string name = wanted.str();
  for (unsigned i = 2;; ++i) {
    auto [found, fresh] = tensors.try_emplace(name, tensor);
    const HostTensor &there = found->second;
    if (fresh ||
        (there.data().data() == tensor.data().data() &&
         there.type() == tensor.type() && there.shape() == tensor.shape()))
      return name;
    name = wanted.str() + "_" + std::to_string(i);
  }
}

//===----------------------------------------------------------------------===//
// Types and places
//===----------------------------------------------------------------------===//

Importer::Importer(const Model &model, MLIRContext &context,
                   const ImportOptions &options, bool openBatch,
                   int64_t onlyBatch)
    : model(model), context(context), options(options), openBatch(openBatch),
      onlyBatch(onlyBatch), builder(&context), weights(std::make_unique<OnnxWeights>(model.id)) {}

Type Importer::elementType(DataType type) {
  switch (type) {
  case DataType::F32:
    return builder.getF32Type();
  case DataType::F64:
    return builder.getF64Type();
  case DataType::F16:
    return builder.getF16Type();
  case DataType::BF16:
    return builder.getBF16Type();
  case DataType::Bool:
    return builder.getI1Type();
  case DataType::I8:
  case DataType::I16:
  case DataType::I32:
  case DataType::I64:
    return builder.getIntegerType(bitsOf(type));
  case DataType::I4:
  case DataType::I2:
    return builder.getIntegerType(8);
  case DataType::U4:
  case DataType::U2:
    return builder.getIntegerType(8, /*isSigned=*/false);
  case DataType::U8:
  case DataType::U16:
  case DataType::U32:
  case DataType::U64:
    return builder.getIntegerType(bitsOf(type), /*isSigned=*/false);
  default:
    return nullptr;
  }
}

Shape Importer::keptShape(const Tensor &tensor) {
  if (tensor.shape.empty())
    return {1};
  Shape held = heldShape(tensor.held().shape), maps = asMaps(held);
  if (tensor.value && maps.size() != held.size() &&
      tensor.value.getType() == typeOf(tensor.type, maps))
    return maps;
  return held;
}

RankedTensorType Importer::typeOf(DataType type, ArrayRef<int64_t> shape) {
  Shape sizes(shape);
  for (int64_t &size : sizes)
    if (size == kOpen)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(sizes, elementType(type));
}

/// Names come from the file: what a terminal would obey is left out.
static std::string shown(StringRef text) {
  std::string result;
  for (char c : text.take_front(200))
    result += llvm::isPrint(c) ? c : '?';
  return result;
}

/// "conv1" of a node whose weights are "conv1.weight" and so on, else the
/// node's own name, else its operator and a number.
std::string Importer::pathOf(const Node &node) {
  std::string path;
  for (unsigned i = 1; i < node.inputs.size() && path.empty(); ++i) {
    auto found = values.find(node.inputs[i]);
    if (found == values.end() || found->second.name.empty())
      continue;
    StringRef name = found->second.name, layer = name;
    for (StringRef role : {".weight", ".bias", ".running_mean"})
      if (layer.consume_back(role))
        path = layer.str();
  }
  if (path.empty())
    path = shown(StringRef(node.name).ltrim('/'));
  bool named = !path.empty();
  if (!named)
    path = StringRef(node.op).lower();
  unsigned count = ++paths[path];
  if (named && count == 1)
    return path;
  return path + "_" + std::to_string(count);
}

Location Importer::locationOf(const Node &node, StringRef path) {
  auto place = FileLineColLoc::get(&context, model.path, node.number, 1);
  return NameLoc::get(builder.getStringAttr(path), place);
}

/// "node 3 of 20, 'layer1/conv' (Conv of opset 13)"
std::string Importer::describe(const Node &node) {
  std::string op = node.domain.empty() ? node.op : node.domain + "." + node.op;
  std::string text = llvm::formatv("node {0} of {1}", node.number,
                                   model.graph.nodes.size());
  if (!node.name.empty())
    text += ", '" + shown(node.name) + "'";
  return text + " (" + shown(op) + " of opset " + std::to_string(node.opset) + ")";
}

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

static std::string sizesText(ArrayRef<int64_t> sizes) {
  std::string text;
  for (int64_t size : sizes)
    text += (text.empty() ? "" : ",") +
            (size == kOpen ? std::string("N") : std::to_string(size));
  return text;
}

bool Importer::addInput(const Port &port) {
  if (values.count(port.name)) {
    fail("there are two inputs '" + shown(port.name) + "'");
    return false;
  }
  Tensor &tensor = values[port.name];
  auto value = options.values.find(port.name);
  if (value != options.values.end()) {
    tensor.known = value->second;
    tensor.type = tensor.known.type();
    tensor.shape.assign(tensor.known.shape().begin(),
                        tensor.known.shape().end());
    if (tensor.type != port.type && port.type != DataType::Undefined)
      fail("the value of the input '" + shown(port.name) + "' is " +
           nameOf(tensor.type) + ", and the model wants " + nameOf(port.type));
    return true;
  }
  std::string name = "the input '" + shown(port.name) + "'";
  if (!port.isTensor) {
    fail(name + " is no tensor; inputs are tensors of numbers");
    return false;
  }
  Shape shape(port.sizes.begin(), port.sizes.end());
  auto given = options.shapes.find(port.name);
  if (given != options.shapes.end()) {
    ArrayRef<int64_t> sizes = given->second;
    bool fits = !port.hasShape || sizes.size() == shape.size();
    for (auto [d, size] : llvm::enumerate(sizes))
      fits &= size != kOpen || d == 0;
    if (!fits) {
      fail("--shape " + port.name + "=" + sizesText(sizes) + ": it has " +
           Twine(shape.size()) + " sizes, and the first alone may be open");
      return false;
    }
    shape.assign(sizes.begin(), sizes.end());
  } else if (!port.hasShape) {
    fail(name + " has no sizes; give --shape " + shown(port.name) + "=1,...");
    return false;
  }
  if (openBatch && shape.size() > 1 &&
      (!onlyBatch || shape[0] == onlyBatch)) {
    declaredBatch = std::max<int64_t>(shape[0], 0);
    shape[0] = kOpen;
  }
  bool known = llvm::none_of(ArrayRef(shape).drop_front(!shape.empty()),
                             [](int64_t size) { return size == kOpen; });
  if (!known || (!openBatch && llvm::is_contained(shape, kOpen))) {
    std::string why =
        mixed.empty() ? "" : " (the batch can't stay open: " + mixed + ")";
    fail(name + " has open sizes, " + sizesText(shape) + "; give --shape " +
         shown(port.name) + "=" + why);
    return false;
  }
  tensor.type = port.type;
  tensor.shape = shape;
  auto count = elementCount(ArrayRef(shape).drop_front(tensor.hasBatch()));
  if (!count || *count > maxElements || shape.size() > maxRank) {
    fail(name + " is too large: " + sizesText(shape));
    return false;
  }
  // What has no elements is known.
  if (llvm::is_contained(shape, 0)) {
    tensor.known = HostTensor::of(port.type, shape, {});
    return true;
  }
  if (!elementType(port.type)) {
    fail(name + " has elements of " + nameOf(port.type) +
         ", for which there is no arithmetic here");
    return false;
  }
  Shape kept = shape.empty() ? Shape{1} : shape;
  auto place = FileLineColLoc::get(&context, model.path, 0, 0);
  Location loc = NameLoc::get(builder.getStringAttr(shown(port.name)), place);
  tensor.value = cnn::InputOp::create(builder, loc, typeOf(port.type, kept),
                                      builder.getStringAttr(port.name), nullptr);
  return true;
}

bool Importer::addOutputs() {
  for (const Port &port : model.graph.outputs) {
    auto found = values.find(port.name);
    if (found == values.end() && poisoned.contains(port.name))
      continue;
    if (found == values.end()) {
      fail("the output '" + shown(port.name) + "' is made by no node");
      continue;
    }
    Node node;
    node.name = port.name;
    node.op = "output";
    NodeContext context(*this, node);
    bool closes = onlyBatch && (found->second.isTurned() ||
                                (found->second.isKnown() &&
                                 found->second.known.dependsOnBatch()));
    const Tensor tensor = closes ? closed(found->second) : found->second;
    if (tensor.isTurned()) {
      mixed = "the output '" + shown(port.name) + "' has it as an inner dimension";
      continue;
    }
    if (!elementType(tensor.type)) {
      fail("the output '" + shown(port.name) + "' has elements of " +
           nameOf(tensor.type) + ", for which there is no arithmetic here");
      continue;
    }
    // Nothing is written of what has no elements.
    if (llvm::is_contained(tensor.shape, 0))
      continue;
    Shape shape = tensor.shape.empty() ? Shape{1} : tensor.shape;
    if (tensor.isCounted()) {
      addCounted(port.name, context);
      continue;
    }
    mlir::Value value = context.value(tensor, shape);
    if (!value)
      continue;
    // What is known is written by a kernel like any other output, and so is
    // an input that goes straight to an output.
    if (tensor.isKnown() || isa<cnn::InputOp>(value.getDefiningOp())) {
      SmallVector<Expr> at;
      for (unsigned d = 0; d < shape.size(); ++d)
        at.push_back(coord(d));
      value = emitIndexed(builder, context.loc(), "copy",
                          typeOf(tensor.type, shape), tensor.type,
                          readOf(0, tensor.kind(), at), {value}, {tensor.type});
    }
    addOutput(port.name, value);
  }
  // The numbers of elements stand behind all other outputs.
  for (auto &[count, name] : counters) {
    Node node;
    node.op = "count";
    NodeContext context(*this, node);
    if (mlir::Value value = context.value(*count, {1}))
      addOutput(name, value);
  }
  return errors.empty() && mixed.empty();
}

cnn::OutputOp Importer::addOutput(StringRef name, mlir::Value value) {
  auto place = FileLineColLoc::get(&context, model.path, 0, 0);
  return cnn::OutputOp::create(
      builder, NameLoc::get(builder.getStringAttr(name), place), value,
      builder.getStringAttr(name), nullptr);
}

/// An output of which the data decide how many elements it has: with zeros
/// behind them, and their number as an output of its own.
void Importer::addCounted(const std::string &name, NodeContext &context) {
  const Tensor &tensor = values.at(name);
  std::string &counter = counters[tensor.count];
  if (counter.empty()) {
    counter = name + ".count";
    while (values.count(counter))
      counter += "_";
  }
  Tensor filled = tensor;
  filled.count = nullptr;
  int64_t axis = tensor.countedAxis;
  filled = context.compute(
      tensor.type, tensor.shape, {filled, *tensor.count},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr element = in[0](at);
        return select(convert(at[axis], Kind::Int) < in[1](ArrayRef<Expr>()),
                      element, convert(Expr(0), element.kind()));
      });
  mlir::Value value = context.value(filled, tensor.shape);
  if (!value)
    return;
  cnn::OutputOp output = addOutput(name, value);
  output->setAttr("counted", builder.getDictionaryAttr(
                                 {builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)),
                                  builder.getNamedAttr("by", builder.getStringAttr(counter))}));
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

bool Importer::importNodes(const Graph &graph) {
  for (auto &[name, tensor] : graph.initializers) {
    Tensor &value = values[name];
    value.known = tensor;
    value.type = tensor.type();
    value.shape.assign(tensor.shape().begin(), tensor.shape().end());
    value.name = name;
  }
  for (const Node &node : graph.nodes) {
    // What follows from an error is none of its own, and an operator that is
    // not supported is reported all the same.
    bool complete = true;
    ImportFunction import = findOperator(node.domain, node.op, node.opset);
    if (!import)
      fail(describe(node) + " is not supported; it makes '" +
           shown(node.outputs.empty() ? "" : node.outputs[0]) + "'");
    for (const std::string &input : node.inputs) {
      if (input.empty() || values.count(input))
        continue;
      if (!poisoned.contains(input)) {
        fail(describe(node) + " reads '" + shown(input) +
             "', which nothing makes");
        poisoned.insert(input);
      }
      complete = false;
    }
    bool done = false;
    if (import && complete && mixed.empty()) {
      NodeContext context(*this, node);
      auto has = [&](Operand kind, auto is) {
        return !takesOperand(node.domain, node.op, kind) &&
               llvm::any_of(context.all(), is);
      };
      if (has(Operand::Turned, [](const Tensor &x) { return x.isTurned(); }))
        (void)context.mixesBatch("the batch is not its outermost dimension");
      else if (has(Operand::Counted,
                   [](const Tensor &x) { return x.isCounted(); }))
        (void)context.fail("the data decide how many elements its operand has");
      else
        done = succeeded(import(context)) && !context.failed();
      if (!mixed.empty() && onlyBatch)
        done = importClosed(node, import, context);
      // What is of a single image is one for the layers behind it.
      for (const std::string &output : node.outputs)
        if (auto found = values.find(output);
            done && onlyBatch && found != values.end())
          found->second = opened(found->second, context);
      if (!done && errors.empty() && mixed.empty())
        fail(describe(node) + " can not be imported");
    }
    if (!done)
      for (const std::string &output : node.outputs)
        poisoned.insert(output);
  }
  return errors.empty() && mixed.empty();
}

Tensor Importer::closed(const Tensor &tensor) {
  Tensor result = tensor;
  if (tensor.isKnown()) {
    if (tensor.known.dependsOnBatch())
      result.known = tensor.known.withBatch(onlyBatch);
    return result;
  }
  int64_t axis = openAxis(tensor.shape);
  if (axis < 0)
    return result;
  result.shape[axis] = onlyBatch;
  // An inner batch is held outermost; where there is one image, it is anywhere.
  if (axis > 0 && onlyBatch > 1) {
    result.order = {axis};
    for (int64_t d = 0; d < tensor.rank(); ++d)
      if (d != axis)
        result.order.push_back(d);
  }
  mlir::Value &value = closedValues[tensor.value.getAsOpaquePointer()];
  if (!value) {
    value = imageOf(tensor.value, tensor.type, onlyBatch);
    closedValues[value.getAsOpaquePointer()] = tensor.value;
  }
  result.value = value;
  return result;
}

/// The images of a value, as a value of so many.
mlir::Value Importer::imageOf(mlir::Value from, DataType type, int64_t images) {
  Shape shape(cast<RankedTensorType>(from.getType()).getShape());
  SmallVector<Expr> at = {onlyBatch == 1 ? Expr(0) : coord(0)};
  for (unsigned d = 1; d < shape.size(); ++d)
    at.push_back(coord(d));
  shape[0] = images;
  return emitIndexed(builder, from.getLoc(), "image", typeOf(type, shape), type,
                     readOf(0, kindOf(type), at), {from}, {type});
}

/// Imports a node that cannot keep the batch apart, with its number.
bool Importer::importClosed(const Node &node, ImportFunction import,
                            NodeContext &context) {
  mixed.clear();
  std::map<std::string, Tensor> open;
  for (const std::string &input : node.inputs)
    if (!input.empty())
      open.try_emplace(input, values.at(input));
  for (auto &[name, tensor] : open)
    values[name] = closed(tensor);
  context.retry();
  bool done = succeeded(import(context)) && !context.failed();
  for (auto &[name, tensor] : open)
    values[name] = tensor;
  return done;
}

Tensor Importer::opened(const Tensor &tensor, NodeContext &context) {
  if (tensor.isKnown() || tensor.isCounted() || tensor.rank() < 2 ||
      tensor.shape[0] != onlyBatch || openAxis(tensor.shape) >= 0)
    return tensor;
  Tensor result = tensor;
  result.shape[0] = kOpen;
  // What was closed, and has another shape since, is opened again.
  auto found = closedValues.find(tensor.value.getAsOpaquePointer());
  if (found != closedValues.end() && !tensor.isOrdered()) {
    result.value = found->second;
    return result;
  }
  mlir::Value closed = context.value(tensor.held(), keptShape(tensor));
  if (!closed)
    return tensor;
  result.value = imageOf(closed, tensor.type, kOpen);
  closedValues[result.value.getAsOpaquePointer()] = closed;
  return result;
}

static std::string symbolOf(StringRef path) {
  std::string name = llvm::sys::path::stem(path).str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return name.empty() || llvm::isDigit(name[0]) ? "model_" + name : name;
}

bool Importer::run() {
  auto place = FileLineColLoc::get(&context, model.path, 0, 0);
  module = ModuleOp::create(place);
  builder.setInsertionPointToEnd(module->getBody());
  auto modelOp = cnn::ModelOp::create(builder, place, symbolOf(model.path));
  if (!openBatch)
    modelOp->setAttr(cnn::kFixedAttr, builder.getUnitAttr());
  else if (onlyBatch)
    modelOp->setAttr(cnn::kFixedAttr, builder.getI64IntegerAttr(onlyBatch));
  builder.createBlock(&modelOp.getBody());
  for (const auto &[name, value] : options.values)
    if (llvm::none_of(model.graph.inputs,
                      [&](const Port &port) { return port.name == name; }))
      fail("there is no input '" + name + "' to give a value");
  for (const auto &[name, shape] : options.shapes)
    if (llvm::none_of(model.graph.inputs,
                      [&](const Port &port) { return port.name == name; }))
      fail("there is no input '" + name + "' to give a shape");
  for (const Port &port : model.graph.inputs)
    if (!addInput(port))
      poisoned.insert(port.name), values.erase(port.name);
  if (!importNodes(model.graph) || !addOutputs())
    return false;
  // What nothing uses is not computed.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(modelOp.getBody().front())))
    if (op.use_empty() && !isa<cnn::OutputOp, cnn::InputOp>(op))
      op.erase();
  return true;
}

Imported importModel(StringRef path, MLIRContext &context,
                     const ImportOptions &options, llvm::raw_ostream &errors) {
  std::unique_ptr<Model> model = readModel(path, errors);
  if (!model)
    return {};
  // A batch is opened where all inputs have one, of one size.
  std::optional<int64_t> batch;
  bool canOpen = false, isFixed = true;
  // The only one there is, where all sizes are given, is that of the largest.
  int64_t onlyBatch = 0, most = 0;
  for (const Port &port : model->graph.inputs) {
    if (options.values.count(port.name))
      continue;
    isFixed &= options.shapes.count(port.name) ||
               (port.hasShape && !llvm::is_contained(port.sizes, kOpen));
    if (port.sizes.size() < 2)
      continue;
    int64_t size = port.sizes[0];
    auto given = options.shapes.find(port.name);
    ArrayRef<int64_t> sizes = port.sizes;
    if (given != options.shapes.end())
      sizes = given->second;
    if (auto count = elementCount(sizes); count && *count > most) {
      most = *count;
      onlyBatch = sizes[0];
    }
    canOpen = !batch || (canOpen && *batch == size);
    batch = size;
  }
  std::string mixed;
  // Open; open for layers alone, of as many images as there are; fixed.
  enum Way { Open, Layers, Fixed };
  for (Way way : {Open, Layers, Fixed}) {
    bool open = way != Fixed;
    if ((way == Open && !canOpen) || (way == Layers && !(isFixed && onlyBatch > 0)))
      continue;
    Importer importer(*model, context, options, open,
                      way == Layers ? onlyBatch : 0);
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      cnn::LayerLocation at = cnn::layerLocation(diagnostic.getLocation());
      importer.errors.push_back("node " + std::to_string(at.line) + ", '" +
                                at.path + "': " + diagnostic.str());
      return success();
    });
    if (importer.run() && importer.errors.empty() &&
        succeeded(verify(importer.module.get()))) {
      std::vector<std::string> nodes;
      for (const Node &node : model->graph.nodes)
        nodes.push_back(importer.describe(node));
      return {std::move(importer.module), std::move(importer.weights),
              std::move(nodes)};
    }
    mixed = open ? importer.mixed : mixed;
    // What an open batch makes wrong may be right with its number.
    if (open && (isFixed || importer.errors.empty()))
      continue;
    for (const std::string &error : importer.errors)
      errors << path << ": error: " << error << "\n";
    if (!mixed.empty() && !open)
      errors << "   note: the batch can't stay open: " << mixed << "\n";
    return {};
  }
  return {};
}

} // namespace halcyon::onnx
