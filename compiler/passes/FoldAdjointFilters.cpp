//===- FoldAdjointFilters.cpp - Weights turned over where they are packed --===//
//
//   pack(adjoint_filter(w)) = pack{adjoint}(w)
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_FOLDADJOINTFILTERS
#include "compiler/passes/Passes.h.inc"

/// The operation that a group consists of, if it is one of these.
template <typename Op> static Op onlyOp(Operation *user) {
  auto fused = dyn_cast_or_null<cnn::FusedOp>(user);
  if (!fused || !llvm::hasSingleElement(fused.getBody().front().without_terminator()))
    return {};
  return dyn_cast<Op>(fused.getBody().front().front());
}

namespace {
struct FoldAdjointFilters : impl::FoldAdjointFiltersBase<FoldAdjointFilters> {
  void runOnOperation() override {
    Block &body = getOperation().getBody().front();
    for (auto filter : llvm::make_early_inc_range(body.getOps<cnn::FusedOp>())) {
      auto adjoint = onlyOp<cnn::AdjointFilterOp>(filter);
      // Where another kernel wants it as it is, it is there to be read.
      if (!adjoint || !llvm::all_of(filter->getUsers(), onlyOp<cnn::PackOp>))
        continue;
      for (Operation *user : llvm::make_early_inc_range(filter->getUsers())) {
        auto pack = onlyOp<cnn::PackOp>(user);
        pack.setAdjoint(adjoint.getGroups());
        pack.getWeight().setType(adjoint.getWeight().getType());
        user->setOperands(filter.getInputs());
        // The weight may change behind what read it.
        user->moveAfter(filter);
      }
      filter.erase();
    }
  }
};
} // namespace
} // namespace halcyon
