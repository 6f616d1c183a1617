//===- PixelObjects.cpp - What training programs do to pictures -----------===//

#include "compiler/codegen/PixelObjects.h"
#include "compiler/codegen/Cache.h"
#include "compiler/pixels/PixelKernels.h"

#include "llvm/Support/FileSystem.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace halcyon {

std::vector<std::string> pixelObjects(const Target &target, bool useCache,
                                      std::vector<ForkedJob> &jobs) {
  std::vector<std::string> paths;
  for (const std::string &symbol : pixelKernels()) {
    std::string path = cachePath(symbol + " for " + target.halide, "o");
    paths.push_back(path);
    if (useCache && llvm::sys::fs::exists(path))
      continue;
    jobs.push_back({symbol, [=, machine = target.halide]() -> std::string {
                      std::string temporary = path + ".tmp" + std::to_string(getpid());
                      std::string error = compilePixelKernel(symbol, machine,
                                                             /*asserts=*/false, temporary);
                      if (error.empty() && rename(temporary.c_str(), path.c_str()) != 0)
                        error = "can't write " + path + ": " + strerror(errno);
                      if (!error.empty())
                        unlink(temporary.c_str());
                      return error;
                    }});
  }
  return paths;
}

} // namespace halcyon
