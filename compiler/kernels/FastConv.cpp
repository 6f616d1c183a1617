//===- FastConv.cpp - Convolutions of packed windows, fast inner product --===//

#include "compiler/kernels/FastConv.h"

#include <cmath>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace halcyon {

/// Windows of a row that have one scale.
static int neighboursOf(int width) {
  const int most = 14, even = divisorUpTo(width, most);
  return even >= 5 || width <= 5 ? even : std::min(width, 8);
}

FastWindows::FastWindows(int lanes, int run, int width,
                         SmallVector<cnn::FastRun, 3> units, Window window)
    : lanes(lanes), run(run), all(0, run, "all"), across(0, lanes, "lanes") {
  const int near = neighboursOf(width);
  largest(lane, group, row, n) = 0.0f;
  Expr most = largest(lane, group, row, n);
  for (int i = 0; i < near; ++i) {
    Expr column = group * near + i;
    if (width % near)
      column = Halide::min(column, width - 1);
    most = Halide::max(most, Halide::abs(window(lane, all, column, row, n)));
  }
  largest(lane, group, row, n) = most;
  peak(group, row, n) = 0.0f;
  peak(group, row, n) = Halide::max(peak(group, row, n), largest(across, group, row, n));
  FastScale fast(peak(group, row, n));
  scales(group, row, n) = fast.scale;
  unscales(group, row, n) = fast.unscale;
  // Rows are read, measured and packed one after another.
  Expr inside = Halide::min(q, run - 1);
  packed(lane, q, x, row, n) = Halide::select(
      Halide::likely(q < run),
      window(lane, inside, x, row, n) *
          turnedScale(scales(x / near, row, n), units.front(), lane, inside),
      unscales(x / near, row, n));
  addPairs(total, {x, row, n}, units,
           [&](Expr lane, Expr q) { return packed(lane, q, x, row, n); });
}

void FastWindows::computeAt(Func consumer, Var loop) {
  // Windows an odd number of cache lines apart keep out of each other's sets.
  packed.compute_at(consumer, loop)
      .bound_extent(lane, lanes)
      .align_storage(q, (run + 1) | 1)
      .reorder(lane, x, q, row)
      .vectorize(lane);
  peak.compute_at(packed, row).update().atomic().vectorize(across);
  largest.compute_at(peak, group).vectorize(lane);
  largest.update().vectorize(lane);
  scales.compute_at(packed, row);
  unscales.compute_at(packed, row);
  total.compute_at(consumer, loop);
}

//===----------------------------------------------------------------------===//
// Schedules and costs
//===----------------------------------------------------------------------===//

static Tile tileOf(int columns, int rows, const Target &target) {
  return chooseTile(fastProductTarget(target), columns, rows, /*blocks=*/1);
}

cnn::ScheduleAttr FastConv::schedule(const Group &group, const Target &target) const {
  Layer layer = layerOf(group, target);
  Tile tile = tileOf(layer.columns, layer.rows, target);
  Cut cut = cutOf(layer, tile, target);
  return makeSchedule(group.anchor()->getContext(), name(),
                      {{"tile_x", tile.x},
                       {"tile_y", tile.y},
                       {"rows_per_task", cut.rows},
                       {"tiles_per_task", cut.blocks},
                       {"prefetch", 1}});
}

SmallVector<ScheduleParameter> FastConv::parameters(const Group &group,
                                                    const Target &target) const {
  Layer layer = layerOf(group, target);
  int blocks = ceilDiv(layer.s.o, target.lanes);
  return {{"tile_x", 1, layer.columns, {}},
          {"tile_y", 1, layer.rows, {}},
          {"rows_per_task", 1, layer.rows, taskSizes(layer.rows)},
          {"tiles_per_task", 1, blocks, taskSizes(blocks)},
          {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
}

bool FastConv::holds(const Group &, const Target &target, cnn::ScheduleAttr schedule,
                     std::string &why) const {
  return tileFits(target, 1, int(schedule.param("tile_x") * schedule.param("tile_y")),
                  why);
}

SmallVector<cnn::ScheduleAttr> FastConv::space(const Group &group,
                                               const Target &target) const {
  Layer layer = layerOf(group, target);
  SmallVector<Assignment> tiles;
  for (const Tile &tile :
       tilesToTry(fastProductTarget(target), layer.columns, layer.rows, /*blocks=*/1))
    for (int64_t rows : taskSizes(ceilDiv(layer.rows, tile.y)))
      tiles.push_back({{"tile_x", tile.x}, {"tile_y", tile.y}, {"rows_per_task", rows}});
  return spaceFrom(group, target, tiles);
}

double FastConv::error(const Group &group, const Target &) const {
  return kFastError * std::sqrt(groupTerms(group));
}

double FastConv::cost(const Group &group, const Target &target) const {
  Layer layer = layerOf(group, target);
  Tile tile = tileOf(layer.columns, layer.rows, target);
  const int blocks = ceilDiv(layer.s.o, target.lanes);
  const double parts = ceilDiv(blocks, cutOf(layer, tile, target).blocks);
  const double vectors = blocks * double(target.lanes) / layer.outputs;
  return convSeconds(group, target, layer.productFlops(target) * vectors,
                     0.93 * tile.efficiency) +
         parts * layer.packingCycles() / (cyclesPerSecond(target) * target.cores);
}

FastConv::Cut FastConv::cutOf(const Layer &layer, const Tile &tile,
                              const Target &target) {
  const int rows = ceilDiv(layer.rows, tile.y), blocks = ceilDiv(layer.s.o, target.lanes);
  const double rowBytes = 4.0 * layer.run() * target.lanes * layer.columns * tile.y;
  const double weightBytes = 4.0 * layer.s.o * layer.s.c * layer.s.kh * layer.s.kw;
  const double seconds = layer.productFlops(target) / target.flops;
  const double packing = layer.packingCycles();
  // What is packed at a time stays in half of L2.
  const int most = std::max(1, int(target.l2 / 2 / rowBytes));
  Cut best{rows, blocks};
  double least = 1e30;
  // Channels are cut where rows don't make tasks of one size, and where a task's weights
  // do not stay in L2 beside its windows. Zen 4, two threads, 7x7, 320 to 1280 channels:
  // two rows of half of them a task 146 us, all rows 133.
  for (int parts = 1; parts <= std::min(blocks, 2 * target.cores); ++parts) {
    const int each = ceilDiv(blocks, parts), count = ceilDiv(blocks, each);
    const double weights = weightBytes * each / blocks;
    auto consider = [&](int units) {
      units = std::min(most, units);
      double busiest = double(busiestUnits(target.cores, rows, count, units)) /
                       (double(rows) * count);
      double again = weights + units * rowBytes > 0.8 * target.l2
                         ? 0.6 * weights / target.l2Bandwidth
                         : 0;
      double tasks = ceilDiv(ceilDiv(rows, units) * count, target.cores);
      double time = seconds * busiest + tasks * again +
                    count * packing / cyclesPerSecond(target) / target.cores;
      if (time < 0.999 * least) {
        least = time;
        best = {units, each};
      }
    };
    consider(unitsPerTask(target, rows, count, seconds));
    consider(rows);
    consider(ceilDiv(rows, target.cores));
  }
  return best;
}

} // namespace halcyon
