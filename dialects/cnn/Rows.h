//===- Rows.h - A part of a weight ----------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_ROWS_H
#define HALCYON_DIALECTS_CNN_ROWS_H

#include "llvm/ADT/StringRef.h"

namespace halcyon::cnn {

/// Of a cnn.weight that is a part of the parameter: [first, all], the first of its rows
/// and how many the parameter has. A row is what one index of the first axis has.
constexpr llvm::StringLiteral kRowsAttr = "cnn.rows";

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_ROWS_H
