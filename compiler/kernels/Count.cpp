//===- Count.cpp - How many elements a channel of the batch has -----------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"

using namespace mlir;

namespace halcyon {
namespace {

/// Reads no element: whatever layout its operand has is good.
class Count : public Kernel {
public:
  StringRef name() const override { return "count"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return group.anchorAs<cnn::CountOp>() &&
           llvm::hasSingleElement(group.block().without_terminator());
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    SmallVector<LayoutChoice> result;
    for (const std::string &order : ordersFor(target, target.lanes))
      result.push_back(uniformLayout(group, order));
    return result;
  }

  double cost(const Group &, const Target &target) const override {
    return target.callSeconds;
  }

  void build(KernelBuilder &b) const override {
    auto count = b.group.anchorAs<cnn::CountOp>();
    LogicalGroup logical(batchOf(b));
    logical.bind(count.getX(), logicalInput(b, count.getX()));
    Halide::Func f = logical.get(count.getResult()).func;
    Halide::Var i("i");
    b.output(0, {i}, f(i));
  }
};

RegisterKernel<Count> count;

} // namespace
} // namespace halcyon
