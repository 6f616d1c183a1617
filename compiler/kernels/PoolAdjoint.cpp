//===- PoolAdjoint.cpp - Gradients of pools -------------------------------===//
//
// A cell gathers from the windows that hold it: along an axis those are the taps
// whose distance from it is a multiple of the stride, which is known where cells
// are unrolled by the stride. Of a maximum each window has one cell, the first
// of equals, whose number is found once a window.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Loops.h"
#include "compiler/kernels/Windows.h"

#include <limits>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

class PoolAdjoint : public Kernel {
public:
  StringRef name() const override { return "pool_adjoint"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    auto adjoint = group.anchorAs<cnn::AdjointOp>();
    return adjoint &&
           isa<cnn::MaxPoolOp, cnn::AvgPoolOp, cnn::GlobalAvgPoolOp>(
               adjoint.getForward()) &&
           llvm::hasSingleElement(group.block().without_terminator()) &&
           llvm::all_of(group.inputs(), [](Value value) {
             auto type = cnn::tensorOf(value);
             return !cnn::isFixed(type) &&
                    (type.getElementType().isF32() || cnn::isBf16(type));
           });
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    return {uniformLayout(group, cnn::LayoutAttr::blocked(target.lanes)),
            uniformLayout(group, "nchw")};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.1);
  }

  void build(KernelBuilder &b) const override {
    auto adjoint = b.group.anchorAs<cnn::AdjointOp>();
    Operation *forward = adjoint.getForward();
    Value x = adjoint.getInputs()[0], dy = adjoint.getInputs()[1];
    if (isa<cnn::GlobalAvgPoolOp>(forward)) {
      float part = 1.0f / float(cnn::sizeOf(x, 2) * cnn::sizeOf(x, 3));
      b.bind(adjoint.getResult(0), [&](const Point &p) {
        return b.load(dy, p, x.getType()) * part;
      });
      Type type = b.group.outputs()[0].getType();
      scheduleRows(b, b.output(), type, {rowBytesOf(b, type)});
      return;
    }
    if (auto pool = dyn_cast<cnn::MaxPoolOp>(forward))
      return buildMaximum(b, adjoint, Windows::of(pool, 0), Windows::of(pool, 1));
    auto pool = cast<cnn::AvgPoolOp>(forward);
    Windows ay = Windows::of(pool, 0), ax = Windows::of(pool, 1);
    bool pad = pool.getCountPad();
    auto share = [=, &b](const Point &p, int, int) {
      Expr cells = ay.count(p.y, pad) * ax.count(p.x, pad);
      return b.load(dy, p, dy.getType()) / Halide::cast<float>(cells);
    };
    gather(b, adjoint, ay, ax, share);
  }

private:
  /// Cells as sums over their windows of what `share` gives for a tap.
  template <typename Share>
  static std::pair<Func, Var> gather(KernelBuilder &b, cnn::AdjointOp adjoint, const Windows &ay,
                                     const Windows &ax, Share share) {
    b.bind(adjoint.getResult(0), [&](const Point &p) {
      Expr sum = 0.0f;
      for (int v = 0; v < ay.kernel; ++v)
        for (int u = 0; u < ax.kernel; ++u) {
          Point at = p;
          at.y = ay.window(p.y, v);
          at.x = ax.window(p.x, u);
          sum += Halide::select(ay.isTap(p.y, v) && ax.isTap(p.x, u),
                                share(at, v, u), 0.0f);
        }
      return sum;
    });
    Func out = b.output();
    Type type = b.group.outputs()[0].getType();
    bool blocked = cnn::layoutOf(type).isBlocked();
    auto guard = TailStrategy::GuardWithIf;
    Var xi("xi"), yi("yi"), task("task");
    out.split(b.x, b.x, xi, ax.stride, guard).split(b.y, b.y, yi, ay.stride, guard);
    if (blocked)
      out.reorder(b.c, xi, yi, b.x, b.y, b.cb, b.n).vectorize(b.c);
    else
      out.reorder(xi, yi, b.x, b.y, b.c, b.n);
    if (ax.stride * ay.stride <= 9)
      out.unroll(xi).unroll(yi);
    out.fuse(blocked ? b.cb : b.c, b.n, task).parallel(task);
    return {out, task};
  }

  static void buildMaximum(KernelBuilder &b, cnn::AdjointOp adjoint,
                           const Windows &ay, const Windows &ax) {
    Value x = adjoint.getInputs()[0], dy = adjoint.getInputs()[1];
    // The number of a window's first maximum.
    Type type = dy.getType();
    std::vector<Var> vars = b.vars(type);
    Func place("place");
    Point p = b.point(type);
    Expr most = -std::numeric_limits<float>::infinity(), number = 0;
    for (int v = 0; v < ay.kernel; ++v)
      for (int u = 0; u < ax.kernel; ++u) {
        Expr row = ay.at(p.y, v), column = ax.at(p.x, u);
        Point cell = p;
        cell.y = ay.clamped(row);
        cell.x = ax.clamped(column);
        Expr value = b.load(x, cell, x.getType());
        Expr more = ay.isInside(row) && ax.isInside(column) && value > most;
        number = Halide::select(more, v * ax.kernel + u, number);
        most = Halide::select(more, value, most);
      }
    place(vars) = number;
    auto at = [&](const Point &q) {
      return q.cb.defined() ? std::vector<Expr>{q.c, q.x, q.y, q.cb, q.n}
                            : std::vector<Expr>{q.x, q.y, q.c, q.n};
    };
    auto [out, task] = gather(b, adjoint, ay, ax, [&](const Point &q, int v, int u) {
      return Halide::select(place(at(q)) == v * ax.kernel + u,
                            b.load(dy, q, type), 0.0f);
    });
    place.compute_at(out, task);
    if (cnn::layoutOf(type).isBlocked())
      place.vectorize(vars[0]);
  }
};

RegisterKernel<PoolAdjoint> poolAdjoint;

} // namespace
} // namespace halcyon
