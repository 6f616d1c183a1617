//===- ScheduleApply.cpp - A schedule file's lines on a model's groups ----===//

#include "compiler/tune/Schedule.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

namespace halcyon {

namespace {
/// What a model's layers became, by their names.
struct Names {
  explicit Names(cnn::ModelOp model);
  SmallVector<std::pair<std::string, cnn::FusedOp>> groups;
  llvm::StringMap<std::string> inside; ///< layers in the kernel of another
  llvm::StringSet<> others;            ///< layers without a kernel
};

/// Checks the lines one by one and puts them into the model.
struct Applier {
  const Schedule &schedule;
  const Target &target;
  dsl::Diagnostics &diags;
  Names names;
  StringRef step;
  llvm::StringMap<const ScheduleLine *> lines; ///< the first of every name

  void apply();

  void apply(const ScheduleLine &line);
  bool apply(const ScheduleLine &line, const Kernel &kernel, cnn::FusedOp fused);
  std::string unknownLayer(StringRef layer) const;
};
} // namespace

static std::string pathOf(Operation *op) {
  return cnn::layerLocation(op->getLoc()).path;
}

Names::Names(cnn::ModelOp model) : groups(scheduledGroups(model)) {
  for (auto &[name, fused] : groups)
    for (Operation &op : fused.getBody().front().without_terminator())
      inside.try_emplace(pathOf(&op), name);
  for (Operation &op : model.getBody().front())
    others.insert(pathOf(&op));
}

std::string Applier::unknownLayer(StringRef layer) const {
  std::string shown = "'" + dsl::printable(layer) + "'";
  if (auto at = names.inside.find(layer); at != names.inside.end())
    return shown + " is computed in the kernel of '" + at->second +
           "', which has one line for all";
  if (names.others.contains(layer))
    return shown + " has no kernel: it is folded into weights, or only moves data";
  SmallVector<StringRef> known;
  for (auto &[name, fused] : names.groups)
    known.push_back(name);
  return "the model has no layer " + shown + dsl::didYouMean(layer, known);
}

void Applier::apply(const ScheduleLine &line) {
  const ScheduleLine *first = lines.lookup(line.layer);
  if (first != &line)
    return diags.error(line.layerAt,
                       "'" + dsl::printable(line.layer) +
                           "' has a line already, " +
                           diags.line(first->layerAt.Start, line.layerAt.Start));
  const Kernel *kernel = findKernel(line.kernel);
  if (!kernel) {
    SmallVector<StringRef> known;
    for (const Kernel *other : allKernels())
      known.push_back(other->name());
    diags.error(line.kernelAt, "there is no kernel '" +
                                   dsl::printable(kernelText(line.kernel)) + "'" +
                                   dsl::didYouMean(line.kernel, known));
  }
  bool found = false, good = kernel != nullptr;
  for (auto &[name, fused] : names.groups) {
    if (name != line.layer && pathOf(fused) != line.layer)
      continue;
    found = true;
    // A line of its own comes before the one for all of that path.
    if (good && (name == line.layer || !lines.contains(name)))
      good = apply(line, *kernel, fused);
  }
  if (!found)
    diags.error(line.layerAt, unknownLayer(line.layer));
}

/// The kernels that compute a group, for a note.
static std::string kernelsOf(const Group &group, const Target &target) {
  std::vector<std::string> able;
  for (const Kernel *kernel : allKernels()) {
    std::string why;
    if (kernel->takes(group, target, why))
      able.push_back("'" + kernelText(kernel->name()) + "'");
  }
  return able.empty() ? "nothing computes this layer"
                      : "this layer runs with " + dsl::joinWords(able, "or");
}

bool Applier::apply(const ScheduleLine &line, const Kernel &kernel,
                    cnn::FusedOp fused) {
  Group group(fused.getBody().front());
  std::string why, name = "'" + kernelText(line.kernel) + "'";
  std::string layer = "'" + dsl::printable(line.layer) + "'";
  if (!kernel.takes(group, target, why)) {
    if (why.empty())
      why = "it is a kernel of other layers";
    diags.error(line.kernelAt, name + " does not compute " + layer + ": " + why,
                {kernelsOf(group, target)});
    return false;
  }
  bool good = true;
  if (double error = kernel.error(group, target);
      error > cnn::maxErrorOf(fused)) {
    diags.error(line.kernelAt, name + " does not compute " + layer + ": " +
                                   beyondMaxError(error, cnn::maxErrorOf(fused)));
    good = false;
  }
  if (!line.layout.empty()) {
    auto choices = kernel.layouts(group, target);
    if (layoutsFor(choices, line.layout).empty()) {
      std::vector<std::string> texts;
      for (const LayoutChoice &choice : choices)
        if (std::string text = layoutText(choice);
            !text.empty() && !llvm::is_contained(texts, text))
          texts.push_back(text);
      diags.error(line.layoutAt,
                  name + " can't run " + layer + " with layout " +
                      dsl::printable(line.layout) + "\nit can with " +
                      (texts.empty() ? "none" : dsl::joinWords(texts, "or")));
      good = false;
    }
  }
  auto known = kernel.parameters(group, target);
  for (const ScheduleTerm &term : line.terms) {
    bool isFlag = llvm::any_of(known, [&](const ScheduleParameter &p) {
      return p.flag && p.name == term.name;
    });
    // Below every number a flag may have.
    int64_t value = term.fit && isFlag ? -1 : term.value;
    if (!checkParameter(known, term.name, value, why)) {
      diags.error(term.where, name + " can't run " + layer + " so: " + why);
      good = false;
    }
  }
  if (!good)
    return false;
  cnn::ScheduleAttr attribute = line.attribute(fused.getContext());
  if (!kernel.checkSchedule(group, target, attribute, why)) {
    diags.error(line.kernelAt, name + " can't run " + layer + " so: " + why);
    return false;
  }
  fused.setScheduleAttr(kernel.completeSchedule(group, target, attribute));
  if (!line.layout.empty())
    fused.setLayout(line.layout);
  return true;
}

void Applier::apply() {
  for (const ScheduleLine &line : schedule.lines)
    if (line.step == step)
      lines.try_emplace(line.layer, &line);
  for (const ScheduleLine &line : schedule.lines)
    if (line.step == step)
      apply(line);
}

/// That every line belongs to a step that there is.
static void checkSteps(const Schedule &schedule, ArrayRef<ScheduledModel> models,
                       dsl::Diagnostics &diags) {
  std::vector<std::string> known;
  for (const ScheduledModel &each : models)
    if (!each.step.empty())
      known.push_back(each.step);
  for (const ScheduleStep &step : schedule.steps) {
    if (llvm::is_contained(known, step.name))
      continue;
    SmallVector<StringRef> names(known.begin(), known.end());
    diags.error(step.where,
                known.empty()
                    ? "the schedule has steps, and no models are trained in turn here"
                    : "the training has no step '" + dsl::printable(step.name) + "'" +
                          dsl::didYouMean(step.name, names));
    if (known.empty())
      return;
  }
  for (const ScheduleLine &line : schedule.lines)
    if (line.step.empty() && !known.empty()) {
      diags.error(line.layerAt,
                  "models that are trained in turn have several steps; above the lines "
                  "of one stands its name",
                  {"write: step " + known.front()});
      return;
    }
}

bool applySchedule(const Schedule &schedule, ArrayRef<ScheduledModel> models,
                   const Target &target, dsl::Diagnostics &diags) {
  unsigned before = diags.count();
  if (schedule.target != target.machine) {
    // Lines for other vectors and caches would only repeat it.
    diags.error(schedule.targetAt,
                "the schedule is for '" + dsl::printable(schedule.target) +
                    "', the program for '" + target.machine + "'");
    return false;
  }
  checkSteps(schedule, models, diags);
  for (const ScheduledModel &each : models)
    Applier{schedule, target, diags, Names(each.model), each.step, {}}.apply();
  return diags.count() == before;
}

bool applyScheduleFile(StringRef path, ArrayRef<ScheduledModel> models,
                       const Target &target, llvm::raw_ostream &errs) {
  llvm::SourceMgr sources;
  dsl::Diagnostics diags(sources, errs);
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file) {
    diags.error("can't read " + path + ": " + file.getError().message());
    return false;
  }
  StringRef text = (*file)->getBuffer();
  sources.AddNewSourceBuffer(std::move(*file), llvm::SMLoc());
  Schedule schedule;
  bool read = parseSchedule(text, diags, schedule);
  // Lines that can be read are checked beside those that can't.
  return !schedule.target.empty() &&
         applySchedule(schedule, models, target, diags) && read;
}

} // namespace halcyon
