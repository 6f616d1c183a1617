//===- GpuLoops.cpp - Grids of threads that kernels share -----------------===//

#include "compiler/kernels/GpuLoops.h"

#include "llvm/ADT/STLExtras.h"

using Halide::Func;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

/// Threads of a block: enough to hide latency, few enough for all their values
/// to stay in registers.
static constexpr int kThreads = 128;

void scheduleThreads(Stage stage, std::vector<Var> vars,
                     std::vector<int64_t> extents) {
  extents.resize(vars.size(), 1 << 20);
  int64_t inner = extents.empty() ? 1 : extents.front();
  auto guard = TailStrategy::GuardWithIf;
  if (vars.empty()) {
    stage.gpu_single_thread();
    return;
  }
  // Rows shorter than a warp would leave threads idle.
  while (vars.size() > 2 || (vars.size() == 2 && inner < 32)) {
    bool first = inner < 32;
    Var fused("fused" + std::to_string(vars.size()));
    stage.fuse(vars[first ? 0 : 1], vars[first ? 1 : 2], fused);
    vars[first ? 0 : 1] = fused;
    vars.erase(vars.begin() + (first ? 1 : 2));
    if (first) {
      inner *= extents[1];
      extents.erase(extents.begin() + 1);
    }
  }
  Var block("block"), thread("thread"), column("column"), lane("lane");
  if (vars.size() == 1) {
    stage.split(vars[0], block, thread, kThreads, guard)
        .gpu_blocks(block)
        .gpu_threads(thread);
    return;
  }
  int lanes = inner >= kThreads ? kThreads : inner >= 64 ? 64 : 32;
  // The first dimension of a grid is the only one that may be long.
  stage.split(vars[0], column, lane, lanes, guard)
      .split(vars[1], block, thread, kThreads / lanes, guard)
      .reorder(lane, thread, block, column)
      .gpu_blocks(block, column)
      .gpu_threads(lane, thread);
}

/// Those of the Func's variables that stand in an update for themselves.
static std::vector<Var> pureVars(Func f, int update) {
  std::vector<Var> pure, args = f.args();
  for (auto [value, arg] : llvm::zip(f.update_args(update), args))
    if (auto *variable = value.as<Halide::Internal::Variable>())
      if (!variable->reduction_domain.defined() && !variable->param.defined() &&
          variable->name == arg.name())
        pure.push_back(arg);
  return pure;
}

void storeOnDevice(Func f) {
  f.compute_root();
  scheduleThreads(f, f.args(), {});
  for (int i = 0; i < f.num_update_definitions(); ++i)
    scheduleThreads(f.update(i), pureVars(f, i), {});
}

void storeSumsOnDevice(const std::vector<Func> &outputs) {
  std::vector<Halide::Internal::Function> functions;
  for (const Func &output : outputs)
    functions.push_back(output.function());
  for (auto &[name, function] : Halide::Internal::build_environment(functions)) {
    bool isOutput = llvm::any_of(
        outputs, [&, &name = name](const Func &f) { return f.name() == name; });
    if (isOutput || !function.has_update_definition())
      continue;
    storeOnDevice(Func(function));
  }
}

} // namespace halcyon
