//===- Axes.h - Operators along axes --------------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_AXES_H
#define HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_AXES_H

#include "compiler/import/onnx/Graph.h"

namespace halcyon::onnx {

/// Dimensions that are reduced.
struct Reduction {
  Shape axes, extents;
  Shape kept;  ///< of the result, 1 where an axis was
  Shape shape; ///< of the result as it is asked for

  /// The coordinates of an element at `r` along the axes.
  llvm::SmallVector<Expr> source(Coords at, Coords r) const;
  /// The reduction of a function of every element, in the shape `kept`.
  Tensor compute(NodeContext &node, const Tensor &x, DataType type, ExprOp op,
                 llvm::function_ref<Expr(Expr)> element) const;
};

/// Nothing, and reported, where an axis does not exist or is the batch.
std::optional<Reduction> readReduction(NodeContext &node, const Tensor &x,
                                       llvm::ArrayRef<int64_t> axes, bool keep);

/// Tensors one after another along an axis, by a formula that chooses from them.
/// Their other sizes are equal, and the axis is not the batch.
Tensor concatenated(NodeContext &node, llvm::ArrayRef<Tensor> parts,
                    int64_t axis);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_AXES_H
