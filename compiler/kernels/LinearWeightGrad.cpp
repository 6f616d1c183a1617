//===- LinearWeightGrad.cpp - Gradients of dense layers' weights ----------===//
//
//   dw[o, c] = sum over n of dy[n, o] * x[n, c]
//
// A tile of outputs x vectors of inputs lives in registers over the whole batch
// and is written once.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class LinearWeightGrad : public Kernel {
public:
  StringRef name() const override { return "linear_weight_grad"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    auto grad = group.anchorAs<cnn::LinearWeightGradOp>();
    return grad && llvm::hasSingleElement(group.block().without_terminator()) &&
           llvm::all_of(group.inputs(), [](Value value) {
             auto type = cnn::tensorOf(value);
             return type.getRank() == 2 && !cnn::isFixed(type) &&
                    (type.getElementType().isF32() || cnn::isBf16(type));
           });
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.6);
  }

  void build(KernelBuilder &b) const override {
    auto grad = b.group.anchorAs<cnn::LinearWeightGradOp>();
    const int inputs = (int)cnn::sizeOf(grad.getX(), 1);
    const int outputs = (int)cnn::sizeOf(grad.getDy(), 1);
    const int lanes = std::min(b.target.lanes, inputs);
    const int vectors = inputs >= 4 * lanes ? 4 : inputs >= 2 * lanes ? 2 : 1;
    // Four vectors of inputs leave room for six outputs.
    const int tile = std::min(outputs, vectors == 4 ? 6 : 8);
    const int tiles =
        tilesPerTask(outputs, tile,
                     std::max(1, ceilDiv(outputs, tile * 8 * b.target.cores)));

    Var c("c"), o("o"), ci("ci"), v("v"), oi("oi"), oo("oo"), task("task");
    Func acc("acc");
    RDom r({{0, batchOf(b)}}, "r");
    acc(c, o) = 0.0f;
    acc(c, o) += b.read(grad.getX(), {c, r}) * b.read(grad.getDy(), {o, r});

    // Tails shift inwards; the last two tiles are of one task.
    Func out = b.output(0, {c, o}, acc(c, o));
    out.split(o, oo, oi, tile, TailStrategy::ShiftInwards)
        .split(oo, task, oo, tiles, TailStrategy::GuardWithIf)
        .split(c, c, ci, vectors * lanes, TailStrategy::ShiftInwards)
        .split(ci, v, ci, lanes)
        .reorder(ci, v, oi, c, oo, task)
        .vectorize(ci)
        .unroll(v)
        .unroll(oi)
        .parallel(task);
    Var lane("lane");
    acc.compute_at(out, c)
        .bound_extent(c, vectors * lanes)
        .bound_extent(o, tile)
        .split(c, c, lane, lanes)
        .vectorize(lane)
        .unroll(c)
        .unroll(o);
    acc.update()
        .split(c, c, lane, lanes)
        .reorder(lane, c, o, r)
        .vectorize(lane)
        .unroll(c)
        .unroll(o);
  }
};

RegisterKernel<LinearWeightGrad> linearWeightGrad;

} // namespace
} // namespace halcyon
