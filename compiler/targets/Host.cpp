//===- Host.cpp - The machine that the compiler runs on -------------------===//

#include "compiler/targets/TargetFamily.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Threading.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace halcyon {

/// The text of a file of /sys, without the line's end; empty where unreadable.
static std::string fact(const Twine &path) {
  auto buffer = MemoryBuffer::getFileAsStream(path);
  return buffer ? (*buffer)->getBuffer().trim().str() : std::string();
}

/// "48K" as bytes.
static int64_t sizeOf(StringRef text) {
  int64_t number = 0;
  if (text.consumeInteger(10, number))
    return 0;
  return text.starts_with("K") ? number << 10
         : text.starts_with("M") ? number << 20
                                 : number;
}

HostFacts hostFacts() {
  HostFacts facts;
  Triple triple(sys::getProcessTriple());
  facts.architecture = Triple::getArchTypeName(triple.getArch()).str();
  facts.system = triple.isOSDarwin() ? "osx" : "linux";
  facts.cpu = sys::getHostCPUName().str();
  for (auto &feature : sys::getHostCPUFeatures())
    if (feature.second)
      facts.features.insert(feature.first());
  // Counts what the affinity mask allows.
  facts.cores = (int)hardware_concurrency().compute_thread_count();

  for (int index = 0;; ++index) {
    std::string folder =
        ("/sys/devices/system/cpu/cpu0/cache/index" + Twine(index) + "/").str();
    std::string level = fact(folder + "level");
    if (level.empty())
      break;
    if (fact(folder + "type") == "Instruction")
      continue;
    int64_t size = sizeOf(fact(folder + "size"));
    (level == "1" ? facts.l1 : level == "2" ? facts.l2 : facts.l3) = size;
  }
  int64_t kilohertz =
      sizeOf(fact("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"));
  facts.gigahertz = (double)kilohertz / 1e6;
  return facts;
}

void applyHost(Target &target, const HostFacts &facts, double flopsPerCycle) {
  target.cores = std::max(1, facts.cores);
  if (facts.l1)
    target.l1 = facts.l1;
  if (facts.l2)
    target.l2 = facts.l2;
  if (facts.l3)
    target.l3 = facts.l3;
  if (facts.gigahertz > 0) {
    target.bf16Flops *= flopsPerCycle * facts.gigahertz * 1e9 / target.flops;
    target.flops = flopsPerCycle * facts.gigahertz * 1e9;
  }
  if (target.cores == 1)
    target.totalBandwidth = target.bandwidth;
}

} // namespace halcyon
