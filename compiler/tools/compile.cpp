//===- compile.cpp - halcyon compile: a model to a program ----------------===//

#include "compiler/dsl/Frontend.h"
#include "compiler/codegen/Cache.h"
#include "compiler/tools/Driver.h"
#include "compiler/tools/Fetch.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <unistd.h>

using namespace llvm;

namespace halcyon {

namespace {
enum class Stage { Program, Ast, Cnn, Graph, Exec, Stmt, Llvm, Asm };
int compile();
} // namespace

static Subcommand command("compile", "Compile a model to a native program",
                          compile);
static ModelOptions model(command.command);
static cl::opt<std::string> output("o", cl::desc("The program, or - for text on stdout"),
                                   cl::value_desc("file"), cl::sub(command.command));
static cl::opt<Stage> stage(
    "emit", cl::desc("Stop after a stage and write its text"),
    cl::init(Stage::Program), cl::sub(command.command),
    cl::values(clEnumValN(Stage::Ast, "ast", "the syntax tree"),
               clEnumValN(Stage::Cnn, "cnn", "the graph, as it was written"),
               clEnumValN(Stage::Graph, "graph", "the graph, optimized"),
               clEnumValN(Stage::Exec, "exec", "kernel calls on an arena"),
               clEnumValN(Stage::Stmt, "stmt", "Halide's statements of the kernels"),
               clEnumValN(Stage::Llvm, "llvm", "the kernels' LLVM IR"),
               clEnumValN(Stage::Asm, "asm", "the kernels' assembly")));
static cl::opt<std::string> weightsIn(
    "weights-in", cl::desc("Write the prepared weights beside the program"),
    cl::value_desc("file"), cl::sub(command.command));
static cl::opt<unsigned> jobs("jobs", cl::desc("Kernels compiled at a time"),
                              cl::sub(command.command));
static cl::opt<bool> checks("check-buffers",
                            cl::desc("Keep the kernels' checks of their buffers"),
                            cl::sub(command.command));
static cl::opt<bool> noCache("no-cache", cl::desc("Compile every kernel anew"),
                             cl::sub(command.command));
static cl::opt<bool> printAfterAll("print-ir-after-all",
                                   cl::desc("Print the module after every pass"),
                                   cl::sub(command.command));

static cl::opt<unsigned>
    batch("batch", cl::desc("Images that it is expected to compute at once (8); it "
                            "computes any number"),
          cl::value_desc("number"), cl::init(8), cl::sub(command.command));
static cl::opt<bool> train("train",
                           cl::desc("Make the program that trains the model"),
                           cl::sub(command.command));
static cl::opt<std::string> memory(
    "memory", cl::desc("With --train: compute again what doesn't fit into so many bytes"),
    cl::value_desc("512M"), cl::sub(command.command));

/// Writes text to -o, whole or not at all.
static bool writeText(StringRef text) {
  if (output.empty() || output == "-") {
    outs() << text;
    return true;
  }
  if (writeWhole(output, text))
    return true;
  return fail("can't write " + output + ": " + strerror(errno));
}

/// The text of every kernel at a stage of Halide's.
static bool emitKernels(Driver &driver, KernelOutput kind) {
  KernelCompilerOptions options;
  options.output = kind;
  options.jobs = jobs;
  options.asserts = checks;
  std::string text;
  // A training has two programs.
  for (auto program : driver.module->getOps<exec::ProgramOp>()) {
    auto kernels = compileKernels(program, driver.target, options, {}, errs());
    if (mlir::failed(kernels))
      return false;
    for (CompiledKernel &kernel : *kernels) {
      auto file = MemoryBuffer::getFile(kernel.path);
      if (!file)
        return fail("can't read " + kernel.path);
      text += "// kernel " + kernel.kernel.getSymName().str() + "\n";
      text += (*file)->getBuffer();
    }
  }
  return writeText(text);
}

static bool emitModule(Driver &driver) {
  std::string text;
  raw_string_ostream os(text);
  driver.module->print(os, mlir::OpPrintingFlags().enableDebugInfo(false));
  return writeText(text);
}

namespace {
int compile() {
  if (!model.writeSchedule.empty() &&
      (stage == Stage::Ast || stage == Stage::Cnn || stage == Stage::Graph))
    return !fail("--write-schedule writes the kernels that were chosen; --emit "
                 "stops before that");
  if (stage == Stage::Ast) {
    std::string text;
    raw_string_ostream os(text);
    return mlir::failed(dsl::printModelFileAst(model.model, os, errs())) ||
           !writeText(text);
  }
  Driver driver(model);
  driver.printAfterAll = printAfterAll;
  driver.train = train;
  driver.expected = batch;
  if (batch < 1)
    return !fail("--batch: a program computes one image or more at once");
  if (train && batch.getNumOccurrences())
    return !fail("--batch is for a program that computes; that of a training is the "
                 "'batch' of its train block");
  if (!memory.empty() && !train)
    return !fail("--memory is for --train");
  if (!memory.empty() && !parseBytes(memory, driver.memory))
    return 1;
  if (!driver.findMachine() || !driver.parse())
    return 1;
  if (stage == Stage::Cnn)
    return !emitModule(driver);
  std::string program =
      !output.empty() ? output
                      : sys::path::stem(model.model).str() + (train ? "-train" : "");
  if (stage == Stage::Program) {
    if (program == "-")
      return !fail("a program can't be written to the terminal; give -o FILE");
    if (!checkWritable(program) ||
        (!weightsIn.empty() && !checkWritable(weightsIn)))
      return 1;
  }
  // Weights are looked at before anything takes long.
  if (train) {
    bool needsData = stage == Stage::Program;
    if ((needsData && !fetchData(driver.plan)) || !driver.differentiate())
      return 1;
  } else if ((stage == Stage::Program || !model.weights.empty()) &&
             !driver.checkModelWeights()) {
    return 1;
  }
  if (!driver.optimize())
    return 1;
  if (stage == Stage::Graph)
    return !emitModule(driver);
  if (!driver.chooseKernels() || !driver.lower())
    return 1;
  switch (stage) {
  case Stage::Exec:
    return !emitModule(driver);
  case Stage::Stmt:
    return !emitKernels(driver, KernelOutput::Statement);
  case Stage::Llvm:
    return !emitKernels(driver, KernelOutput::LlvmAssembly);
  case Stage::Asm:
    return !emitKernels(driver, KernelOutput::Assembly);
  default:
    break;
  }
  ProgramOptions how;
  how.output = program;
  how.weightsIn = weightsIn;
  how.kernels.jobs = jobs;
  how.kernels.asserts = checks;
  how.kernels.useCache = !noCache;
  how.kernels.progress = true;
  return !(train ? driver.makeTrainer(how) : driver.makeProgram(how));
}
} // namespace

} // namespace halcyon
