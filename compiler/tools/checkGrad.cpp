//===- checkGrad.cpp - halcyon check-grad: gradients against differences --===//

#include "compiler/codegen/Cache.h"
#include "compiler/tools/Driver.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

#include <unistd.h>

using namespace llvm;

namespace halcyon {

static int checkGrad();

static Subcommand command("check-grad",
                          "Compare a model's gradients with finite differences",
                          checkGrad);
static ModelOptions modelOptions(command.command);
static cl::opt<bool> derived("derived",
                             cl::desc("Derive every gradient from its layer's algorithm"),
                             cl::sub(command.command));
static cl::opt<bool> single("f32",
                            cl::desc("Check the kernels that training runs, in f32"),
                            cl::sub(command.command));
static cl::opt<std::string> batch("batch", cl::desc("Images of the batch (2)"),
                                  cl::value_desc("number"), cl::sub(command.command));
static cl::opt<std::string> seed("seed", cl::desc("Of weights, inputs and directions (1)"),
                                 cl::value_desc("number"), cl::sub(command.command));

/// Whether a file says how its model is trained.
static bool hasTraining(StringRef path) {
  auto file = MemoryBuffer::getFile(path);
  return file && Regex("^[ \t]*train[ \t]+[A-Za-z_]", Regex::Newline)
                     .match((*file)->getBuffer());
}

/// Where each weight stands in the model, for the messages.
static json::Object linesOf(mlir::ModuleOp module) {
  json::Object lines;
  module.walk([&](cnn::WeightOp weight) {
    cnn::LayerLocation at = cnn::layerLocation(weight.getLoc());
    if (at.line)
      lines[weight.getName()] = formatv("{0}:{1}:{2}", at.file, at.line, at.column).str();
  });
  return lines;
}

static int checkGrad() {
  Driver driver(modelOptions);
  driver.train = hasTraining(modelOptions.model);
  if (!driver.findMachine() || !driver.parse())
    return 1;
  if (driver.plan.get("turns"))
    return !fail(modelOptions.model + " trains models in turn; check-grad takes one loss");
  driver.plan["lines"] = linesOf(*driver.module);
  driver.plan.erase("precision"); // gradients are compared in f64 or f32
  if (!driver.plan.get("inputs"))
    driver.plan["inputs"] = json::Array();
  SmallString<128> path;
  int file;
  if (sys::fs::createUniqueFile(cacheFolder() + "/check-%%%%%%%%", file, path))
    return !fail("can't make a temporary program in " + cacheFolder());
  close(file);
  FileRemover remover(path);
  ProgramOptions how;
  how.output = path.str().str();
  how.kernels.progress = true;
  driver.derived = derived;
  driver.single = single;
  if (!driver.differentiateForCheck() || !driver.optimize() ||
      !driver.chooseKernels() || !driver.lower() || !driver.makeTrainer(how))
    return 1;
  std::vector<std::string> args = {"halcyon check-grad", "--check-grad"};
  if (!modelOptions.weights.empty() &&
      !StringRef(modelOptions.weights).starts_with("seed:"))
    args.insert(args.end(), {"--weights", modelOptions.weights});
  for (const cl::opt<std::string> *option : {&batch, &seed})
    if (!option->empty())
      args.insert(args.end(), {"--" + option->ArgStr.str(), *option});
  SmallVector<StringRef> argv(args.begin(), args.end());
  std::string error;
  outs().flush();
  int status = sys::ExecuteAndWait(how.output, argv, std::nullopt, {}, 0, 0, &error);
  if (!error.empty())
    fail(error);
  return status < 0 ? 1 : status;
}

} // namespace halcyon
