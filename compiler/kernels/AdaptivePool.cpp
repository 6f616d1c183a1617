//===- AdaptivePool.cpp - Means over a given number of cells --------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

namespace {

/// Cell o covers floor(o * size / cells) to ceil((o + 1) * size / cells) - 1.
struct Cells {
  int size, cells;

  Expr first(Expr o) const {
    return size % cells == 0 ? o * (size / cells) : o * size / cells;
  }
  Expr count(Expr o) const {
    if (size % cells == 0)
      return size / cells;
    return (o * size + size + cells - 1) / cells - first(o);
  }
  int largest() const {
    int most = 0;
    for (int o = 0; o < cells; ++o)
      most = std::max(most, (o * size + size + cells - 1) / cells -
                                o * size / cells);
    return most;
  }
};

class AdaptivePool : public LayerKernel<cnn::AdaptiveAvgPoolOp> {
public:
  AdaptivePool() : LayerKernel("adaptive_pool", 0.05) {}

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::AdaptiveAvgPoolOp>();
    Type type = b.group.outputs().front().getType();
    Value x = op.getX();
    Cells cy = {(int)cnn::sizeOf(x, 2), (int)cnn::sizeOf(op.getResult(), 2)};
    Cells cx = {(int)cnn::sizeOf(x, 3), (int)cnn::sizeOf(op.getResult(), 3)};

    Func sum("sum");
    RDom r(0, cx.largest(), 0, cy.largest(), "r");
    std::vector<Var> vars = b.vars(type);
    Point p = b.point(type), q = p;
    q.y = Halide::min(cy.first(p.y) + r.y, cy.size - 1);
    q.x = Halide::min(cx.first(p.x) + r.x, cx.size - 1);
    Expr value = b.at(x, q);
    if (cy.size % cy.cells || cx.size % cx.cells)
      value = Halide::select(r.y < cy.count(p.y) && r.x < cx.count(p.x), value,
                             0.0f);
    sum(vars) = 0.0f;
    sum(vars) += value;
    b.bind(op.getResult(), [&](const Point &p) {
      Expr cells = Halide::cast<float>(cy.count(p.y) * cx.count(p.x));
      return sum(b.coordinates(type, p)) * (1.0f / cells);
    });

    Func out = b.output();
    Var row = scheduleRows(b, out, type, {rowBytesOf(b, type)});
    auto guard = Halide::TailStrategy::GuardWithIf;
    std::vector<Halide::VarOrRVar> order = {vars[0], r.x, r.y};
    for (Var v : ArrayRef(vars).drop_front())
      order.push_back(v);
    sum.compute_at(out, row).vectorize(vars[0], b.target.lanes, guard);
    sum.update().reorder(order).vectorize(vars[0], b.target.lanes, guard);
  }
};

} // namespace

static RegisterKernel<AdaptivePool> adaptivePool;

} // namespace halcyon
