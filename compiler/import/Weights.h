//===- Weights.h - Where parameters come from -----------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_WEIGHTS_H
#define HALCYON_COMPILER_IMPORT_WEIGHTS_H

#include "dialects/cnn/CnnOps.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>

namespace halcyon {

/// Named parameters: a safetensors file, or numbers made from a seed.
class WeightSource {
public:
  virtual ~WeightSource() = default;

  /// The shape of a parameter; nothing where the source lacks it.
  virtual std::optional<std::vector<int64_t>>
  shapeOf(llvm::StringRef name) const = 0;

  /// The values, dense and row-major, as f32. Points into the source, or into
  /// `storage` where they had to be made. `shape` is what shapeOf gave.
  virtual llvm::ArrayRef<float> read(llvm::StringRef name,
                                     llvm::ArrayRef<int64_t> shape,
                                     std::vector<float> &storage) const = 0;

  /// The same as elements of another type than f32, as they lie in memory. By
  /// default what `read` gives is converted.
  virtual std::string readAs(llvm::StringRef name,
                             llvm::ArrayRef<int64_t> shape,
                             mlir::Type element) const;

  /// A number that differs where the parameters do.
  virtual uint64_t id() const = 0;

  /// Every name, sorted; empty where any name is served.
  virtual std::vector<std::string> names() const = 0;
};

/// Numbers as elements of a type other than f32 and bf16, as they lie in memory.
std::string elementsAs(llvm::ArrayRef<float> values, mlir::Type element);

/// Opens "seed:N" or a safetensors file. Null, with the reason in `error`, for
/// a file that is not readable, truncated, or not safetensors.
std::unique_ptr<WeightSource> openWeights(llvm::StringRef where,
                                          std::string &error);

/// Whether a parameter of one shape is, element by element, one of another:
/// they differ in sizes of 1, a window is written as a row, or the depth of one with
/// the channels.
bool holdsSameElements(llvm::ArrayRef<int64_t> shape,
                       llvm::ArrayRef<int64_t> wanted);

/// The source under the names of the module's models, where it has those that
/// timm gives to the same layers; the source itself else.
std::unique_ptr<WeightSource>
withModelNames(std::unique_ptr<WeightSource> source, mlir::ModuleOp module);

/// Several sources as one: the names of those behind the first begin with
/// "member_2.", "member_3." ...
std::unique_ptr<WeightSource>
joinMembers(std::vector<std::unique_ptr<WeightSource>> members);

/// Whether the source has every parameter of the module's models in the right
/// shape; says what is missing or wrong with the line of the layer, and warns
/// of what nothing uses.
bool checkWeights(mlir::ModuleOp module, const WeightSource &source,
                  llvm::StringRef where, llvm::raw_ostream &errors);

} // namespace halcyon

#endif // HALCYON_COMPILER_IMPORT_WEIGHTS_H
