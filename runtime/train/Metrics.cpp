//===- Metrics.cpp - What is counted beside the loss ----------------------===//

#include "Metrics.h"

#include <algorithm>
#include <cmath>

namespace halcyon::train {

int64_t predicted(const Tensor &value, size_t at, int64_t classes, size_t stride) {
  if (classes == 1)
    return value.at(at) > 0;
  int64_t best = 0;
  double most = value.at(at);
  for (int64_t c = 1; c < classes; ++c) {
    double score = value.at(at + size_t(c) * stride);
    // A NaN is never the largest, wherever it stands.
    if (score > most || (std::isnan(most) && !std::isnan(score))) {
      best = c;
      most = score;
    }
  }
  return best;
}

namespace {

/// Scores as [image][class][place], one place where there is no picture.
struct Scores {
  const Tensor &value;
  int64_t classes;
  size_t places = 1;

  explicit Scores(const Tensor &value)
      : value(value), classes(value.shape.size() > 1 ? value.shape[1] : 1) {
    for (size_t i = 2; i < value.shape.size(); ++i)
      places *= size_t(value.shape[i]);
  }
  size_t at(uint32_t image, size_t place) const {
    return size_t(image) * size_t(classes) * places + place;
  }
  int64_t guess(uint32_t image, size_t place) const {
    return predicted(value, at(image, place), classes, places);
  }
};

/// The mean of what the model itself computed.
class Mean : public Metric {
public:
  Mean() { larger = false; }
  void add(const Tensor &value, const Tensor *, uint32_t images) override {
    bool whole = value.shape.empty() || (value.shape[0] == 1 && images > 1);
    size_t count = whole ? value.size()
                         : value.size() / size_t(value.shape[0]) * images;
    for (size_t i = 0; i < count; ++i)
      sum += value.at(i) * (whole ? images : 1);
    total += double(whole ? count * images : count);
  }
  double result() const override { return total ? sum / total : 0; }
  void clear() override { sum = total = 0; }
  Json state() const override { return {sum, total}; }
  void restore(const Json &state) override {
    sum = numberOf(state.at(0));
    total = numberOf(state.at(1));
  }

private:
  double sum = 0, total = 0;
};

class Accuracy : public Metric {
public:
  explicit Accuracy(const Json &entry) : k(entry.at("k")) {}
  void add(const Tensor &value, const Tensor *right, uint32_t images) override {
    Scores scores(value);
    for (uint32_t n = 0; n < images; ++n)
      for (size_t p = 0; p < scores.places; ++p) {
        int64_t wanted = int64_t(right->at(n * scores.places + p));
        if (wanted < 0)
          continue;
        ++total;
        if (k == 1 || scores.classes == 1) {
          hits += scores.guess(n, p) == wanted;
          continue;
        }
        int64_t better = 0;
        double own = wanted < scores.classes
                         ? value.at(scores.at(n, p) + size_t(wanted) * scores.places)
                         : NAN;
        for (int64_t c = 0; c < scores.classes; ++c) {
          double other = value.at(scores.at(n, p) + size_t(c) * scores.places);
          better += c != wanted && (!(other <= own) || (other == own && c < wanted));
        }
        hits += better < k;
      }
  }
  double result() const override { return total ? double(hits) / double(total) : 0; }
  void clear() override { hits = total = 0; }
  Json state() const override { return {hits, total}; }
  void restore(const Json &state) override {
    hits = state.at(0);
    total = state.at(1);
  }

private:
  int64_t k;
  uint64_t hits = 0, total = 0;
};

/// Whatever follows from which class was taken for which.
class Confusion : public Metric {
public:
  using Formula = double (*)(double hits, double guessed, double actual);
  Confusion(Formula formula, bool micro) : formula(formula), micro(micro) {}

  void add(const Tensor &value, const Tensor *right, uint32_t images) override {
    Scores scores(value);
    resize(size_t(std::max<int64_t>(scores.classes, 2)));
    for (uint32_t n = 0; n < images; ++n)
      for (size_t p = 0; p < scores.places; ++p) {
        int64_t wanted = int64_t(right->at(n * scores.places + p));
        if (wanted < 0)
          continue;
        resize(size_t(wanted) + 1);
        ++counts[size_t(wanted)][size_t(scores.guess(n, p))];
      }
  }

