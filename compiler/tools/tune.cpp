//===- tune.cpp - halcyon tune: faster schedules by measurement -----------===//

#include "compiler/codegen/Cache.h"
#include "compiler/tools/Driver.h"
#include "compiler/tune/Tuner.h"
#include "compiler/tune/Version.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <atomic>
#include <csignal>
#include <ctime>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

static int tune();

static Subcommand command("tune", "Search for faster schedules, by measurement",
                          tune);

namespace {
/// A search starts from what the compiler does by itself, and measurements can
/// be moved without a model.
struct TuneModelOptions : ModelOptions {
  explicit TuneModelOptions(cl::SubCommand &sub) : ModelOptions(sub) {
    model.setNumOccurrencesFlag(cl::Optional);
    for (cl::Option *option :
         {(cl::Option *)&algorithm, (cl::Option *)&schedule,
          (cl::Option *)&writeSchedule})
      option->removeArgument();
  }
};
} // namespace
static TuneModelOptions model(command.command);
static cl::opt<std::string> budget(
    "budget", cl::desc("How long it may take: 30s, 10m, 1h"),
    cl::value_desc("time"), cl::init("10m"), cl::sub(command.command));
static cl::opt<std::string> output(
    "o", cl::desc("The schedule file; the model's name with .sched, if not given"),
    cl::value_desc("file"), cl::sub(command.command));
static cl::opt<unsigned> threads("threads",
                                 cl::desc("Threads that the program will have"),
                                 cl::value_desc("number"),
                                 cl::sub(command.command));
static cl::opt<unsigned> images("batch",
                                cl::desc("Images of a run; a step's, with --train"),
                                cl::value_desc("number"), cl::sub(command.command));
static cl::opt<bool> training("train", cl::desc("Tune the step that trains the model"),
                              cl::sub(command.command));
static cl::opt<std::string> storePath(
    "store", cl::desc("The measurements; in the cache folder, if not given"),
    cl::value_desc("file"), cl::sub(command.command));
static cl::opt<std::string> exportPath(
    "export", cl::desc("Write all measurements to a file, for other machines"),
    cl::value_desc("file"), cl::sub(command.command));
static cl::opt<std::string> importPath(
    "import", cl::desc("Take over the measurements of such a file"),
    cl::value_desc("file"), cl::sub(command.command));

/// "30s", "10m", "1h", "90" as seconds; nothing where it is none of them.
static std::optional<double> parseTime(StringRef text) {
  double unit = 1, number;
  if (text.consume_back("h"))
    unit = 3600;
  else if (text.consume_back("m"))
    unit = 60;
  else
    text.consume_back("s");
  if (text.getAsDouble(number) || !(number > 0) || number * unit > 30 * 86400)
    return std::nullopt;
  return number * unit;
}

static std::atomic<bool> interrupted;

/// The first Ctrl-C ends the search, the second the process.
static void watchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

static std::string today() {
  char text[32];
  time_t now = time(nullptr);
  struct tm local;
  localtime_r(&now, &local);
  strftime(text, sizeof text, "%Y-%m-%d", &local);
  return text;
}

static std::string modelText(const CostModel &costs) {
  if (!costs.correlation())
    return "cost model: the kernels' estimates, for want of measurements";
  return formatv("cost model: rank correlation {0:F2} on {1} kernels it has not "
                 "seen, the kernels' estimates alone {2:F2}: {3}",
                 *costs.correlation(), costs.kernels(),
                 *costs.estimateCorrelation(),
                 costs.usesLearned() ? "used"
                                     : formatv("not used below {0:F1}",
                                               CostModel::kLeastCorrelation)
                                           .str())
      .str();
}

static void printResult(StringRef step, const TuneResult &result,
                        const CostModel &costs) {
  const Comparison &c = result.comparison;
  if (!step.empty())
    outs() << "step " << step << ": ";
  outs() << result.measured << " candidates of " << result.kernels
         << " kernels measured";
  ListSeparator comma;
  for (auto &[outcome, count] : result.failures)
    outs() << (outcome == result.failures.begin()->first ? "; failed: " : "")
           << comma << count << " " << outcomeText(outcome);
  outs() << "\n" << modelText(costs) << "\n";
  if (c.pairs)
    outs() << formatv("tuned {0}, untuned {1}: {2:F3} ({3:F3} to {4:F3}), {5} "
                      "of {6} kernels changed\n",
                      secondsText(c.second), secondsText(c.first), c.ratio,
                      c.low, c.high, result.changed, result.kernels);
  if (!result.kept)
    outs() << "nothing found that is surely faster: the untuned schedule is "
              "kept\n";
}

