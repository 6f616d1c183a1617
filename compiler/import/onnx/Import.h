//===- Import.h - ONNX models as models of the cnn dialect ----------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_IMPORT_H
#define HALCYON_COMPILER_IMPORT_ONNX_IMPORT_H

#include "compiler/import/Weights.h"
#include "compiler/import/onnx/HostTensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>

namespace halcyon::onnx {

struct ImportOptions {
  /// Sizes of inputs, from outside; -1 leaves the batch open.
  std::map<std::string, std::vector<int64_t>> shapes;
  /// Inputs whose numbers are known while compiling.
  std::map<std::string, HostTensor> values;
};

/// A model with one `cnn.model`, and the weights that it names.
struct Imported {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<WeightSource> weights;
  /// What messages call each node; the line of an operation's location counts
  /// them from 1.
  std::vector<std::string> nodes;
};

/// Reads a file and imports its graph. Null after lines that say what is
/// wrong, all of it at once. The batch stays free where the graph keeps the
/// outermost sizes of its inputs apart from all others.
Imported importModel(llvm::StringRef path, mlir::MLIRContext &context,
                     const ImportOptions &options, llvm::raw_ostream &errors);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_IMPORT_H
