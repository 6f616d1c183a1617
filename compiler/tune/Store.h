//===- Store.h - What has been measured, kept between runs ----------------===//
//
// One SQLite file that all models share. A measurement is of one way to compute
// one layer, on one kind of machine, by one version of the kernels; failures are
// measurements too. Each is written as soon as it is known, so that a run that
// was killed loses nothing, and any number of processes may write at once.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TUNE_STORE_H
#define HALCYON_COMPILER_TUNE_STORE_H

#include "llvm/ADT/StringRef.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace halcyon {

/// What measurements of one machine and compiler have in common.
struct StoreScope {
  std::string target;  ///< Halide's target string and the count of threads
  std::string version; ///< of the kernels and of Halide
  std::string machine; ///< "AMD EPYC 9755, 2 cores"
};

enum class Outcome { Timed, Crashed, TimedOut, WrongValues, NotCompiled };
llvm::StringRef outcomeText(Outcome outcome);

/// One way to compute a layer, and what came of it.
struct Measurement {
  std::string kernel;   ///< the group, as printed, without schedule and layouts
  std::string schedule; ///< "direct layout nchw16c tile(co=2, x=14)"
  Outcome outcome = Outcome::Timed;
  std::string reason;   ///< what went wrong
  double seconds = 0;   ///< median of one call
  double relative = 1;  ///< time by that of the default, measured side by side
  double spread = 0;    ///< of `relative`: half of its 99 % interval
  int samples = 0;
  std::string features; ///< what the cost model knew of it: "name=value ..."
};

class Store {
public:
  /// Opens or makes the store. Null, with one line in `error`, where the file
  /// can't be opened, is damaged, or is of another format.
  static std::unique_ptr<Store> open(const std::string &path,
                                     const StoreScope &scope,
                                     std::string &error);
  /// `tune.db` in the cache folder.
  static std::string defaultPath();
  ~Store();
  Store(const Store &) = delete;

  /// Replaces what was known of the same kernel and schedule.
  bool put(const Measurement &measurement);
  std::optional<Measurement> find(llvm::StringRef kernel,
                                  llvm::StringRef schedule);
  /// All that is known of a kernel on this machine, by schedule.
  std::vector<Measurement> ofKernel(llvm::StringRef kernel);
  /// All timed measurements of this machine, in a fixed order.
  std::vector<Measurement> all();
  /// Schedules of a kernel that were fastest elsewhere, best first.
  std::vector<std::string> elsewhere(llvm::StringRef kernel);

  /// Writes everything, of all scopes, to a file: whole or not at all.
  bool exportTo(const std::string &path);
  /// Takes over what another store has; of two measurements of one thing the
  /// later. Returns how many were new or newer, or nothing where that failed.
  std::optional<int> importFrom(const std::string &path);

  /// How many measurements there are, of all scopes.
  int size();
  /// What went wrong in the last call that failed, as one line.
  const std::string &error() const { return message; }

private:
  Store(std::string path, StoreScope scope)
      : path(std::move(path)), scope(std::move(scope)) {}
  bool prepareTables();
  bool isStore(const std::string &schema, const std::string &file);
  bool run(const std::string &sql);
  bool failed(const std::string &what);
  std::vector<Measurement> select(const std::string &where,
                                  const std::vector<std::string> &values);

  std::string path;
  StoreScope scope;
  sqlite3 *database = nullptr;
  std::string message;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_STORE_H
