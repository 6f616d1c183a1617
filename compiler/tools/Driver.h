//===- Driver.h - What the subcommands of halcyon share -------------------===//

#ifndef HALCYON_COMPILER_TOOLS_DRIVER_H
#define HALCYON_COMPILER_TOOLS_DRIVER_H

#include "compiler/codegen/KernelCompiler.h"
#include "compiler/import/Weights.h"
#include "compiler/targets/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/CommandLine.h"

#include <string>
#include <vector>

namespace halcyon {

/// A subcommand: a name, its options, and what it does. Registers itself.
class Subcommand {
public:
  Subcommand(llvm::StringRef name, llvm::StringRef summary, int (*run)());
  llvm::cl::SubCommand command;
  int (*run)();

  static std::vector<Subcommand *> &all();
};

/// The options of every subcommand that reads a model.
struct ModelOptions {
  explicit ModelOptions(llvm::cl::SubCommand &sub);
  llvm::cl::opt<std::string> model;
  llvm::cl::opt<std::string> modelName;
  llvm::cl::opt<std::string> weights;
  llvm::cl::list<std::string> set;
  llvm::cl::list<std::string> shape;
  llvm::cl::opt<std::string> target;
  llvm::cl::opt<std::string> algorithm;
};

/// How a program is made.
struct ProgramOptions {
  std::string output;
  std::string weightsIn; ///< beside the program instead of inside, if not empty
  KernelCompilerOptions kernels;
};

/// One model on its way from text to program. Messages go to stderr; each step
/// returns false after saying what was wrong.
class Driver {
public:
  explicit Driver(const ModelOptions &options);

  bool findMachine();
  bool parse();     ///< the file to `module`, in the cnn dialect
  bool checkModelWeights();
  bool optimize();  ///< groups operations into kernels
  bool lower();     ///< to exec
  exec::ProgramOp program();
  bool makeProgram(const ProgramOptions &options);

  const ModelOptions &options;
  mlir::MLIRContext context;
  Target target;
  std::unique_ptr<WeightSource> weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  bool printAfterAll = false;

private:
  bool runPipeline(bool graph, bool exec);
};

/// Makes the program of a model in a temporary file and runs it with `args`.
/// Returns its exit status.
int runProgram(const ModelOptions &options, std::vector<std::string> args);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_DRIVER_H
