//===- PixelObjects.cpp - What training programs do to pictures -----------===//

#include "compiler/codegen/PixelObjects.h"
#include "compiler/codegen/Cache.h"
#include "compiler/pixels/PixelKernels.h"

#include "llvm/Support/FileSystem.h"

namespace halcyon {

std::vector<std::string> pixelObjects(const Target &target, bool useCache,
                                      std::vector<ForkedJob> &jobs) {
  std::vector<std::string> paths;
  for (const std::string &symbol : pixelKernels()) {
    std::string path = cachePath(symbol + " for " + target.halide, "o");
    paths.push_back(path);
    if (useCache && llvm::sys::fs::exists(path))
      continue;
    jobs.push_back(fileJob(symbol, path, [=, machine = target.halide](const std::string &file) {
      return compilePixelKernel(symbol, machine, /*asserts=*/false, file);
    }));
  }
  return paths;
}

} // namespace halcyon
