//===- OpenBatch.cpp - The batch is free at run time ----------------------===//

#include "compiler/passes/Passes.h"

namespace halcyon {
#define GEN_PASS_DEF_OPENBATCH
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
struct OpenBatch : halcyon::impl::OpenBatchBase<OpenBatch> {
  void runOnOperation() override {
    if (getOperation()->hasAttr(kFixedAttr))
      return;
    // One whose batch is open already may have inputs without a batch.
    auto inputs = getOperation().getBody().front().getOps<InputOp>();
    if (llvm::any_of(inputs, [](InputOp input) {
          return !cast<RankedTensorType>(input.getType()).hasStaticShape();
        }))
      return;
    // What is computed from inputs has the batch as its outermost size.
    for (Operation &op : getOperation().getBody().front()) {
      if (!isa<InputOp, ComputeOpInterface>(op))
        continue;
      for (Value result : op.getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        SmallVector<int64_t> shape(type.getShape());
        shape.front() = ShapedType::kDynamic;
        result.setType(type.clone(shape));
      }
    }
  }
};
} // namespace
