//===- Read.cpp - Operations as calls -------------------------------------===//
//
// An operation that is a layer says itself with which arguments the language
// builds it; the others are formulas.
//
//===----------------------------------------------------------------------===//

#include "compiler/write/Read.h"
#include "compiler/write/Formulas.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace halcyon::write {

namespace {
class Reader {
public:
  Reader(Program &program, Describe describe, llvm::raw_ostream &errors)
      : program(program), formulas(program), describe(describe), errors(errors) {}
  bool run(cnn::ModelOp model);

private:
  std::string readInput(cnn::InputOp input);
  std::string readCall(Operation *op);
  std::string readLayer(cnn::LayerOpInterface layer, Node &node);
  std::string takeInputs(ValueRange tensors, Node &node);
  void nestConcat(Node &node);
  void readOutput(cnn::OutputOp output);
  std::string layerName(Operation *op);

  Program &program;
  Formulas formulas;
  Describe describe;
  llvm::raw_ostream &errors;
  llvm::DenseMap<Value, int> numbers;
  llvm::StringMap<unsigned> layers;
  std::map<std::vector<int>, int> concats;
};
} // namespace

//===----------------------------------------------------------------------===//
// Ports
//===----------------------------------------------------------------------===//

static std::vector<int64_t> sizesOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().drop_front().vec();
}

/// "f32[N, 3, 224, 224]"; nothing where the language has no such type.
static std::string typeText(RankedTensorType type) {
  std::string text;
  Type element = type.getElementType();
  auto integer = dyn_cast<IntegerType>(element);
  if (element.isF32() || element.isF64())
    text = element.isF32() ? "f32[" : "f64[";
  else if (integer && integer.getWidth() == 1)
    text = "bool[";
  else if (integer)
    text = (integer.isUnsigned() ? "u" : "i") + std::to_string(integer.getWidth()) + "[";
  else
    return "";
  for (auto [d, size] : llvm::enumerate(type.getShape()))
    text += (d ? ", " : "") +
            (ShapedType::isDynamic(size) ? "N" : std::to_string(size));
  return text + "]";
}

std::string Reader::readInput(cnn::InputOp input) {
  auto type = cast<RankedTensorType>(input.getType());
  std::string text = typeText(type);
  if (text.empty())
    return "the language has no inputs of such elements";
  if (!type.isDynamicDim(0))
    return "its batch cannot stay open, and in the language that of every input is";
  std::string name = program.freeName(wordOf(input.getName(), "x"));
  program.inputs.push_back({name, text});
  numbers[input] = program.body.params.size();
  program.body.params.push_back(name);
  program.body.shapes.push_back(sizesOf(input));
  return "";
}

