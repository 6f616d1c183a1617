//===- Export.cpp - Models as ONNX ----------------------------------------===//

#include "compiler/emit/onnx/Export.h"
#include "compiler/emit/onnx/Part.h"
#include "compiler/import/onnx/OwnOperators.h"
#include "dialects/cnn/Support.h"

#include "onnx-ml.pb.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"

#include <cerrno>
#include <fstream>
#include <unistd.h>

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::TensorProto;

namespace halcyon {

/// The operators' version, and the file's: those of ONNX 1.15, which everything
/// that reads ONNX today understands.
static constexpr int64_t opset = 20, format = 9;

static llvm::StringMap<WriteOnnx> &registry() {
  static llvm::StringMap<WriteOnnx> writers;
  return writers;
}

RegisterOnnxWriter::RegisterOnnxWriter(StringRef operation, WriteOnnx write) {
  registry()[operation] = write;
}

OnnxWriter::OnnxWriter(::onnx::ModelProto &model, const WeightSource &weights,
                       const ModelPart *part)
    : model(model), weights(weights), part(part) {}
OnnxWriter::~OnnxWriter() = default;

//===----------------------------------------------------------------------===//
// Nodes and constants
//===----------------------------------------------------------------------===//

/// Says from which version of a domain operators are.
template <typename Proto>
static void import(Proto &proto, const std::string &domain, int64_t version) {
  auto *import = proto.add_opset_import();
  import->set_domain(domain);
  import->set_version(version);
}

std::string OnnxWriter::fresh(StringRef hint) {
  for (;;) {
    unsigned count = counts[hint.str()]++;
    std::string name = count ? (hint + "_" + Twine(count)).str() : hint.str();
    if (taken.insert(name).second)
      return name;
  }
}

std::string OnnxWriter::node(StringRef op, ArrayRef<std::string> inputs) {
  auto *node = model.mutable_graph()->add_node();
  node->set_op_type(op.str());
  for (const std::string &input : inputs)
    node->add_input(input);
  node->add_output(fresh("value"));
  return node->output(0);
}

std::string OnnxWriter::call(StringRef function, ArrayRef<std::string> inputs,
                             void (*define)(::onnx::FunctionProto &function)) {
  auto defined = llvm::find_if(model.functions(), [&](const auto &known) {
    return known.name() == function.str();
  });
  if (defined == model.functions().end()) {
    if (model.functions().empty())
      import(model, onnx::kOwnDomain, 1);
    auto *added = model.add_functions();
    added->set_domain(onnx::kOwnDomain);
    added->set_name(function.str());
    import(*added, "", opset);
    define(*added);
  }
  std::string result = node(function, inputs);
  auto *nodes = model.mutable_graph()->mutable_node();
  nodes->Mutable(nodes->size() - 1)->set_domain(onnx::kOwnDomain);
  return result;
}

static AttributeProto *last(::onnx::ModelProto &model, StringRef name,
                            AttributeProto::AttributeType type) {
  auto *nodes = model.mutable_graph()->mutable_node();
  auto *attribute = nodes->Mutable(nodes->size() - 1)->add_attribute();
  attribute->set_name(name.str());
  attribute->set_type(type);
  return attribute;
}

void OnnxWriter::attribute(StringRef name, int64_t value) {
  last(model, name, AttributeProto::INT)->set_i(value);
}
void OnnxWriter::attribute(StringRef name, double value) {
  last(model, name, AttributeProto::FLOAT)->set_f(float(value));
}
void OnnxWriter::attribute(StringRef name, StringRef value) {
  last(model, name, AttributeProto::STRING)->set_s(value.str());
}
void OnnxWriter::attribute(StringRef name, ArrayRef<int64_t> values) {
  auto *attribute = last(model, name, AttributeProto::INTS);
  for (int64_t value : values)
    attribute->add_ints(value);
}

/// Adds an initializer; equal ones of the same hint are there once.
static void fill(TensorProto *tensor, const std::string &name,
                 ArrayRef<int64_t> shape, int64_t type,
                 StringRef bytes) {
  tensor->set_name(name);
  tensor->set_data_type(type);
  for (int64_t size : shape)
    tensor->add_dims(size);
  tensor->set_raw_data(bytes.str());
}

template <typename T> static StringRef bytesOf(ArrayRef<T> values) {
  return StringRef(reinterpret_cast<const char *>(values.data()),
                   values.size() * sizeof(T));
}

std::string OnnxWriter::constant(ArrayRef<int64_t> values) {
  return constant(values, {int64_t(values.size())});
}

std::string OnnxWriter::constant(ArrayRef<int64_t> values,
                                 ArrayRef<int64_t> shape) {
  std::string &name =
      constants["i" + bytesOf(shape).str() + ":" + bytesOf(values).str()];
  if (name.empty()) {
    name = fresh("constant");
    fill(model.mutable_graph()->add_initializer(), name, shape,
         TensorProto::INT64, bytesOf(values));
  }
  return name;
}

std::string OnnxWriter::constant(ArrayRef<float> values,
                                 ArrayRef<int64_t> shape) {
  std::string &name =
      constants["f" + bytesOf(shape).str() + ":" + bytesOf(values).str()];
  if (name.empty()) {
    name = fresh("constant");
    fill(model.mutable_graph()->add_initializer(), name, shape,
         TensorProto::FLOAT, bytesOf(values));
  }
  return name;
}

std::string OnnxWriter::scalar(double value) {
  return constant(ArrayRef<float>(float(value)), {});
}

std::string OnnxWriter::number(int64_t value) {
  return constant(ArrayRef<int64_t>(value), ArrayRef<int64_t>());
}

std::string OnnxWriter::weight(Value value, ArrayRef<int64_t> shape) {
  auto op = value.getDefiningOp<cnn::WeightOp>();
  if (!op || shape.empty() || shape == cnn::tensorOf(value).getShape())
    return name(value);
  // A vector along the channels has other sizes of 1 behind it here.
  return node("Reshape", {name(value), constant(shape)});
}

std::optional<std::vector<int64_t>> OnnxWriter::wholeNumbers(Value value) {
  auto weight = value.getDefiningOp<cnn::WeightOp>();
  auto type = cnn::tensorOf(value);
  if (!weight || !type.getElementType().isSignlessInteger(64))
    return std::nullopt;
  std::string bytes = weights.readAs(weight.getName(), type.getShape(),
                                     type.getElementType());
  std::vector<int64_t> numbers(bytes.size() / sizeof(int64_t));
  memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(int64_t));
  return numbers;
}

