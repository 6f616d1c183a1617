//===- ConvWinograd.cpp - 3x3 convolution by minimal filtering ------------===//
//
// F(m x m, 3 x 3), m = 2 or 4, of Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015:
//
//   Y = transpose(A) [ (G g transpose(G)) * (transpose(B) d B) ] A
//
// for every m x m tile of outputs, d the (m + 2) x (m + 2) inputs it reads. The
// sum over channels makes the inner product (m + 2)^2 matrix products, with
// m^2 * 9 / (m + 2)^2 times fewer multiplications than the definition: 2.25 or
// 4. Filters are transformed when the program is made.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// transpose(B) and transpose(A), row by row.
const float kInput2[] = {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1};
const float kOutput2[] = {1, 1, 1, 0, 0, 1, -1, -1};
const float kInput4[] = {4, 0,  -5, 0, 1,  0, 0, -4, -4, 1, 1, 0,
                         0, 4,  -4, -1, 1, 0, 0, -2, -1, 2, 1, 0,
                         0, 2,  -1, -2, 1, 0, 0, 4,  0, -5, 0, 1};
const float kOutput4[] = {1, 1, 1, 1, 1, 0, 0, 1, -1, 2, -2, 0,
                          0, 1, 1, 4, 4, 0, 0, 1, -1, 8, -8, 1};

/// The combinations of `term(0..n-1)` that a matrix of `rows` rows describes,
/// chosen by `index`.
Expr transform(const float *matrix, int rows, int n, Expr index,
               llvm::function_ref<Expr(int)> term) {
  std::vector<Expr> values;
  for (int row = 0; row < rows; ++row) {
    Expr sum;
    for (int i = 0; i < n; ++i) {
      float factor = matrix[row * n + i];
      if (factor == 0)
        continue;
      Expr t = term(i);
      if (!sum.defined())
        sum = factor == 1 ? t : factor == -1 ? -t : t * factor;
      else if (factor == 1)
        sum = sum + t;
      else if (factor == -1)
        sum = sum - t;
      else
        sum = sum + t * factor;
    }
    values.push_back(sum);
  }
  return Halide::mux(index, values);
}

/// What a way of cutting the tiles into tasks costs.
struct Plan {
  int rows = 1;        ///< tile rows a task
  bool phases = false; ///< all tiles at once, each stage in parallel
  double seconds = 1e30;
};

class WinogradConv : public Kernel {
public:
  explicit WinogradConv(int m) : m(m), n(m + 2) {}

  StringRef name() const override { return m == 2 ? "winograd2" : "winograd4"; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    if (s.kh != 3 || s.kw != 3 || s.sh != 1 || s.sw != 1 || s.dh != 1 ||
        s.dw != 1 || s.groups != 1)
      why = "not 3x3 with stride, dilation and groups of 1";
    else if (s.c < target.lanes || s.o < target.lanes)
      why = "fewer channels than a vector has lanes";
    else
      return hasZeroPadding(conv, why);
    return false;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    // Tiles are whole: what they read past the right and the bottom is halo.
    return {blockedChoice(group, target, conv.getX(),
                          s.halo(tiles(s.oh) * m, tiles(s.ow) * m))};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    std::string v = std::to_string(target.lanes);
    return cnn::PackedAttr::get(conv.getContext(), "hwOI" + v + "i" + v + "o",
                                m);
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    Plan plan = planOf(s, target);
    Tile tile = chooseTile(target, tiles(s.ow), plan.rows,
                           ceilDiv(s.o, target.lanes));
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"unroll_ci", tile.co * tile.x * tile.y > 16 ? 4 : 8},
                         {"rows", plan.rows},
                         {"phases", plan.phases}});
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    Plan plan = planOf(s, target);
    // convSeconds adds what every kernel pays: the epilogue and memory.
    return convSeconds(group, target,
                       plan.seconds * target.flops * target.cores, 1);
  }

  void build(KernelBuilder &b) const override;

private:
  int tiles(int size) const { return ceilDiv(size, m); }
  Plan planOf(const ConvShape &s, const Target &target) const;

  const int m; ///< outputs of a tile along an axis
  const int n; ///< inputs of a tile along an axis
};

Plan WinogradConv::planOf(const ConvShape &s, const Target &target) const {
  const int v = target.lanes, columns = tiles(s.ow), rows = tiles(s.oh);
  const double c = ceilDiv(s.c, v) * v, o = ceilDiv(s.o, v) * v;
  const double weights = 4.0 * n * n * c * o;
  const double l3 = target.l2Bandwidth / 2;
  Plan best;
  auto consider = [&](int perTask, bool phases) {
    Tile tile = chooseTile(target, columns, perTask, ceilDiv(s.o, v));
    double count = double(columns) * perTask;
    double products = 2 * count * n * n * c * o / (target.flops * tile.efficiency * 0.95);
    // Transforms pass over their scratch about twice, from L2 while it fits.
    double scratch = 4.0 * count * n * n * (c + o);
    double resident = phases ? scratch / target.cores : scratch;
    double moves = 2.5 * scratch /
                   (resident > 0.8 * target.l2 ? l3 : target.l2Bandwidth);
    double stream = weights / (weights > target.l3 ? target.bandwidth
                               : weights + resident > target.l2
                                   ? l3
                                   : target.l2Bandwidth);
    double seconds;
    if (phases)
      seconds = (std::max(products, stream) + 0.3 * std::min(products, stream) +
                 moves) / target.cores +
                3 * target.callSeconds;
    else
      seconds = ceilDiv(ceilDiv(rows, perTask), target.cores) *
                (std::max(products, stream) +
                 0.3 * std::min(products, stream) + moves);
    if (seconds < best.seconds)
      best = {perTask, phases, seconds};
  };
  for (int perTask = 1; perTask <= rows; ++perTask)
    consider(perTask, false);
  if (target.cores > 1)
    consider(rows, true);
  return best;
}

void WinogradConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const int v = b.target.lanes, n = this->n, m = this->m;
  const int columns = tiles(s.ow), allRows = tiles(s.oh);
  const int blocks = ceilDiv(s.o, v);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const bool phases = param(b, defaults, "phases");
  const int rows =
      phases ? allRows : std::min(param(b, defaults, "rows"), allRows);
  const int tileCo = std::min(param(b, defaults, "tile_co"), blocks);
  const int tileX = std::min(param(b, defaults, "tile_x"), columns);
  const int tileY = std::min(param(b, defaults, "tile_y"), rows);
  const int unroll = param(b, defaults, "unroll_ci");
  const float *input = m == 2 ? kInput2 : kInput4;
  const float *output = m == 2 ? kOutput2 : kOutput4;
  Var c = b.c, cb = b.cb, batch = b.n;
  Var tx("tx"), ty("ty"), u("u"), w("w"), y("y"), i("i"), j("j");
  Halide::ImageParam in = b.input(conv.getX()), filter = b.input(conv.getWeight());
  Type type = conv.getResult().getType();

  // The algorithm. Columns first, then rows.
  Func inX("input_x"), inT("input_transform");
  inX(c, u, y, tx, cb, batch) = transform(input, n, n, u, [&](int p) {
    return in(c, tx * m + p - s.left, y - s.top, cb, batch);
  });
  inT(c, tx, ty, u, w, cb, batch) = transform(input, n, n, w, [&](int p) {
    return inX(c, u, ty * m + p, tx, cb, batch);
  });
  RDom k(0, v, 0, ceilDiv(s.c, v), "k");
  Func acc("acc"), product("product");
  acc(c, tx, ty, u, w, cb, batch) = 0.0f;
  acc(c, tx, ty, u, w, cb, batch) += filter(c, k[0], k[1], cb, u, w) *
                                     inT(k[0], tx, ty, u, w, k[1], batch);
  product(c, tx, ty, u, w, cb, batch) = acc(c, tx, ty, u, w, cb, batch);
  Func outX("output_x"), outT("output_transform");
  outX(c, i, w, tx, ty, cb, batch) = transform(output, m, n, i, [&](int p) {
    return product(c, tx, ty, p, w, cb, batch);
  });
  outT(c, i, j, tx, ty, cb, batch) = transform(output, m, n, j, [&](int p) {
    return outX(c, i, p, tx, ty, cb, batch);
  });
  Value bias = conv.getBias();
  b.bind(conv.getResult(), [=, &b](const Point &p) {
    Expr value = outT(p.c, p.x % m, p.y % m, p.x / m, p.y / m, p.cb, p.n);
    return bias ? value + b.load(bias, p, type) : value;
  });
  Func out = b.output();

  // The schedule. The last tile of a row or column may overhang the output;
  // only its stores are guarded.
  Var xi("xi"), xo("xo"), yi("yi"), yo("yo"), yg("yg"), t("t");
  out.split(b.x, xo, xi, m, TailStrategy::GuardWithIf)
      .split(b.y, yo, yi, m, TailStrategy::GuardWithIf)
      .split(yo, yg, yo, rows, TailStrategy::ShiftInwards)
      .reorder(c, xi, yi, xo, yo, cb, yg, batch)
      .vectorize(c)
      .unroll(xi)
      .unroll(yi);
  if (phases)
    out.parallel(cb);
  else
    out.fuse(yg, batch, t).parallel(t);
  outT.compute_at(out, xo)
      .bound_extent(i, m)
      .bound_extent(j, m)
      .reorder(c, j, i)
      .vectorize(c)
      .unroll(i)
      .unroll(j);
  outX.compute_at(out, xo)
      .bound_extent(i, m)
      .reorder(c, i, w)
      .vectorize(c)
      .unroll(i)
      .unroll(w);

  Var ti("ti"), tyi("tyi"), cbi("cbi"), uw("uw"), cbo("cbo");
  Var group = phases ? yg : t;
  product.compute_at(out, group)
      .bound_extent(ty, rows)
      .split(cb, cbo, cbi, tileCo)
      .split(tx, tx, ti, tileX)
      .split(ty, ty, tyi, tileY)
      .reorder(c, cbi, ti, tyi, tx, ty, cbo, u, w, batch)
      .vectorize(c)
      .unroll(cbi)
      .unroll(ti)
      .unroll(tyi);
  if (phases)
    product.fuse(u, w, uw).parallel(uw);
  acc.compute_at(product, tx).vectorize(c).unroll(tx).unroll(ty).unroll(cb);
  acc.update()
      .reorder(c, cb, tx, ty, k[0], k[1])
      .vectorize(c)
      .unroll(cb)
      .unroll(tx)
      .unroll(ty)
      .unroll(k[0], v % unroll ? 1 : unroll);
  inT.compute_at(out, group)
      .bound_extent(ty, rows)
      .reorder(c, w, u, tx, ty, cb, batch)
      .vectorize(c)
      .unroll(w)
      .unroll(u);
  if (phases)
    inT.parallel(cb);
  inX.compute_at(inT, tx)
      .reorder_storage(c, u, y, tx, cb, batch)
      .reorder(c, u, y)
      .vectorize(c)
      .unroll(u)
      .unroll(y);
}

struct Winograd2 : WinogradConv {
  Winograd2() : WinogradConv(2) {}
};
struct Winograd4 : WinogradConv {
  Winograd4() : WinogradConv(4) {}
};
RegisterKernel<Winograd2> winograd2;
RegisterKernel<Winograd4> winograd4;

} // namespace
} // namespace halcyon
