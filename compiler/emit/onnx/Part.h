//===- Part.h - Some layers of a model as a model of their own ------------===//

#ifndef HALCYON_COMPILER_EMIT_ONNX_PART_H
#define HALCYON_COMPILER_EMIT_ONNX_PART_H

#include "dialects/cnn/CnnOps.h"

#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SetVector.h"

#include <string>

namespace halcyon {

/// Layers that stand one after another in their model, nothing between them, and
/// depend on nothing that comes after them.
struct ModelPart {
  std::string name; ///< of the part as a model
  llvm::SetVector<mlir::Operation *> ops;
  llvm::SetVector<mlir::Value> inputs;  ///< what they read of the model, no weights
  llvm::SetVector<mlir::Value> outputs; ///< what the rest of the model reads of them

  /// A model of these layers alone.
  mlir::OwningOpRef<cnn::ModelOp> copy() const;
};

/// The layers of these names, those within them ("layer1" has "layer1.0.conv1"), and
/// what lies on the way from one to another. Operations of the model change places
/// for it. `error` says what is wrong with the names.
ModelPart findPart(cnn::ModelOp model, llvm::ArrayRef<std::string> layers,
                   std::string &error);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_ONNX_PART_H
