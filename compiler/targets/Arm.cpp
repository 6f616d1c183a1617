//===- Arm.cpp - Arm, of 64 and of 32 bits --------------------------------===//

#include "compiler/targets/TargetFamily.h"

#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace halcyon {

/// NEON is in every 64-bit Arm: two pipes of four lanes, 3 GHz (Neoverse N1).
static constexpr double flopsPerCycle = 16, gigahertz = 3.0;

static Target make(StringRef system) {
  Target target;
  target.name = (Twine("arm64-") + system).str();
  target.halide = (Twine("arm-64-") + system).str();
  target.triple =
      system == "osx" ? "arm64-apple-macosx" : "aarch64-unknown-linux-gnu";
  target.cpu = "generic";
  target.cpuFeatures = "neon";
  target.lanes = 4;
  target.registers = 32;
  target.flops = flopsPerCycle * gigahertz * 1e9;
  target.l2Bandwidth = 40e9;
  target.l1 = 64 << 10;
  return target;
}

/// ARMv7 with NEON: 16 vector registers, one pipe of two lanes, 1.5 GHz (Cortex-A9).
static Target make32() {
  Target target = make("linux");
  target.name = "arm-32-linux";
  target.halide = "arm-32-linux";
  target.triple = "armv7-unknown-linux-gnueabihf";
  target.registers = 16;
  target.flops = 4 * 1.5e9;
  target.l2Bandwidth = 10e9;
  target.bandwidth = target.totalBandwidth = 3e9;
  target.l1 = 32 << 10;
  return target;
}

static void names(SmallVectorImpl<StringRef> &names) {
  names.append({"arm64-linux", "arm64-osx", "arm-32-linux"});
}

static std::optional<Target> find(StringRef name) {
  if (name == "arm64-linux" || name == "arm64-osx")
    return make(name.drop_front(strlen("arm64-")));
  if (name == "arm-32-linux")
    return make32();
  return std::nullopt;
}

static std::optional<Target> host(const HostFacts &facts) {
  if (facts.architecture != "aarch64")
    return std::nullopt;
  Target target = make(facts.system);
  applyHost(target, facts, flopsPerCycle);
  return target;
}

const TargetFamily armFamily = {names, find, host};

} // namespace halcyon
