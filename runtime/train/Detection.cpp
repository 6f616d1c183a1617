//===- Detection.cpp - Mean average precision -----------------------------===//
//
// What is found of a class, the surest first, is right where it overlaps an object
// that none before it took. Precision over recall, made to fall, is averaged: at
// 101 recalls for every overlap from 0.5 to 0.95 (COCO), or over all of the curve,
// or at 11 recalls (VOC).
//
//===----------------------------------------------------------------------===//

#include "Metrics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace halcyon::train {

double overlap(const Marked &a, const Marked &b) {
  double width = std::min(a.right, b.right) - std::max(a.left, b.left),
         height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  if (width <= 0 || height <= 0)
    return 0;
  auto size = [](const Marked &box) {
    return (box.right - box.left) * (box.bottom - box.top);
  };
  return width * height / (size(a) + size(b) - width * height);
}

namespace {

/// COCO looks at no more of a picture.
constexpr size_t mostOfPicture = 100;

class Precision : public Metric {
public:
  explicit Precision(const std::string &rule)
      : coco(rule.starts_with("coco")), eleven(rule == "voc07") {
    for (int i = 0; i < (rule == "coco" ? 10 : 1); ++i)
      overlaps.push_back(0.5 + 0.05 * i);
  }

  void add(const Tensor &, const Tensor *, uint32_t) override {}
  void addAll(const std::vector<const Tensor *> &values, const Tensor *right,
              uint32_t images) override {
    const Tensor &boxes = *values[0], &scores = *values[1], &kinds = *values[2];
    size_t found = size_t(scores.shape[1]), marked = size_t(right->shape[1]);
    for (uint32_t n = 0; n < images; ++n) {
      std::map<int64_t, Pictured> of;
      for (size_t i = n * marked; i < (n + 1) * marked; ++i)
        if (right->at(5 * i + 4) >= 0)
          of[int64_t(right->at(5 * i + 4))].right.push_back(areaOf(*right, 5 * i));
      std::vector<std::pair<double, size_t>> order;
      for (size_t i = n * found; i < (n + 1) * found; ++i)
        if (kinds.at(i) >= 0)
          order.push_back({-scores.at(i), i});
      std::stable_sort(order.begin(), order.end(),
                       [](const auto &a, const auto &b) { return a.first < b.first; });
      for (auto [score, i] : order) {
        Pictured &same = of[int64_t(kinds.at(i))];
        if (!coco || same.found.size() < mostOfPicture)
          same.found.push_back({areaOf(boxes, 4 * i), -score});
      }
      for (auto &[kind, pictured] : of)
        judge(kind, pictured);
    }
  }

  double result() const override {
    double sum = 0;
    size_t count = 0;
    for (auto &[kind, judged] : all) {
      if (judged.objects == 0)
        continue;
      for (size_t t = 0; t < overlaps.size(); ++t)
        sum += averageOf(judged, t);
      count += overlaps.size();
    }
    return count ? sum / double(count) : 0;
  }
  void clear() override { all.clear(); }

  Json state() const override {
    Json kinds = Json::array();
    for (auto &[kind, judged] : all)
      kinds.push_back({kind, judged.objects, judged.scores, judged.hits});
    return kinds;
  }
  void restore(const Json &state) override {
    all.clear();
    for (const Json &one : state) {
      Judged &judged = all[one.at(0)];
      judged.objects = one.at(1);
      for (const Json &score : one.at(2))
        judged.scores.push_back(numberOf(score));
      judged.hits = one.at(3);
    }
  }

private:
  /// One class in one picture.
  struct Pictured {
    std::vector<Marked> right;
    std::vector<std::pair<Marked, double>> found; ///< the surest first
  };
  /// One class in all pictures.
  struct Judged {
    size_t objects = 0;
    std::vector<double> scores;
    std::vector<std::vector<bool>> hits; ///< of each, by overlap
  };

  static Marked areaOf(const Tensor &boxes, size_t at) {
    return {boxes.at(at), boxes.at(at + 1), boxes.at(at + 2), boxes.at(at + 3), 0};
  }

  void judge(int64_t kind, const Pictured &pictured) {
    Judged &judged = all[kind];
    judged.objects += pictured.right.size();
    std::vector<std::vector<bool>> taken(overlaps.size(),
                                         std::vector<bool>(pictured.right.size()));
    for (auto &[box, score] : pictured.found) {
      std::vector<bool> hits;
      for (size_t t = 0; t < overlaps.size(); ++t) {
        // COCO asks for the best that is free, VOC for the best.
        double best = 0;
        size_t which = pictured.right.size();
        for (size_t i = 0; i < pictured.right.size(); ++i) {
          double own = overlap(box, pictured.right[i]);
          bool free = !coco || !taken[t][i];
          bool better = coco ? own >= std::max(best, overlaps[t]) : own > best;
          if (free && better) {
            best = own;
            which = i;
          }
        }
        bool hit = which < pictured.right.size() && best >= overlaps[t] &&
                   !taken[t][which];
        if (hit)
          taken[t][which] = true;
        hits.push_back(hit);
      }
      judged.scores.push_back(score);
      judged.hits.push_back(hits);
    }
  }

  double averageOf(const Judged &judged, size_t t) const {
    std::vector<size_t> order(judged.scores.size());
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return judged.scores[a] > judged.scores[b];
    });
    std::vector<double> recall, precision;
    double hits = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      hits += judged.hits[order[i]][t];
      recall.push_back(hits / double(judged.objects));
      precision.push_back(hits / double(i + 1));
    }
    for (size_t i = precision.size(); i-- > 1;)
      precision[i - 1] = std::max(precision[i - 1], precision[i]);
    double sum = 0;
    if (!coco && !eleven) {
      for (size_t i = 0; i < recall.size(); ++i)
        sum += precision[i] * (recall[i] - (i ? recall[i - 1] : 0));
      return sum;
    }
    int points = eleven ? 11 : 101;
    for (int i = 0; i < points; ++i) {
      auto at = std::lower_bound(recall.begin(), recall.end(), i / double(points - 1));
      if (at != recall.end())
        sum += precision[size_t(at - recall.begin())];
    }
    return sum / points;
  }

  bool coco, eleven;
  std::vector<double> overlaps;
  std::map<int64_t, Judged> all;
};

} // namespace

std::unique_ptr<Metric> makePrecision(const std::string &rule) {
  return std::make_unique<Precision>(rule);
}

} // namespace halcyon::train
