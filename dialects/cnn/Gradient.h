//===- Gradient.h - See Gradient.td ------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_GRADIENT_H
#define HALCYON_DIALECTS_CNN_GRADIENT_H

#include "dialects/cnn/Map.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Gradient.h.inc"

namespace halcyon::cnn {

/// Marks the inputs of a model whose gradients are wanted.
constexpr llvm::StringLiteral kWrtAttr = "cnn.wrt";
/// On an input, the name of the output of which it is the gradient.
constexpr llvm::StringLiteral kCotangentAttr = "cnn.cotangent";

/// Sums `gradient`, which has the shape of what broadcasting gave, to the shape
/// of the operand that was broadcast; itself where they are one.
mlir::Value sumTo(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::Value gradient, mlir::Type operand);

/// An elementwise operation of values of any number: `body` makes the result's
/// element from one element of each.
MapOp makeMap(mlir::OpBuilder &builder, mlir::Location loc,
              llvm::StringRef function, mlir::ValueRange operands,
              llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)>
                  body);

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_GRADIENT_H
