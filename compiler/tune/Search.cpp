//===- Search.cpp - Candidates of one group, and which to time next -------===//

#include "compiler/tune/Search.h"
#include "compiler/tune/Progress.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>

using namespace mlir;

namespace halcyon {

/// Algorithms whose estimate is beyond this many times the best are left to the
/// end.
static const double kHopeless = 3;
/// What is hardly faster than the default is as likely to be slower in a
/// network.
static const double kWorthwhile = 0.99;

GroupSearch::GroupSearch(cnn::FusedOp fused, std::string name,
                         const Choice &chosen, const Target &target,
                         Store &store)
    : group(fused), name(std::move(name)), text(groupText(fused)),
      target(target) {
  Group g(fused.getBody().front());
  const double maxError = cnn::maxErrorOf(fused);
  llvm::StringSet<> seen;
  auto add = [&](const Kernel *kernel, const Choice &choice) {
    Candidate candidate{choice, choice.text(), kernel, {}, {}};
    if (!seen.insert(candidate.text).second)
      return;
    candidate.features =
        featuresOf(g, *kernel, choice.schedule, choice.layout, target);
    candidates.push_back(std::move(candidate));
  };
  add(findKernel(chosen.schedule.getAlgorithm()), chosen);
  for (const Kernel *kernel : allKernels()) {
    std::string why;
    if (!kernel->takes(g, target, why) || kernel->error(g, target) > maxError)
      continue;
    llvm::SetVector<std::string, std::vector<std::string>,
                    std::set<std::string>>
        layouts;
    for (const LayoutChoice &choice : kernel->layouts(g, target))
      layouts.insert(layoutText(choice));
    auto schedules = kernel->space(g, target);
    for (const std::string &layout : layouts)
      for (cnn::ScheduleAttr schedule : schedules)
        add(kernel, {schedule, layout});
  }
  llvm::StringMap<Measurement> known;
  for (Measurement &m : store.ofKernel(text))
    known[m.schedule] = std::move(m);
  for (Candidate &candidate : candidates)
    if (auto found = known.find(candidate.text); found != known.end())
      candidate.known = found->second;
}

//===----------------------------------------------------------------------===//
// What next
//===----------------------------------------------------------------------===//

bool GroupSearch::areNeighbours(const Choice &a, const Choice &b) const {
  if (a.schedule.getAlgorithm() != b.schedule.getAlgorithm() ||
      a.layout != b.layout)
    return false;
  int different = 0;
  for (NamedAttribute param : a.schedule.getParams())
    different += param.getValue() != b.schedule.getParams().get(param.getName());
  return different == 1;
}

bool GroupSearch::hasMore() const {
  return llvm::any_of(candidates, [](const Candidate &c) { return !c.known; });
}

std::vector<int> GroupSearch::next(unsigned count, const CostModel &model,
                                   Store &store) {
  llvm::SetVector<int, std::vector<int>, std::set<int>> chosen;
  auto take = [&](int number, unsigned limit) {
    if (chosen.size() < limit && !candidates[number].known)
      chosen.insert(number);
  };
  double least = 1e30;
  for (Candidate &candidate : candidates)
    least = std::min(least, candidate.features[kEstimate]);
  auto hopeless = [&](int number) {
    return candidates[number].features[kEstimate] > least + std::log(kHopeless);
  };

  // Each algorithm in each layout, as it is by default: the first of its kind.
  if (rounds == 0) {
    llvm::StringSet<> kinds;
    for (int i = 0; i < (int)candidates.size(); ++i) {
      const Choice &choice = candidates[i].choice;
      if (kinds.insert((choice.schedule.getAlgorithm() + choice.layout).str())
              .second &&
          !hopeless(i))
        take(i, count);
    }
    // What was best on other machines.
    for (const std::string &schedule : store.elsewhere(text))
      for (int i = 0; i < (int)candidates.size(); ++i)
        if (candidates[i].text == schedule)
          take(i, count + 2);
    if (chosen.size() >= count)
      return chosen.takeVector();
  }

  std::vector<int> open;
  for (int i = 0; i < (int)candidates.size(); ++i)
    if (!candidates[i].known && !hopeless(i))
      open.push_back(i);
  if (open.empty())
    for (int i = 0; i < (int)candidates.size(); ++i)
      if (!candidates[i].known)
        open.push_back(i);
  // Ties, of which the kernels' own estimates have many, in another order in
  // every round.
  std::mt19937 random((uint32_t)llvm::xxh3_64bits(text) + rounds);
  std::shuffle(open.begin(), open.end(), random);
  std::vector<int> ranked = open;
  std::map<int, std::pair<double, size_t>> scores;
  for (int i : open)
    scores[i] = {model.score(candidates[i].features), scores.size()};
  llvm::sort(ranked, [&](int a, int b) { return scores[a] < scores[b]; });
  const Choice &incumbent = candidates[best()].choice;

  unsigned byModel = model.usesLearned() ? count * 5 / 8 : 0;
  for (int i : ranked)
    take(i, byModel);
  for (int i : ranked)
    if (areNeighbours(incumbent, candidates[i].choice))
      take(i, count - 1);
  // Others of the algorithm that leads, then anything.
  for (int i : open)
    if (candidates[i].kernel == candidates[best()].kernel)
      take(i, count - 1);
  for (int i : open)
    take(i, count);
  return chosen.takeVector();
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

/// How far values may lie from the default's, by the largest: what the model
/// allows, and what both algorithms round.
double GroupSearch::tolerance(const Candidate &candidate) const {
  cnn::FusedOp fused = group;
  Group g(fused.getBody().front());
  double rounding = candidate.kernel->error(g, target) +
                    candidates[0].kernel->error(g, target);
  bool narrow = llvm::any_of(
      llvm::concat<const Type>(group->getOperandTypes(), group->getResultTypes()),
      [](Type type) { return cnn::isBf16(type); });
  return std::max(cnn::maxErrorOf(group), 4 * rounding) + (narrow ? 0.02 : 0);
}

void GroupSearch::record(Candidate &candidate, Measurement m, Store &store) {
  m.kernel = text;
  m.schedule = candidate.text;
  m.features = featuresText(candidate.features);
  candidate.known = m;
  store.put(m);
}

bool GroupSearch::measure(ArrayRef<int> numbers, const WeightSource &weights,
                          const MeasureOptions &options, Store &store,
                          llvm::function_ref<void(StringRef)> trying,
                          std::string &error) {
  // The default is function 0, then the best so far, then the candidates.
  std::vector<int> order = {0};
  int incumbent = best();
  if (incumbent != 0)
    order.push_back(incumbent);
  for (int number : numbers)
    if (!llvm::is_contained(order, number))
      order.push_back(number);
  std::vector<Choice> choices;
  for (int number : order)
    choices.push_back(candidates[number].choice);
  trying("compiling " + std::to_string(order.size()) + " kernels");
  auto trials = makeTrials(group, choices, target);
  if (failed(trials)) {
    error = "a candidate can't be lowered";
    return false;
  }
  Measurer measurer(trials->program(), weights, options);
  ++rounds;
  if (!measurer.build(error))
    return false;
  if (auto failure = measurer.check(0, 1e30)) {
    error = "the untuned kernel: " + failure->reason;
    return false;
  }

  const int before = incumbent;
  unsigned incumbentAt = incumbent == 0 ? 0 : 1;
  if (incumbent != 0 && measurer.check(1, tolerance(candidates[incumbent])))
    incumbent = incumbentAt = 0;
  for (unsigned at = 0; at < order.size(); ++at) {
    Candidate &candidate = candidates[order[at]];
    if (candidate.known)
      continue;
    trying(candidate.text);
    std::optional<Failure> failure;
    Comparison compared;
    if (at != 0)
      failure = measurer.check(at, tolerance(candidate));
    if (!failure)
      failure = measurer.compare({incumbentAt, trials->calls[incumbentAt]},
                                 {at, trials->calls[at]}, CompareLimits(),
                                 compared);
    if (measurer.stopped())
      return error = "stopped", false;
    Measurement m;
    if (failure) {
      m.outcome = failure->outcome;
      m.reason = failure->reason;
    } else {
      m.seconds = compared.second;
      m.relative = at == 0 ? 1 : compared.ratio;
      m.spread = compared.spread();
      if (incumbent != 0) {
        const Measurement &through = *candidates[incumbent].known;
        m.spread = m.spread * through.relative + m.relative * through.spread;
        m.relative *= through.relative;
      }
      m.samples = compared.pairs;
    }
    record(candidate, m, store);
    if (!failure && at != 0 && compared.surelyFaster()) {
      incumbent = order[at];
      incumbentAt = at;
    }
  }
  stale = best() == before ? stale + 1 : 0;
  return true;
}

//===----------------------------------------------------------------------===//
// What is known
//===----------------------------------------------------------------------===//

int GroupSearch::best() const {
  int best = 0;
  double least = kWorthwhile;
  for (int i = 1; i < (int)candidates.size(); ++i)
    if (candidates[i].surely() < least) {
      best = i;
      least = candidates[i].surely();
    }
  return best;
}

std::vector<int> GroupSearch::bestOfLayouts() const {
  std::map<std::string, int> found = {{candidates[0].choice.layout, 0}};
  for (int i = 1; i < (int)candidates.size(); ++i) {
    if (!candidates[i].timed())
      continue;
    auto [entry, fresh] = found.try_emplace(candidates[i].choice.layout, i);
    double there =
        entry->second == 0 ? kWorthwhile : candidates[entry->second].surely();
    if (!fresh && candidates[i].surely() < there)
      entry->second = i;
  }
  std::vector<int> result;
  for (auto &entry : found)
    result.push_back(entry.second);
  return result;
}

} // namespace halcyon
