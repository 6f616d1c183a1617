//===- Driver.h - What the subcommands of halcyon share -------------------===//

#ifndef HALCYON_COMPILER_TOOLS_DRIVER_H
#define HALCYON_COMPILER_TOOLS_DRIVER_H

#include "compiler/codegen/Objects.h"
#include "compiler/import/Weights.h"
#include "compiler/pipelines/Pipeline.h"
#include "compiler/targets/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace halcyon {

namespace dsl {
struct FrontendOptions;
}

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
  explicit ModelOptions(llvm::cl::SubCommand &sub, bool takesWeights = true);
  llvm::cl::opt<std::string> model;
  llvm::cl::opt<std::string> modelName;
  llvm::cl::opt<std::string> weights;
  llvm::cl::list<std::string> set;
  llvm::cl::list<std::string> shape;
  llvm::cl::list<std::string> value;
  llvm::cl::opt<std::string> target;
  llvm::cl::opt<std::string> algorithm;
  llvm::cl::opt<std::string> precision;
  llvm::cl::opt<std::string> schedule;
  llvm::cl::opt<std::string> writeSchedule;
  llvm::cl::list<std::string> ensemble;
  llvm::cl::list<std::string> views;
};

/// One model on its way from text to program. Messages go to stderr; each step
/// returns false after saying what was wrong.
class Driver {
public:
  explicit Driver(const ModelOptions &options);

  bool findMachine();
  bool parse();     ///< the file to `module`, in the cnn dialect
  bool checkModelWeights();
  bool differentiate(); ///< a model that is trained to `step` and `eval`
  bool differentiateForCheck(); ///< `step` gives gradients, `eval` the loss
  bool differentiateForProbe(); ///< the outputs' `loss` by all marked inputs
  bool differentiateForAutograd(); ///< forward and backward passes as programs
  bool optimize();  ///< groups operations into kernels
  bool chooseKernels(); ///< algorithms and layouts
  bool lower();     ///< to exec
  exec::ProgramOp program();
  PipelineOptions pipelineOptions() const;
  bool makeObjects(const ProgramOptions &options, WeightsObject weightsObject,
                   ProgramObjects &objects);
  bool makeProgram(const ProgramOptions &options);
  /// The program that trains, of `step` and `eval`.
  bool makeTrainer(const ProgramOptions &options);

  const ModelOptions &options;
  mlir::MLIRContext context;
  Target target;
  std::unique_ptr<WeightSource> weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<std::string> nodes; ///< of an ONNX file, as messages call them
  bool printAfterAll = false;
  bool derived = false, single = false; ///< as PipelineOptions has them
  int64_t expected = 8; ///< images at once of what doesn't train; 0: takes no parts
  int64_t memory = 0; ///< as PipelineOptions has it
  int64_t batch = 0;  ///< of training, in place of the model's
  bool train = false; ///< parse how the model is trained, too
  llvm::json::Object plan; ///< of the training, once parsed

private:
  /// What is asked for, else what the training's own line says.
  std::string precision() const;
  bool isWide() const { return options.precision == "f64"; }
  using Phase = void (*)(mlir::OpPassManager &, const PipelineOptions &);
  bool runPhase(Phase phase);
  bool parseOnnx(const dsl::FrontendOptions &front);
};

/// "512M" as bytes; K, M and G are powers of 1024. False after saying what is wrong.
bool parseBytes(llvm::StringRef text, int64_t &bytes);

/// A text as HTML shows it, between tags or in an attribute's quotes.
std::string escaped(llvm::StringRef text);

/// Writes "error: message" to stderr; returns false.
bool fail(const llvm::Twine &message);

/// Says early that a file can't be made, before anything takes long.
bool checkWritable(llvm::StringRef path);

/// Makes the program of a model in a temporary file and runs it with `args`.
/// Returns its exit status.
int runProgram(const ModelOptions &options, std::vector<std::string> args);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_DRIVER_H
