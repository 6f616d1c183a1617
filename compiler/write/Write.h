//===- Write.h - A model of the cnn dialect as text -----------------------===//

#ifndef HALCYON_COMPILER_WRITE_WRITE_H
#define HALCYON_COMPILER_WRITE_WRITE_H

#include "compiler/import/Weights.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <map>
#include <string>

namespace halcyon::write {

/// A model in the language, and the source's name of each of its weights.
struct Written {
  std::string text;
  std::map<std::string, std::string> weights;
};

/// Says where an operation comes from, for messages.
using Describe = llvm::function_ref<std::string(mlir::Operation *)>;

/// Writes the model of a module. The text elaborates to the same operations:
/// that was tried. Empty after lines that name every operation for which the
/// language has no form.
Written writeModel(mlir::ModuleOp module, Describe describe,
                   llvm::raw_ostream &errors);

/// The same operations on the same weights, whatever their names, the order in
/// which they stand, and the form in which padding and concatenations are given?
/// `weights` gets the name in `right` and in `left` of every weight.
/// Otherwise says where they differ.
std::string compareModels(mlir::ModuleOp left, mlir::ModuleOp right,
                          std::map<std::string, std::string> &weights);

} // namespace halcyon::write

#endif // HALCYON_COMPILER_WRITE_WRITE_H
