//===- Tuner.cpp - Better schedules for a model, by measurement -----------===//

#include "compiler/tune/Tuner.h"
#include "compiler/passes/AssignLayout.h"
#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using llvm::formatv;

namespace halcyon {

/// Candidates that are compiled and timed together.
static const unsigned kBatch = 8;
/// New measurements between two fits of the cost model.
static const int kRefitEvery = 48;
/// How a round without a gain lessens a kernel's turn.
static const double kPatience = 0.6;
/// What results of networks may differ by, of the largest: every kernel has
/// been checked by itself, and errors add up over layers.
static const double kNetworkTolerance = 0.05;

Tuner::Tuner(ModuleOp graph, const Target &target, const WeightSource &weights,
             Store &store, Progress &progress, const TuneOptions &options)
    : graph(graph), target(target), weights(weights), store(store),
      progress(progress), options(options) {
  std::string error;
  seeded = openWeights("seed:1", error);
}

exec::ProgramOp Tuner::Network::program() const {
  return *module.get().getOps<exec::ProgramOp>().begin();
}

MeasureOptions Tuner::measuring(bool stoppable) const {
  MeasureOptions how;
  how.target = target;
  how.threads = options.threads;
  how.images = options.images;
  how.coldBytes = coldBytes;
  how.hangSeconds = options.hangSeconds;
  how.folder = folder;
  how.stop = [this, stoppable] {
    return stoppable && (options.interrupted() || timeLeft() < reserve);
  };
  return how;
}

//===----------------------------------------------------------------------===//
// Networks
//===----------------------------------------------------------------------===//

static cnn::ModelOp modelOf(ModuleOp module) {
  return *module.getOps<cnn::ModelOp>().begin();
}

std::optional<Tuner::Network> Tuner::lower(const Choices &choices) {
  Network network;
  network.module = graph.clone();
  for (auto &[name, fused] : scheduledGroups(modelOf(*network.module)))
    if (auto choice = choices.find(name); choice != choices.end()) {
      fused.setScheduleAttr(choice->second.schedule);
      if (!choice->second.layout.empty())
        fused.setLayout(choice->second.layout);
    }
  PassManager kernels(graph.getContext());
  buildKernelPipeline(kernels, options.pipeline);
  if (failed(kernels.run(*network.module)))
    return std::nullopt;
  cnn::ModelOp model = modelOf(*network.module);
  llvm::DenseMap<Operation *, std::string> names;
  for (auto &[name, fused] : scheduledGroups(model)) {
    names[fused] = name;
    network.choices[name] = {*fused.getSchedule(),
                             scheduleLine(fused, target).layout};
  }
  // Calls have the order of the groups.
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>())
    network.names.push_back(names.lookup(fused));
  network.schedule = scheduleOf(model, target, options.halide);
  PassManager lowering(graph.getContext());
  buildExecPipeline(lowering, options.pipeline);
  if (failed(lowering.run(*network.module)))
    return std::nullopt;
  // Pictures are no part of what is measured.
  exec::ProgramOp program = network.program();
  for (auto function : llvm::make_early_inc_range(
           program.getBody().front().getOps<exec::FunctionOp>()))
    if (function.getSymName().starts_with("image."))
      function.erase();
  return network;
}

static std::map<std::string, double>
secondsByName(ArrayRef<std::string> names, ArrayRef<double> seconds) {
  std::map<std::string, double> sums;
  for (auto [name, each] : llvm::zip(names, seconds))
    sums[name] += each;
  return sums;
}

bool Tuner::runUntuned(std::string &error) {
  progress.trying("compiling the untuned program");
  auto network = lower({});
  if (!network) {
    error = "the model can't be compiled";
    return false;
  }
  untuned = std::move(*network);
  coldBytes = std::min<uint64_t>(
      2 * target.l3, untuned.program().getWeights() + untuned.program().getArena());
  MeasureOptions how = measuring(/*stoppable=*/false);
  how.stop = options.interrupted;
  OwningOpRef<exec::ProgramOp> program = untuned.program().clone();
  Measurer measurer(*program, weights, how);
  double before = clockSeconds();
  if (!measurer.build(error))
    return false;
  progress.trying("timing the untuned program");
  auto failure = measurer.check(0, 0);
  std::vector<double> seconds;
  if (!failure)
    failure = measurer.timeCalls(0, 3, seconds);
  if (!failure) {
    double once = 0;
    for (double each : seconds)
      once += each;
    int runs = std::clamp<int>(0.02 * options.budget / std::max(once, 1e-6), 5, 200);
    seconds.clear();
    failure = measurer.timeCalls(0, runs, seconds);
  }
  if (failure) {
    error = "the untuned program: " + failure->reason;
    return false;
  }
  for (double each : seconds)
    runSeconds += each;
  callSeconds = secondsByName(untuned.names, seconds);
  // The end builds another program and times both.
  reserve = std::min(options.budget / 2,
                     1.3 * (clockSeconds() - before) + 0.12 * options.budget);
  return true;
}

