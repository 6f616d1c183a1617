//===- Layer.h - How an operation appears in the language -----------------===//
//
// An operation of the cnn dialect is a layer of the language the moment it
// implements LayerOpInterface: the front end finds it by its name, binds the
// call's arguments to the parameters declared by `layerSignature`, and asks
// `buildLayer` for the operation. No front-end code knows any single layer.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_LAYER_H
#define HALCYON_DIALECTS_CNN_LAYER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace halcyon::cnn {

/// What a parameter accepts.
enum class ParamKind {
  Tensor,  ///< one tensor
  Tensors, ///< one or more positional tensors (concat); must come first
  Int,     ///< a whole number
  Pair,    ///< one number or (height, width); bound as two integers
  Pad,     ///< an enumerant, one number, (vertical, horizontal) or
           ///< (top, left, bottom, right); bound as a string or four integers
  Float,
  Bool,
  Enum, ///< one of `enumerants`, a bare word in the language
  Shape ///< a tuple of whole numbers of any length
};

/// A bound argument. monostate: the argument was left out and has no default.
using LayerValue =
    std::variant<std::monostate, mlir::Value, std::vector<mlir::Value>, int64_t,
                 double, bool, std::string, std::vector<int64_t>>;

/// One parameter of a layer.
struct LayerParam {
  std::string name;
  ParamKind kind;
  /// The value where the call gives none. Without one, and when not
  /// `optional`, the parameter must be given.
  LayerValue defaultValue = std::monostate{};
  bool optional = false;
  std::vector<std::string> enumerants = {}; ///< Enum, Pad
};

struct LayerSignature {
  std::vector<LayerParam> params; ///< in positional order
};

/// What an operation's attributes and operands say of a parameter: the attribute
/// of its name, padding as `auto_pad` or in numbers, operands in front.
LayerValue attributeArgument(mlir::Operation *op, const LayerParam &param);

/// What the front end hands to `buildLayer`: the bound arguments, a builder,
/// and ways to make weights and report mistakes in the user's terms.
class LayerContext {
public:
  virtual ~LayerContext() = default;

  mlir::OpBuilder &builder;
  /// Where the layer is called, named by its path ("layer1.0.conv_1").
  mlir::Location loc;

  /// The value bound to a parameter.
  const LayerValue &get(llvm::StringRef param) const {
    auto it = args.find(param);
    assert(it != args.end() && "parameter not in the layer's signature");
    return it->second;
  }
  bool has(llvm::StringRef param) const {
    return !std::holds_alternative<std::monostate>(get(param));
  }
  mlir::Value tensor(llvm::StringRef p) const {
    return std::get<mlir::Value>(get(p));
  }
  int64_t integer(llvm::StringRef p) const { return std::get<int64_t>(get(p)); }
  double number(llvm::StringRef p) const { return std::get<double>(get(p)); }
  bool flag(llvm::StringRef p) const { return std::get<bool>(get(p)); }
  const std::string &word(llvm::StringRef p) const {
    return std::get<std::string>(get(p));
  }
  const std::vector<int64_t> &numbers(llvm::StringRef p) const {
    return std::get<std::vector<int64_t>>(get(p));
  }

  /// The weight `role` ("weight", "running_mean") of this layer, made if this
  /// instance of the layer does not have it yet. `shape` is the logical shape.
  virtual mlir::Value weight(llvm::StringRef role,
                             llvm::ArrayRef<int64_t> shape) = 0;

  /// Reports a mistake at the argument bound to `param` (at the layer's name
  /// where `param` is empty). Text after a line break in `message` stands beside
  /// the caret; `note` says what would be right. Returns failure.
  virtual mlir::LogicalResult error(llvm::StringRef param,
                                    const llvm::Twine &message,
                                    const llvm::Twine &note = "") = 0;

  /// "skip is 64x57x57 (line 9)": a tensor as the user knows it.
  virtual std::string describe(mlir::Value tensor) = 0;

  llvm::StringMap<LayerValue> args;

protected:
  LayerContext(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}
};

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_LAYER_H
