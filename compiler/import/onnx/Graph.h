//===- Graph.h - A graph while it is imported -----------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_GRAPH_H
#define HALCYON_COMPILER_IMPORT_ONNX_GRAPH_H

#include "compiler/import/onnx/Import.h"
#include "compiler/import/onnx/Importer.h"

#include "llvm/ADT/StringSet.h"

namespace halcyon::onnx {

/// The initializers of a file, under the names of the model's weights.
class OnnxWeights : public WeightSource {
public:
  explicit OnnxWeights(uint64_t file) : file(file) {}

  std::optional<std::vector<int64_t>>
  shapeOf(llvm::StringRef name) const override;
  llvm::ArrayRef<float> read(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                             std::vector<float> &storage) const override;
  std::string readAs(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                     mlir::Type element) const override;
  uint64_t id() const override { return file; }
  std::vector<std::string> names() const override;

  /// A name for a tensor: `wanted` where that is free, or is the tensor's.
  std::string add(llvm::StringRef wanted, const HostTensor &tensor);

private:
  uint64_t file;
  std::map<std::string, HostTensor> tensors;
};

/// A shape as the value of a tensor has it: the batch outermost.
Shape heldShape(llvm::ArrayRef<int64_t> shape);
/// Which order of held dimensions the tensors have that are not known, of `rank`
/// dimensions; empty where that is their own.
Shape orderOf(llvm::ArrayRef<Tensor> tensors, size_t rank);

/// One way through a graph, with the batch open or fixed.
class Importer {
public:
  Importer(const Model &model, mlir::MLIRContext &context,
           const ImportOptions &options, bool openBatch, int64_t onlyBatch);

  /// False where a message was left in `errors`, or in `mixed` alone.
  bool run();

  mlir::Type elementType(DataType type);
  /// The shape of the value that holds a tensor: its own, but a vector of one
  /// for a number, and, where it was made so, N x C x 1 x L for N x C x L.
  Shape keptShape(const Tensor &tensor);
  mlir::RankedTensorType typeOf(DataType type, llvm::ArrayRef<int64_t> shape);
  mlir::Location locationOf(const Node &node, llvm::StringRef path);
  std::string pathOf(const Node &node);
  std::string describe(const Node &node);
  bool importNodes(const Graph &graph);
  /// The tensor with the number of images that there is, in place of an open one.
  Tensor closed(const Tensor &tensor);
  /// The other way round, where there is one image.
  Tensor opened(const Tensor &tensor, NodeContext &context);

  const Model &model;
  mlir::MLIRContext &context;
  const ImportOptions &options;
  bool openBatch;
  /// The only batch that there is, where open sizes are kept for the layers that
  /// take any; else 0.
  int64_t onlyBatch;
  /// The batch that the file was made with; 0 where it was open.
  int64_t declaredBatch = 0;
  mlir::OpBuilder builder;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<OnnxWeights> weights;
  std::map<std::string, Tensor> values;
  std::vector<std::string> errors;
  /// Why the batch can not stay open.
  std::string mixed;
  /// Values as operations need them, by value and shape.
  std::map<std::pair<void *, std::string>, mlir::Value> reshaped;

private:
  bool addInput(const Port &port);
  bool addOutputs();
  cnn::OutputOp addOutput(llvm::StringRef name, mlir::Value value);
  mlir::Value imageOf(mlir::Value from, DataType type, int64_t images);
  bool importClosed(const Node &node, ImportFunction import,
                    NodeContext &context);
  void addCounted(const std::string &name, NodeContext &context);
  void fail(const llvm::Twine &message) { errors.push_back(message.str()); }

  std::map<std::string, unsigned> paths;
  /// The outputs that hold counts.
  std::map<std::shared_ptr<const Tensor>, std::string> counters;
  std::map<void *, mlir::Value> closedValues;
  llvm::StringSet<> poisoned; ///< values of nodes that failed
};

/// Emits a formula as a `cnn.map` or a `cnn.indexed` of operands in the shapes
/// that they have. `types` are what their elements are in the file.
mlir::Value emitMap(mlir::OpBuilder &builder, mlir::Location loc,
                    llvm::StringRef name, mlir::RankedTensorType type,
                    DataType elements, const Expr &formula,
                    llvm::ArrayRef<mlir::Value> operands,
                    llvm::ArrayRef<DataType> types);
mlir::Value emitIndexed(mlir::OpBuilder &builder, mlir::Location loc,
                        llvm::StringRef name, mlir::RankedTensorType type,
                        DataType elements, const Expr &formula,
                        llvm::ArrayRef<mlir::Value> operands,
                        llvm::ArrayRef<DataType> types);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_GRAPH_H
