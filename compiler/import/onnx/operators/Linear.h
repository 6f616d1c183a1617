//===- Linear.h - Products with known matrices -----------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_LINEAR_H
#define HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_LINEAR_H

#include "compiler/import/onnx/Graph.h"

namespace halcyon::onnx {

/// All vectors of `x`, of ... x in elements, times a known f32 matrix of
/// out x in, plus a known vector where there is one: ... x out.
Tensor timesKnown(NodeContext &node, const Tensor &x, const Tensor &matrix,
                  const Tensor &bias);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_OPERATORS_LINEAR_H
