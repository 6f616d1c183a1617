//===- AlgorithmDetect.cpp - What detectors do with boxes -----------------===//

#include "compiler/kernels/Algorithm.h"

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

/// kept(i) = 1 where candidate(i) is not 0 and no kept j < i overlaps it by more
/// than t: every box in turn, if it still is kept, takes those behind it away.
static Func defineSuppress(mlir::Operation *,
                           llvm::ArrayRef<LogicalTensor> operands,
                           llvm::ArrayRef<Expr> sizes) {
  Func boxes = operands[0].func, candidates = operands[1].func;
  Var i("i"), group("group");
  Expr threshold = operands[2].func(0);
  auto overlap = [&](Expr a, Expr b) {
    auto side = [&](Expr box, int corner) { return boxes(corner, box, group); };
    auto area = [&](Expr box) {
      return (side(box, 2) - side(box, 0)) * (side(box, 3) - side(box, 1));
    };
    auto common = [&](int axis) {
      return Halide::max(Halide::min(side(a, axis + 2), side(b, axis + 2)) -
                             Halide::max(side(a, axis), side(b, axis)),
                         0);
    };
    Expr both = common(0) * common(1), all = area(a) + area(b) - both;
    return Halide::select(both > 0 && all > 0, both / all, 0);
  };
  Func kept("kept");
  kept(i, group) = Halide::cast(candidates.type(), candidates(i, group) != 0);
  RDom r(0, sizes[0], 0, sizes[0]);
  r.where(r.x > r.y);
  Expr goes = kept(r.y, group) != 0 && overlap(r.y, r.x) > threshold;
  kept(r.x, group) = Halide::select(goes, 0, kept(r.x, group));
  return kept;
}

/// A number's bits, as a whole number of the same order.
static Expr ordered(Expr value) {
  const Halide::Type type = Halide::UInt(value.type().bits());
  // -0 is as large as 0.
  Expr bits = Halide::reinterpret(type, value + Halide::cast(value.type(), 0));
  Expr sign = Halide::cast(type, 1) << Halide::cast(type, type.bits() - 1);
  return Halide::select((bits & sign) != 0, ~bits, bits | sign);
}

/// chosen(i) = 1 where x(i) is more than t, the largest number that at least `count`
/// elements reach, and where it is t, from the first on, until there are `count`.
/// t = sum over b of t_b 2^b, from the highest: t_b = 1 where as many elements
/// reach 2^b more than the bits before it make.
static Func defineLargest(mlir::Operation *, llvm::ArrayRef<LogicalTensor> operands,
                          llvm::ArrayRef<Expr> sizes) {
  Func x = operands[0].func, counts = operands[1].func;
  const Halide::Type real = x.type(), word = Halide::UInt(real.bits());
  const Halide::Type whole = Halide::Int(32);
  Var i("i"), group("group");
  RDom r(0, sizes[0]);
  Func key("key"), wanted("wanted");
  // Nothing is chosen of what would be stored for each element: a sum keeps it.
  key(i, group) = Halide::cast(word, 0);
  key(r, group) = ordered(x(r, group));
  wanted(group) = Halide::cast(whole, Halide::ceil(Halide::clamp(counts(0, group), 0, Halide::cast(real, sizes[0]))));
  // How many elements reach a number.
  auto reaching = [&](Expr least, const std::string &name) {
    Func count(name);
    count(group) = 0;
    count(group) += Halide::cast(whole, key(r, group) >= least);
    return count;
  };
  Func before("bits");
  before(group) = Halide::cast(word, 0);
  for (int bit = word.bits() - 1; bit >= 0; --bit) {
    Expr one = Halide::cast(word, 1) << Halide::cast(word, bit);
    Func count = reaching(before(group) | one, "reach" + std::to_string(bit));
    // Where it is a reduction it is stored; else each bit would count anew.
    Func next("bits" + std::to_string(bit));
    next(group) = before(group);
    next(group) = Halide::select(count(group) >= wanted(group), next(group) | one, next(group));
    before = next;
  }
  Func more("more");
  more(group) = 0;
  more(group) += Halide::cast(whole, key(r, group) > before(group));
  // Of those that equal it, how many stand before each.
  Func equal("equal");
  RDom s(1, Halide::max(sizes[0] - 1, 0));
  equal(i, group) = 0;
  equal(s, group) = equal(s - 1, group) +
                    Halide::cast(whole, key(s - 1, group) == before(group));
  Func chosen("chosen");
  chosen(i, group) = Halide::cast(
      real, wanted(group) > 0 &&
                (key(i, group) > before(group) ||
                 (key(i, group) == before(group) &&
                  more(group) + equal(i, group) < wanted(group))));
  return chosen;
}

static RegisterAlgorithm largest("cnn.largest", defineLargest);
static RegisterAlgorithm suppress("cnn.suppress", defineSuppress);

} // namespace halcyon
