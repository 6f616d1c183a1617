//===- Pool.cpp - Maximum and mean over windows ---------------------------===//

#include "compiler/kernels/Loops.h"
#include "compiler/kernels/Windows.h"

#include <limits>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

namespace {

/// The windows along one axis, as a fold reads them.
struct Axis : Windows {
  bool horizontal;
  /// Outside taps read another tap of the window, which a maximum may repeat.
  bool repeats = false;

  template <typename Op> static Axis of(Op op, int axis) {
    return {Windows::of(op, axis), axis == 1};
  }

  bool inside() const {
    return all([&](int i) { return i >= 0 && i < size; });
  }
  /// Whether clamping the coordinate of an outside tap gives another tap of
  /// the same window: neighbouring taps, some of them inside.
  bool clampable() const {
    if (dilation != 1)
      return false;
    for (int o = 0; o < out; ++o)
      if (o * stride - before + kernel <= 0 || o * stride - before >= size)
        return false;
    return true;
  }
  Expr cell(Expr o, Expr k) const {
    Expr i = at(o, k);
    return inside() ? i : clamped(hint(i));
  }
  /// The value where the tap is inside, else `otherwise`.
  Expr guard(Expr o, Expr k, Expr value, float otherwise) const {
    if (inside() || repeats)
      return value;
    return Halide::select(hint(isInside(at(o, k))), value, otherwise);
  }
  /// Taps that a mean divides by.
  Expr cells(Expr o, bool pad) const {
    Expr taps = count(o, pad);
    if (Halide::Internal::is_const(taps))
      return taps;
    int low = pad ? before : 0, high = pad ? after : 0;
    Expr whole = at(o, 0) >= -low && at(o, kernel - 1) < size + high;
    return Halide::select(hint(whole), kernel, taps);
  }

private:
  /// Along x Halide splits the loop, so that inner windows are read without
  /// tests. Rows are fused with channels and images: a test a row stays.
  Expr hint(Expr e) const { return horizontal ? Halide::likely(e) : e; }
};

/// Windows of up to so many taps are written out; others are loops.
constexpr int kUnrolledTaps = 32;

class Pool : public LayerKernel<cnn::MaxPoolOp, cnn::AvgPoolOp> {
public:
  Pool() : LayerKernel("pool", 0.1) {}

  void build(KernelBuilder &b) const override {
    Operation *op = b.group.anchor();
    Type type = b.group.outputs().front().getType();
    Fold fold = isa<cnn::MaxPoolOp>(op) ? maximum(b, cast<cnn::MaxPoolOp>(op))
                                        : mean(b, cast<cnn::AvgPoolOp>(op));
    std::vector<Var> vars = b.vars(type);
    bool unrolled = fold.y.kernel * fold.x.kernel <= kUnrolledTaps;
    Func sum("sum");
    RDom r(0, fold.x.kernel, 0, fold.y.kernel, "r");
    if (unrolled) {
      b.bind(op->getResult(0), [&](const Point &p) {
        return fold.finish(writtenOut(fold, p), p);
      });
    } else {
      Point p = b.point(type);
      sum(vars) = fold.start;
      sum(vars) = fold.join(
          sum(vars),
          fold.y.guard(p.y, r.y,
                       fold.x.guard(p.x, r.x, fold.tap(p, r.y, r.x), fold.start),
                       fold.start));
      b.bind(op->getResult(0), [&](const Point &p) {
        return fold.finish(sum(b.coordinates(type, p)), p);
      });
    }
    Func out = b.output();
    Var row = scheduleRows(b, out, type, {rowBytesOf(b, type)});
    if (unrolled)
      return;
    auto guard = Halide::TailStrategy::GuardWithIf;
    std::vector<Halide::VarOrRVar> order = {vars[0], r.x, r.y};
    for (Var v : ArrayRef(vars).drop_front())
      order.push_back(v);
    sum.compute_at(out, row).vectorize(vars[0], b.target.lanes, guard);
    sum.update().reorder(order).vectorize(vars[0], b.target.lanes, guard);
  }

private:
  /// How the taps of a window become a value.
  struct Fold {
    Axis y, x;
    float start; ///< joins without effect
    std::function<Expr(const Point &, Expr ky, Expr kx)> tap;
    std::function<Expr(Expr, Expr)> join;
    std::function<Expr(Expr, const Point &)> finish;
  };

  /// All taps in one expression; a row outside is left out as a whole.
  static Expr writtenOut(const Fold &f, const Point &p) {
    Expr value;
    for (int ky = 0; ky < f.y.kernel; ++ky) {
      Expr row;
      for (int kx = 0; kx < f.x.kernel; ++kx) {
        Expr v = f.x.guard(p.x, kx, f.tap(p, ky, kx), f.start);
        row = row.defined() ? f.join(row, v) : v;
      }
      row = f.y.guard(p.y, ky, row, f.start);
      value = value.defined() ? f.join(value, row) : row;
    }
    return value;
  }

  template <typename Op>
  static std::function<Expr(const Point &, Expr, Expr)> reader(KernelBuilder &b,
                                                              Op op) {
    Axis ay = Axis::of(op, 0), ax = Axis::of(op, 1);
    return [&b, op, ay, ax](const Point &p, Expr ky, Expr kx) mutable {
      Point q = p;
      q.y = ay.cell(p.y, ky);
      q.x = ax.cell(p.x, kx);
      return b.at(op.getX(), q);
    };
  }

  static Fold maximum(KernelBuilder &b, cnn::MaxPoolOp op) {
    Axis ay = Axis::of(op, 0), ax = Axis::of(op, 1);
    auto tap = reader(b, op);
    ay.repeats = ay.clampable();
    ax.repeats = ax.clampable();
    return {ay, ax, -std::numeric_limits<float>::infinity(), tap,
            [](Expr a, Expr v) { return Halide::max(a, v); },
            [](Expr e, const Point &) { return e; }};
  }

  static Fold mean(KernelBuilder &b, cnn::AvgPoolOp op) {
    Axis ay = Axis::of(op, 0), ax = Axis::of(op, 1);
    bool pad = op.getCountPad();
    return {ay, ax, 0.0f, reader(b, op),
            [](Expr a, Expr v) { return a + v; },
            [ay, ax, pad](Expr sum, const Point &p) {
              Expr cells = Halide::cast<float>(ay.cells(p.y, pad)) *
                           Halide::cast<float>(ax.cells(p.x, pad));
              return sum * (1.0f / cells);
            }};
  }
};

} // namespace

static RegisterKernel<Pool> pool;

} // namespace halcyon
