//===- Choose.h - Results of which the data decide how many there are ------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_CHOOSE_H
#define HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_CHOOSE_H

#include "compiler/import/onnx/Graph.h"

namespace halcyon::onnx {

/// The places of what is true in a vector of truth values, in order.
struct Chosen {
  Tensor places; ///< as many as there can be; counted, unless all is known
  int64_t most = 0;
};

/// `most` is a bound of how many there are.
Chosen choose(NodeContext &node, const Tensor &mask, int64_t most);

/// Of images there is no telling one's elements from another's.
mlir::LogicalResult refuseBatch(NodeContext &node);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_CHOOSE_H
