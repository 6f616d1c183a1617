//===- Map.cpp - Chains of elementwise operations -------------------------===//

#include "compiler/kernels/Loops.h"

using namespace mlir;

namespace halcyon {

namespace {
/// One pass over memory for any number of maps. Inputs broadcast where they
/// are read.
class Elementwise : public Kernel {
public:
  StringRef name() const override { return "elementwise"; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return group.anchors().empty();
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    return uniformLayouts(group, target);
  }

  cnn::ScheduleAttr schedule(const Group &group, const Target &) const override {
    return makeSchedule(group.outputs().front().getContext(), name(),
                        {{"task_kib", kTaskKib}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    return {taskParameter()};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.2);
  }

  bool mayOverwrite(const Group &group, unsigned input,
                    cnn::ScheduleAttr schedule) const override {
    return group.outputs().size() == 1;
  }

  void build(KernelBuilder &b) const override {
    for (unsigned i = 0; i < b.group.outputs().size(); ++i) {
      Type type = b.group.outputs()[i].getType();
      scheduleRows(b, b.output(i), type,
                   {rowBytesOf(b, type), denseNchw(b.group)});
    }
  }
};
} // namespace

static RegisterKernel<Elementwise> elementwise;

} // namespace halcyon
