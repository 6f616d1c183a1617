//===- FastProduct.cpp - Winograd's fast inner product --------------------===//

#include "compiler/kernels/FastProduct.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Weights.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

bool takesFastProduct(const Group &group, std::string &why) {
  for (Value operand : group.anchor()->getOperands().take_front(2))
    if (!cnn::tensorOf(operand).getElementType().isF32()) {
      why = "the fast inner product is of f32";
      return false;
    }
  auto fused = dyn_cast<cnn::FusedOp>(group.block().getParentOp());
  int weight = argumentNumber(group.anchor()->getOperand(1));
  if (fused && weight >= 0 && !cnn::isPrepared(fused->getOperand(weight))) {
    why = "its weights are packed in every run";
    return false;
  }
  return true;
}

double fastProductTime(ArrayRef<cnn::FastRun> units, const Target &target) {
  double products = 0, sums = 0, vectors = 0;
  for (const cnn::FastRun &each : units) {
    products += double(each.count) * (each.used * each.blocks - each.pairs());
    sums += 2.0 * each.count * each.pairs();
    vectors += double(each.count) * each.blocks * target.lanes;
  }
  double cycles = target.adds > 0
                      ? std::max(products / target.fmas, sums / target.adds)
                      : (products + sums) / target.fmas;
  return cycles * target.fmas / vectors;
}

Target fastProductTarget(const Target &target) {
  // A step has two vectors of weights more, and two sums, for which multiply-adds wait.
  // Zen 4, 28x28x512, F(4x4), two threads, ms: tiles of 7 pixels 3.83, of 14, for which
  // an eighth is computed in vain, 4.04; 56x56x256, F(6x6): of 5 4.7, of 10 4.4.
  Target left = target;
  left.registers -= 4;
  left.fmas *= 1.4;
  left.loads *= 1.4;
  return left;
}

double cyclesPerSecond(const Target &target) {
  return target.flops / (2 * target.lanes * target.fmas);
}

FastCut cutFast(const Target &target, int rows, int blocks, double rowBytes,
                double weightBytes, double seconds, double packing) {
  // What is packed at a time stays in half of L2.
  const int most = std::max(1, int(target.l2 / 2 / rowBytes));
  FastCut best{rows, blocks};
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

FastScale::FastScale(Expr largest) {
  // The exponent alone, of normal numbers whose inverse is one, too.
  auto bits = [](uint32_t exponent) {
    return Halide::Internal::make_const(Halide::UInt(32), exponent << 23);
  };
  Expr exponent =
      Halide::clamp(Halide::reinterpret(Halide::UInt(32), largest) & bits(255), bits(1),
                    bits(253));
  unscale = Halide::reinterpret(Halide::Float(32), exponent);
  scale = Halide::reinterpret(Halide::Float(32), bits(254) - exponent);
}

Expr turnedScale(Expr scale, const cnn::FastRun &first, Expr lane, Expr block) {
  return Halide::select(cnn::turnsSign(first, lane, block), -scale, scale);
}

SmallVector<RDom> addFastProducts(Func acc, const std::vector<Expr> &place,
                                  const cnn::FastRun &units, Factor x, Factor w) {
  const int pairs = (int)units.pairs(), first = (int)units.first;
  const int blocks = (int)units.blocks, count = (int)units.count;
  SmallVector<RDom> domains;
  if (pairs) {
    RDom k(0, pairs, 0, count, "k");
    // The three channels lie in three blocks or in one.
    auto at = [&](Factor factor, int which) {
      Expr block = first + k[1] * blocks;
      return blocks == 3 ? factor(k[0], block + which)
                         : factor(k[0] + which * pairs, block);
    };
    acc(place) = acc(place) + (at(x, 0) + at(w, 1)) * (at(x, 1) + at(w, 0)) +
                 at(x, 2) * at(w, 2);
    domains.push_back(k);
  }
  if (int rest = int(units.used * blocks - 3 * pairs)) {
    RDom k(3 * pairs, rest, 0, count, "k");
    acc(place) = acc(place) + x(k[0], first + k[1]) * w(k[0], first + k[1]);
    domains.push_back(k);
  }
  return domains;
}

FastPairs pairsOf(const cnn::FastRun &units, const std::vector<Var> &at, Factor x) {
  FastPairs pairs{Func("pairs"), RDom(0, (int)units.count, "k"), (int)units.pairs(), 1};
  // Whole vectors, of which the last lanes may lie beyond the pairs.
  while (pairs.lanes < pairs.pairs)
    pairs.lanes *= 2;
  Var lane("lane");
  std::vector<Var> args = {lane};
  args.insert(args.end(), at.begin(), at.end());
  std::vector<Expr> place(args.begin(), args.end());
  Expr block = (int)units.first + pairs.units.x * (int)units.blocks;
  pairs.sums(args) = 0.0f;
  pairs.sums(place) += x(lane, block) * (units.blocks == 3
                                             ? x(lane, block + 1)
                                             : x(lane + pairs.pairs, block));
  return pairs;
}

void addPairs(Func total, const std::vector<Var> &at, ArrayRef<FastPairs> runs) {
  const std::vector<Expr> place(at.begin(), at.end());
  total(at) = 0.0f;
  for (auto [index, pairs] : llvm::enumerate(runs)) {
    RDom lane(0, pairs.lanes, "lane");
    std::vector<Expr> from = place;
    from.insert(from.begin(), Expr(lane));
    Expr sum = pairs.sums(from);
    total(place) += pairs.pairs < pairs.lanes
                        ? Halide::select(lane < pairs.pairs, sum, 0.0f)
                        : sum;
    if (pairs.lanes > 1)
      total.update((int)index).atomic().vectorize(lane.x);
  }
}

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
  for (const cnn::FastRun &each : units)
    pairs.push_back(pairsOf(each, {x, row, n}, [&](Expr lane, Expr q) {
      return packed(lane, q, x, row, n);
    }));
  addPairs(total, {x, row, n}, pairs);
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
  for (const FastPairs &each : pairs) {
    Func f = each.sums;
    Var first = f.args()[0];
    f.compute_at(total, x).bound_extent(first, each.lanes).vectorize(first);
    f.update().vectorize(first);
  }
  total.compute_at(consumer, loop);
}

} // namespace halcyon