void OnnxWriter::result(Operation *op, std::string name) {
  auto *nodes = model.mutable_graph()->mutable_node();
  if (nodes->size()) {
    std::string path = cnn::layerLocation(op->getLoc()).path;
    auto *node = nodes->Mutable(nodes->size() - 1);
    if (!path.empty() && node->name().empty())
      node->set_name(fresh(path));
  }
  bind(op->getResult(0), std::move(name));
}

int64_t elementTypeOf(Type element) {
  if (element.isF32())
    return TensorProto::FLOAT;
  if (element.isF64())
    return TensorProto::DOUBLE;
  if (element.isBF16())
    return TensorProto::BFLOAT16;
  const bool isSigned = !element.isUnsignedInteger();
  switch (element.getIntOrFloatBitWidth()) {
  case 1:
    return TensorProto::BOOL;
  case 16:
    return isSigned ? TensorProto::INT16 : TensorProto::UINT16;
  case 32:
    return isSigned ? TensorProto::INT32 : TensorProto::UINT32;
  case 64:
    return isSigned ? TensorProto::INT64 : TensorProto::UINT64;
  default:
    return isSigned ? TensorProto::INT8 : TensorProto::UINT8;
  }
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

void OnnxWriter::port(Operation *op, Value value, StringRef name, bool isInput) {
  auto *graph = model.mutable_graph();
  auto *port = isInput ? graph->add_input() : graph->add_output();
  port->set_name(name.str());
  auto *tensor = port->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(elementTypeOf(cnn::tensorOf(value).getElementType()));
  for (int64_t size : cnn::tensorOf(value).getShape()) {
    auto *dim = tensor->mutable_shape()->add_dim();
    if (ShapedType::isDynamic(size))
      dim->set_dim_param("N");
    else
      dim->set_dim_value(size);
  }
}

void OnnxWriter::writeWeight(cnn::WeightOp weight) {
  std::string name = weight.getName().str();
  bind(weight.getResult(), name);
  if (!written.insert(name).second)
    return;
  auto type = cnn::tensorOf(weight.getResult());
  Type element = type.getElementType();
  std::vector<float> storage;
  std::string bytes = element.isF32()
                          ? bytesOf(weights.read(name, type.getShape(), storage)).str()
                          : weights.readAs(name, type.getShape(), element);
  fill(model.mutable_graph()->add_initializer(), name, type.getShape(),
       elementTypeOf(element), bytes);
}

std::string OnnxWriter::name(Value value) {
  auto weight = value.getDefiningOp<cnn::WeightOp>();
  if (weight && !names.count(value))
    writeWeight(weight);
  return names.lookup(value);
}

std::string operatorDomain(StringRef model) { return ("halcyon." + model).str(); }

int64_t portTypeOf(Type element) {
  return element.isInteger(1) ? int64_t(TensorProto::UINT8) : elementTypeOf(element);
}

bool OnnxWriter::isPartsOwn(cnn::WeightOp weight) const {
  return part && llvm::all_of(weight->getUsers(),
                              [&](Operation *user) { return part->ops.contains(user); });
}

void OnnxWriter::writePart() {
  // A truth value is a byte on the other side.
  auto cast = [&](const std::string &name, Value value, int64_t type) {
    if (!cnn::tensorOf(value).getElementType().isInteger(1))
      return name;
    std::string result = node("Cast", name);
    attribute("to", type);
    return result;
  };
  std::vector<std::string> inputs, outputs;
  for (Value value : part->inputs)
    inputs.push_back(cast(name(value), value, TensorProto::UINT8));
  auto *call = model.mutable_graph()->add_node();
  call->set_name(fresh(part->name));
  call->set_op_type(part->name);
  call->set_domain(operatorDomain(part->name));
  for (const std::string &input : inputs)
    call->add_input(input);
  for (size_t i = 0; i != part->outputs.size(); ++i)
    outputs.push_back(fresh("value"));
  for (const std::string &output : outputs)
    call->add_output(output);
  for (auto [value, output] : llvm::zip(part->outputs, outputs))
    bind(value, cast(output, value, TensorProto::BOOL));
}

bool OnnxWriter::write(cnn::ModelOp source) {
  model.set_ir_version(format);
  model.set_producer_name("halcyon");
  import(model, "", opset);
  if (part)
    import(model, operatorDomain(part->name), 1);
  model.mutable_graph()->set_name(source.getSymName().str());
  // What nothing uses is not written.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(source.getBody().front())))
    if (op.use_empty() && !isa<cnn::OutputOp, cnn::InputOp>(op))
      op.erase();
  // Names of the model's own come first.
  for (Operation &op : source.getBody().front())
    if (auto output = dyn_cast<cnn::OutputOp>(op))
      taken.insert(output.getName().str());
    else if (auto input = dyn_cast<cnn::InputOp>(op))
      taken.insert(input.getName().str());
    else if (auto weight = dyn_cast<cnn::WeightOp>(op))
      taken.insert(weight.getName().str());
  bool good = true;
  for (Operation &op : source.getBody().front()) {
    for (Value value : op.getResults())
      if (Type element = cnn::tensorOf(value).getElementType();
          !element.isF32() && !element.isInteger()) {
        op.emitError("ONNX is written of f32, whole numbers and truth values");
        return false;
      }
    if (auto input = dyn_cast<cnn::InputOp>(op)) {
      port(&op, input.getResult(), input.getName(), true);
      bind(input.getResult(), input.getName().str());
    } else if (auto weight = dyn_cast<cnn::WeightOp>(op)) {
      if (cnn::tensorOf(weight.getResult()).getElementType().isF32() && !isPartsOwn(weight))
        writeWeight(weight);
    } else if (part && part->ops.contains(&op)) {
      if (&op == part->ops.back())
        writePart();
    } else if (auto output = dyn_cast<cnn::OutputOp>(op)) {
      auto *node = model.mutable_graph()->add_node();
      node->set_op_type("Identity");
      node->add_input(name(output.getValue()));
      node->add_output(output.getName().str());
      port(&op, output.getValue(), output.getName(), false);
    } else {
      WriteOnnx write = registry().lookup(op.getName().getStringRef());
      if (!write) {
        op.emitError() << "'" << op.getName().stripDialect()
                       << "' has no form in ONNX here";
        good = false;
        for (Value value : op.getResults())
          bind(value, "");
        continue;
      }
      good &= succeeded(write(&op, *this));
    }
  }
  return good;
}

static bool fillModel(cnn::ModelOp model, const ModelPart *part, const WeightSource &weights,
                      ::onnx::ModelProto &proto, llvm::raw_ostream &errors) {
  if (!OnnxWriter(proto, weights, part).write(model))
    return false;
  if (proto.ByteSizeLong() <= INT32_MAX)
    return true;
  errors << "error: the model is larger than 2 GiB, which a single file of "
            "ONNX can't be\n";
  return false;
}

std::string onnxAround(cnn::ModelOp model, const ModelPart &part, const WeightSource &weights,
                       llvm::raw_ostream &errors) {
  ::onnx::ModelProto proto;
  return fillModel(model, &part, weights, proto, errors) ? proto.SerializeAsString() : "";
}

bool emitOnnx(ModuleOp module, const WeightSource &weights,
              const std::string &path, llvm::raw_ostream &errors) {
  auto models = module.getOps<cnn::ModelOp>();
  if (models.empty()) {
    errors << "error: the file has no model\n";
    return false;
  }
  ::onnx::ModelProto proto;
  if (!fillModel(*models.begin(), nullptr, weights, proto, errors))
    return false;
  std::string temporary = path + ".tmp" + std::to_string(getpid());
  {
    std::ofstream file(temporary, std::ios::binary);
    if (!file || !proto.SerializeToOstream(&file) || !file.flush()) {
      errors << "error: can't write " << path << ": " << strerror(errno) << "\n";
      unlink(temporary.c_str());
      return false;
    }
  }
  if (rename(temporary.c_str(), path.c_str()) == 0)
    return true;
  errors << "error: can't write " << path << ": " << strerror(errno) << "\n";
  unlink(temporary.c_str());
  return false;
}

} // namespace halcyon
