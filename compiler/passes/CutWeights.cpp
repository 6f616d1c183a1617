//===- CutWeights.cpp - Weights that a device can bind --------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"
#include "compiler/targets/Binding.h"
#include "dialects/cnn/Rows.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/Builders.h"

namespace halcyon {
#define GEN_PASS_DEF_CUTWEIGHTS
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

/// Rows [first, first + count) of a parameter.
static Value rowsOf(Value value, int64_t first, int64_t count, OpBuilder &builder) {
  auto weight = value.getDefiningOp<WeightOp>();
  RankedTensorType type = tensorOf(value);
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = count;
  auto part = WeightOp::create(builder, weight.getLoc(), type.clone(shape), weight.getName());
  part->setAttr(kRowsAttr, builder.getDenseI64ArrayAttr({first, type.getDimSize(0)}));
  return part;
}

/// x * transpose(w) + b = concat(x * transpose(w[0, n)) + b[0, n), ...)
static void cut(LinearOp linear, int64_t most) {
  RankedTensorType type = tensorOf(linear.getWeight());
  const int64_t rows = type.getDimSize(0);
  const int64_t rowBytes = bytesOf(type) / rows;
  // Parts of about one size, of whole vectors of outputs.
  const int64_t parts = llvm::divideCeil(rows * rowBytes, std::max(most, rowBytes));
  const int64_t step = llvm::alignTo(llvm::divideCeil(rows, parts), 64);
  const int64_t size = step * rowBytes <= most ? step : std::max<int64_t>(1, most / rowBytes);
  OpBuilder builder(linear);
  SmallVector<Value> results;
  for (int64_t first = 0; first < rows; first += size) {
    const int64_t count = std::min(size, rows - first);
    Value weight = rowsOf(linear.getWeight(), first, count, builder);
    Value bias = linear.getBias() ? rowsOf(linear.getBias(), first, count, builder) : Value();
    auto part = LinearOp::create(builder, linear.getLoc(), linear.getX(), weight, bias);
    part->setDiscardableAttrs(linear->getDiscardableAttrDictionary());
    results.push_back(part);
  }
  auto whole = ConcatOp::create(builder, linear.getLoc(), results);
  copyPrecision(linear, whole);
  linear.getResult().replaceAllUsesWith(whole);
  linear.erase();
}

namespace {
struct CutWeights : halcyon::impl::CutWeightsBase<CutWeights> {
  using CutWeightsBase::CutWeightsBase;

  void runOnOperation() override {
    int64_t limit = most;
    if (!limit) {
      std::optional<Target> machine = targetFor(getOperation(), target);
      if (!machine)
        return signalPassFailure();
      limit = mostBound(*machine);
    }
    auto isWhole = [](Value value) {
      auto weight = value.getDefiningOp<WeightOp>();
      return weight && !weight->hasAttr(kRowsAttr);
    };
    SmallVector<LinearOp> large;
    getOperation().walk([&](LinearOp op) {
      if (limit && bytesOf(op.getWeight().getType()) > limit && isWhole(op.getWeight()) &&
          (!op.getBias() || isWhole(op.getBias())))
        large.push_back(op);
    });
    for (LinearOp op : large)
      cut(op, limit);
  }
};
} // namespace
