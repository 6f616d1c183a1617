//===- Progress.cpp - What a search says while it runs --------------------===//

#include "compiler/tune/Progress.h"

#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sys/ioctl.h>
#include <unistd.h>

using llvm::formatv;

namespace halcyon {

double clockSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string secondsText(double seconds) {
  if (seconds < 1e-4)
    return formatv("{0:F1} us", seconds * 1e6);
  return seconds < 1e-2 ? formatv("{0:F3} ms", seconds * 1e3).str()
                        : formatv("{0:F1} ms", seconds * 1e3).str();
}

std::string minutesText(double seconds) {
  int whole = std::max(0, (int)std::ceil(seconds));
  return formatv("{0}:{1,0+2}", whole / 60, whole % 60);
}

Progress::Progress(double budget, bool terminal)
    : budget(budget), begun(clockSeconds()), terminal(terminal) {}

void Progress::trying(llvm::StringRef text) {
  what = text.str();
  if (terminal && clockSeconds() - drawn > 0.1)
    draw();
}

void Progress::best(double n, double b) {
  now = n;
  before = b;
}

void Progress::clear() {
  if (terminal)
    fputs("\r\033[K", stderr);
}

void Progress::say(llvm::StringRef line) {
  clear();
  fprintf(stderr, "%s\n", line.str().c_str());
  if (terminal)
    draw();
}

void Progress::draw() {
  drawn = clockSeconds();
  const int cells = 20;
  double spent = drawn - begun, part = std::min(1.0, spent / budget);
  int full = (int)(part * cells);
  std::string line = "[" + std::string(full, '#') +
                     std::string(cells - full, '.') + "] " +
                     minutesText(budget - spent) + " left";
  if (before > 0)
    line += "  " + secondsText(now) + formatv(" ({0:F1} %)", 100 * (now / before - 1)).str();
  line += "  " + what;
  winsize size = {};
  size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col
                     ? size.ws_col - 1
                     : 79;
  if (line.size() > width)
    line.resize(width);
  fprintf(stderr, "\r\033[K%s", line.c_str());
  fflush(stderr);
}

} // namespace halcyon
