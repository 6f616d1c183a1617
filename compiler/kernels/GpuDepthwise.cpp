//===- GpuDepthwise.cpp - Every channel with its own filter, on a device --===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Cost.h"
#include "compiler/kernels/GpuLoops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// A thread has a channel and a few pixels of a row, which share what they read;
/// neighbouring threads have neighbouring channels.
class GpuDepthwise : public Kernel {
public:
  StringRef name() const override { return "gpu_depthwise"; }
  bool isForDevice() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/true, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    return isDepthwise(conv, why) && hasZeroPadding(conv, why);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nhwc")};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return {};
    return cnn::PackedAttr::get(conv.getContext(), "hwio");
  }

  cnn::ScheduleAttr schedule(const Group &group, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    int width = ConvShape::of(conv).ow;
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_x", width >= 16 ? 4 : width >= 7 ? 2 : 1}});
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    return {{"tile_x", 1, 16, {1, 2, 4, 7, 8}}};
  }

  // Bound by memory: every value of the input is read once for each tap that
  // the caches do not catch.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.2);
  }

  void build(KernelBuilder &b) const override {
    auto conv = b.group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    b.bind(conv.getResult(), [&](const Point &p) {
      Expr sum = conv.getBias() ? b.load(conv.getBias(), p, conv.getType())
                                : Expr(0.0f);
      for (int v = 0; v < s.kh; ++v)
        for (int u = 0; u < s.kw; ++u) {
          Expr x = p.x * s.sw + u * s.dw - s.left;
          Expr y = p.y * s.sh + v * s.dh - s.top;
          Point q = {p.n, Expr(), p.c, Halide::clamp(y, 0, s.h - 1),
                     Halide::clamp(x, 0, s.w - 1)};
          sum += b.read(conv.getWeight(), {p.c, 0, u, v}) *
                 Halide::select(x >= 0 && x < s.w && y >= 0 && y < s.h,
                                b.at(conv.getX(), q), 0.0f);
        }
      return sum;
    });
    Func out = b.output();
    int tile = (int)b.schedule.param("tile_x", 1);
    Var column("column"), pixel("pixel");
    out.split(b.x, column, pixel, tile, TailStrategy::GuardWithIf)
        .reorder(pixel, b.c, column, b.y, b.n)
        .unroll(pixel);
    scheduleThreads(out, {b.c, column, b.y, b.n},
                    {s.o, llvm::divideCeil(s.ow, tile), s.oh});
  }
};
} // namespace

static RegisterKernel<GpuDepthwise> gpuDepthwise;

} // namespace halcyon
