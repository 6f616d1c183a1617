//===- AlgorithmDetect.cpp - What detectors do with boxes -----------------===//

#include "compiler/kernels/Algorithm.h"

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

/// kept(i) = 1 where candidate(i) is not 0 and no kept j < i overlaps it by more
/// than t: every box in turn, if it still is kept, takes those behind it away.
static Func defineSuppress(mlir::Operation *,
                           llvm::ArrayRef<LogicalTensor> operands,
                           llvm::ArrayRef<Expr> sizes) {
  Func boxes = operands[0].func, candidates = operands[1].func;
  Var i("i"), group("group");
  Expr threshold = operands[2].func(0);
  auto overlap = [&](Expr a, Expr b) {
    auto side = [&](Expr box, int corner) { return boxes(corner, box, group); };
    auto area = [&](Expr box) {
      return (side(box, 2) - side(box, 0)) * (side(box, 3) - side(box, 1));
    };
    auto common = [&](int axis) {
      return Halide::max(Halide::min(side(a, axis + 2), side(b, axis + 2)) -
                             Halide::max(side(a, axis), side(b, axis)),
                         0);
    };
    Expr both = common(0) * common(1), all = area(a) + area(b) - both;
    return Halide::select(both > 0 && all > 0, both / all, 0);
  };
  Func kept("kept");
  kept(i, group) = Halide::cast(candidates.type(), candidates(i, group) != 0);
  RDom r(0, sizes[0], 0, sizes[0]);
  r.where(r.x > r.y);
  Expr goes = kept(r.y, group) != 0 && overlap(r.y, r.x) > threshold;
  kept(r.x, group) = Halide::select(goes, 0, kept(r.x, group));
  return kept;
}

static RegisterAlgorithm suppress("cnn.suppress", defineSuppress);

} // namespace halcyon
