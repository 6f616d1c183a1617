//===- Kernel.h - What every kernel answers -------------------------------===//
//
// A kernel is one algorithm for one kind of fused group: when it applies, which
// layouts it reads and writes, how its weights are packed, what it costs, its
// schedule, and its Halide pipeline. Passes and tools ask through this
// interface and know no single kernel. No Halide header is needed here.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_KERNEL_H
#define HALCYON_COMPILER_KERNELS_KERNEL_H

#include "compiler/targets/Target.h"
#include "dialects/cnn/CnnOps.h"
#include "dialects/cnn/Geometry.h"

namespace halcyon {

class KernelBuilder;

/// The region of a cnn.fused or exec.kernel operation, as kernels see it:
/// an anchor (or none), elementwise operations before it (prologue) and after
/// it (epilogue); or several anchors, each reading what the one before gives.
class Group {
public:
  explicit Group(mlir::Block &block);

  mlir::Block &block() const { return body; }
  /// The operations with structure, in order.
  llvm::ArrayRef<mlir::Operation *> anchors() const { return anchorOps; }
  /// The only operation with structure; null for an elementwise chain and
  /// where there are several.
  mlir::Operation *anchor() const {
    return anchorOps.size() == 1 ? anchorOps.front() : nullptr;
  }
  template <typename Op> Op anchorAs() const {
    return mlir::dyn_cast_or_null<Op>(anchor());
  }
  mlir::MutableArrayRef<mlir::BlockArgument> inputs() const {
    return body.getArguments();
  }
  mlir::OperandRange outputs() const {
    return body.getTerminator()->getOperands();
  }
  /// Whether maps feed the anchor from a block argument.
  bool hasPrologue() const;
  /// Whether a value has no batch dimension, as weights have none: it lies
  /// densely or as it is packed, and has no layout.
  static bool isWeight(mlir::Value value);

private:
  mlir::Block &body;
  llvm::SmallVector<mlir::Operation *, 2> anchorOps;
};

/// A complete assignment of layouts: one entry per block argument (null for
/// weights and for tensors of rank other than 4) and per output. An operand's
/// halo is the least that the kernel needs; the buffer may have more.
struct LayoutChoice {
  llvm::SmallVector<cnn::LayoutAttr> inputs, outputs;
};

/// A parameter of a kernel's schedules, for one group on one target.
struct ScheduleParameter {
  llvm::StringRef name;                 ///< "tile_x"
  int64_t least = 0, most = 0;          ///< what may be written
  llvm::SmallVector<int64_t, 8> values; ///< what is worth trying
  bool flag = false;                    ///< yes or no, not a number
};

/// The term and the key that a parameter's name stands for in a schedule file:
/// "tile_x" is tile(x=...), "rows_per_task" rows_per_task(...), without a key.
std::pair<llvm::StringRef, llvm::StringRef> splitParameter(llvm::StringRef name);

/// Whether one of `known` has this name and may have this value.
bool checkParameter(llvm::ArrayRef<ScheduleParameter> known,
                    llvm::StringRef name, int64_t value, std::string &why);

/// An algorithm.
class Kernel {
public:
  virtual ~Kernel();

  /// As schedules, `--algorithm` and reports name it: "direct", "winograd4".
  virtual llvm::StringRef name() const = 0;

  /// Whether it computes this group on this target; `why` says why not, and
  /// stays empty where the group is another kind of layer.
  bool takes(const Group &group, const Target &target, std::string &why) const;

  /// Whether it computes tensors of any element type and rank, with or without
  /// a batch. Others are asked of vectors and feature maps in f32 or bf16 alone.
  virtual bool isGeneral() const { return false; }

  /// Whether it is asked only where no other kernel computes a group.
  virtual bool isFallback() const { return false; }

  /// Whether its schedules are for a device's blocks of threads, not for a CPU's
  /// cores and vectors.
  virtual bool isForDevice() const { return false; }

  /// What `takes` asks of a kernel, of groups that it may be asked of.
  virtual bool handles(const Group &group, const Target &target,
                       std::string &why) const = 0;

  /// The layouts that it can run with, best first.
  virtual llvm::SmallVector<LayoutChoice> layouts(const Group &group,
                                                  const Target &target) const = 0;

  /// How it wants the weight `input` in memory; null: dense, as it is named.
  /// `choice` is the layout assignment that was taken. The default packs
  /// vectors of channels to whole blocks where the output is blocked.
  virtual cnn::PackedAttr packing(const Group &group, unsigned input,
                                  const LayoutChoice &choice,
                                  const Target &target) const;

  /// The schedule that it takes where nobody chose another. The default has no
  /// parameters.
  virtual cnn::ScheduleAttr schedule(const Group &group,
                                     const Target &target) const;

