//===- Kernel.cpp - The registry and what kernels share -------------------===//

#include "compiler/kernels/Kernel.h"
#include "dialects/cnn/Support.h"

#include <algorithm>

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Group
//===----------------------------------------------------------------------===//

Group::Group(Block &block) : body(block) {
  for (Operation &op : block.without_terminator())
    if (cast<cnn::ComputeOpInterface>(op).isAnchor())
      anchorOp = &op;
}

bool Group::isWeight(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() != 2 ? type.getRank() != 4 || !type.isDynamicDim(0)
                             : !type.isDynamicDim(0);
}

bool Group::hasPrologue() const {
  return anchorOp && llvm::any_of(anchorOp->getOperands(), [](Value operand) {
           return operand.getDefiningOp() != nullptr;
         });
}

//===----------------------------------------------------------------------===//
// Registry
//===----------------------------------------------------------------------===//

static std::vector<std::unique_ptr<Kernel>> &owned() {
  static std::vector<std::unique_ptr<Kernel>> kernels;
  return kernels;
}
static std::vector<const Kernel *> &registry() {
  static std::vector<const Kernel *> kernels;
  return kernels;
}

void registerKernel(std::unique_ptr<Kernel> kernel) {
  // By name, so that the order does not depend on how files are linked.
  auto &all = registry();
  auto at = std::lower_bound(all.begin(), all.end(), kernel->name(),
                             [](const Kernel *k, StringRef name) {
                               return k->name() < name;
                             });
  all.insert(at, kernel.get());
  owned().push_back(std::move(kernel));
}

ArrayRef<const Kernel *> allKernels() { return registry(); }

const Kernel *findKernel(StringRef name) {
  for (const Kernel *kernel : registry())
    if (kernel->name() == name)
      return kernel;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

Kernel::~Kernel() = default;

cnn::PackedAttr Kernel::packing(const Group &group, unsigned input,
                                const LayoutChoice &choice,
                                const Target &) const {
  auto type = cast<RankedTensorType>(group.inputs()[input].getType());
  cnn::LayoutAttr output = choice.outputs.front();
  if (type.getRank() != 1 || !output || !output.isBlocked())
    return {};
  std::string block = std::to_string(output.getBlock());
  return cnn::PackedAttr::get(type.getContext(), "O" + block + "o");
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

LayoutChoice uniformLayout(const Group &group, StringRef order) {
  LayoutChoice choice;
  auto layoutFor = [&](Value value) -> cnn::LayoutAttr {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() != 4 || Group::isWeight(value))
      return {};
    return cnn::LayoutAttr::get(type.getContext(), order);
  };
  for (Value input : group.inputs())
    choice.inputs.push_back(layoutFor(input));
  for (Value output : group.outputs())
    choice.outputs.push_back(layoutFor(output));
  return choice;
}

cnn::ScheduleAttr
makeSchedule(MLIRContext *context, StringRef name,
             ArrayRef<std::pair<StringRef, int64_t>> params) {
  Builder builder(context);
  SmallVector<NamedAttribute> attributes;
  for (auto [key, value] : params)
    attributes.push_back(
        builder.getNamedAttr(key, builder.getI64IntegerAttr(value)));
  return cnn::ScheduleAttr::get(context, name,
                                builder.getDictionaryAttr(attributes));
}

double rooflineSeconds(const Target &target, double flops, double bytes,
                       double efficiency) {
  double arithmetic = flops / (target.flops * target.cores * efficiency);
  double rate = bytes > target.l2 * target.cores
                    ? target.totalBandwidth
                    : target.l2Bandwidth * target.cores;
  return std::max(arithmetic, bytes / rate) + target.callSeconds;
}

double groupBytes(const Group &group) {
  double bytes = 0;
  for (Value input : group.inputs())
    bytes += 4.0 * cnn::elementsOf(input.getType());
  for (Value output : group.outputs())
    bytes += 4.0 * cnn::elementsOf(output.getType());
  return bytes;
}

double groupFlops(const Group &group) {
  double flops = 0;
  for (Operation &op : group.block().without_terminator())
    flops += cast<cnn::ComputeOpInterface>(op).getFlops();
  return flops;
}

} // namespace halcyon
