//===- Log.cpp - What a run says ------------------------------------------===//

#include "Log.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace halcyon::train {

/// A line of plain text every so many seconds; of a terminal as often as an eye
/// follows.
static constexpr double plainSeconds = 10, terminalSeconds = 0.1;

static std::string format(const char *how, double value) {
  char text[64];
  snprintf(text, sizeof text, how, value);
  return text;
}

static std::string clockText(double seconds) {
  if (!std::isfinite(seconds))
    return "?";
  long whole = std::lround(std::max(seconds, 0.0));
  char text[64];
  if (whole >= 3600)
    snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60,
             whole % 60);
  else
    snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

static std::string numbers(const Standing &standing, const char *prefix) {
  std::string text = std::string("  ") + prefix + "loss " + format("%.4f", standing.loss);
  for (auto &[name, value] : standing.metrics)
    text += "  " + std::string(prefix) + name + " " + format("%.4f", value);
  return text;
}

/// Cuts off what a killed run wrote behind its last state.
static void cutBehind(const std::string &path, uint64_t step) {
  std::ifstream lines(path);
  std::streamoff kept = 0;
  for (std::string line; std::getline(lines, line);) {
    Json json = Json::parse(line, nullptr, false);
    if (lines.eof() || json.is_discarded() || json.value("step", uint64_t(0)) > step)
      break;
    kept += std::streamoff(line.size()) + 1;
  }
  if (lines.is_open() && truncate(path.c_str(), kept) != 0)
    throw Failure("can't write " + path + ": " + strerror(errno));
}

Log::Log(const std::string &path, uint64_t after, bool quiet)
    : path(path), quiet(quiet), terminal(isatty(STDERR_FILENO)) {
  if (after)
    cutBehind(path, after);
  file = fopen(path.c_str(), after ? "ae" : "we");
  if (!file)
    throw Failure("can't write " + path + ": " + strerror(errno));
}

Log::~Log() {
  clearLine();
  if (file)
    fclose(file);
}

void Log::entry(const Json &line) {
  // NaN is no JSON; nlohmann's null stands for it.
  std::string text = line.dump() + "\n";
  if (fwrite(text.data(), 1, text.size(), file) != text.size() || fflush(file) != 0)
    throw Failure("can't write " + path + ": " + strerror(errno));
}

void Log::clearLine() {
  if (shown)
    fputs("\r\033[K", stderr);
  shown = false;
}

void Log::say(const std::string &text) {
  if (quiet)
    return;
  clearLine();
  fprintf(stderr, "%s\n", text.c_str());
}

void Log::progress(const Standing &s) {
  double time = now();
  if (quiet || time - last < (terminal ? terminalSeconds : plainSeconds))
    return;
  bool first = last < 0;
  last = time;
  if (!terminal && first)
    return;
  std::string text = "epoch " + std::to_string(s.epoch) + "/" + std::to_string(s.epochs);
  if (terminal) {
    const int width = 20;
    int filled = s.batches ? int(width * s.batch / s.batches) : 0;
    text += " [" + std::string(size_t(filled), '=') +
            std::string(size_t(width - filled), ' ') + "]";
  } else {
    text += " step " + std::to_string(s.batch) + "/" + std::to_string(s.batches);
  }
  text += numbers(s, "") + "  rate " + format("%.3g", s.rate) + "  " +
          format("%.0f", s.imagesPerSecond) + " images/s  " + clockText(s.secondsLeft) +
          " left";
  if (terminal) {
    fprintf(stderr, "\r%s\033[K", text.c_str());
    shown = true;
  } else {
    fprintf(stderr, "%s\n", text.c_str());
  }
}

void Log::epoch(const Standing &s, const Standing *validated, double seconds) {
  std::string text = "epoch " + std::to_string(s.epoch) + "/" + std::to_string(s.epochs) +
                     numbers(s, "");
  if (validated)
    text += "  |" + numbers(*validated, "val ");
  say(text + "  " + format("%.0f", s.imagesPerSecond) + " images/s  " + clockText(seconds));
}

} // namespace halcyon::train
