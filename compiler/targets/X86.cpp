//===- X86.cpp - 64-bit x86 -----------------------------------------------===//

#include "compiler/targets/TargetFamily.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace halcyon {

namespace {
/// Caches of a core and of all, and GB/s: from L2 as copies reach it, from
/// memory for one core and for two, of a server that others share.
struct Memory {
  int64_t l1 = 48 << 10, l2 = 1 << 20, l3 = 16 << 20;
  double l2Rate = 128, one = 34, all = 41; ///< Zen 5
};

/// A set of instructions that Halide knows as one. `needs` are the LLVM
/// features that code for it may use: those that Halide turns on for its
/// choice of CPU and that a compiler emits unasked.
struct Level {
  StringRef name, halide, tune, cpu, needs;
  int lanes, registers;
  double flopsPerCycle, gigahertz;
  double bf16PerCycle = 0; ///< of vdpbf16ps, where it is faster than f32
  Memory memory = {};
  double addsPerCycle = 0; ///< vectors, beside multiply-adds
};
} // namespace

#define NEEDS_SSE41 "sse2 sse3 ssse3 sse4.1"
#define NEEDS_AVX2                                                             \
  NEEDS_SSE41 " sse4.2 popcnt avx avx2 fma f16c bmi bmi2 lzcnt movbe"
#define NEEDS_AVX512 NEEDS_AVX2 " avx512f avx512cd avx512bw avx512dq avx512vl"
#define NEEDS_ZEN4                                                             \
  NEEDS_AVX512 " avx512ifma avx512vbmi avx512vbmi2 avx512vnni avx512bitalg "   \
               "avx512vpopcntdq avx512bf16 gfni vaes vpclmulqdq"
#define HALIDE_AVX2 "-avx-avx2-f16c-fma-sse41"
#define HALIDE_AVX512 "-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41"
#define HALIDE_ZEN4                                                            \
  "-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4"

/// From the least to the most. Frequencies are those of common servers under
/// vector load; 4.2 GHz was measured on Zen 5 (268 GFLOP/s a core). vdpbf16ps
/// issues as often as an f32 multiply-add on Zen 4 and 5 (measured on Zen 5: 487
/// beside 243 GFLOP/s), but at a quarter of that on Sapphire Rapids (105 beside
/// 210), where f32 after widening is the faster way. Zen 4: 116 GFLOP/s a core and
/// 233 of bf16, from L2 106 GB/s read or copied, from memory 22 and of two cores 30
/// to 33 (halcyon-bench-machine). Its units for additions take one vector a cycle
/// beside a multiply-add: a loop of both in turn took 1.2 of the time of either. Zen 5
/// is said to have such units, too; nothing was measured there.
static const Level levels[] = {
    {"x86-64", "", "", "x86-64", "sse2", 4, 16, 8, 3.0},
    {"x86-64-sse41", "-sse41", "", "penryn", NEEDS_SSE41, 4, 16, 8, 3.0},
    {"x86-64-avx2", HALIDE_AVX2, "", "haswell", NEEDS_AVX2, 8, 16, 32, 3.2},
    {"x86-64-avx512", HALIDE_AVX512, "", "skylake-avx512", NEEDS_AVX512, 16, 32,
     64, 3.2},
    {"x86-64-zen4", HALIDE_ZEN4 "-f16c-fma-sse41", "-tune_znver4", "znver4",
     NEEDS_ZEN4, 16, 32, 32, 3.6, 64, {32 << 10, 1 << 20, 32 << 20, 106, 22, 31},
     1},
    {"x86-64-zen5", HALIDE_ZEN4 "-avx512_zen5-avxvnni-f16c-fma-sse41",
     "-tune_znver5", "znver5", NEEDS_ZEN4 " avxvnni avx512vp2intersect", 16, 32,
     64, 4.2, 128},
    {"x86-64-sapphirerapids",
     "-avx-avx2-avx512-avx512_cannonlake-avx512_sapphirerapids-avx512_skylake"
     "-avxvnni-f16c-fma-sse41",
     "", "sapphirerapids", NEEDS_ZEN4 " avxvnni avx512fp16 amx-tile", 16, 32,
     64, 3.2},
};

static Target make(const Level &level, StringRef system) {
  Target target;
  target.name = level.name.str();
  // Halide's parts in the order in which it prints them.
  target.halide = (Twine("x86-64-") + system + level.tune + level.halide).str();
  target.triple = system == "osx"       ? "x86_64-apple-macosx"
                  : system == "windows" ? "x86_64-pc-windows-msvc"
                                        : "x86_64-unknown-linux-gnu";
  target.cpu = level.cpu.str();
  target.cpuFeatures = level.needs.str();
  target.lanes = level.lanes;
  target.registers = level.registers;
  target.flops = level.flopsPerCycle * level.gigahertz * 1e9;
  target.fmas = level.flopsPerCycle / (2 * level.lanes);
  target.adds = level.addsPerCycle;
  target.bf16Flops = level.bf16PerCycle * level.gigahertz * 1e9;
  const Memory &memory = level.memory;
  // Narrower vectors move fewer bytes.
  target.l2Bandwidth = memory.l2Rate * level.lanes / 16 * 1e9;
  target.bandwidth = memory.one * 1e9;
  target.totalBandwidth = memory.all * 1e9;
  target.l1 = level.lanes == 16 ? memory.l1 : 32 << 10;
  target.l2 = memory.l2;
  target.l3 = memory.l3;
  return target;
}

static void names(SmallVectorImpl<StringRef> &names) {
  for (const Level &level : levels)
    names.push_back(level.name);
  names.push_back("x86-64-windows");
}

static std::optional<Target> find(StringRef name) {
  for (const Level &level : levels)
    if (level.name == name)
      return make(level, "linux");
  if (name == "x86-64-windows") {
    Target target = make(levels[0], "windows");
    target.name = name.str();
    return target;
  }
  return std::nullopt;
}

static std::optional<Target> host(const HostFacts &facts) {
  if (facts.architecture != "x86_64")
    return std::nullopt;
  const Level *best = &levels[0];
  for (const Level &level : levels) {
    SmallVector<StringRef> needs;
    level.needs.split(needs, ' ', -1, /*KeepEmpty=*/false);
    if (llvm::all_of(needs, [&](StringRef feature) {
          return facts.features.contains(feature);
        }))
      best = &level;
  }
  Target target = make(*best, facts.system);
  applyHost(target, facts, best->flopsPerCycle);
  return target;
}

const TargetFamily x86Family = {names, find, host};

} // namespace halcyon
