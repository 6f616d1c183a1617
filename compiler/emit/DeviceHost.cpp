//===- DeviceHost.cpp - What calls a device's kernels, as C source --------===//

#include "compiler/emit/DeviceHost.h"

#include "compiler/codegen/DeviceRuntime.h"
#include "compiler/codegen/Link.h"
#include "compiler/codegen/ProgramTables.h"
#include "compiler/emit/Interface.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace halcyon {

/// An array of `type`, which C wants to have at least one element.
static std::string arrayOf(StringRef type, StringRef name, ArrayRef<std::string> elements) {
  std::string text = formatv("static const {0} {1}[] = {{\n", type, name).str();
  for (const std::string &element : elements)
    text += "  " + element + ",\n";
  return text + (elements.empty() ? "  {0},\n" : "") + "};\n";
}

static std::string viewText(const halcyon_view &view) {
  std::string dims;
  ListSeparator comma;
  for (const halcyon_dim &dim : ArrayRef(view.dims, view.rank))
    dims += (StringRef(comma) +
             formatv("{{{0}, {1}, {2}}", dim.min, dim.extent, dim.stride).str()).str();
  return formatv("{{{0}, {1}, {2}, {3}, {4}u, {5}u, {6}u, {{{7}}, 0, 0}", int(view.space),
                 int(view.type_code), int(view.type_bits), int(view.rank), view.index,
                 view.slot, view.offset, view.rank ? dims : "{0, 0, 0}");
}

static std::string portText(const halcyon_port &port) {
  std::string shape;
  ListSeparator comma;
  for (int64_t extent : ArrayRef(port.shape, port.rank))
    shape += (StringRef(comma) + std::to_string(extent)).str();
  return formatv("{{0, {0}, {1}, {2}, {{{3}}, -1, UINT32_MAX, 0, 0, 0}",
                 int(port.type_code), int(port.type_bits), port.rank,
                 port.rank ? shape : "0");
}

/// The program's table, of whose functions it has the first alone: pictures are not
/// resized there.
static std::string tableText(exec::ProgramOp program, const Target &target,
                             const ProgramTables &tables) {
  std::vector<std::string> views, calls, inputs, outputs;
  std::string kernels, declared;
  size_t most = 0;
  for (const std::string &kernel : tables.kernels) {
    declared += "int " + kernel + "_argv(void **arguments);\n";
    kernels += "  " + kernel + "_argv,\n";
  }
  for (const halcyon_view &view : tables.views)
    views.push_back(viewText(view));
  const halcyon_function &infer = tables.functions.front();
  for (const halcyon_call &call :
       ArrayRef(tables.calls).slice(infer.first_call, infer.num_calls)) {
    most = std::max<size_t>(most, call.num_views);
    calls.push_back(formatv("{{{0}, {1}, {2}, {3}, {4}, {5}, 0, 0, 0, 0}", call.kernel,
                            call.first_view, call.num_views, call.layer, call.line,
                            call.algorithm));
  }
  for (const halcyon_port &port : tables.inputs)
    inputs.push_back(portText(port));
  for (const halcyon_port &port : tables.outputs)
    outputs.push_back(portText(port));
  // As numbers: C promises no string of more than 4095 characters.
  std::string strings;
  SmallVector<StringRef> lines;
  StringRef(tables.strings).split(lines, '\0');
  for (StringRef line : ArrayRef(lines).drop_back()) {
    for (unsigned char c : line)
      strings += std::to_string(c) + ",";
    strings += "0,\n";
  }
  std::string text;
  auto number = [&](StringRef name, uint64_t value) {
    text += formatv("#define {0} {1}u\n", name, value).str();
  };
  number("INPUTS", inputs.size());
  number("OUTPUTS", outputs.size());
  number("VIEWS", std::max<size_t>(views.size(), 1));
  number("CALLS", calls.size());
  number("MOST_VIEWS", most);
  number("ALIGNMENT", target.alignment);
  text += formatv("#define ARENA_BYTES UINT64_C({0})\n#define FIXED_BYTES UINT64_C({1})\n"
                  "#define WEIGHT_BYTES UINT64_C({2})\n",
                  program.getArena(), program.getArenaFixed(), program.getWeights())
              .str();
  number("ONLY_BATCH", tables.onlyBatch);
  return text + "\n" + declared + "static const halcyon_kernel kernels[] = {\n" + kernels +
         "};\n" + arrayOf("halcyon_view", "views", views) +
         arrayOf("halcyon_call", "calls", calls) + arrayOf("halcyon_port", "inputs", inputs) +
         arrayOf("halcyon_port", "outputs", outputs) + "static const char strings[] = {\n" +
         strings + "0};\n";
}