//===----------------------------------------------------------------------===//
// The search
//===----------------------------------------------------------------------===//

void Tuner::collectGroups() {
  std::map<std::string, GroupSearch *> byText;
  for (auto &[name, fused] : scheduledGroups(modelOf(graph))) {
    GroupSearch *&search = byText[groupText(fused)];
    if (!search) {
      groups.push_back(std::make_unique<GroupSearch>(
          fused, name, untuned.choices.at(name), target, store));
      search = groups.back().get();
    }
    search->groups.push_back(fused);
    search->seconds += callSeconds[name];
    groupOf[name] = search;
  }
}

void Tuner::refit(bool always) {
  if (!always && measured - fitted < kRefitEvery)
    return;
  fitted = measured;
  costs.fit(store.all());
}

void Tuner::report(const GroupSearch &group, int before) {
  int best = group.best();
  if (best == before || best == 0)
    return;
  const Candidate &candidate = group.candidates[best];
  progress.say(formatv("{0}: {1}: {2:F2} of untuned", group.name, candidate.text,
                       candidate.relative())
                   .str());
}

bool Tuner::searchGroup(GroupSearch &group) {
  std::vector<int> numbers = group.next(kBatch, costs, store);
  if (numbers.empty())
    return true;
  const int before = group.best();
  std::string error;
  bool good = group.measure(numbers, *seeded, measuring(/*stoppable=*/true),
                            store,
                            [&](StringRef what) {
                              progress.trying((group.name + ": " + what).str());
                            },
                            error);
  for (int number : numbers)
    if (auto &known = group.candidates[number].known) {
      ++measured;
      if (known->outcome != Outcome::Timed)
        ++failures[known->outcome];
    }
  report(group, before);
  if (!good && error != "stopped")
    progress.say("warning: " + group.name + ": " + error);
  return good;
}

void Tuner::search() {
  MeasureOptions how = measuring(/*stoppable=*/true);
  double begun = clockSeconds();
  int rounds = 0;
  // A round that can't end in time is not begun.
  auto roundSeconds = [&] {
    return rounds ? 0.7 * (clockSeconds() - begun) / rounds : 0;
  };
  while (!how.stop() && timeLeft() > reserve + roundSeconds()) {
    double saved = 0;
    GroupSearch *next = nullptr;
    double most = 0;
    for (auto &group : groups) {
      saved += group->seconds *
               (1 - (group->best() ? group->candidates[group->best()].relative() : 1));
      double promise = group->seconds * std::pow(kPatience, group->stale);
      if (group->hasMore() && (!next || promise > most)) {
        next = group.get();
        most = promise;
      }
    }
    progress.best(runSeconds - saved, runSeconds);
    if (!next)
      return;
    // A group that can't be measured would come up again and again.
    if (!searchGroup(*next))
      next->stale += 3;
    ++rounds;
    refit(/*always=*/false);
  }
}

//===----------------------------------------------------------------------===//
// The whole graph
//===----------------------------------------------------------------------===//

/// Layouts over the whole graph: of every group the fastest candidate of each
/// layout at what it takes in a run, conversions between them counted.
Tuner::Choices Tuner::solveLayouts() {
  OwningOpRef<ModuleOp> module = graph.clone();
  cnn::ModelOp model = modelOf(*module);
  PassManager manager(graph.getContext());
  manager.addNestedPass<cnn::ModelOp>(
      createChooseAlgorithm({options.pipeline.target, ""}));
  if (failed(manager.run(*module)))
    return untuned.choices;
  llvm::DenseMap<Operation *, std::string> names;
  for (auto &[name, fused] : scheduledGroups(model))
    names[fused] = name;
  llvm::DenseMap<Operation *, std::vector<int>> meaning;
  LayoutSolver solver(model, target, [&](cnn::FusedOp fused, LayoutNode &node) {
    auto name = names.find(fused);
    if (name == names.end())
      return;
    const GroupSearch &search = *groupOf.at(name->second);
    Group group(fused.getBody().front());
    for (int number : search.bestOfLayouts()) {
      const Candidate &candidate = search.candidates[number];
      double relative = number == 0 ? 1 : candidate.relative();
      for (LayoutChoice &choice :
           layoutsFor(candidate.kernel->layouts(group, target),
                      candidate.choice.layout)) {
        node.choices.push_back(choice);
        node.penalties.push_back(callSeconds[name->second] * relative);
        meaning[fused].push_back(number);
      }
    }
  });
  Choices choices;
  for (auto &[op, node] : solver.nodes)
    if (auto found = meaning.find(op); found != meaning.end()) {
      const std::string &name = names[op];
      choices[name] =
          groupOf.at(name)->candidates[found->second[node.choice]].choice;
    }
  return choices;
}

