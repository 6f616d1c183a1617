//===- Progress.h - What a search says while it runs ----------------------===//

#ifndef HALCYON_COMPILER_TUNE_PROGRESS_H
#define HALCYON_COMPILER_TUNE_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace halcyon {

/// On a terminal one line that is drawn anew; elsewhere a plain line for what a
/// reader of a log wants to know.
class Progress {
public:
  /// `terminal`: whether standard error is one.
  Progress(double budget, bool terminal);
  ~Progress() { clear(); }

  /// What is being tried, drawn at most ten times a second.
  void trying(llvm::StringRef what);
  /// Something that stays to be read.
  void say(llvm::StringRef line);
  /// What a run takes now and took before, in seconds.
  void best(double now, double before);
  void clear();

private:
  void draw();
  double budget, begun, drawn = 0;
  double now = 0, before = 0;
  bool terminal;
  std::string what;
};

/// Seconds of a clock that only goes forward.
double clockSeconds();

/// "0.183 ms", "12.4 us".
std::string secondsText(double seconds);
/// "1:23" minutes and seconds.
std::string minutesText(double seconds);

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_PROGRESS_H
