//===- Export.h - Models as ONNX ------------------------------------------===//
//
// Each operation of the cnn dialect has a writer, which makes nodes of it. A
// writer registers itself by the operation's name.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_EMIT_ONNX_EXPORT_H
#define HALCYON_COMPILER_EMIT_ONNX_EXPORT_H

#include "compiler/import/Weights.h"
#include "dialects/cnn/CnnOps.h"

#include <map>
#include <set>

namespace onnx {
class FunctionProto;
class ModelProto;
class NodeProto;
} // namespace onnx

namespace halcyon {

struct ModelPart;

/// The graph that is being written.
class OnnxWriter {
public:
  /// The layers of `part`, where there is one, become one node: the operator of its
  /// name in its domain.
  OnnxWriter(::onnx::ModelProto &model, const WeightSource &weights,
             const ModelPart *part = nullptr);
  ~OnnxWriter();

  /// False after a message at the operation that has no form in ONNX.
  bool write(cnn::ModelOp model);

  /// The name of a value in the graph; parameters that are not f32 are written
  /// when they are asked for.
  std::string name(mlir::Value value);
  /// Says what a value is called.
  void bind(mlir::Value value, std::string name) { names[value] = name; }
  /// A node with one result; returns the result's name.
  std::string node(llvm::StringRef op, llvm::ArrayRef<std::string> inputs);
  /// A call of a function of ours, which `define` spells out in ONNX's operators;
  /// it comes with the file.
  std::string call(llvm::StringRef function, llvm::ArrayRef<std::string> inputs,
                   void (*define)(::onnx::FunctionProto &function));
  /// The node that was made last, to give it attributes.
  void attribute(llvm::StringRef name, int64_t value);
  void attribute(llvm::StringRef name, double value);
  void attribute(llvm::StringRef name, llvm::StringRef value);
  void attribute(llvm::StringRef name, llvm::ArrayRef<int64_t> values);
  /// A constant of the graph.
  std::string constant(llvm::ArrayRef<int64_t> values);
  std::string constant(llvm::ArrayRef<int64_t> values,
                       llvm::ArrayRef<int64_t> shape);
  std::string constant(llvm::ArrayRef<float> values,
                       llvm::ArrayRef<int64_t> shape);
  std::string scalar(double value);
  std::string number(int64_t value);
  /// A parameter in its own shape, or in another with as many elements.
  std::string weight(mlir::Value value, llvm::ArrayRef<int64_t> shape = {});
  /// The elements of a parameter of whole numbers; nothing for other values.
  std::optional<std::vector<int64_t>> wholeNumbers(mlir::Value value);
  /// The result of an operation: names the last node after its layer.
  void result(mlir::Operation *op, std::string name);

private:
  std::string fresh(llvm::StringRef hint);
  /// A parameter as an initializer, once.
  void writeWeight(cnn::WeightOp weight);
  void port(mlir::Operation *op, mlir::Value value, llvm::StringRef name,
            bool isInput);
  void writePart();
  /// Whether nothing but the part reads a parameter.
  bool isPartsOwn(cnn::WeightOp weight) const;

  ::onnx::ModelProto &model;
  const WeightSource &weights;
  const ModelPart *part;
  llvm::DenseMap<mlir::Value, std::string> names;
  std::map<std::string, unsigned> counts;
  std::map<std::string, std::string> constants;
  std::set<std::string> taken;   ///< names
  std::set<std::string> written; ///< parameters
};

using WriteOnnx = mlir::LogicalResult (*)(mlir::Operation *op,
                                          OnnxWriter &writer);
struct RegisterOnnxWriter {
  RegisterOnnxWriter(llvm::StringRef operation, WriteOnnx write);
};

/// The number that ONNX has for a type of elements.
int64_t elementTypeOf(mlir::Type element);
/// Formulas compute with f32, whole numbers of 64 bits and truth values: a tensor
/// of other elements as one of those, and back.
std::string widened(const std::string &name, mlir::Type element, OnnxWriter &writer);
std::string narrowed(const std::string &name, mlir::Type element, OnnxWriter &writer);
/// The nodes of one operation on scalars, of tensors; empty where it has no form.
std::string writeScalar(mlir::Operation &op, llvm::ArrayRef<std::string> inputs,
                        OnnxWriter &writer);

/// The domain of the operator that a model of this name is.
std::string operatorDomain(llvm::StringRef model);
/// The type of an operator's input or output: programs hold a truth value as a byte.
int64_t portTypeOf(mlir::Type element);

/// The text of an ONNX file of a model, of which a part is one operator; empty after
/// messages.
std::string onnxAround(cnn::ModelOp model, const ModelPart &part, const WeightSource &weights,
                       llvm::raw_ostream &errors);

/// Writes the first model of a module to a file, whole or not at all. False
/// after messages.
bool emitOnnx(mlir::ModuleOp module, const WeightSource &weights,
              const std::string &path, llvm::raw_ostream &errors);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_ONNX_EXPORT_H