/// Moves measurements between stores, as asked.
static bool exchange(Store &store) {
  if (!importPath.empty()) {
    auto taken = store.importFrom(importPath);
    if (!taken)
      return fail(store.error());
    outs() << "took over " << *taken << " measurements; there are "
           << store.size() << "\n";
  }
  if (!exportPath.empty()) {
    if (!store.exportTo(exportPath))
      return fail(store.error());
    outs() << "wrote " << store.size() << " measurements to " << exportPath
           << "\n";
  }
  return true;
}

/// From the parsed model, all of the file that is measured: the model, or with
/// --train the steps that train it. False after saying what is wrong.
static bool findTuned(Driver &driver) {
  if (!training)
    return driver.checkModelWeights();
  if (!driver.differentiate())
    return false;
  driver.module->lookupSymbol<cnn::ModelOp>("eval").erase();
  return true;
}

/// Tunes one model after another, each with its part of the time that is left,
/// and writes to `schedule` what came out. False after saying what is wrong.
static bool tuneModels(Driver &driver, TuneOptions how, double seconds, Store &store,
                       Schedule &schedule) {
  SmallVector<ScheduledModel> models = scheduledModels(*driver.module);
  const double end = clockSeconds() + seconds;
  for (auto [index, each] : llvm::enumerate(models)) {
    mlir::OwningOpRef<mlir::ModuleOp> alone =
        mlir::ModuleOp::create(driver.module->getLoc());
    alone->push_back(each.model->clone());
    how.budget = std::max(0.0, end - clockSeconds()) / double(models.size() - index);
    Progress progress(how.budget, isatty(STDERR_FILENO));
    if (!each.step.empty())
      progress.say("step " + each.step + ":");
    Tuner tuner(*alone, driver.target, *driver.weights, store, progress, how);
    TuneResult result;
    std::string error;
    bool good = tuner.run(result, error);
    progress.clear();
    // What is known of the steps before is kept.
    if (!good && interrupted && index > 0)
      return true;
    if (!good)
      return fail(interrupted ? "interrupted before anything was measured" : error);
    schedule.addStep(each.step, std::move(result.schedule));
    printResult(each.step, result, tuner.model());
    outs().flush();
  }
  return true;
}

static int tune() {
  auto seconds = parseTime(budget);
  if (!seconds)
    return !fail("--budget takes a time, such as 30s, 10m or 1h, not '" +
                 budget + "'");
  Driver driver(model);
  if (!driver.findMachine())
    return 1;
  const Target &target = driver.target;
  TuneOptions how;
  // A device's program has one thread, which tells it what to do.
  how.threads = threads ? (unsigned)threads : target.device ? 1 : (unsigned)target.cores;
  driver.train = training;
  driver.batch = images;
  bool exchanging = model.model.empty();
  if (!exchanging) {
    if (model.weights.empty())
      model.weights = "seed:1";
    if (!driver.parse())
      return 1;
    int64_t batch = training ? driver.plan.getInteger("batch").value_or(1) : 1;
    how.images = images ? (unsigned)images : unsigned(batch);
  }
  // Measurements of other batches, or threads, say nothing.
  std::string conditions = std::to_string(how.threads) + " threads";
  if (how.images > 1)
    conditions += ", " + std::to_string(how.images) + " images";
  StoreScope scope{target.halide + (target.device ? target.device->halide : "") + ", " +
                       conditions,
                   storeVersion(), machineName()};
  std::string error, path = storePath.empty() ? Store::defaultPath() : storePath;
  auto store = Store::open(path, scope, error);
  if (!store)
    return !fail(error);
  if (!exchange(*store))
    return 1;
  if (exchanging)
    return importPath.empty() && exportPath.empty() &&
           !fail("the model file is missing (see halcyon tune --help)");
  if (!findTuned(driver) || !driver.optimize())
    return 1;
  if (driver.module->getOps<cnn::ModelOp>().empty())
    return !fail("the file has no model");
  std::string file = output;
  if (file.empty())
    file = sys::path::stem(model.model).str() + ".sched";
  // Minutes of measuring should not end here.
  StringRef beside = sys::path::parent_path(file);
  if (!isSpecialFile(file) &&
      access(beside.empty() ? "." : beside.str().c_str(), W_OK) != 0)
    return !fail("can't write " + file + ": " + strerror(errno));
  how.pipeline = driver.pipelineOptions();
  how.pipeline.split = 0; // kernels are measured with all images of a batch
  how.halide = HALCYON_HALIDE_VERSION;
  how.interrupted = [] { return interrupted.load(); };
  watchInterrupts();
  Schedule schedule;
  if (!tuneModels(driver, how, *seconds, *store, schedule))
    return 1;
  schedule.comments = {sys::path::filename(file).str() + ", tuned " + today()};
  if (!writeWhole(file, printSchedule(schedule)))
    return !fail("can't write " + file + ": " + strerror(errno));
  outs() << "wrote " << file << "\n";
  return 0;
}

} // namespace halcyon
