//===- GpuPlain.cpp - Any group on a device -------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace halcyon {

namespace {
/// A group from its operations' definitions, a thread for each element: what
/// moves data, elementwise chains, pools, and whatever no other kernel computes
/// on a device.
class GpuPlain : public Kernel {
public:
  StringRef name() const override { return "gpu_plain"; }
  bool isGeneral() const override { return true; }
  bool isForDevice() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return isDefined(group);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    if (group.anchorAs<cnn::RelayoutOp>())
      return {layoutsOfTypes(group)};
    return {uniformLayout(group, "nhwc"), uniformLayout(group, "nchw")};
  }

  // A thread reads what it needs from memory, again for each element.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.02);
  }

  void build(KernelBuilder &b) const override {
    LogicalGroup logical(batchOf(b));
    for (Value argument : b.group.inputs())
      logical.bind(argument, logicalInput(b, argument));
    std::vector<Func> outputs;
    for (auto [index, value] : llvm::enumerate(b.group.outputs())) {
      auto type = cnn::tensorOf(value);
      // Variables in the order of the buffer, coordinates in the logical one.
      std::vector<Var> vars = logicalVars(type.getRank());
      std::vector<Expr> at(vars.begin(), vars.end());
      if (type.getRank() == 4) {
        vars = b.vars(value.getType());
        Point p = b.point(value.getType());
        at = {p.x, p.y, p.c, p.n};
      }
      Func output = b.output(index, vars, logical.get(value).func(at));
      scheduleThreads(output, vars, extentsOf(value.getType()));
      outputs.push_back(output);
    }
    storeSumsOnDevice(outputs);
  }

private:
  /// Of a buffer's dimensions, innermost first; the batch is large.
  static std::vector<int64_t> extentsOf(Type type) {
    std::vector<int64_t> extents;
    for (const auto &dim : cnn::interiorOf(type).dims)
      extents.push_back(dim.extent < 0 ? 1 << 20 : dim.extent);
    return extents;
  }

  /// What values have already, as a change of layouts says.
  static LayoutChoice layoutsOfTypes(const Group &group) {
    LayoutChoice choice = uniformLayout(group, "nchw");
    for (auto [layout, value] : llvm::zip(choice.inputs, group.inputs()))
      if (layout)
        layout = cnn::layoutOf(value.getType());
    for (auto [layout, value] : llvm::zip(choice.outputs, group.outputs()))
      if (layout)
        layout = cnn::layoutOf(value.getType());
    return choice;
  }
};
} // namespace

static RegisterKernel<GpuPlain> gpuPlain;

} // namespace halcyon
