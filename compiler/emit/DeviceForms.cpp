//===- DeviceForms.cpp - Kernels for a device, and what calls them --------===//

#include "compiler/emit/DeviceHost.h"
#include "compiler/emit/DeviceKernels.h"
#include "compiler/emit/Library.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace halcyon {

/// A text is one; SPIR-V has a module for each grid, which begins with its
/// magic number. Before each Halide notes, in small numbers, what it binds: as
/// an instruction, such a word would have no length.
static SmallVector<StringRef> modulesOf(StringRef code) {
  const StringRef magic("\x03\x02\x23\x07", 4);
  if (!code.starts_with(magic))
    return {code};
  SmallVector<StringRef> modules;
  const size_t header = 5 * 4;
  for (size_t from = 0; from != StringRef::npos;) {
    size_t end = from + header, words = 1;
    for (; words && end + 4 <= code.size(); end += 4 * words)
      words = support::endian::read16le(code.data() + end + 2);
    modules.push_back(code.slice(from, end));
    from = code.find(magic, end);
  }
  return modules;
}

bool writeDeviceKernels(Emission &emission) {
  KernelCompilerOptions options = emission.kernels;
  options.output = KernelOutput::Device;
  auto kernels = compileKernels(emission.program, emission.target, options, {},
                                emission.errors);
  if (mlir::failed(kernels))
    return false;
  for (CompiledKernel &kernel : *kernels) {
    auto code = MemoryBuffer::getFile(kernel.path);
    if (!code)
      return emission.succeeded("can't read " + kernel.path);
    // Pictures are resized on the CPU.
    if ((*code)->getBufferSize() == 0)
      continue;
    SmallVector<StringRef> modules = modulesOf((*code)->getBuffer());
    for (auto [index, module] : enumerate(modules)) {
      std::string name = kernel.kernel.getSymName().str();
      if (modules.size() > 1)
        name += "." + std::to_string(index);
      std::string error = emission.folder->write(
          "kernels/" + name + "." + emission.target.device->language, module);
      if (!emission.succeeded(error))
        return false;
    }
  }
  return true;
}

namespace {

/// The code of each kernel as the device's driver gets it, and a static library
/// of a program that runs there, as `lib` is one of a program for a CPU: where the
/// driver is one that a program on Linux looks for when it starts. For another
/// system a library of what calls the kernels, and the session as source.
class DeviceForm : public Form {
public:
  /// `checked`: who runs it in the tests; empty where nobody does. Then `lookedAt`
  /// says what they do with the kernels.
  DeviceForm(StringRef device, StringRef summary, StringRef checked,
             StringRef lookedAt, StringRef cpu = "", HostSystem system = {})
      : Form(device, summary), checked(checked), lookedAt(lookedAt), cpu(cpu),
        system(system) {}

  StringRef machine() const override { return cpu.empty() ? Form::machine() : cpu; }
  StringRef device() const override { return name; }
  std::string refusal(const Target &target) const override {
    if (!target.device || !StringRef(target.device->name).starts_with(name))
      return "its kernels are for " + name.str() + ", not for " + target.name;
    if (cpu.empty())
      return refuseLinking(target);
    return StringRef(target.triple).contains(system.inTriple)
               ? ""
               : "it is for " + system.name.str() + " (" + cpu.str() + "), not for " + target.name;
  }
  std::string checkedBy(const Target &target) const override {
    return checked.empty() ? "" : whoRuns(target, checked);
  }
  std::string lookedAtBy() const override { return lookedAt.str(); }
  bool write(Emission &emission) const override {
    if (!writeDeviceKernels(emission))
      return false;
    return cpu.empty() ? writeLibrary(*this, emission, /*isShared=*/false)
                       : writeDeviceHost(*this, emission, system);
  }

private:
  StringRef checked, lookedAt;
  StringRef cpu; ///< that it is for where no target is named; empty: this one
  HostSystem system;
};

} // namespace

[[maybe_unused]] static const bool registered = [] {
  struct Kind {
    StringRef device, summary, checked, lookedAt;
    StringRef cpu = "";
    HostSystem system = {};
  };
  for (Kind kind : {
           Kind{"opencl", "OpenCL kernels and a library that calls them",
                "a C program on PoCL", ""},
           {"vulkan", "SPIR-V kernels and a library that calls them",
            "a C program on Mesa's lavapipe", ""},
           {"cuda", "PTX kernels and a library that calls them", "",
            "assembled by ptxas"},
           {"metal", "Metal kernels, a library that calls them, and a session in C", "",
            "type-checked by clang, and a session like this runs with OpenCL's", "arm64-osx",
            HostSystem{"apple", "macOS", "lib@NAME@.a",
                       "clang example.c @NAME@.c -Iinclude -Llib -l@NAME@ "
                       "-framework Metal -framework Foundation -o example",
                       "Apple's frameworks Metal and Foundation"}},
           {"d3d12", "HLSL kernels, a library that calls them, and a session in C", "",
            "compiled by glslang, and a session like this runs with OpenCL's", "x86-64-windows",
            HostSystem{"windows", "Windows", "@NAME@.lib",
                       "clang-cl example.c @NAME@.c lib/@NAME@.lib -Iinclude -o example.exe",
                       "Direct3D 12, which it looks for when it starts", /*typesBuffers=*/true}},
       })
    registerForm(
        std::make_unique<DeviceForm>(kind.device, kind.summary, kind.checked,
                                     kind.lookedAt, kind.cpu, kind.system));
  return true;
}();

} // namespace halcyon
