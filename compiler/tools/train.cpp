//===- train.cpp - halcyon train: compile and train -----------------------===//

#include "compiler/codegen/Cache.h"
#include "compiler/tools/Driver.h"
#include "compiler/tools/Fetch.h"

#include "llvm/Support/FileSystem.h"

#include <unistd.h>

using namespace llvm;

namespace halcyon {

namespace {
/// A subcommand that makes the training program and becomes it.
struct TrainCommand {
  TrainCommand(StringRef name, StringRef summary, int (*run)(), std::string flag)
      : command(name, summary, run), model(command.command), flag(std::move(flag)),
        output("o", cl::desc("The folder of the run"), cl::value_desc("folder"),
               cl::sub(command.command)),
        data("data", cl::desc("Data in place of the model's"), cl::value_desc("path"),
             cl::sub(command.command)),
        validate("validate", cl::desc("Data to validate on, in place of the model's"),
                 cl::value_desc("path"), cl::sub(command.command)),
        epochs("epochs", cl::desc("Epochs in place of the model's"),
               cl::value_desc("number"), cl::sub(command.command)),
        batch("batch", cl::desc("Images of a step in place of the model's"),
              cl::value_desc("number"), cl::sub(command.command)),
        steps("steps", cl::desc("End after so many steps"), cl::value_desc("number"),
              cl::sub(command.command)),
        seed("seed", cl::desc("Of all that is random (1)"), cl::value_desc("number"),
             cl::sub(command.command)),
        threads("threads", cl::desc("Threads to use"), cl::value_desc("number"),
                cl::sub(command.command)),
        memory("memory", cl::desc("Compute again what doesn't fit into so many bytes"),
               cl::value_desc("512M"), cl::sub(command.command)),
        resume("resume", cl::desc("Go on with the run in that folder"),
               cl::sub(command.command)),
        quiet("quiet", cl::desc("Say nothing but what went wrong"),
              cl::sub(command.command)) {}

  int run();

  Subcommand command;
  ModelOptions model;
  std::string flag; ///< of the program
  cl::opt<std::string> output, data, validate, epochs, batch, steps, seed, threads, memory;
  cl::opt<bool> resume, quiet;
};
int train();
int findRate();
int findBatch();
} // namespace

static TrainCommand
    trainCommand("train", "Train a model as its train block says", train, ""),
    rateCommand("find-rate", "Try learning rates on a model", findRate, "--find-rate"),
    batchCommand("find-batch", "Time a model's steps with growing batches", findBatch,
                 "--find-batch");

/// The program stays with what it made: a run goes on with the program that it
/// began with, and can be repeated.
int TrainCommand::run() {
  Driver driver(model);
  driver.train = true;
  if (!memory.empty() && !parseBytes(memory, driver.memory))
    return 1;
  // The program says what is wrong with another batch.
  StringRef(batch).getAsInteger(10, driver.batch);
  if (!driver.findMachine() || !driver.parse())
    return 1;
  bool ownData = !data.empty() && (!validate.empty() || !driver.plan.get("validate"));
  if (!ownData && !fetchData(driver.plan))
    return 1;
  std::string folder = output;
  if (folder.empty())
    folder = driver.plan.getString("name").value_or("training").str() + "-run";
  if (std::error_code code = sys::fs::create_directories(folder))
    return !fail("can't make the folder " + folder + ": " + code.message());
  std::string program = folder + "/trainer";
  if (!checkWritable(program))
    return 1;
  ProgramOptions how;
  how.output = program;
  how.kernels.progress = true;
  if (!driver.differentiate() || !driver.optimize() || !driver.chooseKernels() ||
      !driver.lower() || !driver.makeTrainer(how))
    return 1;

  std::vector<std::string> args = {"halcyon " + command.command.getName().str(), "-o",
                                   folder};
  if (!model.weights.empty())
    args.insert(args.end(), {"--weights", model.weights});
  for (const cl::opt<std::string> *option :
       {&data, &validate, &epochs, &batch, &steps, &seed, &threads})
    if (!option->empty())
      args.insert(args.end(), {"--" + option->ArgStr.str(), *option});
  if (resume)
    args.push_back("--resume");
  if (quiet)
    args.push_back("--quiet");
  if (!flag.empty())
    args.push_back(flag);
  std::vector<char *> argv;
  for (std::string &arg : args)
    argv.push_back(arg.data());
  argv.push_back(nullptr);
  outs().flush();
  execv(program.c_str(), argv.data());
  return !fail("can't run " + program + ": " + strerror(errno));
}

namespace {
int train() { return trainCommand.run(); }
int findRate() { return rateCommand.run(); }
int findBatch() { return batchCommand.run(); }
} // namespace

} // namespace halcyon
