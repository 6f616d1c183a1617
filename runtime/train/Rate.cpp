//===- Rate.cpp - The learning rate over time -----------------------------===//

#include "Rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace halcyon::train {

Rate::Rate(const Json &chain, uint64_t stepsPerEpoch, uint64_t steps)
    : call(chain.at(0)), perEpoch(double(std::max<uint64_t>(stepsPerEpoch, 1))),
      total(double(std::max<uint64_t>(steps, 1))) {
  for (size_t i = 1; i < chain.size(); ++i)
    warmup = chain[i];
}

double Rate::stepsOf(const Json &duration) const {
  if (duration.contains("steps"))
    return duration["steps"];
  return duration.at("epochs").get<double>() * perEpoch;
}

/// From `high` to `low` over half a wave.
static double wave(double high, double low, double part) {
  return low + (high - low) * 0.5 * (1 + std::cos(std::numbers::pi * part));
}

double Rate::base(double step) const {
  std::string name = call.at("call");
  auto number = [&](const char *key) { return call.at(key).get<double>(); };
  double part = std::clamp(step / total, 0.0, 1.0);
  if (name == "one_cycle") {
    double peak = number("peak"), start = peak / number("start"),
           end = start / number("end"), rise = number("rise");
    return part < rise ? wave(start, peak, part / rise)
                       : wave(peak, end, rise < 1 ? (part - rise) / (1 - rise) : 1);
  }
  double rate = number("rate");
  if (name == "step")
    return rate * std::pow(number("factor"), std::floor(step / stepsOf(call.at("every"))));
  if (name == "multistep") {
    for (double epoch : call.at("at"))
      if (step >= epoch * perEpoch)
        rate *= number("factor");
    return rate;
  }
  if (name == "exponential")
    return rate * std::pow(number("factor"), std::floor(step / perEpoch));
  if (name == "polynomial")
    return number("end") +
           (rate - number("end")) * std::pow(1 - part, number("power"));
  if (name == "cosine")
    return wave(rate, number("end"), part);
  if (name == "restarts") {
    double period = std::max(stepsOf(call.at("period")), 1.0);
    while (step >= period) {
      step -= period;
      period *= number("grow");
    }
    return wave(rate, number("end"), step / period);
  }
  return rate; // constant, plateau
}

double Rate::at(uint64_t step) const {
  double rate = factor * base(double(step));
  if (warmup.is_null())
    return rate;
  double over = stepsOf(warmup.at("over")), start = warmup.at("start");
  double part = std::min(double(step + 1) / std::max(over, 1.0), 1.0);
  return rate * (start + (1 - start) * part);
}

std::string Rate::metric() const { return call.value("metric", ""); }

void Rate::hear(double value, bool larger) {
  if (call.at("call") != "plateau")
    return;
  bool better = !heard || (larger ? value > best : value < best);
  if (better) {
    best = value;
    heard = true;
    waited = 0;
  } else if (++waited > call.at("patience").get<int64_t>()) {
    factor *= call.at("factor").get<double>();
    waited = 0;
  }
}

Json Rate::state() const {
  return {{"factor", factor}, {"best", best}, {"waited", waited}, {"heard", heard}};
}

void Rate::restore(const Json &state) {
  factor = state.at("factor");
  best = state.at("best");
  waited = state.at("waited");
  heard = state.at("heard");
}

} // namespace halcyon::train
