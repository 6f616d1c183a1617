//===- Embedding.cpp - Points of many dimensions on a plane ---------------===//

#include "compiler/tools/Embedding.h"

#include <algorithm>
#include <cmath>

namespace halcyon {

using Matrix = std::vector<std::vector<double>>;

std::vector<Point> principalComponents(const std::vector<std::vector<float>> &points) {
  size_t n = points.size(), size = n ? points[0].size() : 0;
  std::vector<double> mean(size);
  for (const auto &point : points)
    for (size_t d = 0; d < size; ++d)
      mean[d] += point[d] / n;
  // The products of all pairs have the coordinates as eigenvectors: there are
  // fewer points than dimensions.
  Matrix products(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (size_t d = 0; d < size; ++d)
        sum += (points[i][d] - mean[d]) * (points[j][d] - mean[d]);
      products[i][j] = products[j][i] = sum;
    }
  std::vector<Point> result(n, Point{});
  for (int axis : {0, 1}) {
    std::vector<double> v(n), next(n);
    for (size_t i = 0; i < n; ++i)
      v[i] = std::cos(1.0 + 2.7 * i);
    double value = 0;
    for (int step = 0; step < 1000; ++step) {
      double length = 0;
      for (size_t i = 0; i < n; ++i) {
        next[i] = 0;
        for (size_t j = 0; j < n; ++j)
          next[i] += products[i][j] * v[j];
        length += next[i] * next[i];
      }
      value = std::sqrt(length);
      if (value <= 1e-12)
        break;
      double change = 0;
      for (size_t i = 0; i < n; ++i) {
        change = std::max(change, std::fabs(next[i] / value - v[i]));
        v[i] = next[i] / value;
      }
      if (change < 1e-12)
        break;
    }
    if (value <= 1e-12)
      break;
    auto most = std::max_element(v.begin(), v.end(), [](double a, double b) {
      return std::fabs(a) < std::fabs(b);
    });
    double sign = *most < 0 ? -1 : 1;
    for (size_t i = 0; i < n; ++i)
      result[i][axis] = sign * v[i] * std::sqrt(value);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        products[i][j] -= value * v[i] * v[j];
  }
  return result;
}

/// How near each point has the others, as chances, with a width of the bell for
/// each point that gives it about `perplexity` neighbours.
static Matrix chances(const std::vector<std::vector<float>> &points, double perplexity) {
  size_t n = points.size();
  Matrix p(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) {
    std::vector<double> apart(n);
    double least = 1e300;
    for (size_t j = 0; j < n; ++j) {
      for (size_t d = 0; d < points[i].size(); ++d)
        apart[j] += std::pow(points[i][d] - points[j][d], 2);
      if (j != i)
        least = std::min(least, apart[j]);
    }
    double low = 0, high = 0, narrow = 1 / std::max(least, 1e-12);
    for (int step = 0; step < 60; ++step) {
      double sum = 0, entropy = 0;
      for (size_t j = 0; j < n; ++j) {
        p[i][j] = j == i ? 0 : std::exp(-narrow * (apart[j] - least));
        sum += p[i][j];
      }
      for (size_t j = 0; j < n; ++j) {
        p[i][j] /= sum;
        entropy -= p[i][j] > 1e-300 ? p[i][j] * std::log(p[i][j]) : 0;
      }
      (entropy > std::log(perplexity) ? low : high) = narrow;
      narrow = high == 0 ? 2 * narrow : (low + high) / 2;
    }
  }
  Matrix both(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      both[i][j] = std::max((p[i][j] + p[j][i]) / (2 * n), 1e-12);
  return both;
}

std::vector<Point> neighbourhoods(const std::vector<std::vector<float>> &points,
                                  double perplexity) {
  size_t n = points.size();
  Matrix p = chances(points, std::clamp(perplexity, 1.0, std::max(1.0, (n - 1) / 3.0)));
  std::vector<Point> y = principalComponents(points), moved(n, Point{});
  double most = 1e-12;
  for (const Point &point : y)
    most = std::max({most, std::fabs(point[0]), std::fabs(point[1])});
  for (Point &point : y)
    for (double &number : point)
      number *= 1e-2 / most;
  for (int step = 0; step < 1000; ++step) {
    // Neighbours attract each other more in the beginning.
    double early = step < 250 ? 4 : 1, momentum = step < 250 ? 0.5 : 0.8, sum = 0;
    Matrix q(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        if (i != j)
          sum += q[i][j] = 1 / (1 + std::pow(y[i][0] - y[j][0], 2) +
                                std::pow(y[i][1] - y[j][1], 2));
    std::vector<Point> slopes(n, Point{});
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        for (int axis : {0, 1})
          slopes[i][axis] +=
              4 * (early * p[i][j] - q[i][j] / sum) * q[i][j] * (y[i][axis] - y[j][axis]);
    double rate = std::max(n / 4.0, 1.0);
    for (size_t i = 0; i < n; ++i)
      for (int axis : {0, 1}) {
        moved[i][axis] = momentum * moved[i][axis] - rate * slopes[i][axis];
        y[i][axis] += moved[i][axis];
      }
  }
  return y;
}

} // namespace halcyon
