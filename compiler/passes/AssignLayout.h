//===- AssignLayout.h - The parts of cnn-assign-layout --------------------===//

#ifndef HALCYON_COMPILER_PASSES_ASSIGNLAYOUT_H
#define HALCYON_COMPILER_PASSES_ASSIGNLAYOUT_H

#include "compiler/kernels/Kernel.h"

#include "llvm/ADT/MapVector.h"

namespace halcyon {

/// An operation and the layout assignments that it can have.
struct LayoutNode {
  mlir::Operation *op;
  llvm::SmallVector<LayoutChoice> choices;
  llvm::SmallVector<double> penalties; ///< seconds, per choice
  size_t choice = 0;

  const LayoutChoice &chosen() const { return choices[choice]; }
};

/// Puts the choices of a group and their measured seconds into a node. Where it
/// leaves none, they are those of the group's kernel.
using LayoutPrices = llvm::function_ref<void(cnn::FusedOp, LayoutNode &)>;

/// Picks an assignment per operation of a model.
class LayoutSolver {
public:
  LayoutSolver(cnn::ModelOp model, const Target &target,
               LayoutPrices prices = nullptr);

  llvm::MapVector<mlir::Operation *, LayoutNode> nodes;

private:
  LayoutNode makeNode(mlir::Operation *op, LayoutPrices prices);
  double costOf(const LayoutNode &node, size_t choice);
  void solve();

  const Target &target;
  llvm::SmallVector<std::string> orders;
};

/// Writes a solution into the model: conversions, halos, slices, types,
/// packed weights.
class LayoutWriter {
public:
  LayoutWriter(cnn::ModelOp model, const Target &target);
  llvm::LogicalResult run();

private:
  void insertConversions();
  void wrapCopies();
  void sliceConcats();
  void copyToOutputs();
  void spreadHalos();
  void setTypes();
  void retypeGroup(cnn::FusedOp fused);
  void roundAtRunTime(mlir::OpOperand &operand);
  void packWeights(cnn::FusedOp fused, const LayoutChoice &choice);
  mlir::Value convert(mlir::OpBuilder &builder, mlir::Value value,
                      cnn::LayoutAttr layout);
  cnn::LayoutAttr &layoutFor(mlir::Value value);

  cnn::ModelOp model;
  const Target &target;
  LayoutSolver solver;
  /// The layout of every feature map, as decided so far.
  llvm::MapVector<mlir::Value, cnn::LayoutAttr> layouts;
  /// The least halo that any reader of a value needs.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<int64_t, 4>> halos;
  /// Concatenations whose operands are slices of the result's buffer.
  llvm::SmallPtrSet<mlir::Operation *, 8> sliced;
  /// Weights that a run packs, by the type that they are packed to.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Type>, mlir::Value> packedAtRunTime;
  /// The layout assignment of each kernel, kept for packing.
  llvm::MapVector<mlir::Operation *, LayoutChoice> choices;
};

/// Seconds in which a feature map is written anew in another layout.
double conversionSeconds(mlir::Value value, const Target &target);

/// Whether all operands can be slices of the result's buffer.
bool concatIsFree(cnn::ConcatOp concat, cnn::LayoutAttr layout,
                  const Target &target);
/// Whether a flattened value lies as the value itself does.
bool flattenIsFree(mlir::Type type);

} // namespace halcyon

#endif // HALCYON_COMPILER_PASSES_ASSIGNLAYOUT_H
