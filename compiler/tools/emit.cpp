//===- emit.cpp - halcyon emit: a model for other programs ----------------===//

#include "compiler/emit/Library.h"
#include "compiler/emit/onnx/Export.h"
#include "compiler/tools/Driver.h"

using namespace llvm;

namespace halcyon {

namespace {
enum class Output { Library, Onnx };
}

static int emit();

static Subcommand command("emit", "Write a model for other programs to use", emit);
static ModelOptions model(command.command);
static cl::opt<Output> kind(
    "for", cl::desc("What to write"), cl::Required, cl::sub(command.command),
    cl::values(clEnumValN(Output::Library, "lib",
                          "a static library with a C header"),
               clEnumValN(Output::Onnx, "onnx", "an ONNX file")));
static cl::opt<std::string> output("o", cl::desc("The folder or file to write"),
                                   cl::value_desc("path"), cl::Required,
                                   cl::sub(command.command));
static cl::opt<bool> force("force", cl::desc("Replace a folder of other files"),
                           cl::sub(command.command));
static cl::opt<unsigned> jobs("jobs", cl::desc("Kernels compiled at a time"),
                              cl::sub(command.command));

static int emit() {
  Driver driver(model);
  if (!driver.findMachine() || !driver.parse() || !driver.checkModelWeights())
    return 1;
  if (kind == Output::Onnx)
    return !emitOnnx(*driver.module, *driver.weights, output, errs());
  std::string error;
  OutputFolder folder(output, force, error);
  if (!error.empty())
    return !fail(error);
  if (!driver.optimize() || !driver.chooseKernels() || !driver.lower())
    return 1;
  exec::ProgramOp program = driver.program();
  if (!program)
    return !fail("the file has no model");
  {
    ProgramOptions how;
    how.output = folder.file(libraryName(program));
    how.symbol = librarySymbol(program);
    how.kernels.jobs = jobs;
    how.kernels.progress = true;
    ProgramObjects objects;
    if (!driver.makeObjects(how, WeightsObject::Whole, objects))
      return 1;
    error = emitLibrary(program, driver.target, objects.paths, folder);
  }
  if (error.empty())
    error = folder.finish();
  return !error.empty() && !fail(error);
}

} // namespace halcyon
