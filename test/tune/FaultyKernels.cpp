//===- FaultyKernels.cpp - Kernels that no search may choose --------------===//
//
// They claim to pool maps at no cost. One calls abort(), one pause(), one gives
// other values, one uses what there is not.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Builder.h"

using namespace mlir;

namespace halcyon {
namespace {

class Faulty : public Kernel {
public:
  bool handles(const Group &group, const Target &, std::string &) const override {
    return group.anchorAs<cnn::MaxPoolOp>();
  }
  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }
  cnn::ScheduleAttr schedule(const Group &group, const Target &) const override {
    return makeSchedule(group.anchor()->getContext(), name(), {});
  }
  double cost(const Group &, const Target &) const override { return 1e-9; }
  double error(const Group &, const Target &) const override { return 1e-7; }

  void build(KernelBuilder &builder) const override {
    Group group(builder.group.block());
    builder.input(group.inputs().front());
    builder.bind(group.anchor()->getResult(0),
                 [this](const Point &p) { return value(p); });
    builder.output();
  }
  virtual Halide::Expr value(const Point &p) const = 0;

protected:
  static Halide::Expr call(const char *function) {
    return Halide::Internal::Call::make(Halide::Float(32), function, {},
                                        Halide::Internal::Call::Extern);
  }
};

struct Crashing : Faulty {
  StringRef name() const override { return "test_crashes"; }
  Halide::Expr value(const Point &) const override { return call("abort"); }
};
struct Hanging : Faulty {
  StringRef name() const override { return "test_hangs"; }
  Halide::Expr value(const Point &) const override { return call("pause"); }
};
struct Lying : Faulty {
  StringRef name() const override { return "test_lies"; }
  Halide::Expr value(const Point &p) const override {
    return Halide::cast<float>(p.x + p.y);
  }
};
struct Unbuildable : Faulty {
  StringRef name() const override { return "test_does_not_compile"; }
  Halide::Expr value(const Point &p) const override {
    return Halide::Func("nowhere")(p.x); // which was never defined
  }
};

RegisterKernel<Crashing> crashing;
RegisterKernel<Hanging> hanging;
RegisterKernel<Lying> lying;
RegisterKernel<Unbuildable> unbuildable;

} // namespace
} // namespace halcyon
