//===- DeviceViews.h - Where a kernel's tensors lie on a device -----------===//

#ifndef HALCYON_COMPILER_CODEGEN_DEVICEVIEWS_H
#define HALCYON_COMPILER_CODEGEN_DEVICEVIEWS_H

#include <string>
#include <vector>

namespace Halide {
class Pipeline;
} // namespace Halide

namespace halcyon {

/// Not every device has buffers within buffers, so kernels get whole ones: the arena,
/// the weights. Where a tensor begins in it, counted in `unit` bytes, comes as its
/// buffer's `host`, of which a device makes no use, and is added to every index.
/// `names` are those of the kernel's tensors.
void addViewOffsets(Halide::Pipeline &pipeline, std::vector<std::string> names, int unit);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_DEVICEVIEWS_H
