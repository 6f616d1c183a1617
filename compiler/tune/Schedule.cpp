//===- Schedule.cpp - What a schedule file says ---------------------------===//

#include "compiler/tune/Schedule.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Train.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

std::string kernelText(StringRef kernel) {
  StringRef word = kernel.rtrim("0123456789");
  // A year is a part of the name.
  size_t digits = kernel.size() - word.size();
  unsigned number = 0;
  if (word.empty() || digits == 0 || digits == 4 ||
      kernel.drop_front(word.size()).getAsInteger(10, number) ||
      std::to_string(number).size() != digits)
    return kernel.str();
  return (word + "(" + kernel.drop_front(word.size()) + ")").str();
}

static std::string quoted(StringRef name) {
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\')
      text += '\\';
    text += c;
  }
  return text + "\"";
}

/// A name of letters, digits and some signs as it is, any other in quotes.
static std::string nameText(StringRef name) {
  bool plain = !name.empty() && name.front() != '/' && !name.contains("//") &&
               llvm::all_of(name, [](char c) {
                 return llvm::isAlnum(c) || StringRef("_.#-/").contains(c);
               });
  return plain ? name.str() : quoted(name);
}

static std::string valueText(const ScheduleTerm &term) {
  if (term.flag)
    return term.value ? "yes" : "no";
  return term.fit ? "fit" : std::to_string(term.value);
}

std::string ScheduleLine::text() const {
  std::string line = kernelText(kernel);
  if (!layout.empty())
    line += " layout " + layout;
  for (size_t i = 0; i < terms.size();) {
    auto [word, key] = splitParameter(terms[i].name);
    line += (" " + word + "(").str();
    for (size_t first = i; i < terms.size(); ++i) {
      auto [nextWord, nextKey] = splitParameter(terms[i].name);
      if (i != first && (nextWord != word || key.empty()))
        break;
      line += i == first ? "" : ", ";
      line += (nextKey.empty() ? "" : nextKey.str() + "=") + valueText(terms[i]);
    }
    line += ")";
  }
  return line;
}

cnn::ScheduleAttr ScheduleLine::attribute(MLIRContext *context) const {
  SmallVector<std::pair<StringRef, int64_t>> params;
  for (const ScheduleTerm &term : terms)
    params.push_back({term.name, term.value});
  return makeSchedule(context, kernel, params);
}

/// Text that fits behind "//" on one line.
static std::string commentText(StringRef text) {
  std::string line = "// ";
  for (char c : text)
    line += c == '\n' || c == '\r' ? ' ' : c;
  return line;
}

std::string printSchedule(const Schedule &schedule) {
  std::string text;
  for (const std::string &comment : schedule.comments)
    text += StringRef(commentText(comment)).rtrim().str() + "\n";
  text += "target " + quoted(schedule.target);
  if (schedule.threads)
    text += " threads " + std::to_string(schedule.threads);
  if (!schedule.halide.empty())
    text += " halide " + schedule.halide;
  text += "\n";
  // Names and what follows stand in columns, unless a name is very long.
  auto padded = [](std::string word, size_t width) {
    word.resize(std::max(word.size(), width), ' ');
    return word;
  };
  size_t names = 0, texts = 0;
  for (const ScheduleLine &line : schedule.lines) {
    if (size_t size = nameText(line.layer).size(); size < 48)
      names = std::max(names, size + 1);
    if (size_t size = line.text().size(); size < 100)
      texts = std::max(texts, size);
  }
  auto step = schedule.steps.begin();
  auto begin = [&](StringRef name) {
    while (step != schedule.steps.end() && (step == schedule.steps.begin() ||
                                            std::prev(step)->name != name))
      text += "step " + nameText((step++)->name) + "\n";
  };
  for (const ScheduleLine &line : schedule.lines) {
    if (!line.step.empty())
      begin(line.step);
    std::string row = padded(nameText(line.layer) + ":", names) + " ";
    if (line.comment.empty())
      text += row + line.text() + "\n";
    else
      text += row + padded(line.text(), texts) + "  " +
              commentText(line.comment) + "\n";
  }
  // Steps without lines.
  begin("");
  return text;
}