  /// What its schedules consist of, in the order in which a person reads them.
  /// The default: the parameters of `schedule`, with no other values.
  virtual llvm::SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const;

  /// Whether values, each in its range, hold together; `why` says why not, in
  /// the user's terms.
  virtual bool holds(const Group &group, const Target &target,
                     cnn::ScheduleAttr schedule, std::string &why) const {
    return true;
  }

  /// The schedules that a search tries: all of them hold, the default is first,
  /// the order is fixed.
  virtual llvm::SmallVector<cnn::ScheduleAttr>
  space(const Group &group, const Target &target) const;

  /// Whether a schedule that somebody wrote, with any parameters, can run this
  /// group. A parameter that it leaves out has its default.
  bool checkSchedule(const Group &group, const Target &target,
                     cnn::ScheduleAttr schedule, std::string &why) const;

  /// The schedule with all of its parameters, those left out by default.
  cnn::ScheduleAttr completeSchedule(const Group &group, const Target &target,
                                     cnn::ScheduleAttr schedule) const;

  /// The largest difference from exact results over the largest of them, to be
  /// expected of this algorithm. What a precision asks for (values stored in
  /// fewer bits) is no error. The default: sums in f32, one term after another.
  virtual double error(const Group &group, const Target &target) const;

  /// Seconds for one image on all of the target's cores.
  virtual double cost(const Group &group, const Target &target) const = 0;

  /// Whether the output may lie over `input`, a tensor of the output's type: an
  /// element is read only by the task that writes it, and not once it has been
  /// written. Tails that repeat work rule it out.
  virtual bool mayOverwrite(const Group &group, unsigned input,
                            cnn::ScheduleAttr schedule) const {
    return false;
  }

  /// Makes the Halide pipeline. Types in the group have their final layouts.
  virtual void build(KernelBuilder &builder) const = 0;

protected:
  /// The beginning of a schedule: parameters and their values.
  using Assignment = llvm::SmallVector<std::pair<llvm::StringRef, int64_t>>;

  /// `space` from these beginnings: each with all values of the other
  /// parameters, as far as they hold.
  llvm::SmallVector<cnn::ScheduleAttr>
  spaceFrom(const Group &group, const Target &target,
            llvm::ArrayRef<Assignment> beginnings) const;
};

/// All kernels, in a fixed order.
llvm::ArrayRef<const Kernel *> allKernels();
/// The kernel of a name; null where there is none.
const Kernel *findKernel(llvm::StringRef name);

/// Puts a kernel into the registry: `static RegisterKernel<DirectConv> direct;`
void registerKernel(std::unique_ptr<Kernel> kernel);
template <typename K> struct RegisterKernel {
  RegisterKernel() { registerKernel(std::make_unique<K>()); }
};

//===----------------------------------------------------------------------===//
// Helpers for kernels' answers
//===----------------------------------------------------------------------===//

/// The same order for every rank-4 value of the group; anchor operands listed
/// in `halo` get that halo.
LayoutChoice uniformLayout(const Group &group, llvm::StringRef order);

/// The layouts of a choice as a schedule file has them: "nchw16c" where all
/// values have one order, "nchw -> nchw16c" where what is read has another than
/// what is written, empty where nothing has an order.
std::string layoutText(const LayoutChoice &choice);
/// Those of a kernel's layouts that `text` asks for: the ones of that text, or
/// else the ones that write that order.
llvm::SmallVector<LayoutChoice> layoutsFor(llvm::ArrayRef<LayoutChoice> choices,
                                           llvm::StringRef text);

/// `{name, {key = value, ...}}` as a schedule.
cnn::ScheduleAttr
makeSchedule(mlir::MLIRContext *context, llvm::StringRef name,
             llvm::ArrayRef<std::pair<llvm::StringRef, int64_t>> params);

/// Seconds that a roofline gives: arithmetic at `efficiency` of the peak
/// against bytes at the rate of the level that holds them.
double rooflineSeconds(const Target &target, double flops, double bytes,
                       double efficiency);

/// The error of sums of `terms` products in f32: measured, with a margin.
double sumError(double terms);
/// Terms of the sum that an element of the result is, one anchor after the
/// other; 0 where nothing is summed.
double groupTerms(const Group &group);

/// "1.9e-5": an error or its bound, rounded up to three digits.
std::string errorText(double error);
/// "error 1.9e-4 beyond max_error 1e-5": why an algorithm is ruled out.
std::string beyondMaxError(double error, double maxError);

/// Bytes of all inputs and outputs of the group per image, weights included.
double groupBytes(const Group &group);
/// Operations of all layers in the group per image.
double groupFlops(const Group &group);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_KERNEL_H
