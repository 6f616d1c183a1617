//===- ConvWinograd.cpp - Convolution by minimal filtering ----------------===//
//
// F(m x m, r x s), m = 2, 4 or 6, of Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015:
//
//   Y = transpose(A) [ (G g transpose(G)) * (transpose(B) d B) ] A
//
// for every m x m tile of outputs, d the (m + r - 1) x (m + s - 1) inputs it
// reads. The sum over channels makes the inner product so many matrix products,
// for 3x3 with m^2 * 9 / (m + 2)^2 times fewer multiplications than the
// definition: 2.25 or 4. Filters are transformed when the program is made. A
// filter of one row or column is transformed along the other axis alone: tiles
// are m x 1 or 1 x m then, and 1x7 needs 1.75 or 2.8 times fewer.
//
// With m = 6 the transforms of a pixel cost a tenth more than with 4, and maps
// are rounded up to larger tiles: it is for large maps.
//
// Small maps have few tiles: where several images come at once, as in training,
// the tiles of a group of them meet the same weights.
//
// With the fast inner product (FastProduct.h) a tile's inputs are scaled by a power
// of two before they are transformed, and the points of an axis by one of their own.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvWinograd.h"
#include "compiler/kernels/Loops.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

void WinogradConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  cnn::WinogradAxis across(m, s.kw), down(m, s.kh);
  if (fast) {
    across = across.balanced();
    down = down.balanced();
  }
  const int v = b.target.lanes, mx = across.m, my = down.m;
  const int columns = ceilDiv(s.ow, mx), allRows = ceilDiv(s.oh, my);
  const int blocks = ceilDiv(s.o, v);
  cnn::ScheduleAttr defaults = schedule(b.group, b.target);
  const bool phases = param(b, defaults, "phases");
  const int rows =
      phases ? allRows : std::min(param(b, defaults, "rows"), allRows);
  const int tileCo = std::min(param(b, defaults, "tile_co"), blocks);
  const int width =
      phases ? columns : std::min(param(b, defaults, "columns"), columns);
  const int tileX = std::min(param(b, defaults, "tile_x"), width);
  const int tileY = std::min(param(b, defaults, "tile_y"), rows);
  const int images = phases ? param(b, defaults, "images") : 1;
  const int tileN = std::min(param(b, defaults, "tile_n"), images);
  const bool pairs = usesPairs(b.group, b.target);
  Var c = b.c, cb = b.cb, batch = b.n;
  Var tx("tx"), ty("ty"), u("u"), w("w"), y("y"), i("i"), j("j");
  Type type = conv.getResult().getType();

  // The algorithm. Columns first, then rows.
  Func inX("input_x"), inT("input_transform");
  auto cell = [&](int p, Expr y, Expr cb) {
    // The last group may have fewer images.
    Expr image = images > 1 ? Halide::clamp(batch, 0, batchOf(b) - 1) : Expr(batch);
    return b.read(conv.getX(), {c, tx * mx + p - s.left, y - s.top, cb, image});
  };
  inX(c, u, y, tx, cb, batch) = winogradTransform(
      across.input, across.n, u, [&](int p) { return cell(p, y, cb); });
  Expr transformed = winogradTransform(
      down.input, down.n, w, [&](int p) {
    return inX(c, u, ty * my + p, tx, cb, batch);
  });
  // Of the fast inner product: the largest input of a tile, and what is subtracted.
  Func largest("largest"), peak("peak"), scale("scale"), unscale("unscale"),
      total("total");
  Var turns("turns");
  RDom all(0, ceilDiv(s.c, v), "all"), lanes(0, v, "lanes");
  const auto units = unitsOf(s, b.target);
  if (fast) {
    largest(c, tx, ty, batch) = 0.0f;
    Expr most = largest(c, tx, ty, batch);
    for (int q = 0; q < down.n; ++q)
      for (int p = 0; p < across.n; ++p)
        most = Halide::max(most, Halide::abs(cell(p, ty * my + q, all)));
    largest(c, tx, ty, batch) = most;
    peak(tx, ty, batch) = 0.0f;
    peak(tx, ty, batch) = Halide::max(peak(tx, ty, batch), largest(lanes, tx, ty, batch));
    FastScale size(peak(tx, ty, batch));
    // A vector for blocks that turn signs, and one for others.
    scale(c, turns, tx, ty, batch) =
        turnedScale(size.scale, units.front(), c, Expr(turns));
    unscale(tx, ty, batch) = size.unscale;
    Expr turned = s.c % v ? Halide::select(cb < s.c / v, cb % 2, 0) : cb % 2;
    transformed = transformed * scale(c, turned, tx, ty, batch);
  }
  inT(c, tx, ty, u, w, cb, batch) =
      pairs ? b.roundVector(transformed) : transformed;
  const int inBlocks = ceilDiv(s.c, v);
  Func acc("acc"), product("product");
  SmallVector<RDom> sums;
  if (fast) {
    auto input = [&](Expr lane, Expr block) {
      return inT(lane, tx, ty, u, w, block, batch);
    };
    auto weight = [&](Expr row) {
      return b.read(conv.getWeight(), {c, row, cb, u, w});
    };
    addPairs(total, {tx, ty, u, w, batch}, units, input);
    acc(c, tx, ty, u, w, cb, batch) =
        weight(inBlocks * v) - total(tx, ty, u, w, batch);
    for (const cnn::FastRun &run : units)
      llvm::append_range(
          sums, addFastProducts(acc, {c, tx, ty, u, w, cb, batch}, run, input,
                                [&](Expr lane, Expr block) {
                                  return weight(block * v + lane);
                                }));
    product(c, tx, ty, u, w, cb, batch) =
        acc(c, tx, ty, u, w, cb, batch) * weight(inBlocks * v + 1);
  } else {
    RDom k = pairs ? RDom(0, 2, 0, v / 2, 0, inBlocks, "k") : RDom(0, v, 0, inBlocks, "k");
    SmallVector<Expr> tap = {c, k[0], k[1], cb, u, w};
    if (pairs)
      tap = {k[0], c, k[1], k[2], cb, u, w};
    Expr lane = pairs ? k[1] * 2 + k[0] : Expr(k[0]);
    acc(c, tx, ty, u, w, cb, batch) = 0.0f;
    acc(c, tx, ty, u, w, cb, batch) +=
        (pairs ? b.factor(conv.getWeight(), tap)
               : b.read(conv.getWeight(), tap)) *
        Halide::cast<float>(inT(lane, tx, ty, u, w, k[pairs + 1], batch));
    sums.push_back(k);
    product(c, tx, ty, u, w, cb, batch) = acc(c, tx, ty, u, w, cb, batch);
  }
  Func outX("output_x"), outT("output_transform");
  outX(c, i, w, tx, ty, cb, batch) = winogradTransform(
      across.output, across.n, i, [&](int p) {
    return product(c, tx, ty, p, w, cb, batch);
  });
  Expr back = winogradTransform(
      down.output, down.n, j, [&](int p) {
    return outX(c, i, p, tx, ty, cb, batch);
  });
  outT(c, i, j, tx, ty, cb, batch) = fast ? back * unscale(tx, ty, batch) : back;
  Value bias = conv.getBias();
  b.bind(conv.getResult(), [=, &b](const Point &p) {
    Expr value = outT(p.c, p.x % mx, p.y % my, p.x / mx, p.y / my, p.cb, p.n);
    return bias ? value + b.load(bias, p, type) : value;
  });
  Func out = b.output(0, /*wholeVectors=*/true);

  // The schedule. The last tile of a row or column may overhang the output;
  // only its stores are guarded.
  Var xi("xi"), xo("xo"), xg("xg"), yi("yi"), yo("yo"), yg("yg"), t("t"),
      ng("ng");
  out.split(b.x, xo, xi, mx, TailStrategy::GuardWithIf)
      .split(b.y, yo, yi, my, TailStrategy::GuardWithIf)
      .split(xo, xg, xo, width, TailStrategy::ShiftInwards)
      .split(yo, yg, yo, rows, TailStrategy::ShiftInwards)
      .reorder(c, xi, yi, xo, yo, cb, xg, yg, batch)
      .vectorize(c)
      .unroll(yi);
  // Along an axis with one tap there is nothing to do: those stages are inlined.
  const bool both = mx > 1 && my > 1;
  const bool loops = both && across.n * down.n > kUnrolledProducts;
  if (loops)
    out.reorder(c, yi, xi);
  else
    out.unroll(xi);
  if (images > 1)
    out.split(batch, ng, batch, images, TailStrategy::GuardWithIf)
        .reorder(xo, yo, batch, cb, xg, yg, ng);
  if (phases)
    out.parallel(cb);
  else
    // One code for a tile that two tasks compute.
    out.fuse(xg, yg, t).fuse(t, batch, t).parallel(t).never_partition(t);
  // A loop's column goes straight to the output.
  if (!loops)
    outT.compute_at(out, xo)
        .bound_extent(i, mx)
        .bound_extent(j, my)
        .bound_extent(tx, 1)
        .bound_extent(ty, 1)
        .reorder(c, j, i)
        .vectorize(c)
        .unroll(i)
        .unroll(j);
  // One tile, which can't be told where the last overhangs the output.
  if (both)
    outX.compute_at(out, xo)
        .bound_extent(i, mx)
        .bound_extent(tx, 1)
        .bound_extent(ty, 1)
        .reorder(c, i, w)
        .vectorize(c)
        .unroll(i);
  if (both && !loops)
    outX.unroll(w);

  Var ti("ti"), tyi("tyi"), ni("ni"), cbi("cbi"), uw("uw"), cbo("cbo");
  Var group = phases ? xg : t;
  // A tile's vectors lie one matrix apart: an odd number of cache lines
  // in a row of tiles keeps them out of each other's sets.
  const int oddWidth = width | 1;
  product.compute_at(out, group)
      .bound_extent(tx, width)
      .bound_extent(ty, rows)
      .align_storage(tx, oddWidth)
      .split(cb, cbo, cbi, tileCo)
      .split(tx, tx, ti, tileX)
      .split(ty, ty, tyi, tileY)
      .split(batch, batch, ni, tileN)
      .reorder({c, cbi, ti, tyi, ni, tx, ty, batch, cbo, u, w})
      .vectorize(c)
      .unroll(cbi)
      .unroll(ti)
      .unroll(tyi)
      .unroll(ni);
  if (images > 1)
    product.bound_extent(batch, images);
  if (phases)
    product.fuse(u, w, uw).parallel(uw);
  acc.compute_at(product, tx).vectorize(c).unroll(tx).unroll(ty).unroll(cb).unroll(
      batch);
  for (auto [index, k] : llvm::enumerate(sums)) {
    Halide::Stage update = acc.update((int)index);
    std::vector<Halide::VarOrRVar> order = {c,  cb,    tx,
                                            ty, batch, k[pairs], k[pairs + 1]};
    if (pairs)
      order.insert(order.begin(), k[0]);
    update.reorder(order);
    if (pairs)
      update.atomic().vectorize(k[0]);
    update.vectorize(c).unroll(cb).unroll(tx).unroll(ty).unroll(batch);
    if (!fast)
      update.unroll(k[pairs], unrollOf(b, "unroll_ci", pairs ? v / 2 : v,
                                       tileCo * tileX * tileY * tileN));
  }
  if (param(b, defaults, "prefetch")) {
    b.streamAhead({acc,
                   {{product, batch, ceilDiv(images, tileN)},
                    {product, ty, ceilDiv(rows, tileY)},
                    {product, tx, ceilDiv(width, tileX)},
                    {acc, sums.front()[pairs + 1], fast ? (int)units.front().count : inBlocks}},
                   b.input(conv.getWeight()),
                   int(cnn::elementBytes(conv.getWeight().getType())) * tileCo *
                       (inBlocks * v + (fast ? 2 : 0)) * v,
                   1});
    const int apart = kTilesAhead * mx;
    fetchCells(b, {fast ? largest : inT, tx, width}, conv.getX(),
               {mx, 1, s.kw, 1, apart}, {my, 1, s.kh});
    fetchAdded(b, {out, xo, width}, conv.getX(), {mx, 1, 1, 1, apart}, {my});
  }
  if (fast) {
    largest.compute_at(out, group).vectorize(c);
    largest.update().reorder(c, tx, ty, all, batch).vectorize(c);
    peak.compute_at(out, group).update().atomic().vectorize(lanes);
    scale.compute_at(out, group).bound(turns, 0, 2).bound_extent(c, v).vectorize(c);
    unscale.compute_at(out, group);
    total.compute_at(product, phases ? uw : u);
  }
  inT.compute_at(out, group)
      .bound_extent(tx, width)
      .bound_extent(ty, rows)
      .reorder(c, w, u, tx, ty, batch, cb)
      .vectorize(c)
      .unroll(w);
  if (!loops)
    inT.unroll(u);
  // A tile of a group's images lies in a row, as their product reads it.
  if (images > 1)
    inT.bound_extent(batch, images)
        .reorder_storage(c, cb, batch, tx, ty, u, w)
        .align_storage(cb, inBlocks | 1)
        .align_storage(batch, images | 1);
  else
    inT.align_storage(tx, oddWidth);
  if (phases)
    inT.parallel(cb);
  if (both)
    inX.compute_at(inT, tx)
        .reorder_storage(c, u, y, tx, cb, batch)
        .reorder(c, u, y)
        .vectorize(c)
        .unroll(u)
        .unroll(y);
}

namespace {
template <int M, bool Fast> struct Winograd : WinogradConv {
  Winograd() : WinogradConv(M, Fast) {}
};
RegisterKernel<Winograd<2, false>> winograd2;
RegisterKernel<Winograd<4, false>> winograd4;
RegisterKernel<Winograd<6, false>> winograd6;
RegisterKernel<Winograd<2, true>> winograd2Fip;
RegisterKernel<Winograd<4, true>> winograd4Fip;
RegisterKernel<Winograd<6, true>> winograd6Fip;
} // namespace

} // namespace halcyon