void Tuner::comment(Schedule &schedule,
                    const std::map<std::string, double> &seconds) {
  std::map<std::string, cnn::FusedOp> fused;
  for (auto &[name, op] : scheduledGroups(modelOf(graph)))
    fused[name] = op;
  for (ScheduleLine &line : schedule.lines) {
    auto found = seconds.find(line.layer);
    if (found == seconds.end())
      continue;
    line.comment = timeText(Group(fused.at(line.layer).getBody().front()),
                            target, found->second / options.images);
    if (double before = callSeconds[line.layer];
        before > 0 && untuned.choices.at(line.layer) !=
                          Choice{line.attribute(graph.getContext()), line.layout})
      line.comment += formatv(", {0:F2} x untuned", found->second / before).str();
  }
}

/// Runs the tuned program beside the untuned one and takes back what is slower
/// there, until it is faster or nothing is left.
bool Tuner::judge(Choices choices, TuneResult &result, std::string &error) {
  result.schedule = untuned.schedule;
  comment(result.schedule, callSeconds);
  const MeasureOptions how = measuring(/*stoppable=*/false);
  CompareLimits limits;
  limits.pairs = 400;
  limits.seconds = std::clamp(0.05 * options.budget, 0.5, 10.0);
  limits.precision = 0.003;
  for (int round = 0; round < 3; ++round) {
    int changed = 0;
    for (auto &[name, choice] : choices)
      changed += choice != untuned.choices.at(name);
    if (changed == 0)
      return true;
    progress.trying("compiling the tuned program");
    auto tuned = lower(choices);
    if (!tuned) {
      error = "the tuned program can't be compiled";
      return false;
    }
    OwningOpRef<exec::ProgramOp> program = untuned.program().clone();
    mergePrograms(*program, tuned->program());
    Measurer measurer(*program, weights, how);
    if (!measurer.build(error))
      return false;
    progress.trying("timing the tuned program beside the untuned");
    auto failure = measurer.check(0, 0);
    if (!failure)
      failure = measurer.check(1, kNetworkTolerance);
    if (!failure)
      failure = measurer.compare({0, -1}, {1, -1}, limits, result.comparison);
    std::vector<double> seconds[2];
    int runs = std::clamp<int>(limits.seconds / 2 / std::max(runSeconds, 1e-6),
                               5, 200);
    for (unsigned side = 0; side < 2 && !failure; ++side)
      failure = measurer.timeCalls(side, runs, seconds[side]);
    if (failure) {
      progress.say("warning: the tuned program: " + failure->reason);
      return true;
    }
    auto now = secondsByName(tuned->names, seconds[1]);
    callSeconds = secondsByName(untuned.names, seconds[0]);
    if (result.comparison.surelyFaster()) {
      result.kept = true;
      result.changed = changed;
      result.schedule = tuned->schedule;
      comment(result.schedule, now);
    }
    // What is no faster in the network than it was goes back.
    int reverted = 0;
    for (auto &[name, choice] : choices) {
      const Choice &before = untuned.choices.at(name);
      if (choice != before && now[name] > callSeconds[name]) {
        choice = before;
        ++reverted;
      }
    }
    if (reverted == 0 || result.kept || timeLeft() < reserve / 3)
      return true;
  }
  return true;
}

bool Tuner::run(TuneResult &result, std::string &error) {
  WorkFolder work(error);
  if (!error.empty())
    return false;
  folder = work.path;
  if (!runUntuned(error))
    return false;
  collectGroups();
  for (auto &group : groups)
    for (Candidate &candidate : group->candidates)
      result.known += candidate.known.has_value();
  progress.say(formatv("untuned {0}, {1} distinct kernels, {2} candidates known "
                       "from earlier runs",
                       secondsText(runSeconds), groups.size(), result.known)
                   .str());
  refit(/*always=*/true);
  search();
  refit(/*always=*/true);
  result.kernels = (int)groups.size();
  result.measured = measured;
  result.failures = failures;
  return judge(solveLayouts(), result, error);
}

} // namespace halcyon
