//===- Loops.h - Loop nests that kernels share ----------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_LOOPS_H
#define HALCYON_COMPILER_KERNELS_LOOPS_H

#include "compiler/kernels/Builder.h"
#include "compiler/kernels/Cost.h"

namespace halcyon {

/// Loops over an output: the innermost dimension in vectors, the one beyond it
/// unrolled, rows, channels and batch fused and cut into tasks.
struct RowLoops {
  double rowBytes; ///< what a row of the output reads and writes
  /// All rank-4 values lie densely in `nchw` without halo: a map is one row.
  bool flatMaps = false;
};

/// Schedules `out`, a builder's output of type `type`; returns the variable of
/// the rows, in which whole stages may be computed.
Halide::Var scheduleRows(KernelBuilder &builder, Halide::Func out,
                         mlir::Type type, RowLoops loops);

/// Bytes that a row of output 0 reads and writes: those of the whole group,
/// by the number of rows.
double rowBytesOf(const KernelBuilder &builder, mlir::Type type);

/// KiB that a task moves where a schedule does not say: its start costs about a
/// microsecond, in which so many pass.
constexpr int64_t kTaskKib = 32;

/// `task_kib`, the parameter of all that `rowsPerTask` cuts.
inline ScheduleParameter taskParameter() {
  return {"task_kib", 1, 4096, {8, 16, kTaskKib, 64, 128}};
}

/// Rows that a task takes, so that a task is worth its start and a core has a
/// few of them.
int rowsPerTask(const KernelBuilder &builder, double rowBytes,
                double rowsPerImage);

/// Orders for a map of these channels, best first: blocks where they fill a
/// vector half, dense otherwise.
llvm::SmallVector<std::string> ordersFor(const Target &target, int64_t channels);

/// `uniformLayout` in all of those orders.
llvm::SmallVector<LayoutChoice> uniformLayouts(const Group &group,
                                               const Target &target);

/// The batch, as the kernel's arguments carry it.
Halide::Expr batchOf(KernelBuilder &builder);

/// Whether a group with an anchor has one output; `why` says that it has not.
bool oneOutput(const Group &group, std::string &why);

/// What kernels bound by memory share: groups with one output around one of
/// `Ops`, the same layout on both sides, tasks of some size. Each overrides what
/// differs.
template <typename... Ops> class LayerKernel : public Kernel {
public:
  /// `efficiency`: the part of the peak at which its arithmetic runs.
  LayerKernel(llvm::StringRef name, double efficiency)
      : ownName(name), efficiency(efficiency) {}

  llvm::StringRef name() const override { return ownName; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return mlir::isa_and_nonnull<Ops...>(group.anchor()) &&
           oneOutput(group, why);
  }

  llvm::SmallVector<LayoutChoice> layouts(const Group &group,
                                          const Target &target) const override {
    return uniformLayouts(group, target);
  }

  cnn::ScheduleAttr schedule(const Group &group, const Target &) const override {
    return makeSchedule(group.anchor()->getContext(), name(),
                        {{"task_kib", kTaskKib}});
  }

  llvm::SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    return {taskParameter()};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, efficiency);
  }

private:
  llvm::StringRef ownName;
  double efficiency;
};

/// The type, with layout, of an anchor's operand: where maps come before the
/// anchor, that of the buffer that they read.
mlir::RankedTensorType mapsBefore(const Group &group, mlir::Value operand);

/// The largest divisor of `size` that is at most `limit`; `otherwise` where
/// that is below `least`.
int divisorUpTo(int64_t size, int limit, int least, int otherwise);

/// Whether no rank-4 value of the group is other than dense `nchw`.
bool denseNchw(const Group &group);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_LOOPS_H
