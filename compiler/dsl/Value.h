//===- Value.h - What expressions are while a model unrolls ---------------===//

#ifndef HALCYON_COMPILER_DSL_VALUE_H
#define HALCYON_COMPILER_DSL_VALUE_H

#include "Ast.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/Value.h"

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace halcyon::dsl {

enum class ValueKind {
  Poison, ///< the result of something that was reported
  Int,
  Float,
  Bool,
  String,
  Word,   ///< a bare word that is no variable, for a parameter that takes one
  Tensor, ///< a tensor of the graph
  Scalar, ///< an element inside an op: f32, or i1 for a condition
  Sequence,
  Callable,
  Instance,
};

struct Sequence;
struct Instance;

/// A block, op, model, layer or helper as a value.
struct Callable {
  enum Kind { Defined, Layer, Helper };
  Kind kind = Helper;
  llvm::StringRef name;
  const Definition *definition = nullptr;             ///< Defined
  std::optional<mlir::RegisteredOperationName> layer; ///< Layer

  bool operator==(const Callable &other) const {
    return kind == other.kind && name == other.name &&
           definition == other.definition;
  }
};

class Value {
public:
  Value() = default;
  static Value integer(int64_t value) { return {ValueKind::Int, value}; }
  static Value real(double value) { return {ValueKind::Float, value}; }
  static Value boolean(bool value) { return {ValueKind::Bool, value}; }
  static Value string(std::string text) {
    return {ValueKind::String, std::move(text)};
  }
  static Value word(llvm::StringRef text, llvm::SMRange where) {
    Value value(ValueKind::Word, text.str());
    value.origin = where;
    return value;
  }
  static Value tensor(mlir::Value tensor, llvm::SMRange where,
                      llvm::StringRef maker) {
    Value value(ValueKind::Tensor, tensor);
    value.origin = where;
    value.maker = maker;
    return value;
  }
  static Value scalar(mlir::Value element) {
    return {ValueKind::Scalar, element};
  }
  static Value callable(Callable callable) {
    return {ValueKind::Callable, std::move(callable)};
  }
  static Value instance(std::shared_ptr<Instance> instance) {
    return {ValueKind::Instance, std::move(instance)};
  }
  static Value sequence(bool isList, std::vector<Value> items);

  ValueKind kind() const { return theKind; }
  bool isPoison() const { return theKind == ValueKind::Poison; }
  bool isInt() const { return theKind == ValueKind::Int; }
  bool isNumber() const { return isInt() || theKind == ValueKind::Float; }
  bool isBool() const { return theKind == ValueKind::Bool; }
  bool isText() const {
    return theKind == ValueKind::String || theKind == ValueKind::Word;
  }
  bool isTensor() const { return theKind == ValueKind::Tensor; }
  bool isScalar() const { return theKind == ValueKind::Scalar; }
  bool isSequence() const { return theKind == ValueKind::Sequence; }
  /// Whether the value is, or holds at any depth, a reported mistake.
  bool hasPoison() const;

  int64_t asInt() const { return std::get<int64_t>(data); }
  /// An Int or Float as a floating-point number.
  double asReal() const {
    return isInt() ? double(asInt()) : std::get<double>(data);
  }
  bool asBool() const { return std::get<bool>(data); }
  const std::string &asText() const { return std::get<std::string>(data); }
  mlir::Value asMlir() const { return std::get<mlir::Value>(data); }
  const Sequence &asSequence() const {
    return *std::get<std::shared_ptr<Sequence>>(data);
  }
  const std::vector<Value> &items() const;
  const Callable &asCallable() const { return std::get<Callable>(data); }
  Instance &asInstance() const {
    return *std::get<std::shared_ptr<Instance>>(data);
  }

  /// Where a tensor was made or a word stands, and by what.
  llvm::SMRange origin;
  llvm::StringRef maker;

private:
  using Data = std::variant<std::monostate, int64_t, double, bool, std::string,
                            mlir::Value, std::shared_ptr<Sequence>, Callable,
                            std::shared_ptr<Instance>>;
  Value(ValueKind kind, Data data) : theKind(kind), data(std::move(data)) {}

  ValueKind theKind = ValueKind::Poison;
  Data data;
};

struct Sequence {
  bool isList = true;
  std::vector<Value> items;
  unsigned depth = 1; ///< nesting, bounded so that release may recurse
};

/// An argument of a call after evaluation.
struct Arg {
  Identifier name; ///< empty for a positional argument
  Value value;
  llvm::SMRange range;
  const Expr *expr = nullptr;
};

/// A callable whose weights are made once, and its own arguments.
struct Instance {
  Callable callee;
  std::vector<Arg> args;
  std::string path;
  llvm::SMRange where;
  unsigned calls = 0;
};

/// "a number", "a tensor", "a list of 3": for messages.
std::string kindText(const Value &value);

/// A value as a message or an interpolation shows it: "3", "(1, 2)".
std::string valueText(const Value &value);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_VALUE_H
