//===- run.cpp - halcyon run, halcyon eval: compile and go ----------------===//

#include "compiler/tools/Driver.h"

using namespace llvm;

namespace halcyon {

static int run();
static int eval();

static Subcommand runCommand("run", "Run a model on pictures or tensors", run);
static ModelOptions runModel(runCommand.command);
static cl::list<std::string> runArgs(cl::ConsumeAfter, cl::desc("photo.jpg ..."),
                                     cl::sub(runCommand.command));

static Subcommand evalCommand("eval", "Accuracy over a labelled set", eval);
static ModelOptions evalModel(evalCommand.command);
static cl::opt<std::string> evalData(
    "data", cl::desc("MNIST's files, or a folder of pictures per class"),
    cl::value_desc("folder"), cl::Required, cl::sub(evalCommand.command));
static cl::opt<unsigned> evalThreads("threads", cl::desc("Threads to use"),
                                     cl::sub(evalCommand.command));
static cl::opt<bool> evalJson("json", cl::desc("Machine-readable results"),
                              cl::sub(evalCommand.command));

static int run() { return runProgram(runModel, {runArgs.begin(), runArgs.end()}); }

static int eval() {
  std::vector<std::string> args = {"--eval", evalData};
  if (evalThreads)
    args.insert(args.end(), {"--threads", std::to_string(evalThreads)});
  if (evalJson)
    args.push_back("--json");
  return runProgram(evalModel, args);
}

} // namespace halcyon
