//===- IndexedStages.h - Loops over reductions of index notation ----------===//

#ifndef HALCYON_COMPILER_KERNELS_INDEXEDSTAGES_H
#define HALCYON_COMPILER_KERNELS_INDEXEDSTAGES_H

#include "compiler/kernels/Builder.h"
#include "compiler/kernels/IndexedExpr.h"

namespace halcyon {

/// The dimension of a tensor that is innermost in memory.
unsigned innermostOf(mlir::Type type);

/// The index of a stage along which neighbours in memory are read by most of
/// its reads, and elements far from each other by the fewest: one of the
/// reduction's arguments, or one of the keys; null where there is none.
mlir::Value contiguousIndex(IndexedExpr &exprs, const IndexedExpr::Stage &stage);

/// What a tile of a heavy reduction has at most: elements along one index, and
/// vectors along another.
constexpr int kTileRows = 8, kTileVectors = 4;

/// Whether a reduction does so much with each element that it reads that registers
/// have to hold a tile of the result: as products of matrices do.
bool isHeavy(cnn::IndexAnalysis &facts, cnn::ReduceOp reduce);

/// The elements of a tile along one of its sides: of `limit` at most, the number
/// that wastes least of `extent`, the largest of equals.
int tileSize(int64_t extent, int limit);

/// The keys of a stage along which a tile has elements: those that most of what it
/// reads does not depend on, `count` of them at most.
llvm::SmallVector<mlir::Value> sharedKeys(IndexedExpr &exprs,
                                          const IndexedExpr::Stage &stage,
                                          mlir::Value but, unsigned count);

/// Cuts a stage that is computed by itself into tasks, tiles and vectors.
void scheduleStage(KernelBuilder &builder, IndexedExpr &exprs,
                   const IndexedExpr::Stage &stage);

/// Computes operands with their edges, each as a whole.
void schedulePadded(KernelBuilder &builder, IndexedExpr &exprs);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_INDEXEDSTAGES_H
