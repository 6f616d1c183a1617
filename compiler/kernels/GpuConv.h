//===- GpuConv.h - What convolutions by tiles on a device share -----------===//

#ifndef HALCYON_COMPILER_KERNELS_GPUCONV_H
#define HALCYON_COMPILER_KERNELS_GPUCONV_H

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/GpuTile.h"

namespace halcyon {

/// A convolution of any stride, dilation and padding of zeros, with what comes before
/// and behind it, on maps as `nhwc`.
class GpuConv : public Kernel {
public:
  bool isForDevice() const override { return true; }

  bool handles(const Group &group, const Target &, std::string &why) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if (!conv || !isPlainGroup<cnn::ConvOp>(group, /*prologue=*/true, why) ||
        !hasZeroPadding(conv, why))
      return false;
    if (conv.getGroups() != 1)
      why = "groups of channels share no filters";
    return why.empty();
  }

  llvm::SmallVector<LayoutChoice> layouts(const Group &group,
                                          const Target &) const override {
    return {uniformLayout(group, "nhwc")};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input, const LayoutChoice &,
                          const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return {};
    ConvShape s = ConvShape::of(conv);
    return cnn::PackedAttr::get(conv.getContext(),
                                orderOf(s) + std::to_string(filterBlock(s)) + "o");
  }

protected:
  /// How filters lie, but for the block of output channels inside.
  virtual std::string orderOf(const ConvShape &s) const = 0;
  /// Output channels of a block of filters in memory.
  static int filterBlock(const ConvShape &s) {
    return std::min(32, ceilDiv(s.o, 4) * 4);
  }
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_GPUCONV_H
