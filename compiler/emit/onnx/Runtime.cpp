//===- Runtime.cpp - A model as an operator of ONNX Runtime ---------------===//

#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/Library.h"
#include "compiler/emit/onnx/Export.h"
#include "compiler/emit/onnx/Part.h"
#include "compiler/targets/Elf.h"

#include "onnx-ml.pb.h"

namespace halcyon {

namespace {

class OnnxRuntime : public Form {
public:
  OnnxRuntime()
      : Form("onnxruntime",
             "a library and an ONNX file, for ONNX Runtime's custom operators") {}
  std::string refusal(const Target &target) const override {
    std::string why = refuseLinking(target);
    return why.empty() && !isNative(*elfOf(target))
               ? "it is made for the compiler's own kind of machine alone, not for " +
                     target.name
               : why;
  }
  std::string checkedBy(const Target &target) const override { return "ONNX Runtime"; }
  bool takesLayers() const override { return true; }
  bool cut(Emission &emission) const override;
  bool write(Emission &emission) const override;
};

} // namespace

/// A graph of one node: the whole model.
static std::string graphOf(const Interface &interface, const std::string &domain,
                           int64_t onlyBatch) {
  ::onnx::ModelProto model;
  model.set_ir_version(9);
  model.set_producer_name("halcyon");
  for (auto [name, version] : {std::pair<std::string, int>("", 20), {domain, 1}}) {
    auto *import = model.add_opset_import();
    import->set_domain(name);
    import->set_version(version);
  }
  auto *graph = model.mutable_graph();
  graph->set_name(interface.model);
  auto *node = graph->add_node();
  node->set_name(interface.model);
  node->set_op_type(interface.model);
  node->set_domain(domain);
  auto add = [&](::onnx::ValueInfoProto *value, const Port &port) {
    value->set_name(port.name);
    auto *tensor = value->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(portTypeOf(port.type.getElementType()));
    for (int64_t size : port.type.getShape()) {
      auto *dim = tensor->mutable_shape()->add_dim();
      if (!mlir::ShapedType::isDynamic(size) || onlyBatch)
        dim->set_dim_value(mlir::ShapedType::isDynamic(size) ? onlyBatch : size);
      else
        dim->set_dim_param("N");
    }
  };
  for (const Port &port : interface.inputs) {
    add(graph->add_input(), port);
    node->add_input(port.name);
  }
  for (const Port &port : interface.outputs) {
    add(graph->add_output(), port);
    node->add_output(port.name);
  }
  return model.SerializeAsString();
}

bool OnnxRuntime::cut(Emission &emission) const {
  auto models = emission.module.getOps<cnn::ModelOp>();
  if (models.empty())
    return emission.succeeded("the file has no model");
  cnn::ModelOp model = *models.begin();
  std::string error;
  ModelPart part = findPart(model, emission.layers, error);
  if (!emission.succeeded(error))
    return false;
  std::string around = onnxAround(model, part, emission.weights, emission.errors);
  if (around.empty())
    return false;
  mlir::OwningOpRef<cnn::ModelOp> copy = part.copy();
  model.erase();
  emission.module.push_back(copy.release());
  return emission.succeeded(
      emission.folder->write(identifierOf(part.name) + ".onnx", around));
}

bool OnnxRuntime::write(Emission &emission) const {
  Interface interface(emission.program);
  ProgramTables tables = collectTables(emission.program);
  for (auto [index, port] : llvm::enumerate(tables.outputs))
    if (port.counted_by)
      return emission.succeeded("--for=onnxruntime: how large the output " +
                                interface.outputs[index].name +
                                " is, the data decide; an operator's outputs are "
                                "as large as its inputs say");
  const std::string &name = interface.name;
  const std::string domain = operatorDomain(interface.model), file = "lib" + name + "_onnxruntime.so";
  bool linked = linkProgram(
      emission, interface,
      [&](const std::vector<std::string> &objects) {
        return linkSharedLibrary(objects, {{"RegisterCustomOps", "RegisterCustomOps"}},
                                 emission.target, emission.folder->file(file), file,
                                 "libhalcyon_onnxruntime.a");
      },
      "halcyon_program_main");
  if (!linked)
    return false;
  TextWriter texts(*this, emission, interface);
  texts.values["DOMAIN"] = domain;
  const bool isWhole = emission.layers.empty();
  texts.values["GRAPH"] =
      isWhole ? "a graph of that one operator; other graphs can have it as a node, too"
              : "the model, in which these layers are that operator and the others ONNX's own";
  std::string error;
  if (isWhole)
    error = emission.folder->write(name + ".onnx",
                                   graphOf(interface, domain, tables.onlyBatch));
  if (error.empty())
    error = texts.write("example.py", "onnxruntime/example.py");
  if (error.empty())
    error = texts.write("README.md", "onnxruntime/README.md");
  return emission.succeeded(error);
}

static RegisterForm<OnnxRuntime> onnxRuntime;

} // namespace halcyon
