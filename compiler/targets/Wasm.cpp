//===- Wasm.cpp - WebAssembly ---------------------------------------------===//

#include "compiler/targets/TargetFamily.h"

using namespace llvm;

namespace halcyon {

/// Vectors of 128 bits, of which engines make the host's: two units of four lanes that
/// multiply or add, as there is no fused instruction, at 3 GHz.
static constexpr double flopsPerCycle = 8, gigahertz = 3;

static std::optional<Target> find(StringRef name) {
  if (name != "wasm")
    return std::nullopt;
  Target target;
  target.name = "wasm";
  target.halide = "wasm-32-wasmrt-wasm_simd128-wasm_threads";
  target.triple = "wasm32-unknown-unknown";
  target.cpu = "generic";
  target.lanes = 4;
  target.registers = 16;
  target.cores = 4;
  target.flops = flopsPerCycle * gigahertz * 1e9;
  target.callSeconds = 5e-6;
  return target;
}

static void names(SmallVectorImpl<StringRef> &names) { names.push_back("wasm"); }

static std::optional<Target> host(const HostFacts &) { return std::nullopt; }

const TargetFamily wasmFamily = {names, find, host};

} // namespace halcyon
