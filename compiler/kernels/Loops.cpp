//===- Loops.cpp - Loop nests that kernels share --------------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

int divisorUpTo(int64_t size, int limit, int least, int otherwise) {
  for (int d = limit; d >= least; --d)
    if (size % d == 0)
      return d;
  return otherwise;
}

SmallVector<std::string> ordersFor(const Target &target, int64_t channels) {
  std::string blocked = cnn::LayoutAttr::blocked(target.lanes);
  if (channels * 2 >= target.lanes)
    return {blocked, "nhwc", "nchw"};
  return {"nchw", blocked, "nhwc"};
}

SmallVector<LayoutChoice> uniformLayouts(const Group &group,
                                         const Target &target) {
  Value out = group.outputs().front();
  if (cnn::tensorOf(out).getRank() != 4)
    return {uniformLayout(group, "nchw")};
  SmallVector<LayoutChoice> result;
  for (const std::string &order : ordersFor(target, cnn::sizeOf(out, 1)))
    result.push_back(uniformLayout(group, order));
  return result;
}

bool denseNchw(const Group &group) {
  auto dense = [](Value value) {
    auto type = cnn::tensorOf(value);
    if (type.getRank() != 4 || Group::isWeight(value))
      return true;
    cnn::LayoutAttr layout = cnn::layoutOf(type);
    return layout.getOrder() == "nchw" && !layout.hasHalo();
  };
  return llvm::all_of(group.inputs(), dense) &&
         llvm::all_of(group.outputs(), dense);
}

Halide::Expr batchOf(KernelBuilder &b) {
  for (auto input : b.group.inputs())
    if (!Group::isWeight(input)) {
      auto param = b.input(input);
      return param.dim(param.dimensions() - 1).extent();
    }
  return 1;
}

RankedTensorType mapsBefore(const Group &group, Value operand) {
  auto type = cnn::tensorOf(operand);
  if (isa<BlockArgument>(operand))
    return type;
  for (Value input : group.inputs())
    if (cnn::tensorOf(input).getShape() == type.getShape())
      return cnn::tensorOf(input);
  return type;
}

bool oneOutput(const Group &group, std::string &why) {
  if (group.outputs().size() != 1)
    why = "the group has several outputs";
  return why.empty();
}

/// Rows per image in a loop nest over a value: all but the innermost
/// dimension, the one beyond it in blocked layouts and nhwc, and the batch.
static double rowsOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() != 4)
    return 1;
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  double rows = (double)tensor.getDimSize(2);
  if (layout.getOrder() == "nhwc")
    return rows;
  return rows * (double)cnn::blocksOf(type);
}

double rowBytesOf(const KernelBuilder &builder, Type type) {
  double bytes = 0;
  for (Value input : builder.group.inputs())
    if (!Group::isWeight(input))
      bytes += (double)cnn::bytesOf(input.getType());
  for (Value output : builder.group.outputs())
    bytes += (double)cnn::bytesOf(output.getType());
  return bytes / rowsOf(type);
}

int rowsPerTask(const KernelBuilder &b, double rowBytes, double rowsPerImage) {
  double bytes = 1024.0 * (double)b.schedule.param("task_kib", kTaskKib);
  double worth = bytes / std::max(rowBytes, 1.0);
  double few = rowsPerImage / (8.0 * b.target.cores);
  return (int)std::clamp(std::ceil(std::max(worth, few)), 1.0, 32768.0);
}

/// Cuts `rows` into tasks; returns the loop over the rows of a task.
static Var parallelRows(Halide::Func out, Var rows, int perTask) {
  Var task("task"), row("row");
  out.split(rows, task, row, perTask, TailStrategy::GuardWithIf).parallel(task);
  return row;
}

Var scheduleRows(KernelBuilder &b, Halide::Func out, Type type, RowLoops loops) {
  auto tensor = cast<RankedTensorType>(type);
  int lanes = b.target.lanes;
  int perTask = rowsPerTask(b, loops.rowBytes, rowsOf(type));
  // Tails are guarded, never repeated: an output may lie over its input.
  auto guard = TailStrategy::GuardWithIf;
  if (tensor.getRank() == 2) {
    out.vectorize(b.c, lanes, guard);
    return parallelRows(out, b.n, perTask);
  }
  ArrayRef<int64_t> shape = tensor.getShape();
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  Var maps("maps"), rows("rows");
  if (layout.isBlocked()) {
    out.vectorize(b.c, (int)layout.getBlock())
        .unroll(b.x, divisorUpTo(shape[3], 8, 4, std::min<int>(4, shape[3])),
                guard)
        .fuse(b.y, b.cb, maps)
        .fuse(maps, b.n, rows);
    return parallelRows(out, rows, perTask);
  }
  if (layout.getOrder() == "nhwc") {
    out.vectorize(b.c, lanes, guard).fuse(b.y, b.n, rows);
    return parallelRows(out, rows, perTask);
  }
  if (shape[2] * shape[3] == 1) {
    out.vectorize(b.c, lanes, guard);
    return parallelRows(out, b.n, perTask * (int)shape[1]);
  }
  if (loops.flatMaps) {
    Var xy("xy");
    out.fuse(b.x, b.y, xy).vectorize(xy, lanes, guard).fuse(b.c, b.n, rows);
    return parallelRows(out, rows, std::max(1, perTask / (int)shape[2]));
  }
  out.vectorize(b.x, lanes, guard).fuse(b.y, b.c, maps).fuse(maps, b.n, rows);
  return parallelRows(out, rows, perTask);
}

} // namespace halcyon
