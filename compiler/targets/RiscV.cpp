//===- RiscV.cpp - 64-bit RISC-V ------------------------------------------===//

#include "compiler/targets/TargetFamily.h"

using namespace llvm;

namespace halcyon {

/// RV64GCV: Halide has no code without vectors, and none that finds out how wide
/// they are, so this is for those of 128 bits; one pipe of four lanes, 1.5 GHz (X60).
static constexpr double flopsPerCycle = 8, gigahertz = 1.5;

static Target make() {
  Target target;
  target.name = "riscv64-linux";
  target.halide = "riscv-64-linux-rvv-vector_bits_128";
  target.triple = "riscv64-unknown-linux-gnu";
  target.cpu = "generic-rv64";
  target.lanes = 4;
  target.registers = 32;
  target.flops = flopsPerCycle * gigahertz * 1e9;
  target.l2Bandwidth = 10e9;
  target.bandwidth = target.totalBandwidth = 5e9;
  return target;
}

static void names(SmallVectorImpl<StringRef> &names) {
  names.push_back("riscv64-linux");
}

static std::optional<Target> find(StringRef name) {
  return name == "riscv64-linux" ? std::optional(make()) : std::nullopt;
}

static std::optional<Target> host(const HostFacts &facts) {
  if (facts.architecture != "riscv64")
    return std::nullopt;
  Target target = make();
  applyHost(target, facts, flopsPerCycle);
  return target;
}

const TargetFamily riscvFamily = {names, find, host};

} // namespace halcyon