  double result() const override {
    double sum = 0, present = 0, all[3] = {};
    for (size_t c = 0; c < counts.size(); ++c) {
      double hits = double(counts[c][c]), guessed = 0, actual = 0;
      for (size_t other = 0; other < counts.size(); ++other) {
        guessed += double(counts[other][c]);
        actual += double(counts[c][other]);
      }
      all[0] += hits;
      all[1] += guessed;
      all[2] += actual;
      if (guessed + actual == 0)
        continue;
      sum += formula(hits, guessed, actual);
      ++present;
    }
    if (micro)
      return formula(all[0], all[1], all[2]);
    return present ? sum / present : 0;
  }
  void clear() override { counts.clear(); }
  Json state() const override { return counts; }
  void restore(const Json &state) override { counts = state; }
  Json table() const override { return counts; }

private:
  void resize(size_t classes) {
    if (counts.size() >= classes)
      return;
    counts.resize(classes);
    for (auto &row : counts)
      row.resize(classes);
  }

  Formula formula;
  bool micro;
  std::vector<std::vector<uint64_t>> counts;
};

/// The area under the curve of hits over false alarms: the chance that a right
/// one has a larger score than a wrong one. Of several classes the mean.
class Auc : public Metric {
public:
  void add(const Tensor &value, const Tensor *right, uint32_t images) override {
    Scores scores(value);
    ranked.resize(std::max(ranked.size(), size_t(scores.classes)));
    for (uint32_t n = 0; n < images; ++n)
      for (size_t p = 0; p < scores.places; ++p) {
        int64_t wanted = int64_t(right->at(n * scores.places + p));
        if (wanted < 0)
          continue;
        double sum = 0, most = -INFINITY;
        for (int64_t c = 0; c < scores.classes; ++c)
          most = std::max(most, score(scores, n, p, c));
        for (int64_t c = 0; c < scores.classes; ++c)
          sum += std::exp(score(scores, n, p, c) - most);
        for (int64_t c = 0; c < scores.classes; ++c) {
          double own = score(scores, n, p, c);
          if (scores.classes > 1)
            own = std::exp(own - most) / sum;
          // What is no number has no place in an order: it is behind all.
          if (std::isnan(own))
            own = -INFINITY;
          ranked[size_t(c)].push_back({own, scores.classes == 1 ? wanted == 1 : wanted == c});
        }
      }
  }
  double result() const override {
    double sum = 0, present = 0;
    for (auto list : ranked) {
      std::sort(list.begin(), list.end());
      double below = 0, wins = 0, right = 0;
      for (size_t i = 0; i < list.size();) {
        size_t end = i;
        double rights = 0, wrongs = 0;
        while (end < list.size() && list[end].first == list[i].first) {
          (list[end].second ? rights : wrongs) += 1;
          ++end;
        }
        wins += rights * (below + wrongs / 2);
        below += wrongs;
        right += rights;
        i = end;
      }
      if (right == 0 || below == 0)
        continue;
      sum += wins / (right * below);
      ++present;
    }
    return present ? sum / present : 0;
  }
  void clear() override { ranked.clear(); }
  Json state() const override { return ranked; }
  void restore(const Json &state) override {
    ranked.assign(state.size(), {});
    for (size_t c = 0; c < state.size(); ++c)
      for (const Json &one : state[c])
        ranked[c].push_back({numberOf(one.at(0)), one.at(1)});
  }

private:
  static double score(const Scores &scores, uint32_t n, size_t p, int64_t c) {
    return scores.value.at(scores.at(n, p) + size_t(c) * scores.places);
  }
  std::vector<std::vector<std::pair<double, bool>>> ranked;
};

} // namespace

static double part(double of, double all) { return all > 0 ? of / all : 0; }

std::unique_ptr<Metric> makeMetric(const Json &entry) {
  std::string call = entry.at("call");
  bool micro = entry.value("average", "macro") == "micro";
  std::unique_ptr<Metric> metric;
  auto counted = [&](Confusion::Formula formula) {
    metric = std::make_unique<Confusion>(formula, micro);
  };
  if (call == "mean")
    metric = std::make_unique<Mean>();
  else if (call == "accuracy")
    metric = std::make_unique<Accuracy>(entry);
  else if (call == "average_precision")
    metric = makePrecision(entry.at("rule"));
  else if (call == "auc")
    metric = std::make_unique<Auc>();
  else if (call == "precision")
    counted([](double hits, double guessed, double) { return part(hits, guessed); });
  else if (call == "recall" || call == "confusion")
    counted([](double hits, double, double actual) { return part(hits, actual); });
  else if (call == "f1" || call == "dice")
    counted([](double hits, double guessed, double actual) {
      return part(2 * hits, guessed + actual);
    });
  else if (call == "iou")
    counted([](double hits, double guessed, double actual) {
      return part(hits, guessed + actual - hits);
    });
  else
    throw Failure("this program knows no metric '" + call + "'");
  metric->name = entry.at("name");
  metric->value = entry.at("value");
  metric->right = entry.value("right", "");
  metric->more = entry.value("more", metric->more);
  return metric;
}

} // namespace halcyon::train