void Reader::readOutput(cnn::OutputOp output) {
  program.outputs.push_back(
      {program.freeName(wordOf(output.getName(), "y")), ""});
  program.body.results.push_back(numbers.lookup(output.getValue()));
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// The name of a layer: that of its weights, as "conv1" of "conv1.weight", else
/// its own. Exporters write the path of modules as folders, each of which may
/// repeat the one before: "layer1/layer1.0/conv1/Conv".
std::string Reader::layerName(Operation *op) {
  std::string path = cnn::layerLocation(op->getLoc()).path;
  for (Value operand : op->getOperands())
    if (auto weight = operand.getDefiningOp<cnn::WeightOp>())
      if (auto [layer, role] = weight.getName().rsplit('.'); !role.empty()) {
        path = layer.str();
        break;
      }
  SmallVector<StringRef> folders, kept;
  StringRef(path).split(folders, '/', -1, /*KeepEmpty=*/false);
  // The last one is the operator.
  if (folders.size() > 1 && !folders.back().contains('.'))
    folders.pop_back();
  for (StringRef folder : folders) {
    if (!kept.empty() && folder.starts_with((kept.back() + ".").str()))
      kept.pop_back();
    kept.push_back(folder);
  }
  std::string name;
  for (char c : llvm::join(kept, "."))
    name += llvm::isAlnum(c) || StringRef("_.-").contains(c) ? c : '_';
  if (name.empty())
    name = "layer";
  unsigned count = ++layers[name];
  while (count > 1 && ++layers[name + "_" + std::to_string(count)] > 1)
    ++count;
  return count == 1 ? name : name + "_" + std::to_string(count);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// (3, 3) is 3, (1, 2, 1, 2) is (1, 2).
static Literal literalOf(const cnn::LayerValue &value, cnn::ParamKind kind) {
  if (auto *numbers = std::get_if<std::vector<int64_t>>(&value)) {
    std::vector<int64_t> list = *numbers;
    bool pad = kind == cnn::ParamKind::Pad && list.size() == 4;
    if (pad && list[0] == list[2] && list[1] == list[3])
      list.resize(2);
    if (kind != cnn::ParamKind::Shape && !list.empty() && llvm::all_equal(list))
      return list.front();
    return list;
  }
  if (auto *number = std::get_if<int64_t>(&value))
    return *number;
  if (auto *real = std::get_if<double>(&value))
    return *real;
  if (auto *flag = std::get_if<bool>(&value))
    return *flag;
  if (auto *word = std::get_if<std::string>(&value))
    return *word;
  return {};
}

std::string Reader::takeInputs(ValueRange tensors, Node &node) {
  for (Value tensor : tensors) {
    auto found = numbers.find(tensor);
    if (found == numbers.end())
      return "it reads a weight as a tensor";
    node.inputs.push_back(found->second);
  }
  return "";
}

std::string Reader::readLayer(cnn::LayerOpInterface layer, Node &node) {
  node.callee = layer->getName().stripDialect().str();
  cnn::LayerSignature signature = layer.layerSignature();
  size_t tensors = 0;
  for (const cnn::LayerParam &param : signature.params) {
    cnn::LayerValue value = layer.layerArgument(param);
    if (param.kind == cnn::ParamKind::Tensor) {
      ++tensors;
    } else if (auto *list = std::get_if<std::vector<Value>>(&value)) {
      tensors += list->size();
    } else {
      Argument arg{param.name, literalOf(value, param.kind),
                   literalOf(param.defaultValue, param.kind)};
      arg.named = param.optional || !std::holds_alternative<std::monostate>(
                                        param.defaultValue);
      node.args.push_back(std::move(arg));
    }
  }
  for (Value weight : layer->getOperands().drop_front(tensors)) {
    if (!weight.getDefiningOp<cnn::WeightOp>())
      return "its weights are computed";
    node.hasWeights = true;
  }
  return takeInputs(layer->getOperands().take_front(tensors), node);
}

/// concat(a, b, c) = concat(concat(a, b), c) where the latter is there: networks
/// that join all values before each layer come to join two.
void Reader::nestConcat(Node &node) {
  static constexpr size_t furthest = 4;
  std::vector<int> inputs = node.inputs;
  for (size_t more = 1; more <= furthest && more + 2 <= inputs.size(); ++more) {
    auto found = concats.find({inputs.begin(), inputs.end() - more});
    if (found == concats.end())
      continue;
    node.inputs.assign(inputs.end() - more, inputs.end());
    node.inputs.insert(node.inputs.begin(), found->second);
    break;
  }
  concats.try_emplace(inputs, program.body.valueOf(program.body.nodes.size()));
}

std::string Reader::readCall(Operation *op) {
  Node node;
  std::string trouble;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (op->getNumResults() != 1 || !type || !type.getElementType().isF32())
    trouble = "its result is not of f32";
  else if (auto layer = dyn_cast<cnn::LayerOpInterface>(op))
    trouble = readLayer(layer, node);
  else if (isa<cnn::MapOp, cnn::IndexedOp>(op)) {
    trouble = formulas.spell(op, node);
    for (Value operand : op->getOperands())
      if (operand.getDefiningOp<cnn::WeightOp>())
        node.hasWeights = true;
      else if (trouble.empty())
        trouble = takeInputs(operand, node);
  } else {
    trouble = "the language has no such operation";
  }
  if (isa<cnn::ConcatOp>(op) && trouble.empty())
    nestConcat(node);
  numbers[op->getResult(0)] = program.body.valueOf(program.body.nodes.size());
  if (node.hasWeights)
    node.name = nameOf(layerName(op));
  if (type)
    node.shape = sizesOf(op->getResult(0));
  program.body.nodes.push_back(std::move(node));
  return trouble;
}

bool Reader::run(cnn::ModelOp model) {
  bool good = true;
  program.name = program.freeName(wordOf(model.getSymName(), "model"));
  formulas.recombine(model);
  for (Operation &op : model.getBody().front()) {
    std::string trouble;
    if (auto output = dyn_cast<cnn::OutputOp>(op))
      readOutput(output);
    else if (auto input = dyn_cast<cnn::InputOp>(op))
      trouble = readInput(input);
    else if (!isa<cnn::WeightOp>(op))
      trouble = readCall(&op);
    if (trouble.empty())
      continue;
    errors << "error: " << describe(&op) << " cannot be written: " << trouble << "\n";
    good = false;
  }
  if (good)
    formulas.define(program.body);
  return good;
}

bool readModel(cnn::ModelOp model, Program &program, Describe describe,
               llvm::raw_ostream &errors) {
  return Reader(program, describe, errors).run(model);
}

} // namespace halcyon::write
