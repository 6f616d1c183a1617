//===- GlobalPool.cpp - Mean and maximum over whole maps ------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

#include <limits>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// Several partial results per channel, so that additions overlap; a task is
/// a block of channels of an image.
class GlobalPool : public LayerKernel<cnn::GlobalAvgPoolOp, cnn::GlobalMaxPoolOp> {
public:
  GlobalPool() : LayerKernel("global_pool", 0.1) {}

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    // An output of one element a channel may lie in any order.
    SmallVector<LayoutChoice> result;
    std::string blocked = cnn::LayoutAttr::blocked(target.lanes);
    Value out = group.outputs().front();
    Value x = group.anchor()->getOperand(0);
    for (StringRef in : {StringRef(blocked), StringRef("nchw"), StringRef("nhwc")})
      for (StringRef to : {StringRef(blocked), StringRef("nchw"), StringRef("nhwc")}) {
        LayoutChoice choice = uniformLayout(group, to);
        for (auto [value, layout] : llvm::zip(group.inputs(), choice.inputs))
          if (layout && (value == x || readsMap(group, value)))
            layout = cnn::LayoutAttr::get(out.getContext(), in);
        result.push_back(choice);
      }
    return result;
  }

  void build(KernelBuilder &b) const override {
    Operation *op = b.group.anchor();
    Value x = op->getOperand(0);
    auto from = mapsBefore(b.group, x);
    bool mean = isa<cnn::GlobalAvgPoolOp>(op);
    int height = (int)from.getDimSize(2), width = (int)from.getDimSize(3);
    cnn::LayoutAttr layout = cnn::layoutOf(from);
    bool blocked = layout.isBlocked(), nchw = layout.getOrder() == "nchw";
    int lanes = b.target.lanes;
    Expr start = mean ? 0.0f : -std::numeric_limits<float>::infinity();
    auto join = [&](Expr a, Expr v) { return mean ? a + v : Halide::max(a, v); };

    // part(u, c, cb, n): what the columns u, u + parts, ... of the map give.
    Func part("part"), whole("whole");
    Var u("u");
    int parts = nchw ? std::min(width, lanes) : std::min(width, 4);
    auto value = [&](Expr column, Expr row) {
      Point p = {b.n, blocked ? Expr(b.cb) : Expr(), b.c, row, column};
      return b.at(x, p);
    };
    std::vector<Var> channel = {b.c};
    if (blocked)
      channel.push_back(b.cb);
    channel.push_back(b.n);
    // What is a vector comes first in memory.
    auto with = [&](Expr column) {
      std::vector<Expr> args(channel.begin(), channel.end());
      args.insert(args.begin() + (nchw ? 0 : 1), column);
      return args;
    };
    std::vector<Var> partVars = channel;
    partVars.insert(partVars.begin() + (nchw ? 0 : 1), u);
    part(partVars) = start;
    RDom r(0, parts, 0, width / parts, 0, height, "r");
    part(with(r.x)) = join(part(with(r.x)), value(r.y * parts + r.x, r.z));
    int rest = width % parts;
    RDom tail(0, std::max(rest, 1), 0, height, "tail");
    if (rest)
      part(with(tail.x)) =
          join(part(with(tail.x)), value(width - rest + tail.x, tail.y));
    Expr total;
    for (int i = 0; i < parts; ++i) {
      Expr v = part(with(i));
      total = total.defined() ? join(total, v) : v;
    }
    whole(channel) = mean ? total * (1.0f / (float)(height * width)) : total;

    auto to = cnn::tensorOf(b.group.outputs().front());
    b.bind(op->getResult(0), [&](const Point &p) {
      // Both may count channels by blocks or not.
      std::vector<Expr> args;
      if (blocked && p.cb.defined())
        args = {p.c, p.cb, p.n};
      else if (blocked)
        args = {p.c % lanes, p.c / lanes, p.n};
      else if (p.cb.defined())
        args = {Halide::min(p.cb * lanes + p.c, (int)to.getDimSize(1) - 1), p.n};
      else
        args = {p.c, p.n};
      return whole(args);
    });

    int perTask = rowsPerTask(b, 4.0 * height * width,
                              (double)from.getDimSize(1));
    auto guard = TailStrategy::GuardWithIf;
    Var task("task"), block("block"), lane("lane");
    Func out = b.output();
    int channels = (int)to.getDimSize(1);
    int vectors = std::min((perTask + lanes - 1) / lanes,
                           (channels + lanes - 1) / lanes);
    if (cnn::layoutOf(to).isBlocked())
      out.vectorize(b.c)
          .split(b.cb, block, b.cb, vectors, guard)
          .reorder(b.c, b.x, b.y, b.cb, block, b.n);
    else
      out.split(b.c, block, b.c, vectors * lanes, guard)
          .split(b.c, b.c, lane, lanes, guard)
          .reorder(lane, b.c, b.x, b.y, block, b.n);
    // Less than a vector: Halide would load it whole from less memory.
    if (!cnn::layoutOf(to).isBlocked() && channels >= lanes)
      out.vectorize(lane);
    out.fuse(block, b.n, task).parallel(task);
    whole.compute_at(out, task);

    if (nchw) {
      part.compute_at(whole, b.c).vectorize(u);
      part.update().reorder(r.x, r.y, r.z).vectorize(r.x);
      if (rest)
        part.update(1).vectorize(tail.x);
      return;
    }
    Var outer("outer");
    if (blocked)
      whole.vectorize(b.c);
    else
      whole.split(b.c, outer, b.c, lanes, guard).vectorize(b.c);
    part.compute_at(whole, blocked ? b.cb : outer)
        .vectorize(b.c, lanes, guard)
        .unroll(u);
    part.update()
        .reorder(b.c, r.x, r.y, r.z)
        .vectorize(b.c, lanes, guard)
        .unroll(r.x);
    if (rest)
      part.update(1)
          .reorder(b.c, tail.x, tail.y)
          .vectorize(b.c, lanes, guard)
          .unroll(tail.x);
  }

private:
  /// Whether a value is an operand of a map before the pooling.
  static bool readsMap(const Group &group, Value value) {
    return cnn::sizeOf(value, 2) != 1 || cnn::sizeOf(value, 3) != 1;
  }
};
} // namespace

static RegisterKernel<GlobalPool> globalPool;

} // namespace halcyon
