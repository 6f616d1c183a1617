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
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Winograd.h"

#include <cmath>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Outputs and products of a tile, across and down.
struct TileShape {
  int mx, my, nx, ny;

  TileShape(const ConvShape &s, int m)
      : mx(s.kw == 1 ? 1 : m), my(s.kh == 1 ? 1 : m),
        nx(cnn::WinogradAxis::productsOf(m, s.kw)),
        ny(cnn::WinogradAxis::productsOf(m, s.kh)) {}
  int products() const { return nx * ny; }
  /// Tiles of a map of this convolution.
  int columns(const ConvShape &s) const { return ceilDiv(s.ow, mx); }
  int rows(const ConvShape &s) const { return ceilDiv(s.oh, my); }
};

/// More of a tile's vectors would leave the registers in the transforms.
constexpr int kMostProducts = 64;
/// Up to so many a tile's transforms are one piece of code each. Of more a loop
/// makes a column at a time, else what lies between the axes is spilled in any
/// order: F(6x6), Zen 4, 256x256x32 4.2 ms for 4.8, 128x128x64 3.2 for 3.6.
constexpr int kUnrolledProducts = 36;
/// The transforms wait for maps beyond L2, of which a tile's few rows lie far apart:
/// this many tiles ahead they are fetched. Zen 4, one thread, 256x256, 64 to 32:
/// 8.27 ms without, 7.99 one tile ahead, 7.65 two, 7.40 three.
constexpr int kTilesAhead = 3;
/// Tiles that are enough for the weights to be read once for them all, and
/// images of a group at most.
constexpr int kManyTiles = 128, kMostImages = 64;

/// Images of a group: evenly, those whose tiles are many.
int imagesOf(int tiles, int batch) {
  int most = std::clamp(kManyTiles / tiles, 1, kMostImages);
  return ceilDiv(batch, ceilDiv(batch, most));
}

/// What a way of cutting the tiles into tasks costs.
struct Plan {
  int rows = 1;        ///< tile rows of a task
  int columns = 1;     ///< and its tile columns
  bool phases = false; ///< all tiles at once, each stage in parallel
  int images = 1;      ///< whose tiles are computed at once
  double seconds = 1e30; ///< for an image
};

class WinogradConv : public Kernel {
public:
  explicit WinogradConv(int m) : m(m) {}

