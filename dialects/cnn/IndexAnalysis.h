//===- IndexAnalysis.h - What is known of indices -------------------------===//
//
// Ranges of the indices of one cnn.indexed, how they depend on its coordinates,
// and how often each of its reductions has to be computed.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_INDEXANALYSIS_H
#define HALCYON_DIALECTS_CNN_INDEXANALYSIS_H

#include "dialects/cnn/Indexed.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace halcyon::cnn {

/// The values that an index can have, both ends included.
struct IndexRange {
  /// Beyond all sizes: an end that is not known, or the batch's.
  static constexpr int64_t kFar = int64_t(1) << 40;
  int64_t least = -kFar, most = kFar;

  bool isConstant() const { return least == most; }
  bool isBounded() const { return least > -kFar && most < kFar; }
  bool within(int64_t size) const { return least >= 0 && most < size; }
  /// How many values there are, at most.
  int64_t count() const { return most - least + 1; }
};

class IndexAnalysis {
public:
  explicit IndexAnalysis(IndexedOp op) : op(op) {}

  IndexRange range(mlir::Value index);

  /// Whether an index runs through the batch and nothing else.
  bool runsThroughBatch(mlir::Value index);

  /// Whether a value follows from what tensors hold.
  bool readsData(mlir::Value value);

  /// Whether a value differs within the block of a region.
  bool dependsOn(mlir::Value value, mlir::Block *block);

  /// The indices outside of a reduction that its value depends on, those of the
  /// result first: there is one value for each combination of theirs.
  llvm::ArrayRef<mlir::Value> keys(ReduceOp reduce);

  /// How often it is computed for an image, once per combination of its keys.
  double instances(ReduceOp reduce);

  /// An index as factor * x + something in a range; nothing where it has no
  /// such form.
  std::optional<std::pair<int64_t, IndexRange>> around(mlir::Value index,
                                                       mlir::Value x);

  /// How often the operations of a block run for an image.
  double runs(mlir::Block *block);

private:
  using Blocks = llvm::SmallPtrSet<mlir::Block *, 4>;
  const Blocks &dependencies(mlir::Value value);
  IndexRange compute(mlir::Value index);
  /// Adds what `value`, which is outside of a reduction, depends on.
  void addKeys(mlir::Value value, llvm::SmallVectorImpl<mlir::Value> &keys);
  /// The narrowest index that `index` is a function of.
  mlir::Value narrowest(mlir::Value index);

  IndexedOp op;
  llvm::DenseMap<mlir::Value, IndexRange> ranges;
  llvm::DenseMap<mlir::Value, std::unique_ptr<Blocks>> dependent;
  llvm::DenseMap<mlir::Value, bool> data;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value>> found;
};

/// The constant that an index is.
std::optional<int64_t> constantIndex(mlir::Value index);

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_INDEXANALYSIS_H
