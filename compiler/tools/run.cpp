//===- run.cpp - halcyon run, halcyon eval: compile and go ----------------===//

#include "compiler/tools/Driver.h"

using namespace llvm;

namespace halcyon {

static int run();
static int eval();

static Subcommand runCommand("run", "Run a model on pictures or tensors", run);
static ModelOptions runModel(runCommand.command);
static cl::list<std::string> pictures(cl::Positional, cl::desc("photo.jpg ..."),
                                      cl::sub(runCommand.command));

// What the program itself understands is passed on to it.
using Values = cl::list<std::string>;
using Flag = cl::opt<bool>;
static Values passedValues[] = {
    Values("input", cl::desc("A tensor or picture for an input"),
     cl::value_desc("[name=]file"), cl::sub(runCommand.command)),
    Values("output", cl::desc("Where an output goes"), cl::value_desc("[name=]file"),
     cl::sub(runCommand.command)),
    Values("batch", cl::desc("Images computed at once"), cl::value_desc("number"),
     cl::sub(runCommand.command)),
    Values("top", cl::desc("Classes shown per picture"), cl::value_desc("number"),
     cl::sub(runCommand.command)),
    Values("threads", cl::desc("Threads to use"), cl::value_desc("number"),
     cl::sub(runCommand.command)),
    Values("seconds", cl::desc("How long to measure"), cl::value_desc("number"),
     cl::sub(runCommand.command))};
static Flag passedFlags[] = {
    Flag("bench", cl::desc("Measure: median, fastest, spread, GFLOP/s"),
     cl::sub(runCommand.command)),
    Flag("profile", cl::desc("Time of every kernel"), cl::sub(runCommand.command)),
    Flag("info", cl::desc("The model's inputs, outputs and sizes"),
     cl::sub(runCommand.command)),
    Flag("json", cl::desc("Machine-readable results of --bench"),
     cl::sub(runCommand.command))};

static Subcommand evalCommand("eval", "Accuracy over a labelled set", eval);
static ModelOptions evalModel(evalCommand.command);
static cl::opt<std::string> evalData(
    "data", cl::desc("MNIST's files, or a folder of pictures per class"),
    cl::value_desc("folder"), cl::Required, cl::sub(evalCommand.command));
static cl::opt<unsigned> evalThreads("threads", cl::desc("Threads to use"),
                                     cl::sub(evalCommand.command));
static cl::opt<bool> evalJson("json", cl::desc("Machine-readable results"),
                              cl::sub(evalCommand.command));

static int run() {
  std::vector<std::string> args;
  for (const Values &option : passedValues)
    for (const std::string &value : option)
      args.insert(args.end(), {"--" + option.ArgStr.str(), value});
  for (const Flag &option : passedFlags)
    if (option)
      args.push_back("--" + option.ArgStr.str());
  args.insert(args.end(), pictures.begin(), pictures.end());
  return runProgram(runModel, args);
}

static int eval() {
  std::vector<std::string> args = {"--eval", evalData};
  if (evalThreads)
    args.insert(args.end(), {"--threads", std::to_string(evalThreads)});
  if (evalJson)
    args.push_back("--json");
  return runProgram(evalModel, args);
}

} // namespace halcyon
