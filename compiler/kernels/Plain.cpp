//===- Plain.cpp - Any group, from its operations' definitions ------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Func;

namespace halcyon {

namespace {
/// What runs where no other kernel does: any element type and rank, with or
/// without a batch. Vectorized and parallel, but without tiles.
class Plain : public Kernel {
public:
  StringRef name() const override { return "plain"; }
  bool isGeneral() const override { return true; }
  bool isFallback() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return isDefined(group);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  // An element a cycle, as a loop without tiles gives it.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.02);
  }

  bool mayOverwrite(const Group &group, unsigned, cnn::ScheduleAttr) const override {
    return !group.anchor() && group.outputs().size() == 1;
  }

  /// A sum that another one reads would else be made anew for each of its terms.
  static void storeSums(Func output) {
    namespace internal = Halide::Internal;
    for (auto &[name, function] : internal::find_transitive_calls(output.function())) {
      if (name == output.name() || !function.has_update_definition())
        continue;
      Func sum(function);
      // Where vectors are masked Halide counts on their whole alignment, which
      // a few elements on the stack don't have.
      sum.compute_root().store_in(Halide::MemoryType::Heap);
      for (int i = 0; i < sum.num_update_definitions() && sum.dimensions(); ++i)
        sum.update(i).parallel(sum.args().back());
    }
  }

  void build(KernelBuilder &b) const override {
    LogicalGroup logical(batchOf(b));
    for (Value argument : b.group.inputs())
      logical.bind(argument, logicalInput(b, argument));
    for (auto [index, value] : llvm::enumerate(b.group.outputs())) {
      auto type = cnn::tensorOf(value);
      Func func = logical.get(value).func;
      std::vector<Halide::Var> vars = logicalVars(type.getRank());
      std::vector<Halide::Expr> at(vars.begin(), vars.end());
      Func output = b.output(index, vars, func(at));
      storeSums(output);
      scheduleLogical(b, output, type.getShape(), isFlat(b.group, type));
    }
  }

private:
  /// Whether a chain of elementwise operations is one row: what updates weights.
  static bool isFlat(const Group &group, RankedTensorType type) {
    return !group.anchor() && cnn::isFixed(type) &&
           llvm::all_of(group.inputs(), [&](Value input) {
             auto from = cnn::tensorOf(input);
             return from.getNumElements() == 1 ||
                    from.getShape() == type.getShape();
           });
  }
};
} // namespace

static RegisterKernel<Plain> plain;

} // namespace halcyon
