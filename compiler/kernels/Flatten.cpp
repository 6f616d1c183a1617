//===- Flatten.cpp - Maps as vectors --------------------------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// A copy into the order of `nchw`, from any layout.
class Flatten : public LayerKernel<cnn::FlattenOp> {
public:
  Flatten() : LayerKernel("flatten", 0.2) {}

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    SmallVector<LayoutChoice> result;
    std::string blocked = cnn::LayoutAttr::blocked(target.lanes);
    for (StringRef order :
         {StringRef("nchw"), StringRef(blocked),
          StringRef("nhwc")})
      result.push_back(uniformLayout(group, order));
    return result;
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::FlattenOp>();
    auto from = cnn::tensorOf(op.getX());
    int width = 1, cells = 1;
    if (from.getRank() == 4) {
      width = (int)from.getDimSize(3);
      cells = width * (int)from.getDimSize(2);
    }
    b.bind(op.getResult(), [&](const Point &p) {
      if (from.getRank() != 4)
        return b.at(op.getX(), p);
      Expr cell = p.c % cells;
      return b.at(op.getX(), {p.n, Expr(), p.c / cells, cell / width, cell % width});
    });
    Func out = b.output();
    auto guard = TailStrategy::GuardWithIf;
    Type type = b.group.outputs().front().getType();
    if (cells == 1) {
      scheduleRows(b, out, type, {rowBytesOf(b, type)});
      return;
    }
    // A channel's map is a row of the output.
    Var cell("cell"), rows("rows"), task("task");
    double rowBytes = 8.0 * cells;
    out.split(b.c, b.c, cell, cells)
        .vectorize(cell, b.target.lanes, guard)
        .fuse(b.c, b.n, rows)
        .split(rows, task, rows,
               rowsPerTask(b, rowBytes, (double)from.getDimSize(1)), guard)
        .parallel(task);
  }
};
} // namespace

static RegisterKernel<Flatten> flatten;

} // namespace halcyon
