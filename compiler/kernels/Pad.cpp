//===- Pad.cpp - A border around each map ---------------------------------===//

#include "compiler/kernels/Loops.h"
#include "compiler/kernels/Windows.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;

namespace halcyon {

namespace {

class Pad : public LayerKernel<cnn::PadOp> {
public:
  Pad() : LayerKernel("pad", 0.2) {}

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::PadOp>();
    Value x = op.getX();
    int height = (int)cnn::sizeOf(x, 2), width = (int)cnn::sizeOf(x, 3);
    int top = (int)op.getPad()[0], left = (int)op.getPad()[1];
    cnn::PadMode mode = op.getMode();
    b.bind(op.getResult(), [&, x](const Point &p) {
      Expr y = p.y - top, column = p.x - left;
      Expr above = y >= 0 && y < height;
      // Halide splits the loop over x where this begins to hold.
      Expr beside = Halide::likely(column >= 0 && column < width);
      Point q = p;
      q.y = standIn(y, height, mode);
      q.x = Halide::select(beside, Halide::clamp(column, 0, width - 1),
                           standIn(column, width, mode));
      if (mode != cnn::PadMode::zero)
        return b.at(x, q);
      q.x = Halide::clamp(Halide::likely(column), 0, width - 1);
      return Halide::select(above && beside, b.at(x, q), 0.0f);
    });
    Type type = b.group.outputs().front().getType();
    scheduleRows(b, b.output(), type, {rowBytesOf(b, type)});
  }
};

} // namespace

static RegisterKernel<Pad> pad;

} // namespace halcyon
