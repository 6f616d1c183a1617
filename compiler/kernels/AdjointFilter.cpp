//===- AdjointFilter.cpp - Weights for gradients of inputs ----------------===//
//
//   y[c, o, u, v] = w[o, c, kh - 1 - u, kw - 1 - v]
//
// Channels are exchanged in squares: their lines stay in L1 while what they hold
// goes where it belongs.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Cost.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Channels of a square, which shares no line of the cache with others.
constexpr int kSquare = 16;
/// Windows of so many taps are written out.
constexpr int64_t kMostTaps = 49;

class AdjointFilter : public Kernel {
public:
  StringRef name() const override { return "adjoint_filter"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &) const override {
    return group.anchorAs<cnn::AdjointFilterOp>() &&
           llvm::hasSingleElement(group.block().without_terminator());
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  // Zen 5, two threads: 512 to 512 channels of 3x3 in 0.3 ms, 256 in 0.04,
  // 2048 to 512 of 1x1 in 0.4.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 1);
  }

  void build(KernelBuilder &b) const override {
    auto filter = b.group.anchorAs<cnn::AdjointFilterOp>();
    LogicalGroup logical(1);
    logical.bind(b.group.inputs()[0], logicalInput(b, b.group.inputs()[0]));
    auto type = cnn::tensorOf(filter.getResult());
    std::vector<Var> vars = logicalVars(type.getRank());
    std::vector<Expr> at(vars.begin(), vars.end());
    Func out = b.output(0, vars, logical.get(filter.getResult()).func(at));
    // Innermost first: taps, then the channels.
    SmallVector<Var> taps(vars.begin(), vars.end() - 2);
    Var c = vars[vars.size() - 2], o = vars.back(), ct("ct"), ot("ot"), task("task");
    auto guard = TailStrategy::GuardWithIf;
    out.split(c, ct, c, kSquare, guard).split(o, ot, o, kSquare, guard);
    std::vector<Halide::VarOrRVar> order(taps.begin(), taps.end());
    for (const Var &v : {c, o, ct, ot})
      order.push_back(v);
    out.reorder(order);
    int64_t count = 1;
    for (int64_t size : type.getShape().drop_front(2))
      count *= size;
    if (count <= kMostTaps)
      for (const Var &v : taps)
        out.unroll(v);
    out.fuse(ct, ot, task).parallel(task);
  }
};

RegisterKernel<AdjointFilter> adjointFilter;

} // namespace
} // namespace halcyon
