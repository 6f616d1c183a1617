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

namespace onnx {
class ModelProto;
class NodeProto;
} // namespace onnx

namespace halcyon {

/// The graph that is being written.
class OnnxWriter {
public:
  OnnxWriter(::onnx::ModelProto &model, const WeightSource &weights);
  ~OnnxWriter();

  /// False after a message at the operation that has no form in ONNX.
  bool write(cnn::ModelOp model);

  /// The name of a value in the graph.
  std::string name(mlir::Value value) const { return names.lookup(value); }
  /// Says what a value is called.
  void bind(mlir::Value value, std::string name) { names[value] = name; }
  /// A node with one result; returns the result's name.
  std::string node(llvm::StringRef op, llvm::ArrayRef<std::string> inputs);
  /// The node that was made last, to give it attributes.
  void attribute(llvm::StringRef name, int64_t value);
  void attribute(llvm::StringRef name, double value);
  void attribute(llvm::StringRef name, llvm::StringRef value);
  void attribute(llvm::StringRef name, llvm::ArrayRef<int64_t> values);
  /// A constant of the graph.
  std::string constant(llvm::ArrayRef<int64_t> values);
  std::string constant(llvm::ArrayRef<float> values,
                       llvm::ArrayRef<int64_t> shape);
  std::string scalar(double value);
  /// A parameter in its own shape, or in another with as many elements.
  std::string weight(mlir::Value value, llvm::ArrayRef<int64_t> shape = {});
  /// The elements of a parameter of whole numbers; nothing for other values.
  std::optional<std::vector<int64_t>> wholeNumbers(mlir::Value value);
  /// The result of an operation: names the last node after its layer.
  void result(mlir::Operation *op, std::string name);

private:
  std::string fresh(llvm::StringRef hint);
  void port(mlir::Operation *op, mlir::Value value, llvm::StringRef name,
            bool isInput);

  ::onnx::ModelProto &model;
  const WeightSource &weights;
  llvm::DenseMap<mlir::Value, std::string> names;
  std::map<std::string, unsigned> counts;
  std::map<std::string, std::string> constants;
};

using WriteOnnx = mlir::LogicalResult (*)(mlir::Operation *op,
                                          OnnxWriter &writer);
struct RegisterOnnxWriter {
  RegisterOnnxWriter(llvm::StringRef operation, WriteOnnx write);
};

/// The nodes of one operation on scalars, of tensors; empty where it has no form.
std::string writeScalar(mlir::Operation &op, llvm::ArrayRef<std::string> inputs,
                        OnnxWriter &writer);

/// Writes the first model of a module to a file, whole or not at all. False
/// after messages.
bool emitOnnx(mlir::ModuleOp module, const WeightSource &weights,
              const std::string &path, llvm::raw_ostream &errors);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_ONNX_EXPORT_H
