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

#include "Halide.h"

#include <functional>
#include <map>

namespace halcyon {

/// A place in a tensor. In blocked layouts a channel is (cb, c): block and
/// lane; in others cb is undefined and c is the channel. Rank 2 has n and c.
struct Point {
  Halide::Expr n, cb, c, y, x;
};

class KernelBuilder {
public:
  KernelBuilder(const Group &group, cnn::ScheduleAttr schedule,
                const Target &target);

  const Group &group;
  cnn::ScheduleAttr schedule;
  const Target &target;

  /// The pure variables of outputs and stages: lane or channel, x, y, block, n.
  Halide::Var c{"c"}, x{"x"}, y{"y"}, cb{"cb"}, n{"n"};

  /// The buffer of a block argument, with static bounds, strides, alignment.
  Halide::ImageParam input(mlir::Value argument);

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
  /// lanes past the channel count set to zero. Its arguments are `vars`. The
  /// output buffer has static bounds, strides and alignment. The kernel
  /// schedules it.
  Halide::Func output(unsigned index = 0);

  /// All outputs together with their halos' rectangles, in the order
  /// of the kernel's arguments; called once, after scheduling.
  Halide::Pipeline finish();
  /// The inputs in the order of the kernel's arguments.
  std::vector<Halide::Argument> arguments();

  Halide::Target halideTarget() const;

private:
  Halide::Expr evaluateMap(cnn::MapOp map, const Point &p);

  std::map<void *, Halide::ImageParam> params;
  std::map<void *, std::function<Halide::Expr(const Point &)>> bound;
  std::vector<Halide::Func> outputs;
};

/// The scalar operation of arith or math as a Halide expression.
Halide::Expr scalarExpr(mlir::Operation &op,
                        llvm::ArrayRef<Halide::Expr> operands);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_BUILDER_H
