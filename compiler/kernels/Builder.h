//===- Builder.h - From a group to a Halide pipeline ----------------------===//
//
// What every kernel needs to write its algorithm: buffers with fixed bounds and
// strides, values at a point (epilogues, prologues, broadcasting), the output
// with its halo and its empty lanes.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_BUILDER_H
#define HALCYON_COMPILER_KERNELS_BUILDER_H

#include "compiler/kernels/Kernel.h"
#include "compiler/kernels/StreamAhead.h"

#include "Halide.h"

#include <functional>
#include <map>

namespace halcyon {

/// A place in a tensor. In blocked layouts a channel is (cb, c): block and
/// lane; in others cb is undefined and c is the channel. Rank 2 has n and c.
struct Point {
  Halide::Expr n, cb, c, y, x;
};

/// The type of a tensor's elements in memory.
Halide::Type storedType(mlir::RankedTensorType type);

class KernelBuilder {
public:
  /// `attempt`: how many earlier choices were not good, see `choose`.
  KernelBuilder(const Group &group, cnn::ScheduleAttr schedule,
                const Target &target, unsigned attempt = 0);

  const Group &group;
  cnn::ScheduleAttr schedule;
  const Target &target;

  /// The pure variables of outputs and stages: lane or channel, x, y, block, n.
  Halide::Var c{"c"}, x{"x"}, y{"y"}, cb{"cb"}, n{"n"};

  /// The buffer of a block argument, with static bounds, strides, alignment,
  /// of the type that is stored.
  Halide::ImageParam input(mlir::Value argument);
  /// Its element at coordinates of the buffer, in the type that is computed in:
  /// bf16 as f32, the byte of a truth value as one.
  Halide::Expr read(mlir::Value argument, llvm::ArrayRef<Halide::Expr> at);
  /// The same for a factor of a sum over pairs of bf16 (usesPairs), in the form
  /// that Halide turns into one instruction for two products.
  Halide::Expr factor(mlir::Value argument, llvm::ArrayRef<Halide::Expr> at);

  /// The pure variables of a value's buffer, innermost first, as geometryOf.
  std::vector<Halide::Var> vars(mlir::Type type) const;
  /// The point that those variables stand for.
  Point point(mlir::Type type) const;
  /// The coordinates of a point in a buffer of this type.
  std::vector<Halide::Expr> coordinates(mlir::Type type, const Point &p) const;

  /// Element of a block argument at a point of a tensor that it broadcasts to:
  /// sizes of 1 read index 0, vectors read the channel. Layouts may differ
  /// from the point's kind: channels are converted.
  Halide::Expr load(mlir::Value argument, const Point &p, mlir::Type at);

  /// The value of anything in the group at a point: block arguments are
  /// loaded, maps computed, the anchor's result comes from `bind`.
  Halide::Expr at(mlir::Value value, const Point &p);

  /// Says what the anchor's result is at a point.
  void bind(mlir::Value anchorResult, std::function<Halide::Expr(const Point &)>);

  /// A Func of the group's output number `index`: `at(yielded value)` with
  /// lanes past the channel count set to zero, rounded to the type that is
  /// stored. Its arguments are `vars`. The
  /// output buffer has static bounds, strides and alignment. The kernel
  /// schedules it; `wholeVectors` says that it does so as roundVector wants it.
  Halide::Func output(unsigned index = 0, bool wholeVectors = false);

  /// The group's output number `index` as `value` of `args`, the variables of
  /// its buffer, innermost first, converted to the type that is stored.
  Halide::Func output(unsigned index, const std::vector<Halide::Var> &args,
                      Halide::Expr value);

  /// `value` as bf16, by the target's instruction where it has one: then the
  /// Func that it defines must be computed in vectors of whole f32 registers.
  Halide::Expr roundVector(Halide::Expr value) const;

  /// A number that only the register allocator can judge: the kernel is built
  /// with the candidates in turn until its hot loop neither copies nor spills.
  int choose(llvm::ArrayRef<int> candidates);
  /// How many attempts `choose` has candidates for.
  unsigned attempts() const { return choices; }

  /// Fetches weights ahead of their use, as `stream` says.
  void streamAhead(StreamAhead stream);
  /// And inputs.
  void fetchAhead(TileAhead tile);

  /// All outputs together with their halos' rectangles, in the order
  /// of the kernel's arguments; called once, after scheduling.
  Halide::Pipeline finish();
  /// The inputs in the order of the kernel's arguments.
  std::vector<Halide::Argument> arguments();

  /// The CPU's, and the device's where the kernel is for one.
  Halide::Target halideTarget(bool withDevice = false) const;

private:
  Halide::Expr evaluateMap(cnn::MapOp map, const Point &p);

  std::map<void *, Halide::ImageParam> params;
  std::map<void *, std::function<Halide::Expr(const Point &)>> bound;
  std::vector<Halide::Func> outputs;
  std::vector<StreamAhead> streams;
  std::vector<TileAhead> tiles;
  unsigned attempt, choices = 1;
};

/// The scalar operation of arith or math as a Halide expression. `smooth`: in
/// functions that Halide can differentiate, rather than in the fastest form.
Halide::Expr scalarExpr(mlir::Operation &op,
                        llvm::ArrayRef<Halide::Expr> operands,
                        bool smooth = false);
/// Whole numbers, bits, conversions and the rarer functions of it; undefined
/// where an operation is none of these.
Halide::Expr wholeExpr(mlir::Operation &op,
                       llvm::ArrayRef<Halide::Expr> operands);

/// The derivative of a function of scalars, at the operands.
Halide::Expr derivativeExpr(cnn::DerivativeOp op,
                            llvm::ArrayRef<Halide::Expr> operands);

/// What a region from scalars to scalars yields.
llvm::SmallVector<Halide::Expr>
scalarRegion(mlir::Block &body, llvm::ArrayRef<Halide::Expr> arguments,
             bool smooth = false);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_BUILDER_H
