//===- TrainingMaps.h - Sums that training's passes make ------------------===//

#ifndef HALCYON_COMPILER_PASSES_TRAININGMAPS_H
#define HALCYON_COMPILER_PASSES_TRAININGMAPS_H

#include "dialects/cnn/Support.h"

namespace halcyon {

/// a + b of one shape; `b` where there is no `a`.
inline mlir::Value addMaps(mlir::OpBuilder &builder, mlir::Value a, mlir::Value b) {
  if (!a)
    return b;
  mlir::Location loc = b.getLoc();
  return cnn::makeMap(builder, loc, "add", {a, b},
                      [&](mlir::OpBuilder &inner, mlir::ValueRange s) -> mlir::Value {
                        return mlir::arith::AddFOp::create(inner, loc, s[0], s[1]);
                      });
}

/// The sum of the squares of all elements, a tensor of one element.
inline mlir::Value sumOfSquares(mlir::OpBuilder &builder, mlir::Value x) {
  mlir::Location loc = x.getLoc();
  mlir::Value square =
      cnn::makeMap(builder, loc, "square", {x},
                   [&](mlir::OpBuilder &inner, mlir::ValueRange s) -> mlir::Value {
                     return mlir::arith::MulFOp::create(inner, loc, s[0], s[0]);
                   });
  mlir::Type one =
      mlir::RankedTensorType::get({1}, cnn::tensorOf(x).getElementType());
  return cnn::SumOp::create(builder, loc, mlir::TypeRange(one),
                            mlir::ValueRange(square))
      .getResult(0);
}

} // namespace halcyon

#endif // HALCYON_COMPILER_PASSES_TRAININGMAPS_H
