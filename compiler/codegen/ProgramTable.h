//===- ProgramTable.h - The constant data of a program --------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_PROGRAMTABLE_H
#define HALCYON_COMPILER_CODEGEN_PROGRAMTABLE_H

#include "compiler/targets/Target.h"
#include "dialects/exec/Exec.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/BuiltinOps.h"

namespace halcyon {

struct ProgramTableOptions {
  /// The symbol of the program's table; others derive from it.
  std::string symbol = "halcyon_program_main";
  bool embedWeights = true; ///< the symbol halcyon_weights is linked in
  uint64_t weightsId = 0;
};

/// The program as globals of the LLVM dialect, laid out as
/// runtime/include/halcyon/program.h says.
mlir::OwningOpRef<mlir::ModuleOp>
buildProgramTable(exec::ProgramOp program, const Target &target,
                  const ProgramTableOptions &options);

/// Compiles a module of the LLVM dialect to an object file's bytes; empty, with
/// the reason in `error`, where that fails.
std::string compileHostModule(mlir::ModuleOp module, const Target &target,
                              std::string &error);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_PROGRAMTABLE_H
