//===- Initialize.cpp - How weights begin ---------------------------------===//

#include "Initialize.h"

#include <cmath>

namespace halcyon::train {

/// The same for a name whatever other weights there are (FNV-1a).
static uint64_t numberOf(const std::string &name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name)
    hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

/// Rows (or columns, where there are more) at right angles, by Gram and
/// Schmidt's process on random ones.
static void orthogonal(Tensor &weight, double gain, Random random) {
  size_t rows = size_t(weight.shape[0]), columns = weight.size() / rows;
  bool flipped = rows > columns;
  size_t count = flipped ? columns : rows, length = flipped ? rows : columns;
  std::vector<std::vector<double>> basis(count, std::vector<double>(length));
  for (size_t i = 0; i < count; ++i) {
    std::vector<double> &v = basis[i];
    for (double &value : v)
      value = random.normal();
    // Twice: once leaves what rounding left.
    for (int pass = 0; pass < 2; ++pass)
      for (size_t k = 0; k < i; ++k) {
        double dot = 0;
        for (size_t j = 0; j < length; ++j)
          dot += v[j] * basis[k][j];
        for (size_t j = 0; j < length; ++j)
          v[j] -= dot * basis[k][j];
      }
    double norm = 0;
    for (double value : v)
      norm += value * value;
    for (double &value : v)
      value /= std::sqrt(norm);
  }
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      weight.set(r * columns + c, gain * (flipped ? basis[c][r] : basis[r][c]));
}

void initialize(Tensor &weight, const std::string &name, const Json &init,
                const std::set<std::string> &zeroed, uint64_t seed) {
  if (weight.shape.size() < 2) {
    bool ones = name.ends_with("weight") || name.ends_with("running_var");
    weight.fill(ones && !zeroed.contains(name) ? 1 : 0);
    return;
  }
  Random random(seed, Random::Initialize, numberOf(name));
  // Of a filter both count its taps.
  double taps = double(weight.size()) / double(weight.shape[0] * weight.shape[1]);
  double in = double(weight.shape[1]) * taps, out = double(weight.shape[0]) * taps;
  Json how = {{"call", "kaiming"}, {"fan", "fan_in"}, {"drawn", "uniform"},
              {"gain", 1 / std::sqrt(3.0)}};
  for (const Json &call : init)
    if (call.at("call") != "zero_last_norm")
      how = call;
  double gain = how.at("gain");
  if (how["call"] == "orthogonal")
    return orthogonal(weight, gain, random);
  double fan = how["call"] == "xavier"     ? (in + out) / 2
               : how["fan"] == "fan_out" ? out
                                         : in;
  double deviation = gain / std::sqrt(fan);
  bool uniform = how["drawn"] == "uniform";
  for (size_t i = 0, count = weight.size(); i < count; ++i)
    weight.set(i, uniform ? random.uniform(-1, 1) * std::sqrt(3.0) * deviation
                          : random.normal() * deviation);
}

} // namespace halcyon::train
