//===- IndexedExpr.h - Index notation as Halide expressions ---------------===//

#ifndef HALCYON_COMPILER_KERNELS_INDEXEDEXPR_H
#define HALCYON_COMPILER_KERNELS_INDEXEDEXPR_H

#include "dialects/cnn/IndexAnalysis.h"

#include "Halide.h"

#include <functional>
#include <map>

namespace halcyon {

/// Evaluates the region of one cnn.indexed. Small windows are written out; a
/// larger reduction, or one whose value many elements share, is a stage of its
/// own: a Func of the indices that it depends on.
class IndexedExpr {
public:
  /// An element of an operand at coordinates inside of it, outermost first.
  using Read = std::function<Halide::Expr(cnn::ReadOp read,
                                          llvm::ArrayRef<Halide::Expr> at)>;

  /// `smooth`: in functions that Halide can differentiate.
  IndexedExpr(cnn::IndexedOp op, Read read, Halide::Expr batch, bool smooth)
      : op(op), analysis(op), readElement(std::move(read)),
        batch(std::move(batch)), smooth(smooth) {}

  /// The element of the result at these coordinates, outermost first.
  Halide::Expr at(llvm::ArrayRef<Halide::Expr> coordinates);

  /// A reduction that is computed apart.
  struct Stage {
    cnn::ReduceOp reduce;
    Halide::Func func;
    llvm::SmallVector<mlir::Value> keys;
    std::vector<Halide::Var> vars; ///< of the keys, innermost first
    Halide::RDom domain;           ///< innermost first
  };
  /// Those of all expressions so far, each after the ones that it reads.
  std::vector<Stage> stages;

  /// Operands together with what lies beyond their edges, for reductions that
  /// read each element often.
  std::vector<Halide::Func> paddedOperands() const;

  cnn::IndexAnalysis &facts() { return analysis; }

private:
  using Values = llvm::DenseMap<mlir::Value, Halide::Expr>;
  Halide::Expr value(mlir::Value value, Values &known);
  Halide::Expr read(cnn::ReadOp read, Values &known);
  /// Beyond which ends of an axis a coordinate may lie, and whether Halide splits
  /// loops there so that the inside is read without tests.
  struct Reach {
    bool below = false, above = false, hinted = false;
  };
  /// The element at a place that may lie beyond the edges.
  Halide::Expr element(cnn::ReadOp read, llvm::ArrayRef<Halide::Expr> at,
                       llvm::ArrayRef<Reach> reaches);
  bool isPadded(cnn::ReadOp read);
  Halide::Expr reduce(cnn::ReduceOp reduce, Values &known);
  Halide::Expr writtenOut(cnn::ReduceOp reduce, const Values &known);
  const Stage &stageOf(cnn::ReduceOp reduce);
  bool writesOut(cnn::ReduceOp reduce);
  Halide::Expr meanOf(cnn::ReduceOp reduce, Halide::Expr sum);

  cnn::IndexedOp op;
  cnn::IndexAnalysis analysis;
  Read readElement;
  Halide::Expr batch;
  bool smooth;
  llvm::DenseMap<mlir::Operation *, size_t> stageNumbers;
  /// By operand and edge.
  std::map<std::pair<int64_t, cnn::PadMode>, Halide::Func> padded;
  cnn::ReduceOp within; ///< the reduction whose stage is being made
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_INDEXEDEXPR_H
