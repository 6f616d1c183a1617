//===- Wasm.cpp - A model in WebAssembly ----------------------------------===//

#include "compiler/codegen/Link.h"
#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/JavaScript.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace halcyon {

namespace {

/// Kernels as a module, and JavaScript that does what a session does elsewhere: it
/// reads the program's table, as JSON, and calls one kernel after another.
class Wasm : public Form {
public:
  Wasm() : Form("wasm", "WebAssembly, a loader and a page, for browsers and Node") {}
  bool splitsBatch() const override { return false; }
  StringRef machine() const override { return "wasm"; }
  std::string refusal(const Target &target) const override {
    return target.name == "wasm" ? "" : "it is for the target wasm, not for " + target.name;
  }
  std::string checkedBy(const Target &target) const override {
    return "Node, in one thread and in several, and headless Chromium";
  }
  bool write(Emission &emission) const override;
};

} // namespace

json::Value tableOf(const Emission &emission, const Interface &interface,
                    const ProgramTables &tables, StringRef header) {
  json::Array views, calls, functions, kernels, bytes;
  for (const halcyon_view &view : tables.views) {
    json::Array dims;
    for (unsigned d = 0; d != view.rank; ++d)
      dims.push_back(json::Array{view.dims[d].min, view.dims[d].extent, view.dims[d].stride});
    views.push_back(json::Object{{"space", view.space}, {"code", view.type_code},
                                 {"bits", view.type_bits}, {"index", view.index},
                                 {"slot", int64_t(view.slot)},
                                 {"offset", int64_t(view.offset)},
                                 {"dims", std::move(dims)}});
  }
  for (const halcyon_call &call : tables.calls)
    calls.push_back(json::Object{{"kernel", call.kernel}, {"first", call.first_view},
                                 {"views", call.num_views},
                                 {"layer", tables.string(call.layer)}});
  for (const halcyon_function &function : tables.functions)
    functions.push_back(
        json::Object{{"first", function.first_call}, {"calls", function.num_calls}});
  for (const std::string &kernel : tables.kernels)
    kernels.push_back(kernel + "_argv");
  for (unsigned char byte : header)
    bytes.push_back(int64_t(byte));
  auto ports = [&](const std::vector<Port> &named, const std::vector<halcyon_port> &list) {
    json::Array result;
    for (auto [name, port] : zip(named, list)) {
      json::Array shape;
      for (unsigned d = 0; d != port.rank; ++d)
        shape.push_back(port.shape[d] == HALCYON_BATCH ? json::Value(nullptr)
                                                       : json::Value(port.shape[d]));
      json::Object made{{"name", name.name}, {"type", name.elementText()},
                        {"shape", std::move(shape)}};
      if (&list == &tables.inputs) {
        made["image"] = port.image_function < 0 ? json::Value(nullptr)
                                                : json::Value(port.image_function);
      } else {
        made["softmax"] = port.softmax != 0;
        if (port.labels != UINT32_MAX) {
          json::Array labels;
          for (StringRef label : split(StringRef(tables.string(port.labels)).rtrim('\n'), '\n'))
            labels.push_back(label);
          made["labels"] = std::move(labels);
        }
      }
      result.push_back(std::move(made));
    }
    return result;
  };
  exec::ProgramOp program = emission.program;
  return json::Object{{"inputs", ports(interface.inputs, tables.inputs)},
                      {"outputs", ports(interface.outputs, tables.outputs)},
                      {"kernels", std::move(kernels)},
                      {"functions", std::move(functions)},
                      {"calls", std::move(calls)},
                      {"views", std::move(views)},
                      {"header", std::move(bytes)},
                      {"arenaBytes", int64_t(program.getArena())},
                      {"fixedBytes", int64_t(program.getArenaFixed())},
                      {"weightBytes", int64_t(program.getWeights())},
                      {"onlyBatch", tables.onlyBatch}};
}

StringRef arrayOf(const Port &port) {
  return StringSwitch<StringRef>(port.elementText())
      .Case("f32", "Float32Array").Case("f64", "Float64Array")
      .Case("i8", "Int8Array").Case("i16", "Int16Array").Case("i32", "Int32Array")
      .Case("i64", "BigInt64Array").Case("u64", "BigUint64Array")
      .Case("u32", "Uint32Array").Cases({"u16", "bf16"}, "Uint16Array")
      .Default("Uint8Array");
}

bool Wasm::write(Emission &emission) const {
  Interface interface(emission.program);
  ProgramTables tables = collectTables(emission.program);
  const std::string &name = interface.name;
  auto kernels = compileKernels(emission.program, emission.target, emission.kernels, {},
                                emission.errors);
  if (mlir::failed(kernels))
    return false;
  std::vector<std::string> objects, exported;
  for (const CompiledKernel &kernel : *kernels)
    objects.push_back(kernel.path);
  for (const std::string &kernel : tables.kernels)
    exported.push_back(kernel + "_argv");
  uint64_t id = weightsIdOf(emission.program, emission.weights);
  std::string error = writeWeightsFile(emission.program, emission.weights, id,
                                       emission.folder->file(name + ".weights"));
  for (auto [file, shared] : {std::pair<std::string, bool>{name + ".wasm", false},
                              {name + "-threads.wasm", true}})
    if (error.empty())
      error = linkWasm(objects, exported, shared, emission.folder->file(file));

  TextWriter texts(*this, emission, interface);
  auto &values = texts.values;
  values["TABLE"] = formatv("{0}", tableOf(emission, interface, tables,
                                           weightsFileHeader(emission.program, id)));
  values["FIRST_INPUT"] = interface.inputs.front().name;
  values["FIRST_ARRAY"] = arrayOf(interface.inputs.front());
  values["FIRST_OUTPUT"] = interface.outputs.front().name;
  values["ONE"] = std::to_string(tables.onlyBatch ? tables.onlyBatch : 1);
  // The page is for models that make classes of a picture.
  const bool hasPage = interface.inputs.size() == 1 && interface.inputs[0].image &&
                       interface.outputs[0].type.getRank() == 2 &&
                       interface.outputs[0].elementText() == "f32";
  if (hasPage)
    values["PAGE"] = " `index.html` classifies a picture that is\ndropped on it; "
                     "`serve.mjs` serves the folder as isolated pages.";
  auto write = [&](StringRef path, StringRef text) {
    if (error.empty())
      error = texts.write(path, text);
  };
  write("README.md", "wasm/README.md");
  if (hasPage)
    write("index.html", "wasm/index.html");
  write("serve.mjs", "wasm/serve.mjs");
  write("example.mjs", "wasm/example.mjs");
  write(name + "-worker.mjs", "wasm/worker.mjs");
  values["PORTS"] = StringRef(interface.portLines("// ")).rtrim().str();
  write(name + ".mjs", "wasm/model.mjs");
  return emission.succeeded(error);
}

static RegisterForm<Wasm> wasm;

} // namespace halcyon
