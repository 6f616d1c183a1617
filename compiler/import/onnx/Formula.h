//===- Formula.h - What an operator computes, element by element ----------===//
//
// An operator is written once, as a formula of one element of its result:
//
//   Expr y = sum({k}, [&](Coords r) { return a(i, r[0]) * b(r[0], j); });
//
// The formula becomes operations of the cnn dialect, or, where all it reads is
// known, numbers.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_FORMULA_H
#define HALCYON_COMPILER_IMPORT_ONNX_FORMULA_H

#include "compiler/import/onnx/HostTensor.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <memory>

namespace halcyon::onnx {

struct ExprNode;

enum class ExprOp : uint8_t {
  Const,
  Coord,   ///< a coordinate of the result
  Var,     ///< a variable of a reduction
  Read,    ///< an element of an operand; 0 outside of it
  Convert, ///< to `kind`
  // Unary
  Neg, Abs, Exp, Log, Sqrt, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh,
  Asinh, Acosh, Atanh, Erf, Floor, Ceil, Round, Not, IsNan, IsInf,
  BitsOf,   ///< of an f32 as a whole number
  FromBits, ///< the f32 with these bits
  // Binary; Div and Rem of whole numbers truncate, FloorDiv does not
  Add, Sub, Mul, Div, FloorDiv, Rem, Pow, Min, Max, And, Or, Xor, Shl, Shr,
  Eq, Ne, Lt, Le,
  Select,
  Sum, Product, Maximum, Minimum ///< reductions
};

class Expr {
public:
  Expr() = default;
  Expr(int value) : Expr(int64_t(value)) {}
  Expr(int64_t value);
  Expr(double value);
  Expr(bool value);
  explicit Expr(std::shared_ptr<const ExprNode> node) : node(std::move(node)) {}

  const ExprNode *operator->() const { return node.get(); }
  const ExprNode *get() const { return node.get(); }
  explicit operator bool() const { return node != nullptr; }
  Kind kind() const;
  /// The number that it is, where it is one.
  std::optional<Scalar> literal() const;

private:
  std::shared_ptr<const ExprNode> node;
};

using Coords = llvm::ArrayRef<Expr>;

struct ExprNode {
  ExprOp op;
  Kind kind;
  llvm::SmallVector<Expr, 3> operands; ///< of a Read: the coordinates
  Scalar value;                        ///< Const
  unsigned index = 0;                  ///< Coord, Var, Read
  llvm::SmallVector<unsigned, 2> vars; ///< reductions
  llvm::SmallVector<int64_t, 2> extents;
};

Expr coord(unsigned index);
Expr readOf(unsigned operand, Kind kind, Coords at);
Expr convert(Expr x, Kind kind);

Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
/// Whole numbers: truncates.
Expr operator/(Expr a, Expr b);
Expr operator%(Expr a, Expr b);
Expr operator-(Expr a);
Expr operator==(Expr a, Expr b);
Expr operator!=(Expr a, Expr b);
Expr operator<(Expr a, Expr b);
Expr operator<=(Expr a, Expr b);
inline Expr operator>(Expr a, Expr b) { return b < a; }
inline Expr operator>=(Expr a, Expr b) { return b <= a; }
Expr operator&&(Expr a, Expr b);
Expr operator||(Expr a, Expr b);
Expr operator!(Expr a);
Expr operator&(Expr a, Expr b);
Expr operator|(Expr a, Expr b);
Expr operator^(Expr a, Expr b);
Expr operator<<(Expr a, Expr b);
/// Of U64 zeros come in, of others the sign.
Expr operator>>(Expr a, Expr b);
Expr min(Expr a, Expr b);
Expr max(Expr a, Expr b);
Expr pow(Expr a, Expr b);
Expr select(Expr condition, Expr a, Expr b);
inline Expr clamp(Expr x, Expr low, Expr high) {
  return min(max(x, low), high);
}
/// One of the functions of one number.
Expr unary(ExprOp op, Expr a);
inline Expr exp(Expr a) { return unary(ExprOp::Exp, a); }
inline Expr log(Expr a) { return unary(ExprOp::Log, a); }
inline Expr sqrt(Expr a) { return unary(ExprOp::Sqrt, a); }
inline Expr abs(Expr a) { return unary(ExprOp::Abs, a); }
inline Expr floor(Expr a) { return unary(ExprOp::Floor, a); }
inline Expr ceil(Expr a) { return unary(ExprOp::Ceil, a); }
inline Expr tanh(Expr a) { return unary(ExprOp::Tanh, a); }
/// To the nearest, the even one of two.
inline Expr round(Expr a) { return unary(ExprOp::Round, a); }
/// Of whole numbers, towards minus infinity.
Expr floorDiv(Expr a, Expr b);
/// a - floorDiv(a, b) * b: from 0 to b - 1.
Expr floorMod(Expr a, Expr b);

/// Sum, Product, Maximum or Minimum of a body over boxes of whole numbers from
/// 0 on. Over nothing: 0, 1, the least and the largest number.
Expr reduce(ExprOp op, llvm::ArrayRef<int64_t> extents,
            llvm::function_ref<Expr(Coords)> body);
inline Expr sum(llvm::ArrayRef<int64_t> extents,
                llvm::function_ref<Expr(Coords)> body) {
  return reduce(ExprOp::Sum, extents, body);
}
inline Expr maximum(llvm::ArrayRef<int64_t> extents,
                    llvm::function_ref<Expr(Coords)> body) {
  return reduce(ExprOp::Maximum, extents, body);
}
inline Expr minimum(llvm::ArrayRef<int64_t> extents,
                    llvm::function_ref<Expr(Coords)> body) {
  return reduce(ExprOp::Minimum, extents, body);
}
/// What a maximum or minimum over nothing is.
Scalar identityOf(ExprOp op, Kind kind);

/// The coordinates of an element of a tensor of `shape`, from its place in
/// row-major order; and back.
llvm::SmallVector<Expr> unravel(Expr place, llvm::ArrayRef<int64_t> shape);
Expr ravel(Coords at, llvm::ArrayRef<int64_t> shape);

/// Evaluates a formula for every element of `shape`. Nothing where it would
/// take more than `budget` steps, or where a number depends on the batch in
/// another way than i + c * N.
std::optional<HostTensor> evaluate(const Expr &formula, DataType type,
                                   llvm::ArrayRef<int64_t> shape,
                                   llvm::ArrayRef<HostTensor> operands,
                                   int64_t budget = 50000000);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_FORMULA_H
