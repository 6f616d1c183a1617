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

double fastProductTime(const Target &target) {
  cnn::FastChannels fast(target.lanes);
  double products = target.lanes - fast.pairs, sums = 2 * fast.pairs;
  double cycles = target.adds > 0
                      ? std::max(products / target.fmas, sums / target.adds)
                      : (products + sums) / target.fmas;
  return cycles / (target.lanes / target.fmas);
}

Target fastProductTarget(const Target &target) {
  // A step has two vectors of weights more, and two sums, for which multiply-adds wait.
  // Zen 4, 28x28x512, F(4x4), two threads, ms: tiles of 7 pixels 3.83, of 14, for which
  // an eighth is computed in vain, 4.04; 56x56x256, F(6x6): of 5 4.7, of 10 4.4.
  Target left = target;
  left.registers -= 4;
  left.fmas *= 1.4;
  return left;
}

SmallVector<FastRun, 2> fastRuns(int channels, int taps, const Target &target) {
  const int whole = channels / target.lanes, rest = channels % target.lanes;
  SmallVector<FastRun, 2> runs;
  if (whole)
    runs.push_back({0, whole * taps, target.lanes});
  if (rest)
    runs.push_back({whole * taps, taps, rest});
  return runs;
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

Expr turnedScale(Expr scale, Expr lane, Expr turns, const Target &target) {
  return Halide::select(turns == 1 && cnn::FastChannels(target.lanes).isSecond(lane),
                        -scale, scale);
}

Expr turnsOf(ArrayRef<FastRun> runs, Expr block, const Target &target) {
  const FastRun &last = runs.back();
  if (last.used == target.lanes)
    return block % 2;
  return Halide::select(block < last.first, block % 2, 0);
}

SmallVector<RDom> addFastProducts(Func acc, const std::vector<Expr> &place,
                                  const FastRun &run,
                                  llvm::function_ref<Expr(Expr, Expr)> x,
                                  llvm::function_ref<Expr(Expr, Expr)> w) {
  const cnn::FastChannels fast(run.used);
  SmallVector<RDom> domains;
  if (fast.pairs) {
    RDom k(0, fast.pairs, 0, run.count, "k");
    Expr one = k[0], other = k[0] + fast.pairs, alone = k[0] + 2 * fast.pairs;
    Expr block = run.first + k[1];
    acc(place) = acc(place) +
                 (x(one, block) + w(other, block)) * (x(other, block) + w(one, block)) +
                 x(alone, block) * w(alone, block);
    domains.push_back(k);
  }
  if (int rest = fast.lanes - 3 * fast.pairs) {
    RDom k(3 * fast.pairs, rest, 0, run.count, "k");
    Expr block = run.first + k[1];
    acc(place) = acc(place) + x(k[0], block) * w(k[0], block);
    domains.push_back(k);
  }
  return domains;
}

FastPairs pairsOf(const FastRun &run, const std::vector<Var> &at,
                  llvm::function_ref<Expr(Expr, Expr)> x) {
  const cnn::FastChannels fast(run.used);
  FastPairs pairs{Func("pairs"), RDom(0, run.count, "k"), fast.pairs, 1};
  // Whole vectors, of which the last lanes may lie beyond the pairs.
  while (pairs.lanes < fast.pairs)
    pairs.lanes *= 2;
  Var lane("lane");
  std::vector<Var> args = {lane};
  args.insert(args.end(), at.begin(), at.end());
  std::vector<Expr> place(args.begin(), args.end());
  Expr block = run.first + pairs.blocks.x;
  pairs.sums(args) = 0.0f;
  pairs.sums(place) += x(lane, block) * x(lane + fast.pairs, block);
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

} // namespace halcyon
