//===- ElementFunctions.h - Functions of one element ----------------------===//

#ifndef HALCYON_COMPILER_DSL_ELEMENTFUNCTIONS_H
#define HALCYON_COMPILER_DSL_ELEMENTFUNCTIONS_H

/// The functions of the language that are one operation on one element: what
/// they are called, and the operation.
#define HALCYON_ELEMENT_FUNCTIONS(FUNCTION)                                    \
  FUNCTION("abs", mlir::math::AbsFOp)                                          \
  FUNCTION("ceil", mlir::math::CeilOp)                                         \
  FUNCTION("cos", mlir::math::CosOp)                                           \
  FUNCTION("erf", mlir::math::ErfOp)                                           \
  FUNCTION("exp", mlir::math::ExpOp)                                           \
  FUNCTION("floor", mlir::math::FloorOp)                                       \
  FUNCTION("log", mlir::math::LogOp)                                           \
  FUNCTION("log1p", mlir::math::Log1pOp)                                       \
  FUNCTION("round", mlir::math::RoundEvenOp)                                   \
  FUNCTION("rsqrt", mlir::math::RsqrtOp)                                       \
  FUNCTION("sin", mlir::math::SinOp)                                           \
  FUNCTION("sqrt", mlir::math::SqrtOp)                                         \
  FUNCTION("tanh", mlir::math::TanhOp)

#endif // HALCYON_COMPILER_DSL_ELEMENTFUNCTIONS_H
