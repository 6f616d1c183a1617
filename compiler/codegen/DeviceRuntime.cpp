//===- DeviceRuntime.cpp - What programs for a device link ----------------===//

#include "compiler/codegen/DeviceRuntime.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/Link.h"

#include "Halide.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"

namespace halcyon {

/// The architecture and the system: what the runtime is compiled for.
static std::string baseTarget(const Target &target) {
  // "x86-64-linux", and features behind it.
  llvm::StringRef whole = target.halide;
  size_t end = 0;
  for (int part = 0; part < 3; ++part)
    end = whole.find('-', end + 1);
  return whole.take_front(end).str();
}

std::string refuseDevice(const Target &target) {
  if (!target.device || target.device->links)
    return "";
  return "programs can't be made for " + target.device->name +
         "; `halcyon emit --for=" + target.device->name + "` writes the model for it";
}

std::string deviceRuntime(const Target &target, std::vector<ForkedJob> &jobs) {
  if (!target.device->library.empty())
    return runtimeLibrary(target.device->library, target);
  std::string name = baseTarget(target) + target.device->halide;
  std::string path = cachePath("runtime of " + name, "o");
  if (llvm::sys::fs::exists(path))
    return path;
  jobs.push_back(fileJob("the runtime of " + name, path, [=](const std::string &file) -> std::string {
    try {
      Halide::compile_standalone_runtime({{Halide::OutputFileType::object, file}},
                                         Halide::Target(name));
    } catch (const std::exception &error) {
      return error.what();
    }
    return "";
  }));
  return path;
}

} // namespace halcyon
