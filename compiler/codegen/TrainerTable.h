//===- TrainerTable.h - The constant data of a training program -----------===//

#ifndef HALCYON_COMPILER_CODEGEN_TRAINERTABLE_H
#define HALCYON_COMPILER_CODEGEN_TRAINERTABLE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/JSON.h"

#include <string>

namespace halcyon {

/// A model's `cnn.train` as the trainer reads it: dictionaries are objects,
/// types their text.
llvm::json::Value planOf(mlir::Attribute train);

/// `halcyon_trainer_main` in the LLVM dialect, as
/// runtime/include/halcyon/training.h says. `steps` and `eval` are the symbols
/// of the programs' tables.
mlir::OwningOpRef<mlir::ModuleOp> buildTrainerTable(mlir::MLIRContext *context,
                                                    llvm::ArrayRef<std::string> steps,
                                                    llvm::StringRef eval,
                                                    llvm::StringRef plan);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_TRAINERTABLE_H
