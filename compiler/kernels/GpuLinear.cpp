//===- GpuLinear.cpp - Dense layers on a device ---------------------------===//

#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::MemoryType;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// A thread has an output of a few images and a part of the sum, so that there
/// are threads enough to read the weights at the memory's speed where outputs
/// are few. A second grid adds the parts.
class GpuLinear : public LayerKernel<cnn::LinearOp> {
public:
  GpuLinear() : LayerKernel("gpu_linear", 0.3) {}
  bool isForDevice() const override { return true; }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &, const Target &) const override {
    auto op = group.anchorAs<cnn::LinearOp>();
    if (op.getWeight() != group.inputs()[input])
      return {};
    return cnn::PackedAttr::get(op.getContext(), "io");
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto op = group.anchorAs<cnn::LinearOp>();
    // Parts of the sum: eight warps for each multiprocessor.
    int64_t outputs = cnn::sizeOf(op.getWeight(), 0);
    int64_t features = cnn::sizeOf(op.getWeight(), 1);
    int64_t parts = llvm::divideCeil(
        256 * (int64_t)target.cores, llvm::alignTo(outputs, target.lanes));
    int64_t terms = llvm::divideCeil(features, std::max<int64_t>(parts, 1));
    return makeSchedule(op.getContext(), name(),
                        {{"tile_n", 4},
                         {"terms", std::clamp<int64_t>(terms, 32, 1024)}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &) const override {
    return {{"tile_n", 1, 16, {1, 4, 8}},
            {"terms", 1, 65536, {32, 64, 128, 256, 1024}}};
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::LinearOp>();
    cnn::ScheduleAttr how = completeSchedule(b.group, b.target, b.schedule);
    int features = (int)cnn::sizeOf(op.getWeight(), 1);
    int outputs = (int)cnn::sizeOf(op.getWeight(), 0);
    int tileN = (int)how.param("tile_n");
    int terms = std::min<int>(features, (int)how.param("terms"));
    int parts = (int)llvm::divideCeil(features, terms);
    Expr images = batchOf(b);

    Func x("x"), sum("sum"), partial("partial"), total("total");
    Var part("part"), image("image"), in("in");
    x(b.c, b.n) = b.at(op.getX(), {b.n, Expr(), b.c, Expr(), Expr()});
    if (b.group.hasPrologue()) {
      x.compute_root();
      scheduleThreads(x, {b.c, b.n}, {features});
    }
    // A tile of images may end behind the last.
    RDom r(0, terms, "r");
    Expr feature = part * terms + r;
    Expr value = x(Halide::min(feature, features - 1),
                   Halide::clamp(b.n, 0, images - 1)) *
                 b.read(op.getWeight(), {b.c, Halide::min(feature, features - 1)});
    sum(b.c, b.n, part) = 0.0f;
    sum(b.c, b.n, part) +=
        features % terms ? Halide::select(feature < features, value, 0.0f) : value;
    partial(b.c, b.n, part) = sum(b.c, b.n, part);

    auto guard = TailStrategy::GuardWithIf;
    Var block("block"), lane("lane");
    partial.compute_root()
        .bound(b.c, 0, outputs)
        .split(b.c, block, lane, 64, guard)
        .split(b.n, image, in, tileN, guard)
        .reorder(in, lane, block, part, image)
        .unroll(in)
        .gpu_blocks(block, part, image)
        .gpu_threads(lane);
    sum.compute_at(partial, lane)
        .store_in(MemoryType::Register)
        .bound_extent(b.n, tileN)
        .unroll(b.n)
        .update()
        .reorder(b.n, r)
        .unroll(b.n);

    RDom k(0, parts, "k");
    total(b.c, b.n) = 0.0f;
    total(b.c, b.n) += partial(b.c, b.n, k);
    b.bind(op.getResult(), [&](const Point &p) {
      Expr value = total(p.c, p.n);
      return op.getBias() ? value + b.load(op.getBias(), p, op.getType()) : value;
    });
    Func out = b.output();
    out.split(b.c, block, lane, 64, guard)
        .gpu_blocks(block, b.n)
        .gpu_threads(lane);
    total.compute_at(out, lane);
  }
};
} // namespace

static RegisterKernel<GpuLinear> gpuLinear;

} // namespace halcyon
