//===- TrainSettings.h - What the lines of a train block call --------------===//
//
// Sources of data, augmentations, schedules of the rate and the like are no
// operations: a call of one is data for the trainer. Here is what there is of
// each, with parameters and defaults; the trainer finds every parameter bound.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_TRAINSETTINGS_H
#define HALCYON_COMPILER_DSL_TRAINSETTINGS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace halcyon::dsl {

enum class SettingKind {
  Number,
  Whole,
  Flag,
  Word,      ///< one of `words`
  Text,
  Path,      ///< beside the model's file
  Numbers,   ///< one or several; `count` of them, one stands for all
  List,      ///< any number of numbers
  Duration,  ///< of steps or epochs
  Normalize, ///< imagenet, or (mean, deviation)
  Metric,    ///< the name of a metric of this training
  Settings   ///< a list of calls of the same family
};

struct SettingParam {
  llvm::StringRef name;
  SettingKind kind = SettingKind::Number;
  /// monostate: it must be given. An empty text stands for nothing.
  std::variant<std::monostate, double, bool, llvm::StringRef,
               std::vector<double>>
      otherwise = std::monostate{};
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  unsigned count = 2; ///< of Numbers
  std::vector<llvm::StringRef> words = {};
  bool alone = false; ///< one of Numbers stays one, and is not all of them
};

struct Setting {
  llvm::StringRef name;
  std::vector<SettingParam> params; ///< in positional order
  unsigned tensors = 2; ///< of a metric: what stands before them
};

/// Settings that stand in the same place.
struct SettingFamily {
  llvm::StringRef what; ///< "a source of data"
  std::vector<Setting> settings;

  const Setting *find(llvm::StringRef name) const;
  std::vector<llvm::StringRef> names() const;
};

const SettingFamily &sources();
const SettingFamily &augmentations();
const SettingFamily &rates();
const SettingFamily &rateChanges(); ///< behind `->`
const SettingFamily &initializations();
const SettingFamily &optimizerChanges(); ///< behind `->`
const SettingFamily &clippings();
const SettingFamily &keeps();
const SettingFamily &stops();
const SettingFamily &averages();
const SettingFamily &metrics(); ///< their parameters after the two tensors

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_TRAINSETTINGS_H