  StringRef name() const override {
    return m == 2 ? "winograd2" : m == 4 ? "winograd4" : "winograd6";
  }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    TileShape tile(s, m);
    if (s.kh * s.kw == 1 || s.sh != 1 || s.sw != 1 || s.dh != 1 || s.dw != 1 ||
        s.groups != 1)
      why = "not a window with stride, dilation and groups of 1";
    else if (std::max(tile.nx, tile.ny) > cnn::WinogradAxis::kMost ||
             tile.products() > kMostProducts)
      why = "the window is too large";
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
    TileShape tile(s, m);
    // Tiles are whole: what they read past the right and the bottom is halo.
    return {blockedChoice(
        group, target, conv.getX(),
        s.halo(tile.rows(s) * tile.my, tile.columns(s) * tile.mx))};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    return cnn::PackedAttr::get(conv.getContext(),
                                "hwOI" + blockTag(group, target), m);
  }

  // Percent of the peak of direct's count, m = 4, Zen 5, one thread: 56x56x64
  // 316, 28x28x128 351, 14x14x256 275 (weights in cache; from memory 271, 235,
  // 124), 56x56x256 330, 112x112x128 284, 224x224x64 230, 256x256x32 200.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    Plan plan = planOf(group, target);
    ImageTile tile = tileOf(group, target, plan);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"tile_n", tile.n},
                         {"unroll_ci", 0},
                         {"rows", plan.rows},
                         {"columns", plan.columns},
                         {"images", plan.images},
                         {"phases", plan.phases},
                         {"prefetch", 1}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    TileShape tile(s, m);
    return {{"tile_co", 1, ceilDiv(s.o, target.lanes), {}},
            {"tile_x", 1, tile.columns(s), {}},
            {"tile_y", 1, tile.rows(s), {}},
            {"tile_n", 1, kMostImages, {}},
            unrollParameter("unroll_ci", target),
            {"rows", 1, tile.rows(s), {}},
            {"columns", 1, tile.columns(s), {}},
            {"images", 1, kMostImages, {}},
            {"phases", 0, 1, {0}, /*flag=*/true},
            {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override;
  SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override;

  // The sums over channels are short; the transform back, which subtracts large
  // numbers, amplifies what they leave. Measured over 16 to 512 channels of five
  // kinds of data and windows of 3 to 7 (test/kernels/ConvErrors.cpp), the error
  // over the root of the channels and the amplification is 3.0e-8 to 5.4e-8.
  double error(const Group &group, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    double amplification = cnn::WinogradAxis(m, s.kw).amplification() *
                           cnn::WinogradAxis(m, s.kh).amplification();
    // Filters, and inputs, that are rounded once they are transformed: no
    // precision asks for that. Simulated on 16 to 256 channels of 3x3: up to
    // 4.8e-3 for m = 2 and 6.4e-2 for m = 4, whatever their count.
    if (cnn::isBf16(conv.getWeight().getType()))
      return 4.2e-3 * amplification;
    return 6.5e-8 * amplification * std::sqrt(s.c);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double rest = groupFlops(group) - s.flops();
    return planOf(group, target).seconds + epilogueSeconds(target, rest) +
           target.callSeconds;
  }

  void build(KernelBuilder &b) const override;

private:
  /// A tile of the products, over images, too.
  struct ImageTile : Tile {
    int n = 1;
  };
  ImageTile tileOf(const Group &group, const Target &target,
                   const Plan &plan) const;
  Plan planOf(const Group &group, const Target &target) const;

  const int m; ///< outputs of a tile along an axis
};

WinogradConv::ImageTile WinogradConv::tileOf(const Group &group,
                                             const Target &target,
                                             const Plan &plan) const {
  const ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
  const int blocks = ceilDiv(s.o, target.lanes);
  // Of a group of images the same tile of each.
  const bool many = plan.images > 1;
  const int width = many ? plan.images : plan.columns;
  const int height = many ? 1 : plan.rows;
  Tile tile = chooseTile(target, width, height, blocks);
  // Where several tiles meet the same weights, these stay in L1 beside one
  // tile's inputs. Zen 5, 56x56x256, 28 tiles: 322 % of peak with 7 at a time,
  // 271 % with 14.
  double channels = ceilDiv(s.c, target.lanes) * target.lanes;
  double l1 = (usesPairs(group, target) ? 2 : 4) * channels * (tile.co * target.lanes + tile.x * tile.y);
  if (l1 > 0.85 * target.l1 && tile.x * tile.y < plan.images * plan.columns * plan.rows)
    tile = chooseTile(target, width, height, blocks % 2 ? blocks : 2, false, 8);
  ImageTile result{tile};
  if (many)
    std::swap(result.x, result.n);
  return result;
}

Plan WinogradConv::planOf(const Group &group, const Target &target) const {
  auto conv = group.anchorAs<cnn::ConvOp>();
  const ConvShape s = ConvShape::of(conv);
  const double inBytes = cnn::elementBytes(conv.getX().getType());
  const double outBytes = cnn::elementBytes(group.outputs()[0].getType());
  const double weightBytes = cnn::elementBytes(conv.getWeight().getType());
  const double pairBytes = usesPairs(group, target) ? 2 : 4;
  const TileShape shape(s, m);
  const int v = target.lanes, columns = shape.columns(s), rows = shape.rows(s);
  const int n2 = shape.products();
  const double c = ceilDiv(s.c, v) * v, o = ceilDiv(s.o, v) * v;
  // Weights were last read in another run: they come from memory, once; after
  // that from L3. Activations were written just before: beyond a few L2 they
  // reach the transforms at a third of L3's rate, for nothing hides it, and beyond
  // L3 at about half of memory's. Zen 4, F(4x4) and F(6x6) of 32 layers ranked.
  const double weights = weightBytes * n2 * c * o;
  const double l3 = target.l2Bandwidth / 2;
  const double cold = weights / target.totalBandwidth;
  const double activations =
      inBytes * c * s.h * s.w + outBytes * o * s.oh * s.ow;
  const double activationRate =
      activations <= 4 * target.l2 ? l3
      : activations <= target.l3   ? 0.32 * l3
                                   : 0.6 * target.bandwidth;
  // Weights that train are transformed in every step.
  const int batch = usualBatch(group);
  const double packing = batch > 1 ? 2 * weights / target.totalBandwidth : 0;
  Plan best;
  auto consider = [&](int width, int height, bool phases, int images) {
    Plan plan{height, width, phases, images};
    ImageTile tile = tileOf(group, target, plan);
    double count = double(width) * height * images;
    double products = 2 * count * n2 * c * o /
                      (productFlops(group, target) * tile.efficiency * 0.95);
    double scratch = count * n2 * (pairBytes * c + 4 * o);
    // Between the axes, too, vectors pass L1 where loops make them. On Zen 4 a
    // block of a tile's transform took 98 to 143 ns with 36 points, 268 to 356
    // with 64.
    double passes = n2 > kUnrolledProducts ? 2.5 : 1;
    // Rows that groups of tiles share: the caches have them. One thread, Zen 4, a
    // row of tiles at a time and four, ms: F(4x4) 112x112, 64 to 128 4.75 and 5.18,
    // 56x56x256 9.0 and 10.7; F(6x6) 128x128x64 3.1 and 3.7, 256x256, 64 to 32 7.6 and 8.3.
    double around = (width * shape.mx + s.kw - 1) * (height * shape.my + s.kh - 1) -
                    width * height * shape.mx * shape.my;
    double resident = phases ? scratch / target.cores : scratch;
    double spill = resident > 4 * target.l2     ? 3
                   : resident > 1.5 * target.l2 ? 1.5
                                                : 1;
    double moves =
        passes * spill * scratch / target.l2Bandwidth +
        (inBytes * c + outBytes * o) * count * shape.mx * shape.my / activationRate +
        inBytes * c * images * around / l3;
    double stream = weights > 0.8 * target.l3          ? weights / target.bandwidth
                    : weights + resident > target.l2 ? 0.15 * weights / l3
                                                     : 0;
    double task = products + stream + moves;
    double tasks = ceilDiv(rows, height) * ceilDiv(columns, width);
    double groups = ceilDiv(batch, images);
    plan.seconds = phases ? groups * (task / target.cores + 3 * target.callSeconds)
                          : std::ceil(tasks * groups / target.cores) * task;
    // They are fetched ahead while others are used.
    plan.seconds = std::max(plan.seconds, cold) + 0.3 * std::min(plan.seconds, cold);
    plan.seconds = (plan.seconds + packing) / batch;
    if (plan.seconds < best.seconds)
      best = plan;
  };
  for (int parts : {1, 2, 4})
    for (int height = 1; height <= (parts == 1 ? rows : std::min(rows, 4));
         ++height)
      consider(ceilDiv(columns, parts), height, false, 1);
  if (target.cores > 1)
    consider(columns, rows, true, 1);
  if (int images = imagesOf(shape.columns(s) * shape.rows(s), batch); images > 1)
    consider(columns, rows, true, images);
  return best;
}

bool WinogradConv::holds(const Group &group, const Target &target,
                         cnn::ScheduleAttr schedule, std::string &why) const {
  ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
  auto number = [&](StringRef name) { return (int)schedule.param(name); };
  const int columns = TileShape(s, m).columns(s), rows = TileShape(s, m).rows(s);
  if (number("phases") &&
      (number("rows") != rows || number("columns") != columns))
    why = "with phases(yes) all tiles are computed at once: rows is " +
          std::to_string(rows) + ", columns " + std::to_string(columns);
  else if (number("images") > 1 && !number("phases"))
    why = "several images at once are computed with phases(yes)";
  else if (number("tile_x") > number("columns") ||
           number("tile_y") > number("rows") ||
           number("tile_n") > number("images"))
    why = "a tile of the product is no larger than the task's rows, columns and "
          "images";
  return why.empty() &&
         tileFits(target, number("tile_co"),
                  number("tile_x") * number("tile_y") * number("tile_n"), why) &&
         unrollDivides(target, number("unroll_ci"), why);
}

SmallVector<cnn::ScheduleAttr>
WinogradConv::space(const Group &group, const Target &target) const {
  ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
  const int columns = TileShape(s, m).columns(s), rows = TileShape(s, m).rows(s);
  const int blocks = ceilDiv(s.o, target.lanes);
  SmallVector<Assignment> plans;
  auto add = [&](int width, int height, bool phases) {
    SmallVector<Tile> products = tilesToTry(target, width, height, blocks);
    // Fewer pixels leave L1 to the weights.
    for (const Tile &small : tilesToTry(target, width, height, blocks, false, 8))
      products.push_back(small);
    for (auto [index, tile] : llvm::enumerate(products))
      if (index % 24 < 4)
        plans.push_back({{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"tile_n", 1},
                         {"rows", height},
                         {"columns", width},
                         {"images", 1},
                         {"phases", phases}});
  };
  for (int width : taskSizes(columns))
    if (width == columns || width >= 4)
      for (int height : taskSizes(rows))
        add(width, height, false);
  add(columns, rows, true);
  if (int images = imagesOf(columns * rows, usualBatch(group)); images > 1)
    for (const Tile &tile : ArrayRef(tilesToTry(target, images, 1, blocks)).take_front(8))
      plans.push_back({{"tile_co", tile.co},
                       {"tile_x", 1},
                       {"tile_y", 1},
                       {"tile_n", tile.x},
                       {"rows", rows},
                       {"columns", columns},
                       {"images", images},
                       {"phases", 1}});
  return spaceFrom(group, target, plans);
}

void WinogradConv::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  const cnn::WinogradAxis across(m, s.kw), down(m, s.kh);
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
  inX(c, u, y, tx, cb, batch) = winogradTransform(
      across.input, across.n, u, [&](int p) {
    // The last group may have fewer images.
    Expr image = images > 1 ? Halide::clamp(batch, 0, batchOf(b) - 1) : Expr(batch);
    return b.read(conv.getX(), {c, tx * mx + p - s.left, y - s.top, cb, image});
  });
  Expr transformed = winogradTransform(
      down.input, down.n, w, [&](int p) {
    return inX(c, u, ty * my + p, tx, cb, batch);
  });
  inT(c, tx, ty, u, w, cb, batch) =
      pairs ? b.roundVector(transformed) : transformed;
  RDom k = pairs ? RDom(0, 2, 0, v / 2, 0, ceilDiv(s.c, v), "k")
                 : RDom(0, v, 0, ceilDiv(s.c, v), "k");
  SmallVector<Expr> tap = {c, k[0], k[1], cb, u, w};
  if (pairs)
    tap = {k[0], c, k[1], k[2], cb, u, w};
  Expr lane = pairs ? k[1] * 2 + k[0] : Expr(k[0]);
  Func acc("acc"), product("product");
  acc(c, tx, ty, u, w, cb, batch) = 0.0f;
  acc(c, tx, ty, u, w, cb, batch) +=
      (pairs ? b.factor(conv.getWeight(), tap)
             : b.read(conv.getWeight(), tap)) *
      Halide::cast<float>(inT(lane, tx, ty, u, w, k[pairs + 1], batch));
  product(c, tx, ty, u, w, cb, batch) = acc(c, tx, ty, u, w, cb, batch);
  Func outX("output_x"), outT("output_transform");
  outX(c, i, w, tx, ty, cb, batch) = winogradTransform(
      across.output, across.n, i, [&](int p) {
    return product(c, tx, ty, p, w, cb, batch);
  });
  outT(c, i, j, tx, ty, cb, batch) = winogradTransform(
      down.output, down.n, j, [&](int p) {
    return outX(c, i, p, tx, ty, cb, batch);
  });
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
  std::vector<Halide::VarOrRVar> order = {c,  cb,    tx,
                                          ty, batch, k[pairs], k[pairs + 1]};
  if (pairs)
    order.insert(order.begin(), k[0]);
  acc.update().reorder(order);
  if (pairs)
    acc.update().atomic().vectorize(k[0]);
  const int steps = pairs ? v / 2 : v;
  acc.update()
      .vectorize(c)
      .unroll(cb)
      .unroll(tx)
      .unroll(ty)
      .unroll(batch)
      .unroll(k[pairs], unrollOf(b, "unroll_ci", steps,
                                 tileCo * tileX * tileY * tileN));
  const int inBlocks = ceilDiv(s.c, v);
  if (param(b, defaults, "prefetch")) {
    b.streamAhead({acc,
                   {{product, batch, ceilDiv(images, tileN)},
                    {product, ty, ceilDiv(rows, tileY)},
                    {product, tx, ceilDiv(width, tileX)},
                    {acc, k[pairs + 1], inBlocks}},
                   b.input(conv.getWeight()),
                   int(cnn::elementBytes(conv.getWeight().getType())) * tileCo *
                       inBlocks * v * v,
                   1});
    const int apart = kTilesAhead * mx;
    fetchCells(b, {inT, tx, width}, conv.getX(), {mx, 1, s.kw, 1, apart}, {my, 1, s.kh});
    fetchAdded(b, {out, xo, width}, conv.getX(), {mx, 1, 1, 1, apart}, {my});
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

struct Winograd2 : WinogradConv {
  Winograd2() : WinogradConv(2) {}
};
struct Winograd4 : WinogradConv {
  Winograd4() : WinogradConv(4) {}
};
struct Winograd6 : WinogradConv {
  Winograd6() : WinogradConv(6) {}
};
RegisterKernel<Winograd2> winograd2;
RegisterKernel<Winograd4> winograd4;
RegisterKernel<Winograd6> winograd6;

} // namespace
} // namespace halcyon
