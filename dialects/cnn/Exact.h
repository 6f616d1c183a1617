//===- Exact.h - Numbers as they were written -----------------------------===//

#ifndef HALCYON_DIALECTS_CNN_EXACT_H
#define HALCYON_DIALECTS_CNN_EXACT_H

#include "llvm/ADT/StringRef.h"

namespace halcyon::cnn {

/// Of an arith.constant whose type does not hold it: the number that was
/// written, as f64.
constexpr llvm::StringLiteral kExactAttr = "cnn.exact";

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_EXACT_H
