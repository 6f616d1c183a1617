//===- Version.cpp - Which measurements can be compared -------------------===//

#include "compiler/tune/Version.h"
#include "compiler/tune/KernelSources.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Threading.h"

namespace halcyon {

std::string storeVersion() {
  return HALCYON_VERSION "-" HALCYON_KERNEL_SOURCES
                         ", Halide " HALCYON_HALIDE_VERSION;
}

std::string machineName() {
  std::string name = "unknown machine";
  if (auto file = llvm::MemoryBuffer::getFileAsStream("/proc/cpuinfo")) {
    auto [before, found] = (*file)->getBuffer().split("model name");
    if (!found.empty())
      name = found.split('\n').first.ltrim("\t :").rtrim().str();
  }
  return name + ", " +
         std::to_string(llvm::hardware_concurrency().compute_thread_count()) +
         " cores";
}

} // namespace halcyon