/// Whether the kernels of a run read and write nothing else.
static bool isAllF32(const ProgramTables &tables) {
  const halcyon_function &infer = tables.functions.front();
  for (const halcyon_call &call :
       ArrayRef(tables.calls).slice(infer.first_call, infer.num_calls))
    for (const halcyon_view &view :
         ArrayRef(tables.views).slice(call.first_view, call.num_views))
      if (view.type_code != 2 /* float */ || view.type_bits != 32)
        return false;
  return true;
}

bool writeDeviceHost(const Form &form, Emission &emission, const HostSystem &system) {
  Interface interface(emission.program);
  ProgramTables tables = collectTables(emission.program);
  const std::string &name = interface.name;
  if (system.typesBuffers && !isAllF32(tables))
    return emission.succeeded("--for=" + form.name.str() +
                              ": a buffer has one type there, and the model has tensors "
                              "other than f32");
  std::vector<ForkedJob> jobs;
  std::vector<std::string> objects = {deviceRuntime(emission.target, jobs)};
  auto kernels = compileKernels(emission.program, emission.target, emission.kernels, jobs,
                                emission.errors);
  if (mlir::failed(kernels))
    return false;
  for (const CompiledKernel &kernel : *kernels)
    objects.push_back(kernel.path);
  TextWriter texts(form, emission, interface);
  auto &values = texts.values;
  values["LIBRARY"] = texts.fill(system.library.str());
  values["COMMAND"] = texts.fill(system.command.str());
  values["NEEDS"] = system.needs.str();
  values["INTERFACE"] = emission.target.device->interface;
  values["TABLES"] = tableText(emission.program, emission.target, tables);
  values["INPUTS"] = std::to_string(interface.inputs.size());
  values["OUTPUTS"] = std::to_string(interface.outputs.size());
  values["ONE"] = std::to_string(tables.onlyBatch ? tables.onlyBatch : 1);
  values["WEIGHTS_AT"] = std::to_string(kWeightsFileStart);
  const uint64_t id = weightsIdOf(emission.program, emission.weights);
  ListSeparator comma, anotherComma;
  for (unsigned char byte : weightsFileHeader(emission.program, id))
    values["HEADER"] += (StringRef(comma) + std::to_string(byte)).str();
  for (const Port &port : interface.outputs)
    values["FLOATS"] +=
        (StringRef(anotherComma) + (port.cType() == "float" ? "1" : "0")).str();
  std::string error =
      archiveObjects(objects, emission.folder->file("lib/" + values["LIBRARY"]));
  if (error.empty() && emission.program.getWeights())
    error = writeWeightsFile(emission.program, emission.weights, id,
                             emission.folder->file(name + ".weights"));
  auto write = [&](StringRef path, StringRef text) {
    if (error.empty())
      error = texts.write(path, text);
  };
  write("include/halcyon/program.h", "halcyon/program.h");
  write("README.md", "device/README.md");
  write("example.c", "device/example.c");
  values["PORTS"] = StringRef(interface.portLines("// ")).rtrim().str();
  write("include/" + name + ".h", "device/model.h");
  write(name + ".c", "device/model.c");
  return emission.succeeded(error);
}

} // namespace halcyon
