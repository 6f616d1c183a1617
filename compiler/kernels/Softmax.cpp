//===- Softmax.cpp - Softmax over the channels ----------------------------===//

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
/// exp(x - m) / sum of exp(x - m), m the largest of the channels: no overflow.
/// The exponentials of a row are kept, not computed twice.
class Softmax : public LayerKernel<cnn::SoftmaxOp> {
public:
  Softmax() : LayerKernel("softmax", 0.05) {}

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    SmallVector<LayoutChoice> result;
    std::string blocked = cnn::LayoutAttr::blocked(target.lanes);
    if (cnn::tensorOf(group.outputs().front()).getRank() != 4)
      return uniformLayouts(group, target);
    // Along x every vector is full, whatever the number of channels.
    for (StringRef order :
         {StringRef("nchw"), StringRef("nhwc"),
          StringRef(blocked)})
      result.push_back(uniformLayout(group, order));
    return result;
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::SoftmaxOp>();
    auto type = cnn::tensorOf(b.group.outputs().front());
    int channels = (int)type.getDimSize(1), lanes = b.target.lanes;
    bool maps = type.getRank() == 4;
    cnn::LayoutAttr layout = cnn::layoutOf(type);
    bool along = maps && layout.getOrder() == "nchw";
    auto guard = TailStrategy::GuardWithIf;

    bool blocked = maps && layout.isBlocked();
    if (channels == 1) {
      // exp(0) / exp(0), whatever the value.
      b.bind(op.getResult(), [](const Point &) { return Expr(1.0f); });
      Func out = b.output();
      scheduleRows(b, out, type, {rowBytesOf(b, type)});
      return;
    }

    // Channels in whole groups of `width`, and what is left. Dense maps are
    // vectors along x: groups of one.
    int width = along ? 1 : std::min(lanes, channels);
    int groups = channels / width, rest = channels % width;
    const float low = -std::numeric_limits<float>::infinity();
    Var lane("lane");
    std::vector<Var> pixel = {b.n};
    if (maps)
      pixel = {b.x, b.y, b.n};
    auto with = [](std::vector<Expr> first, auto &&tail) {
      first.insert(first.end(), tail.begin(), tail.end());
      return first;
    };
    auto channel = [&](Expr lane, Expr group) -> std::vector<Expr> {
      if (blocked)
        return {lane, group};
      return {group * width + lane};
    };
    auto value = [&](std::vector<Expr> ch) {
      return b.at(op.getX(), {b.n, blocked ? ch[1] : Expr(), ch[0], b.y, b.x});
    };

    Func largest("largest"), most("most"), power("power"), sums("sums"),
        scale("scale");
    RDom g(0, groups, "g"), tail(0, std::max(1, rest), "tail");
    std::vector<Expr> lanewise = with({lane}, pixel), tailwise = with({tail}, pixel);

    largest(lanewise) = low;
    largest(lanewise) = Halide::max(largest(lanewise), value(channel(lane, g)));
    if (rest)
      largest(tailwise) =
          Halide::max(largest(tailwise), value(channel(tail, groups)));
    Expr m = largest(with({0}, pixel));
    for (int i = 1; i < width; ++i)
      m = Halide::max(m, largest(with({i}, pixel)));
    most(pixel) = m;

    std::vector<Var> own = {b.c};
    if (blocked)
      own.push_back(b.cb);
    std::vector<Expr> ownExprs(own.begin(), own.end());
    power(with(ownExprs, pixel)) = Halide::exp(value(ownExprs) - most(pixel));

    sums(lanewise) = 0.0f;
    sums(lanewise) += power(with(channel(lane, g), pixel));
    if (rest)
      sums(tailwise) += power(with(channel(tail, groups), pixel));
    Expr total = sums(with({0}, pixel));
    for (int i = 1; i < width; ++i)
      total = total + sums(with({i}, pixel));
    scale(pixel) = 1.0f / total;

    b.bind(op.getResult(), [&](const Point &p) {
      std::vector<Expr> at = {p.n}, ch = {p.c};
      if (maps)
        at = {p.x, p.y, p.n};
      if (blocked)
        ch.push_back(p.cb);
      return power(with(ch, at)) * scale(at);
    });

    Func out = b.output();
    // Maps of one column have nothing to vectorize, and a vector of a single
    // value would be read as if it were aligned.
    int vector = along ? std::min<int>(lanes, type.getDimSize(3)) : lanes;
    auto alongRow = [&](auto stage) {
      if (vector > 1)
        stage.vectorize(b.x, vector, guard);
    };
    Var rows("rows"), tile("tile"), place = rows;
    if (!maps) {
      place = scheduleRows(b, out, type, {rowBytesOf(b, type)});
    } else {
      if (along) {
        out.split(b.x, tile, b.x, 4 * vector, guard)
            .reorder(b.x, b.c, tile, b.y, b.n);
        alongRow(out);
        place = tile;
      } else {
        if (blocked)
          out.reorder(b.c, b.cb, b.x, b.y, b.n);
        out.vectorize(b.c, lanes, guard);
        place = b.x;
      }
      out.fuse(b.y, b.n, rows).parallel(rows);
    }

    for (Func stage : {largest, most, power, sums, scale})
      stage.compute_at(out, place);
    if (along) {
      // The vectors run along x, the reductions over the channels outside.
      for (Func stage : {largest, most, power, sums, scale})
        alongRow(stage);
      for (Func stage : {largest, sums})
        alongRow(stage.update().reorder(lane, b.x, g));
      return;
    }
    power.vectorize(b.c, lanes, guard);
    for (Func stage : {largest, sums}) {
      stage.vectorize(lane, width);
      stage.update().reorder(lane, g).vectorize(lane, width);
      if (rest)
        stage.update(1).vectorize(tail, rest);
    }
  }
};
} // namespace

static RegisterKernel<Softmax> softmax;

} // namespace halcyon
