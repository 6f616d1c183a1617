//===- Cost.cpp - What a kernel costs where a batch is known --------------===//

#include "compiler/kernels/Cost.h"
#include "compiler/kernels/ConvCommon.h"

using namespace mlir;

namespace halcyon {

double groupSeconds(const Group &group, const Target &target, double efficiency) {
  const double images = usualBatch(group);
  auto times = [&](bool fixed) { return fixed ? 1 : images; };
  double flops = 0, bytes = 0;
  for (Operation &op : group.block().without_terminator())
    flops += times(llvm::all_of(op.getOperands(), Group::isWeight)) *
             cast<cnn::ComputeOpInterface>(op).getFlops();
  auto add = [&](Value value) {
    bytes += times(Group::isWeight(value)) * cnn::bytesOf(value.getType());
  };
  llvm::for_each(group.inputs(), add);
  llvm::for_each(group.outputs(), add);
  return rooflineSeconds(target, flops, bytes, efficiency) / images;
}

} // namespace halcyon
