//===- Concat.cpp - Joining along the channels ----------------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;

namespace halcyon {

namespace {
/// A copy, for where producers cannot write their slices of the whole.
class Concat : public LayerKernel<cnn::ConcatOp> {
public:
  Concat() : LayerKernel("concat", 0.2) {}

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::ConcatOp>();
    int lanes = b.target.lanes;
    b.bind(op.getResult(), [&, op](const Point &p) mutable {
      // An input is read where the channel is below its end; the later ones
      // beyond. Coordinates are clamped, so that all may be read.
      Expr value;
      int end = (int)cnn::sizeOf(op.getResult(), 1);
      for (Value input : llvm::reverse(op.getInputs())) {
        int channels = (int)cnn::sizeOf(input, 1), first = end - channels;
        Point q = p;
        Expr before = p.c < end;
        if (p.cb.defined() && first % lanes == 0) {
          q.cb = Halide::clamp(p.cb - first / lanes, 0,
                               (channels - 1) / lanes);
        } else {
          q.c = Halide::clamp(channelOf(p, lanes) - first, 0, channels - 1);
          q.cb = Expr();
        }
        if (p.cb.defined())
          before = end % lanes == 0 ? p.cb < end / lanes
                                    : channelOf(p, lanes) < end;
        Expr v = b.at(input, q);
        value = value.defined() ? Halide::select(before, v, value) : v;
        end = first;
      }
      return value;
    });
    Func out = b.output();
    Type type = b.group.outputs().front().getType();
    scheduleRows(b, out, type, {rowBytesOf(b, type)});
  }

private:
  static Expr channelOf(const Point &p, int lanes) {
    return p.cb.defined() ? p.cb * lanes + p.c : p.c;
  }
};
} // namespace

static RegisterKernel<Concat> concat;

} // namespace halcyon
