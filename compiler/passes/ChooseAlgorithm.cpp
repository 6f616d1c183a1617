//===- ChooseAlgorithm.cpp - A kernel for every fused group ---------------===//
//
// Asks every kernel whether it computes the group and what it costs, and takes
// the cheapest. What ruled the others out is kept as the reason.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_CHOOSEALGORITHM
#include "compiler/passes/Passes.h.inc"

namespace {

struct ChooseAlgorithm : impl::ChooseAlgorithmBase<ChooseAlgorithm> {
  using ChooseAlgorithmBase::ChooseAlgorithmBase;

  void runOnOperation() override {
    std::string known;
    std::optional<Target> machine = findTarget(target, known);
    if (!machine) {
      getOperation().emitError("unknown target '" + target + "'; there are " +
                               known);
      return signalPassFailure();
    }
    bool forcedSomewhere = false;
    auto result = getOperation().walk([&](cnn::FusedOp fused) {
      if (fused.getSchedule())
        return WalkResult::advance();
      return choose(fused, *machine, forcedSomewhere);
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    if (!algorithm.empty() && !forcedSomewhere) {
      std::string names;
      for (const Kernel *kernel : allKernels())
        names += (names.empty() ? "" : ", ") + kernel->name().str();
      if (!findKernel(algorithm)) {
        getOperation().emitError("unknown algorithm '" + algorithm +
                                 "'; there are " + names);
        return signalPassFailure();
      }
    }
  }

  WalkResult choose(cnn::FusedOp fused, const Target &machine,
                    bool &forcedSomewhere) {
    Group group(fused.getBody().front());
    const Kernel *best = nullptr, *forced = nullptr;
    double bestCost = 0;
    std::string others;
    for (const Kernel *kernel : allKernels()) {
      std::string why;
      if (!kernel->handles(group, machine, why)) {
        // Kernels of other layers have nothing to say here.
        if (!why.empty())
          others += "; " + kernel->name().str() + ": " + why;
        continue;
      }
      double cost = kernel->cost(group, machine);
      others += llvm::formatv("; {0} {1:F3} ms", kernel->name(), cost * 1e3);
      if (kernel->name() == algorithm)
        forced = kernel;
      if (!best || cost < bestCost) {
        best = kernel;
        bestCost = cost;
      }
    }
    if (!best) {
      fused.emitError("no kernel computes this layer");
      return WalkResult::interrupt();
    }
    std::string reason = "cheapest by the cost model";
    if (forced) {
      best = forced;
      forcedSomewhere = true;
      reason = "asked for";
    }
    fused.setScheduleAttr(best->schedule(group, machine));
    fused.setReason(reason + others);
    return WalkResult::advance();
  }
};

} // namespace
} // namespace halcyon
