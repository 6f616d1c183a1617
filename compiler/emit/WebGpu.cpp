//===- WebGpu.cpp - A model for browsers' GPUs ----------------------------===//

#include "compiler/codegen/Link.h"
#include "compiler/emit/DeviceKernels.h"
#include "compiler/emit/JavaScript.h"

#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace halcyon {

namespace {

/// The kernels as WGSL, what calls them, in WebAssembly, and JavaScript that is the
/// session and speaks to WebGPU.
class WebGpu : public Form {
public:
  WebGpu() : Form("webgpu", "WGSL kernels and a loader, for browsers with WebGPU") {}
  StringRef machine() const override { return "wasm"; }
  StringRef device() const override { return "webgpu"; }
  std::string refusal(const Target &target) const override {
    return target.name == "wasm+webgpu"
               ? ""
               : "it is for the target wasm+webgpu, not for " + target.name;
  }
  std::string checkedBy(const Target &) const override {
    return "headless Chromium, on the CPU as SwiftShader";
  }
  bool write(Emission &emission) const override;
};

} // namespace

bool WebGpu::write(Emission &emission) const {
  Interface interface(emission.program);
  ProgramTables tables = collectTables(emission.program);
  const std::string &name = interface.name;
  if (!writeDeviceKernels(emission))
    return false;
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
  if (error.empty())
    error = linkWasm(objects, exported, /*shared=*/false,
                     emission.folder->file(name + ".wasm"));
  TextWriter texts(*this, emission, interface);
  auto &values = texts.values;
  values["TABLE"] = formatv("{0}", tableOf(emission, interface, tables,
                                           weightsFileHeader(emission.program, id)));
  values["FIRST_INPUT"] = interface.inputs.front().name;
  values["FIRST_ARRAY"] = arrayOf(interface.inputs.front());
  values["FIRST_OUTPUT"] = interface.outputs.front().name;
  values["ONE"] = std::to_string(tables.onlyBatch ? tables.onlyBatch : 1);
  auto write = [&](StringRef path, StringRef text) {
    if (error.empty())
      error = texts.write(path, text);
  };
  write("README.md", "webgpu/README.md");
  write("serve.mjs", "wasm/serve.mjs");
  write("index.html", "webgpu/index.html");
  values["PORTS"] = StringRef(interface.portLines("// ")).rtrim().str();
  write(name + ".mjs", "webgpu/model.mjs");
  return emission.succeeded(error);
}

static RegisterForm<WebGpu> webGpu;

} // namespace halcyon
