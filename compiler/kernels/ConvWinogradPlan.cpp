//===- ConvWinogradPlan.cpp - How Winograd's kernels cut their work -------===//

#include "compiler/kernels/ConvWinograd.h"

using namespace mlir;

namespace halcyon {

WinogradConv::ImageTile WinogradConv::tileOf(const Group &group,
                                             const Target &target,
                                             const Plan &plan) const {
  const ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
  const int blocks = ceilDiv(s.o, target.lanes);
  // Of a group of images the same tile of each.
  const bool many = plan.images > 1;
  const int width = many ? plan.images : plan.columns;
  const int height = many ? 1 : plan.rows;
  Tile tile = fast ? chooseTile(fastProductTarget(target), width, height, /*blocks=*/1)
                   : chooseTile(target, width, height, blocks);
  // Where several tiles meet the same weights, these stay in L1 beside one
  // tile's inputs. Zen 5, 56x56x256, 28 tiles: 322 % of peak with 7 at a time,
  // 271 % with 14.
  double channels = ceilDiv(s.c, target.lanes) * target.lanes;
  double l1 = (usesPairs(group, target) ? 2 : 4) * channels *
              (tile.co * target.lanes + tile.x * tile.y);
  if (!fast && l1 > 0.85 * target.l1 && tile.x * tile.y < plan.images * plan.columns * plan.rows)
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
                      (productFlops(group, target) * tile.efficiency);
    products *= fast ? fastProductTime(unitsOf(s, target), target) / 0.93 : 1 / 0.95;
    double scratch = count * n2 * (pairBytes * c + 4 * o);
    // Between the axes, too, vectors pass L1 where loops make them. On Zen 4 a
    // block of a tile's transform took 98 to 143 ns with 36 points, 268 to 356
    // with 64.
    double passes = n2 > kUnrolledProducts ? 2.5 : 1;
    // The largest input of a tile is found before, and pairs are multiplied behind it.
    // F(6x6) over F(4x4), both fast, of 29 layers ranked.
    if (fast)
      passes = n2 > kUnrolledProducts ? 2.3 : 1.3;
    // Rows that groups of tiles share: the caches have them. One thread, Zen 4, a
    // row of tiles at a time and four, ms: F(4x4) 112x112, 64 to 128 4.75 and 5.18,
    // 56x56x256 9.0 and 10.7; F(6x6) 128x128x64 3.1 and 3.7, 256x256, 64 to 32 7.6 and 8.3.
    double around = (width * shape.mx + s.kw - 1) * (height * shape.my + s.kh - 1) -
                    width * height * shape.mx * shape.my;
    double resident = phases ? scratch / target.cores : scratch;
    // What leaves L2 comes back a few times as slowly. The same layers, and two threads,
    // 64x64, 256 to 128, F(4x4) and the fast inner product, by one, two and four rows of
    // tiles, 0.9, 1.8 and 3.5 MB at a time: 2.32, 2.44 and 2.61 ms; 56x56x256, F(6x6),
    // rows of tiles one by one 3.82 ms, all in phases, 13 MB, 3.97.
    double spill = resident > 4 * target.l2      ? 9
                   : resident > 2.5 * target.l2  ? 4
                   : resident > 1.25 * target.l2 ? 1.5
                                                 : 0;
    double moves =
        (passes + spill) * scratch / target.l2Bandwidth +
        (inBytes * c + outBytes * o) * count * shape.mx * shape.my / activationRate +
        inBytes * c * images * around / l3;
    // In phases a core reads its part of them once. Else, the shorter a task's products
    // are, the less they hide: 56x56x256 by F(4x4), of 9 MB, 3.52 ms, by F(6x6), of 17, 3.87.
    const double again = weights / l3;
    double stream = phases && images >= batch        ? 0
                    : weights > 0.8 * target.l3      ? weights / target.bandwidth
                    : weights + resident > target.l2 ? 0.35 * again * std::min(1.0, again / products)
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

} // namespace halcyon
