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

namespace {
/// The products of the pairs of units of inputs, a vector of lanes of which the first
/// `pairs` count: to be summed over them.
struct FastPairs {
  Func sums;
  RDom units;
  int pairs, lanes;
};
} // namespace

static FastPairs pairsOf(const cnn::FastRun &units, const std::vector<Var> &at, Factor x) {
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

void addPairs(Func total, const std::vector<Var> &at, ArrayRef<cnn::FastRun> runs,
              Factor x) {
  const std::vector<Expr> place(at.begin(), at.end());
  total(at) = 0.0f;
  for (auto [index, run] : llvm::enumerate(runs)) {
    FastPairs pairs = pairsOf(run, at, x);
    RDom lane(0, pairs.lanes, "lane");
    std::vector<Expr> from = place;
    from.insert(from.begin(), Expr(lane));
    Expr sum = pairs.sums(from);
    total(place) += pairs.pairs < pairs.lanes
                        ? Halide::select(lane < pairs.pairs, sum, 0.0f)
                        : sum;
    if (pairs.lanes > 1)
      total.update((int)index).atomic().vectorize(lane.x);
    Func sums = pairs.sums;
    Var first = sums.args()[0];
    sums.compute_at(total, at.front()).bound_extent(first, pairs.lanes).vectorize(first);
    sums.update().vectorize(first);
  }
}

} // namespace halcyon
