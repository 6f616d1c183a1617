//===- Objects.h - A program's object files -------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_OBJECTS_H
#define HALCYON_COMPILER_CODEGEN_OBJECTS_H

#include "compiler/codegen/EmbedWeights.h"
#include "compiler/codegen/KernelCompiler.h"

#include <string>
#include <vector>

namespace halcyon {

/// How the parts of a program are made.
struct ProgramOptions {
  /// Where the program will be; intermediate files lie beside it.
  std::string output;
  std::string weightsIn; ///< beside the program instead of inside, if not empty
  /// The symbol of the program's table.
  std::string symbol = "halcyon_program_main";
  KernelCompilerOptions kernels;
};

/// The object files of a program. Those made for it alone go with it.
struct ProgramObjects {
  ProgramObjects() = default;
  ProgramObjects(const ProgramObjects &) = delete;
  ~ProgramObjects();
  std::vector<std::string> paths;
  std::vector<std::string> temporaries;
};

/// A program without weights of its own, and the symbol of its table.
struct NamedProgram {
  exec::ProgramOp program;
  std::string symbol;
};

/// Makes the objects of several programs, of which equal kernels are one, and runs
/// the other jobs meanwhile. False after messages to `errors`.
bool makeObjects(llvm::ArrayRef<NamedProgram> programs, const Target &target,
                 const ProgramOptions &how, std::vector<ForkedJob> others,
                 ProgramObjects &objects, llvm::raw_ostream &errors);

/// What weights, prepared for a program, are known by.
uint64_t weightsIdOf(exec::ProgramOp program, const WeightSource &weights);

/// Makes the objects of a program: its kernels, its table, its weights. False
/// after messages to `errors`.
bool makeObjects(exec::ProgramOp program, const WeightSource &weights,
                 const Target &target, const ProgramOptions &how,
                 WeightsObject weightsObject, ProgramObjects &objects,
                 llvm::raw_ostream &errors);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_OBJECTS_H
