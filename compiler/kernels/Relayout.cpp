//===- Relayout.cpp - The same values in another layout -------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
class Relayout : public LayerKernel<cnn::RelayoutOp> {
public:
  Relayout() : LayerKernel("relayout", 0.2) {}
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return group.anchorAs<cnn::RelayoutOp>() && !group.hasPrologue() &&
           oneOutput(group, why);
  }

  /// Both layouts are the operation's own.
  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    LayoutChoice choice = uniformLayout(group, "nchw");
    auto op = group.anchorAs<cnn::RelayoutOp>();
    cnn::LayoutAttr from = cnn::layoutOf(op.getX().getType());
    cnn::LayoutAttr to = cnn::layoutOf(op.getType());
    for (auto [layout, input] : llvm::zip(choice.inputs, group.inputs()))
      if (layout)
        layout = input == op.getX() ? from : to;
    for (auto &layout : choice.outputs)
      if (layout)
        layout = to;
    return {choice};
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::RelayoutOp>();
    Type to = b.group.outputs().front().getType();
    auto tensor = cast<RankedTensorType>(to);
    // What has no layouts is copied as it lies.
    if (cnn::isFixed(to) || (tensor.getRank() != 2 && tensor.getRank() != 4)) {
      std::vector<Halide::Var> vars = logicalVars(tensor.getRank());
      std::vector<Halide::Expr> at(vars.begin(), vars.end());
      Func in = logicalInput(b, op.getX());
      scheduleLogical(b, b.output(0, vars, in(at)), tensor.getShape());
      return;
    }
    b.bind(op.getResult(), [&b, x = op.getX(), to](const Point &p) {
      return b.load(x, p, to);
    });
    Func out = b.output();
    scheduleRows(b, out, to, {rowBytesOf(b, to)});
  }
};
} // namespace

static RegisterKernel<Relayout> relayout;

static Func defineRelayout(Operation *op, ArrayRef<LogicalTensor> in,
                           ArrayRef<Expr> sizes) {
  Func f("relayout");
  std::vector<Var> vars = logicalVars(sizes.size());
  f(vars) = in[0].func(std::vector<Expr>(vars.begin(), vars.end()));
  return f;
}
static RegisterAlgorithm algorithm("cnn.relayout", defineRelayout);

} // namespace halcyon
