//===- CutBackward.cpp - Forward and backward pass as models --------------===//

#include "compiler/passes/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace halcyon {
#define GEN_PASS_DEF_CUTBACKWARD
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
class Cutter {
public:
  explicit Cutter(ModelOp model)
      : model(model), builder(model), forward(emptyModel("_forward")),
        backward(emptyModel("_backward")) {}
  void run();

private:
  ModelOp emptyModel(StringRef suffix);
  bool isLate(Operation &op);
  void bring(Value value);
  OpBuilder in(ModelOp made) {
    return OpBuilder::atBlockEnd(&made.getBody().front());
  }

  ModelOp model;
  OpBuilder builder;
  ModelOp forward, backward;
  IRMapping early, late;      ///< of the model's values, in either
  DenseSet<Value> dependent;  ///< on a cotangent
  int64_t saved = 0;
};

struct CutBackward : halcyon::impl::CutBackwardBase<CutBackward> {
  void runOnOperation() override {
    for (auto model :
         llvm::make_early_inc_range(getOperation().getOps<ModelOp>())) {
      Cutter(model).run();
      model.erase();
    }
  }
};
} // namespace

ModelOp Cutter::emptyModel(StringRef suffix) {
  auto made = cast<ModelOp>(builder.cloneWithoutRegions(*model));
  made.setSymName((model.getSymName() + suffix).str());
  made.getBody().emplaceBlock();
  return made;
}

bool Cutter::isLate(Operation &op) {
  return op.hasAttr(kCotangentAttr) ||
         llvm::any_of(op.getOperands(),
                      [&](Value value) { return dependent.contains(value); });
}

/// Makes a value of the forward pass known in the backward pass.
void Cutter::bring(Value value) {
  if (late.contains(value))
    return;
  Operation *op = value.getDefiningOp();
  // What costs less to compute than to keep.
  if (isa<MapOp, FlattenOp>(op)) {
    for (Value operand : op->getOperands())
      bring(operand);
    in(backward).clone(*op, late);
    return;
  }
  OpBuilder inputs(&backward.getBody().front(), backward.getBody().front().begin());
  StringAttr name;
  if (auto input = dyn_cast<InputOp>(op)) {
    name = input.getNameAttr();
  } else {
    OpBuilder end = in(forward);
    name = end.getStringAttr("saved:" + Twine(saved++));
    OutputOp::create(end, value.getLoc(), early.lookup(value), name, nullptr);
  }
  late.map(value, InputOp::create(inputs, value.getLoc(), value.getType(), name,
                                  DictionaryAttr())
                      .getResult());
}

void Cutter::run() {
  SmallVector<Operation *> behind;
  for (Operation &op : model.getBody().front()) {
    if (!isLate(op)) {
      Operation *made = in(forward).clone(op, early);
      made->removeAttr(kWrtAttr);
      continue;
    }
    behind.push_back(&op);
    dependent.insert(op.result_begin(), op.result_end());
  }
  for (Operation *op : behind) {
    for (Value operand : op->getOperands())
      if (!dependent.contains(operand))
        bring(operand);
    in(backward).clone(*op, late)->removeAttr(kCotangentAttr);
  }
}