std::string timeText(const Group &group, const Target &target, double seconds) {
  double arithmetic = groupFlops(group) / (target.flops * target.cores);
  double memory = groupBytes(group) / target.totalBandwidth;
  std::string text = llvm::formatv("{0:F3} ms", seconds * 1e3);
  if (seconds <= 0)
    return text;
  if (arithmetic > seconds)
    return text + llvm::formatv(", {0:F1} x what direct could", arithmetic / seconds).str();
  if (arithmetic >= memory)
    return text + llvm::formatv(", {0:F0} % of peak", 100 * arithmetic / seconds).str();
  if (memory > seconds)
    return text + ", out of the caches";
  return text + llvm::formatv(", {0:F0} % of memory's rate", 100 * memory / seconds).str();
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

static bool isMap(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 4 && !Group::isWeight(value);
}

ScheduleLine scheduleLine(cnn::FusedOp fused, const Target &target) {
  Group group(fused.getBody().front());
  cnn::ScheduleAttr schedule = *fused.getSchedule();
  ScheduleLine line;
  line.layer = cnn::layerLocation(fused.getLoc()).path;
  line.kernel = schedule.getAlgorithm().str();
  LayoutChoice choice;
  auto add = [](Value value, SmallVectorImpl<cnn::LayoutAttr> &layouts) {
    layouts.push_back(isMap(value) ? cnn::layoutOf(value.getType())
                                   : cnn::LayoutAttr());
  };
  for (Value input : fused.getInputs())
    add(input, choice.inputs);
  for (Value output : fused.getResults())
    add(output, choice.outputs);
  line.layout = layoutText(choice);
  const Kernel *kernel = findKernel(line.kernel);
  // As many as fit is the only thing that a number 0 stands for.
  for (const ScheduleParameter &p : kernel->parameters(group, target)) {
    int64_t value = schedule.param(p.name);
    line.terms.push_back({p.name.str(), value, p.flag, !p.flag && !value, {}});
  }
  return line;
}

SmallVector<std::pair<std::string, cnn::FusedOp>>
scheduledGroups(cnn::ModelOp model) {
  SmallVector<std::pair<std::string, cnn::FusedOp>> groups;
  llvm::StringMap<int> seen;
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>()) {
    // Copies, conversions and packed weights follow from the layouts; so does
    // whether a weight is turned over by a kernel of its own.
    Operation *anchor = Group(fused.getBody().front()).anchor();
    if (anchor && (isa<cnn::PackOp, cnn::AdjointFilterOp>(anchor) ||
                   cast<cnn::ComputeOpInterface>(anchor).movesDataOnly()))
      continue;
    std::string name = cnn::layerLocation(fused.getLoc()).path;
    int count = ++seen[name];
    if (count > 1 || name.empty())
      name += "#" + std::to_string(count);
    groups.push_back({name, fused});
  }
  return groups;
}

SmallVector<ScheduledModel> scheduledModels(ModuleOp module) {
  auto models = module.getOps<cnn::ModelOp>();
  if (models.empty())
    return {};
  auto how = (*models.begin())->getAttrOfType<DictionaryAttr>(cnn::kTrainAttr);
  auto turns = how ? how.getAs<ArrayAttr>("turns") : ArrayAttr();
  if (!turns)
    return {{"", *models.begin()}};
  SmallVector<ScheduledModel> result;
  for (auto [program, turn] : llvm::zip(cnn::stepNames(turns.size()),
                                        turns.getAsRange<DictionaryAttr>()))
    if (auto model = module.lookupSymbol<cnn::ModelOp>(program))
      result.push_back({turn.getAs<StringAttr>("name").str(), model});
  return result;
}

void Schedule::addStep(StringRef name, Schedule other) {
  if (!name.empty())
    steps.push_back({name.str(), {}});
  for (ScheduleLine &line : other.lines) {
    line.step = name.str();
    lines.push_back(std::move(line));
  }
  target = other.target;
  threads = other.threads;
  halide = other.halide;
}

Schedule scheduleOf(cnn::ModelOp model, const Target &target, StringRef halide) {
  Schedule schedule;
  schedule.target = target.machine;
  schedule.threads = target.cores;
  schedule.halide = halide.str();
  llvm::StringMap<std::string> first;
  for (auto &[name, fused] : scheduledGroups(model)) {
    ScheduleLine line = scheduleLine(fused, target);
    // What runs again as it ran before needs no line of its own.
    std::string text = line.text();
    auto [at, isNew] = first.try_emplace(line.layer, text);
    if (!isNew && at->second == text && !line.layer.empty())
      continue;
    line.layer = name;
    Group group(fused.getBody().front());
    line.comment = "estimated " +
                   timeText(group, target,
                            findKernel(line.kernel)->cost(group, target));
    schedule.lines.push_back(std::move(line));
  }
  return schedule;
}

} // namespace halcyon
