//===- Algorithm.h - What operations compute, in Halide -------------------===//
//
// The definition of an operation on logical dimensions, whatever the layout, the
// element type or the schedule: what `plain` kernels run and what Halide
// differentiates.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_ALGORITHM_H
#define HALCYON_COMPILER_KERNELS_ALGORITHM_H

#include "compiler/kernels/Builder.h"

namespace halcyon {

/// A tensor as a Func of its logical dimensions, innermost first: (x, y, c, n).
/// `sizes` are in the same order; that of the batch is known at run time alone.
/// The Func may be called within its sizes only.
struct LogicalTensor {
  Halide::Func func;
  std::vector<Halide::Expr> sizes;
};

/// Defines what an operation computes: a Func of the result's dimensions,
/// without a schedule, that reads `operands`; of several results, which have
/// one shape, a Func of tuples. Its element type follows from theirs. `sizes`
/// are the first result's.
using Define = Halide::Func (*)(mlir::Operation *op,
                                llvm::ArrayRef<LogicalTensor> operands,
                                llvm::ArrayRef<Halide::Expr> sizes);

/// Puts a definition into the registry, by the operation's name:
/// `static RegisterAlgorithm conv("cnn.conv", defineConv);`
struct RegisterAlgorithm {
  RegisterAlgorithm(llvm::StringRef operation, Define define);
};

/// The definition of an operation; null where there is none.
Define findAlgorithm(llvm::StringRef operation);

/// Whether all of a group's operations have definitions, and at most one of them
/// structure: only the last of its definitions is scheduled.
bool isDefined(const Group &group);

/// What is computed by operations of a block, from tensors for its arguments.
class LogicalGroup {
public:
  /// `batch` is the size of dynamic dimensions.
  LogicalGroup(Halide::Expr batch) : batch(std::move(batch)) {}

  /// Says what a value is.
  void bind(mlir::Value value, Halide::Func func);
  /// The value, defined by the operations between it and what is bound.
  LogicalTensor get(mlir::Value value);
  /// Sizes of a type, innermost first.
  std::vector<Halide::Expr> sizesOf(mlir::Type type) const;

private:
  LogicalTensor defineMap(cnn::MapOp map);

  Halide::Expr batch;
  std::map<void *, LogicalTensor> values;
};

/// A weight of this shape and so many groups, with channels exchanged and taps
/// reversed: what `cnn.adjoint_filter` computes.
Halide::Func turnedOver(Halide::Func weight, llvm::ArrayRef<int64_t> shape,
                        int64_t groups);

/// Fresh variables for a tensor of this rank, innermost first.
std::vector<Halide::Var> logicalVars(size_t rank);

/// A block argument of the builder's group as a Func of its logical dimensions,
/// whatever its layout, in the type that is computed in.
Halide::Func logicalInput(KernelBuilder &builder, mlir::Value argument);

/// Schedules a Func of logical dimensions: vectors along the innermost one, the
/// others cut into tasks. `flat`: the whole is one row in memory, and so is all
/// that it reads.
void scheduleLogical(KernelBuilder &builder, Halide::Func func,
                     llvm::ArrayRef<int64_t> shape, bool flat = false);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_ALGORITHM_H
