//===- CostModel.cpp - How fast a candidate will be, before it is timed ---===//

#include "compiler/tune/CostModel.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

#include <cmath>
#include <numeric>
#include <set>

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

/// Where a feature has no value: less than any logarithm of a count.
static const double kMissing = -8;

static double logOf(double value) { return std::log2(std::max(value, 1e-12)); }

namespace {
/// A group's output, as a schedule cuts it up.
struct Extents {
  double width = 1, height = 1, blocks = 1;

  Extents(Value value, const Target &target) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() >= 2)
      blocks = std::ceil(double(type.getDimSize(1)) / target.lanes);
    if (type.getRank() == 4) {
      height = type.getDimSize(2);
      width = type.getDimSize(3);
    }
  }
  /// The extent that a parameter's key speaks of; 0 for others.
  double of(StringRef key) const {
    return llvm::StringSwitch<double>(key)
        .Case("x", width)
        .Cases({"y", "rows", "rows_per_task"}, height)
        .Cases({"co", "o"}, blocks)
        .Default(0);
  }
};
} // namespace

Features featuresOf(const Group &group, const Kernel &kernel,
                    cnn::ScheduleAttr schedule, StringRef layout,
                    const Target &target) {
  Features f;
  const double flops = groupFlops(group), bytes = groupBytes(group);
  double weights = 0;
  for (Value input : group.inputs())
    if (Group::isWeight(input))
      weights += cnn::bytesOf(input.getType());
  Extents extents(group.outputs().front(), target);
  f[kEstimate] = std::log(std::max(kernel.cost(group, target), 1e-9));
  f["flops"] = logOf(flops);
  f["bytes"] = logOf(bytes);
  f["weights"] = logOf(weights);
  f["weights_l2"] = logOf(weights / target.l2);
  f["bytes_l2"] = logOf(bytes / (target.l2 * target.cores));
  f["bytes_l3"] = logOf(bytes / target.l3);
  f["intensity"] = logOf(flops / bytes);
  f["width"] = logOf(extents.width);
  f["height"] = logOf(extents.height);
  f["blocks"] = logOf(extents.blocks);
  f["kernel_" + kernel.name().str()] = 1;
  // Words without spaces, which lie between features as text.
  if (!layout.empty())
    f["layout_" + llvm::join(llvm::split(layout, ' '), "")] = 1;

  // Parameters are named alike in all kernels: `tile` is what lies in registers
  // at a time, `task` what a thread takes at a time.
  double tile = 1, channels = 1, waste = 1, tasks = 1;
  bool tiled = false;
  for (NamedAttribute param : schedule.getParams()) {
    StringRef name = param.getName();
    double value = cast<IntegerAttr>(param.getValue()).getInt();
    f[("p_" + name).str()] = logOf(value + 1);
    auto [family, key] = splitParameter(name);
    double extent = extents.of(key.empty() ? family : key);
    if (!extent || value < 1)
      continue;
    double steps = std::ceil(extent / value);
    f[("share_" + name).str()] = logOf(value / extent);
    if (family == "tile") {
      tiled = true;
      tile *= value;
      if (key == "co" || key == "o")
        channels *= value;
      waste *= steps * value / extent;
      f[("rest_" + name).str()] = steps * value / extent;
    } else {
      tasks *= steps;
    }
  }
  if (tiled) {
    f["tile"] = logOf(tile);
    f["registers"] = tile / target.registers;
    // Multiply-adds to a load: a step of the sum reads a vector of weights for
    // each of the channels and an input for each of the pixels.
    f["reuse"] = logOf(tile / (channels + tile / channels));
    f["waste"] = logOf(waste);
  }
  f["tasks"] = logOf(tasks);
  // What the last round of tasks leaves idle.
  f["slack"] = std::ceil(tasks / target.cores) * target.cores / tasks;
  return f;
}

std::string featuresText(const Features &features) {
  std::string text;
  for (auto &[name, value] : features)
    text += (text.empty() ? "" : " ") + name + "=" +
            llvm::formatv("{0:F6}", value).str();
  return text;
}

Features parseFeatures(StringRef text) {
  Features features;
  for (StringRef word : llvm::split(text, ' ')) {
    auto [name, number] = word.split('=');
    double value;
    if (!number.getAsDouble(value))
      features[name.str()] = value;
  }
  return features;
}

