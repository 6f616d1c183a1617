//===- Export.cpp - Models as ONNX ----------------------------------------===//

#include "compiler/emit/onnx/Export.h"
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

OnnxWriter::OnnxWriter(::onnx::ModelProto &model, const WeightSource &weights)
    : model(model), weights(weights) {}
OnnxWriter::~OnnxWriter() = default;

//===----------------------------------------------------------------------===//
// Nodes and constants
//===----------------------------------------------------------------------===//

std::string OnnxWriter::fresh(StringRef hint) {
  unsigned count = counts[hint.str()]++;
  return count ? (hint + "_" + Twine(count)).str() : hint.str();
}

std::string OnnxWriter::node(StringRef op, ArrayRef<std::string> inputs) {
  auto *node = model.mutable_graph()->add_node();
  node->set_op_type(op.str());
  for (const std::string &input : inputs)
    node->add_input(input);
  node->add_output(fresh("value"));
  return node->output(0);
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
                 ArrayRef<int64_t> shape, TensorProto::DataType type,
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
  std::string &name = constants["i" + bytesOf(values).str()];
  if (name.empty()) {
    name = fresh("constant");
    fill(model.mutable_graph()->add_initializer(), name,
         {int64_t(values.size())}, TensorProto::INT64, bytesOf(values));
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

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

void OnnxWriter::port(Operation *op, Value value, StringRef name, bool isInput) {
  auto *graph = model.mutable_graph();
  auto *port = isInput ? graph->add_input() : graph->add_output();
  port->set_name(name.str());
  auto *tensor = port->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(TensorProto::FLOAT);
  for (int64_t size : cnn::tensorOf(value).getShape()) {
    auto *dim = tensor->mutable_shape()->add_dim();
    if (ShapedType::isDynamic(size))
      dim->set_dim_param("N");
    else
      dim->set_dim_value(size);
  }
}

bool OnnxWriter::write(cnn::ModelOp source) {
  model.set_ir_version(format);
  model.set_producer_name("halcyon");
  auto *import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  model.mutable_graph()->set_name(source.getSymName().str());
  // Names of the model's own come first.
  for (Operation &op : source.getBody().front())
    if (auto output = dyn_cast<cnn::OutputOp>(op))
      ++counts[output.getName().str()];
    else if (auto input = dyn_cast<cnn::InputOp>(op))
      ++counts[input.getName().str()];
  bool good = true;
  std::map<std::string, bool> written;
  for (Operation &op : source.getBody().front()) {
    // Indices are written where they are used.
    if (isa<cnn::WeightOp>(op) && wholeNumbers(op.getResult(0)))
      continue;
    for (Value value : op.getResults())
      if (!cnn::tensorOf(value).getElementType().isF32()) {
        op.emitError("ONNX is written of f32 alone");
        return false;
      }
    if (auto input = dyn_cast<cnn::InputOp>(op)) {
      port(&op, input.getResult(), input.getName(), true);
      bind(input.getResult(), input.getName().str());
    } else if (auto weight = dyn_cast<cnn::WeightOp>(op)) {
      std::string name = weight.getName().str();
      bind(weight.getResult(), name);
      if (written[name])
        continue;
      written[name] = true;
      ++counts[name];
      std::vector<float> storage;
      ArrayRef<int64_t> shape = cnn::tensorOf(weight.getResult()).getShape();
      ArrayRef<float> values = weights.read(name, shape, storage);
      fill(model.mutable_graph()->add_initializer(), name, shape,
           TensorProto::FLOAT, bytesOf(values));
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

bool emitOnnx(ModuleOp module, const WeightSource &weights,
              const std::string &path, llvm::raw_ostream &errors) {
  auto models = module.getOps<cnn::ModelOp>();
  if (models.empty()) {
    errors << "error: the file has no model\n";
    return false;
  }
  ::onnx::ModelProto proto;
  OnnxWriter writer(proto, weights);
  if (!writer.write(*models.begin()))
    return false;
  if (proto.ByteSizeLong() > INT32_MAX) {
    errors << "error: the model is larger than 2 GiB, which a single file of "
              "ONNX can't be\n";
    return false;
  }
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
