//===- Compare.h - Whether two formulas are the same ----------------------===//

#ifndef HALCYON_COMPILER_WRITE_COMPARE_H
#define HALCYON_COMPILER_WRITE_COMPARE_H

#include "mlir/IR/Operation.h"

namespace halcyon::write {

/// Numbers that stand in one place of two formulas.
using NumberPairs = llvm::SmallVector<std::pair<double, double>>;

/// Whether the regions of two operations compute the same. Their numbers may
/// differ where `numbers` takes them.
bool sameFormula(mlir::Operation *left, mlir::Operation *right,
                 NumberPairs *numbers = nullptr);

} // namespace halcyon::write

#endif // HALCYON_COMPILER_WRITE_COMPARE_H
