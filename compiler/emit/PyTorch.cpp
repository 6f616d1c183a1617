//===- PyTorch.cpp - A model as a module of PyTorch -----------------------===//

#include "compiler/emit/Library.h"
#include "compiler/emit/Texts.h"
#include "compiler/import/Safetensors.h"
#include "compiler/targets/Elf.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <map>

using namespace llvm;

namespace halcyon {

namespace {

/// The source of an extension, which is built where it is used, as torch's own ABI
/// differs from version to version, around a library of the passes' programs.
class PyTorch : public Form {
public:
  PyTorch() : Form("pytorch", "a C++ extension for PyTorch, with its backward pass") {}
  bool readsPasses() const override { return true; }
  std::string refusal(const Target &target) const override {
    return target.device ? "it runs on CPUs alone, not on " + target.name
                         : refuseLinking(target);
  }
  std::string checkedBy(const Target &target) const override {
    const Elf *elf = elfOf(target);
    return elf && isNative(*elf) ? "torch's own gradients, beside these" : "";
  }
  bool write(Emission &emission) const override;
};

/// A tensor of the model's state.
struct State {
  Port port;
  bool isTrained = false;
};

/// Weights in the shapes that the model has: a file may have sizes of 1 more, and
/// made-up weights have none.
class ShapedWeights : public WeightSource {
public:
  explicit ShapedWeights(const WeightSource &source) : source(source) {}
  std::optional<std::vector<int64_t>> shapeOf(StringRef name) const override {
    return shapes.at(name.str());
  }
  ArrayRef<float> read(StringRef name, ArrayRef<int64_t> shape,
                       std::vector<float> &storage) const override {
    return source.read(name, source.shapeOf(name).value_or(shape.vec()), storage);
  }
  uint64_t id() const override { return source.id(); }
  std::vector<std::string> names() const override { return source.names(); }

  std::map<std::string, std::vector<int64_t>> shapes;

private:
  const WeightSource &source;
};

} // namespace

/// `(("image", (None, 1, 28, 28), "float32"), )`, as Python reads it.
static std::string portText(const Port &port, StringRef more = "") {
  std::string text = "(\"" + port.name + "\", (";
  for (int64_t size : port.type.getShape())
    text += (mlir::ShapedType::isDynamic(size) ? "None" : std::to_string(size)) + ", ";
  return text + "), \"" + numpyTypeOf(port.type.getElementType()).str() + "\"" +
         more.str() + ")";
}

/// The port with its name behind a prefix; nothing where it has another.
static std::optional<Port> behind(Port port, StringRef prefix) {
  StringRef name = port.name;
  if (!name.consume_front(prefix))
    return std::nullopt;
  port.name = name.str();
  port.identifier = identifierOf(port.name);
  return port;
}

bool PyTorch::write(Emission &emission) const {
  // The passes are called after the model.
  const StringRef suffix = "_training_forward";
  std::vector<NamedProgram> programs;
  std::vector<std::string> tables;
  Interface interface;
  std::vector<State> state;
  for (auto program : emission.module.getOps<exec::ProgramOp>()) {
    tables.push_back(identifierOf(program.getSymName()));
    programs.push_back({program, tables.back()});
    StringRef model = program.getSymName();
    if (!model.consume_back(suffix))
      continue;
    interface.model = model.str();
    interface.name = pythonName(identifierOf(model));
    Interface forward(program);
    for (const Port &port : forward.inputs) {
      if (auto input = behind(port, "in:"))
        interface.inputs.push_back(*input);
      // Norms show what their statistics become.
      bool isKept = any_of(forward.outputs,
                           [&](const Port &other) { return other.name == port.name; });
      bool isReal = isa<mlir::FloatType>(port.type.getElementType());
      if (auto parameter = behind(port, "param:"))
        state.push_back({*parameter, isReal && !isKept});
    }
    for (const Port &port : forward.outputs)
      if (auto output = behind(port, "out:"))
        interface.outputs.push_back(*output);
  }
  const std::string &name = interface.name;

  ProgramOptions how;
  how.output = emission.folder->file("csrc/" + name);
  how.kernels = emission.kernels;
  ProgramObjects objects;
  std::string library = emission.folder->file("csrc/lib" + name + ".a");
  if (!makeObjects(programs, emission.target, how, {}, objects, emission.errors) ||
      !emission.succeeded(linkStaticLibrary(
          objects.paths, publicSymbols(interface, tables), emission.target, library)))
    return false;

  TextWriter texts(*this, emission, interface);
  auto &values = texts.values;
  const bool isOne = !is_contained(tables, interface.model + "_inference_forward");
  values["PASSES"] = identifierOf(interface.model);
  values["INFERENCE"] = values["PASSES"] + (isOne ? "_training" : "_inference");
  values["RETURNS"] = interface.outputs.size() == 1 ? "torch.Tensor" : "Result";
  ListSeparator comma, another;
  for (const Port &port : interface.inputs) {
    std::string parameter = pythonName(port.identifier);
    values["INPUTS"] += portText(port) + ", ";
    values["PARAMETERS"] += std::string(StringRef(comma)) + parameter + ": torch.Tensor";
    values["ARGUMENTS"] += std::string(StringRef(another)) + parameter;
  }
  for (const Port &port : interface.outputs) {
    values["OUTPUTS"] += portText(port) + ", ";
    values["RESULT"] += "    " + pythonName(port.identifier) + ": torch.Tensor\n";
  }
  std::map<std::string, std::string> names;
  ShapedWeights weights(emission.weights);
  for (const State &tensor : state) {
    values["STATE"] +=
        "\n    " + portText(tensor.port, tensor.isTrained ? ", True" : ", False") + ",";
    names[tensor.port.name] = tensor.port.name;
    weights.shapes[tensor.port.name] = tensor.port.type.getShape().vec();
  }
  values["STATE"] += state.empty() ? "" : "\n";

  std::string error = writeSafetensors(names, weights,
                                       emission.folder->file("src/" + name + "/weights.safetensors"));
  if (error.empty())
    error = emission.folder->write("csrc/" + name + ".h", libraryHeader(interface, tables));
  if (error.empty())
    error = emission.folder->write("src/" + name + "/py.typed", "");
  for (auto [path, text] :
       {std::pair<std::string, StringRef>{"src/" + name + "/__init__.py", "pytorch/__init__.py"},
        {"csrc/extension.cpp", "pytorch/extension.cpp"},
        {"csrc/halcyon/types.h", "halcyon/types.h"},
        {"csrc/halcyon/program.h", "halcyon/program.h"},
        {"setup.py", "pytorch/setup.py"},
        {"example.py", "pytorch/example.py"},
        {"README.md", "pytorch/README.md"}})
    if (error.empty())
      error = texts.write(path, text);
  return emission.succeeded(error);
}

static RegisterForm<PyTorch> pytorch;

} // namespace halcyon