//===----------------------------------------------------------------------===//
// Rank correlation
//===----------------------------------------------------------------------===//

static std::vector<double> ranksOf(ArrayRef<double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]])
      ++end;
    for (size_t k = i; k < end; ++k)
      ranks[order[k]] = (i + end - 1) / 2.0;
    i = end;
  }
  return ranks;
}

double spearman(ArrayRef<double> a, ArrayRef<double> b) {
  std::vector<double> x = ranksOf(a), y = ranksOf(b);
  const double mean = (a.size() - 1.0) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

//===----------------------------------------------------------------------===//
// Trees
//===----------------------------------------------------------------------===//

// Shallow trees and small steps: few measurements, many features.
static const int kTrees = 80, kDepth = 3, kLeastMembers = 4, kBins = 12;
static const double kStep = 0.15, kShrinkage = 2;

int BoostedTrees::grow(const std::vector<std::vector<double>> &rows,
                       const std::vector<double> &residuals,
                       std::vector<int> &&members, int depth,
                       const std::vector<std::vector<double>> &thresholds) {
  double sum = 0;
  for (int i : members)
    sum += residuals[i];
  Node node;
  node.value = kStep * sum / (members.size() + kShrinkage);
  double bestGain = 1e-9;
  if (depth > 0 && (int)members.size() >= 2 * kLeastMembers) {
    const double whole = sum * sum / (members.size() + kShrinkage);
    for (size_t f = 0; f < thresholds.size(); ++f) {
      // Sums between neighbouring thresholds, then over all to the left.
      const std::vector<double> &cuts = thresholds[f];
      if (cuts.empty())
        continue;
      std::vector<double> sums(cuts.size() + 1);
      std::vector<int> counts(cuts.size() + 1);
      for (int i : members) {
        size_t bin = llvm::lower_bound(cuts, rows[i][f]) - cuts.begin();
        sums[bin] += residuals[i];
        ++counts[bin];
      }
      double left = 0;
      int count = 0;
      for (size_t bin = 0; bin < cuts.size(); ++bin) {
        left += sums[bin];
        count += counts[bin];
        int others = (int)members.size() - count;
        if (count < kLeastMembers || others < kLeastMembers)
          continue;
        double right = sum - left;
        double gain = left * left / (count + kShrinkage) +
                      right * right / (others + kShrinkage) - whole;
        if (gain > bestGain * (1 + 1e-9)) {
          bestGain = gain;
          node.feature = (int)f;
          node.threshold = cuts[bin];
        }
      }
    }
  }
  int index = (int)nodes.size();
  nodes.push_back(node);
  if (node.feature < 0)
    return index;
  std::vector<int> left, right;
  for (int i : members)
    (rows[i][node.feature] <= node.threshold ? left : right).push_back(i);
  int l = grow(rows, residuals, std::move(left), depth - 1, thresholds);
  int r = grow(rows, residuals, std::move(right), depth - 1, thresholds);
  nodes[index].left = l;
  nodes[index].right = r;
  return index;
}

void BoostedTrees::fit(const std::vector<std::vector<double>> &rows,
                       const std::vector<double> &targets) {
  nodes.clear();
  roots.clear();
  if (rows.empty())
    return;
  // Where to cut: between the quantiles of what occurs.
  std::vector<std::vector<double>> thresholds(rows[0].size());
  for (size_t f = 0; f < thresholds.size(); ++f) {
    std::set<double> distinct;
    for (auto &row : rows)
      distinct.insert(row[f]);
    std::vector<double> values(distinct.begin(), distinct.end());
    size_t cuts = std::min<size_t>(kBins, values.size() - 1);
    for (size_t k = 0; k < cuts; ++k) {
      size_t at = (k + 1) * (values.size() - 1) / (cuts + 1);
      double cut = (values[at] + values[at + 1]) / 2;
      if (thresholds[f].empty() || cut > thresholds[f].back())
        thresholds[f].push_back(cut);
    }
  }
  std::vector<double> residuals = targets;
  for (int t = 0; t < kTrees; ++t) {
    std::vector<int> members(rows.size());
    std::iota(members.begin(), members.end(), 0);
    roots.push_back(
        grow(rows, residuals, std::move(members), kDepth, thresholds));
    for (size_t i = 0; i < rows.size(); ++i) {
      const Node *node = &nodes[roots.back()];
      while (node->feature >= 0)
        node = &nodes[rows[i][node->feature] <= node->threshold ? node->left
                                                                : node->right];
      residuals[i] -= node->value;
    }
  }
}

double BoostedTrees::predict(ArrayRef<double> row) const {
  double sum = 0;
  for (int root : roots) {
    const Node *node = &nodes[root];
    while (node->feature >= 0)
      node = &nodes[row[node->feature] <= node->threshold ? node->left
                                                          : node->right];
    sum += node->value;
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

std::vector<double> CostModel::row(const Features &features) const {
  std::vector<double> values;
  for (const std::string &name : names) {
    auto found = features.find(name);
    values.push_back(found == features.end() ? kMissing : found->second);
  }
  return values;
}

/// Candidates that a kernel needs to say anything of a ranking.
static const int kLeastCandidates = 5;
/// Kernels that a correlation must rest on.
static const int kLeastKernels = 4;
static const int kFolds = 5;

void CostModel::fit(ArrayRef<Measurement> measured) {
  std::vector<Features> features;
  std::vector<double> times, targets, estimates;
  std::set<std::string> all;
  std::map<std::string, std::vector<int>> byKernel;
  for (const Measurement &m : measured) {
    Features f = parseFeatures(m.features);
    if (!f.count(kEstimate) || m.seconds <= 0 || m.relative <= 0)
      continue;
    byKernel[m.kernel].push_back((int)features.size());
    estimates.push_back(f[kEstimate]);
    // By the default's time, measured beside it: seconds of two moments are
    // not comparable on a machine that does other things too.
    times.push_back(std::log(m.relative));
    targets.push_back(times.back() - estimates.back());
    f.erase(kEstimate);
    for (auto &entry : f)
      all.insert(entry.first);
    features.push_back(std::move(f));
  }
  names.assign(all.begin(), all.end());
  std::vector<std::vector<double>> rows;
  for (const Features &f : features)
    rows.push_back(row(f));
  // What the estimate missed, against the mean of the same group: candidates
  // are ranked within a group alone.
  for (auto &[kernel, members] : byKernel) {
    double mean = 0;
    for (int i : members)
      mean += targets[i] / members.size();
    for (int i : members)
      targets[i] -= mean;
  }

  // Each fold's kernels are ranked by trees that never saw them.
  double learnedSum = 0, estimatedSum = 0;
  judged = 0;
  for (int fold = 0; fold < kFolds; ++fold) {
    std::vector<std::vector<double>> seenRows;
    std::vector<double> seenTargets;
    std::vector<const std::vector<int> *> unseen;
    for (auto &[kernel, members] : byKernel) {
      if (llvm::xxh3_64bits(kernel) % kFolds == (uint64_t)fold) {
        if ((int)members.size() >= kLeastCandidates)
          unseen.push_back(&members);
        continue;
      }
      for (int i : members) {
        seenRows.push_back(rows[i]);
        seenTargets.push_back(targets[i]);
      }
    }
    if (unseen.empty() || seenRows.empty())
      continue;
    BoostedTrees partial;
    partial.fit(seenRows, seenTargets);
    for (const std::vector<int> *members : unseen) {
      std::vector<double> truth, guess, estimate;
      for (int i : *members) {
        truth.push_back(times[i]);
        guess.push_back(estimates[i] + partial.predict(rows[i]));
        estimate.push_back(estimates[i]);
      }
      learnedSum += spearman(truth, guess);
      estimatedSum += spearman(truth, estimate);
      ++judged;
    }
  }
  learned.reset();
  estimated.reset();
  if (judged >= kLeastKernels) {
    learned = learnedSum / judged;
    estimated = estimatedSum / judged;
  }
  trees.fit(rows, targets);
}

double CostModel::score(const Features &features) const {
  auto estimate = features.find(kEstimate);
  double score = estimate == features.end() ? 0 : estimate->second;
  return usesLearned() ? score + trees.predict(row(features)) : score;
}

} // namespace halcyon
