//===- Total.cpp - The sum of a whole tensor -------------------------------===//
//
// Of a tensor without a batch, such as the squares of a gradient. Its memory is
// read as one row: chunks of it are summed each in vectors, and then the chunks,
// in an order that depends on the shape alone.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {
namespace {

/// Sums of a chunk in flight, and vectors that each adds up.
constexpr int kSums = 4, kSteps = 256;

class Total : public Kernel {
public:
  StringRef name() const override { return "total"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &, std::string &) const override {
    auto sum = group.anchorAs<cnn::SumOp>();
    if (!sum || sum->getNumResults() != 1 || group.outputs() != sum->getResults() ||
        cnn::tensorOf(sum->getResult(0)).getNumElements() != 1)
      return false;
    auto from = cnn::tensorOf(sum->getOperand(0));
    return cnn::isFixed(from) && from.getElementType().isF32() &&
           llvm::all_of(group.inputs(), [&](Value input) {
             return input.getType() == from;
           });
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  // Zen 5, two threads: 512 to 512 channels of 3x3 as fast as memory gives them.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.2);
  }

  void build(KernelBuilder &b) const override {
    auto sum = b.group.anchorAs<cnn::SumOp>();
    LogicalGroup logical(1);
    for (Value argument : b.group.inputs())
      logical.bind(argument, logicalInput(b, argument));
    ArrayRef<int64_t> shape = cnn::tensorOf(sum->getOperand(0)).getShape();
    Func from = logical.get(sum->getOperand(0)).func;
    auto at = [&](Expr place) {
      std::vector<Expr> coordinates(shape.size());
      int64_t each = 1;
      for (int64_t size : shape)
        each *= size;
      for (auto [index, size] : llvm::enumerate(shape)) {
        each /= size;
        coordinates[shape.size() - 1 - index] = place / (int)each;
        place = place % (int)each;
      }
      return Halide::cast<float>(from(coordinates));
    };
    int count = 1;
    for (int64_t size : shape)
      count *= (int)size;
    const int lanes = b.target.lanes, wide = lanes * kSums;
    const int rows = count / wide, chunks = (rows + kSteps - 1) / kSteps;

    Var lane("lane"), part("part"), chunk("chunk"), only("only");
    Func sums("sums"), whole("whole");
    RDom row(0, kSteps, "row"), end(0, std::max(1, count - rows * wide), "end"),
        of(0, wide, 0, std::max(1, chunks), "of");
    sums(lane, part, chunk) = 0.0f;
    row.where(chunk * kSteps + row < rows);
    sums(lane, part, chunk) +=
        at((chunk * kSteps + row) * wide + part * lanes + lane);
    whole() = 0.0f;
    if (rows)
      whole() += sums(of.x % lanes, of.x / lanes, of.y);
    if (count > rows * wide)
      whole() += at(rows * wide + end);
    std::vector<Var> vars = logicalVars(cnn::tensorOf(sum->getResult(0)).getRank());
    b.output(0, vars, whole());
    whole.compute_root().store_in(Halide::MemoryType::Heap);
    if (!rows)
      return;
    sums.compute_root()
        .store_in(Halide::MemoryType::Heap)
        .bound(lane, 0, lanes)
        .bound(part, 0, kSums)
        .vectorize(lane)
        .unroll(part);
    sums.update()
        .reorder(lane, part, row, chunk)
        .vectorize(lane)
        .unroll(part)
        .parallel(chunk);
  }
};

RegisterKernel<Total> total;

} // namespace
} // namespace halcyon
