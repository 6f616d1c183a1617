//===- SplitBatch.cpp - Calls that take a batch in parts ------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_SPLITBATCH
#include "compiler/passes/Passes.h.inc"

namespace {

/// A call as its memory sees it, in bytes.
struct Traffic {
  exec::CallOp call;
  double weights = 0; ///< and all else that is the same for every image
  double values = 0;  ///< read and written, per image
  bool perImage = false;
  bool ofWeights = true; ///< it has nothing to do with a batch
  bool gives = false;    ///< it writes what is the caller's
  llvm::SmallDenseSet<int64_t> reads, writes; ///< buffers

  /// Whether the two can't change places.
  bool meets(const Traffic &other) const {
    auto any = [](const auto &these, const auto &those) {
      return llvm::any_of(these, [&](int64_t one) { return those.contains(one); });
    };
    return any(reads, other.writes) || any(writes, other.reads) ||
           any(writes, other.writes);
  }
};

bool meets(const Traffic &one, ArrayRef<Traffic> others) {
  return llvm::any_of(others, [&](const Traffic &other) { return one.meets(other); });
}

} // namespace

static Traffic trafficOf(exec::CallOp call) {
  Traffic result;
  result.call = call;
  Block &body = call.getKernelOp().getBody().front();
  result.perImage = llvm::all_of(body.without_terminator(), [](Operation &op) {
    auto compute = dyn_cast<cnn::ComputeOpInterface>(op);
    return compute && compute.isPerImage();
  });
  for (Value operand : call->getOperands()) {
    const bool isFixed = cnn::isFixed(operand.getType());
    result.ofWeights &= isFixed;
    (isFixed ? result.weights : result.values) += cnn::bytesOf(operand.getType());
  }
  for (Value input : call.getInputs())
    if (auto arena = input.getDefiningOp<exec::ArenaOp>())
      result.reads.insert(arena.getBuffer());
  for (Value output : call.getOutputs())
    if (auto arena = output.getDefiningOp<exec::ArenaOp>())
      result.writes.insert(arena.getBuffer());
    else
      result.gives = true;
  return result;
}

/// Puts the calls in this order, each behind the views that it takes first.
static void reorder(ArrayRef<Traffic> calls) {
  Block *block = calls.front().call->getBlock();
  llvm::DenseSet<Operation *> placed;
  for (const Traffic &traffic : calls) {
    exec::CallOp call = traffic.call;
    for (Value operand : call->getOperands())
      if (Operation *view = operand.getDefiningOp(); placed.insert(view).second)
        view->moveBefore(block, block->end());
    call->moveBefore(block, block->end());
  }
}

/// The buffers of which every call of the function is among these.
static void shrinkBuffers(ArrayRef<Traffic> chain, exec::FunctionOp function,
                          int64_t number, int64_t images) {
  llvm::DenseSet<int64_t> elsewhere;
  Builder builder(function.getContext());
  for (const Traffic &traffic : chain) {
    traffic.call->setAttr("chain", builder.getI64IntegerAttr(number));
    traffic.call->setAttr("images", builder.getI64IntegerAttr(images));
  }
  for (auto call : function.getBody().front().getOps<exec::CallOp>())
    if (call.getChain() != number)
      for (Value operand : call->getOperands())
        if (auto arena = operand.getDefiningOp<exec::ArenaOp>())
          elsewhere.insert(arena.getBuffer());
  for (const Traffic &traffic : chain)
    for (Value operand : traffic.call->getOperands())
      if (auto arena = operand.getDefiningOp<exec::ArenaOp>())
        if (!cnn::isFixed(arena.getType()) && !elsewhere.contains(arena.getBuffer()))
          arena.setImages(images);
}

namespace {
struct SplitBatch : impl::SplitBatchBase<SplitBatch> {
  using SplitBatchBase::SplitBatchBase;

  void runOnOperation() override {
    std::optional<Target> machine = targetFor(getOperation(), target);
    if (!machine)
      return signalPassFailure();
    if (!machine->device)
      for (auto program : getOperation().getOps<exec::ProgramOp>())
        for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
          if (function.getSymName() == "infer")
            split(program, function, *machine);
  }

  void split(exec::ProgramOp program, exec::FunctionOp function, const Target &machine) {
    // Half of the last cache, for others use it too, and evict what is old late.
    const double room = double(machine.l3) / 2;
    auto only = program->getAttrOfType<IntegerAttr>("only_batch");
    const int64_t expected = only ? only.getInt() : batch;
    // Few images have fewer tasks than many cores.
    const int64_t part = images ? images : std::max(1, machine.cores / 4);
    if (part >= expected)
      return;
    // `later` waits until the chain before it is through.
    SmallVector<Traffic> order, chain, later;
    double weights = 0;
    int64_t number = 0;
    auto finish = [&] {
      if (chain.size() > 1)
        shrinkBuffers(chain, function, number++, part);
      order.append(chain);
      order.append(later);
      chain.clear(), later.clear(), weights = 0;
    };
    for (auto call : llvm::to_vector(function.getBody().front().getOps<exec::CallOp>())) {
      Traffic next = trafficOf(call);
      const bool joins = next.perImage && next.values * expected > room &&
                         next.weights <= 2 * double(machine.l2);
      if (joins && (weights + next.weights > room / 2 || meets(next, later)))
        finish();
      if (joins) {
        chain.push_back(next);
        weights += next.weights;
      } else if (chain.empty()) {
        order.push_back(next);
      } else if (next.ofWeights && !next.gives && !meets(next, later)) {
        order.push_back(next);
      } else if (!next.perImage && !next.gives && later.size() < 2) {
        later.push_back(next);
      } else {
        finish();
        order.push_back(next);
      }
    }
    finish();
    if (number)
      reorder(order);
  }
};
} // namespace
} // namespace halcyon
