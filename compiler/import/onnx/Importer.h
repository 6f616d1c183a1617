//===- Importer.h - What importers of operators work with -----------------===//
//
// An importer is a function for one operator and a range of versions. It asks
// its node for operands and attributes, and gives it results: known numbers,
// operations of the cnn dialect, or formulas that become either.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_IMPORTER_H
#define HALCYON_COMPILER_IMPORT_ONNX_IMPORTER_H

#include "compiler/import/onnx/Formula.h"
#include "compiler/import/onnx/Model.h"
#include "dialects/cnn/CnnOps.h"

namespace halcyon::onnx {

class Importer;

/// The size that stays open.
constexpr int64_t kOpen = -1;
/// The number of images, where numbers are sizes.
constexpr int64_t kBatchNumber = INT64_MIN;
using Shape = llvm::SmallVector<int64_t, 4>;

/// Where the open size stands in a shape; -1 if there is none.
int64_t openAxis(llvm::ArrayRef<int64_t> shape);

/// What a name of the graph stands for: known numbers, or a value of the model
/// with the same elements in the same order, whatever its shape. The value of
/// a tensor whose open size is an inner one has that size outermost.
struct Tensor {
  DataType type = DataType::Undefined;
  Shape shape; ///< one size may be kOpen
  /// Which of its dimensions stand one after another in the value, where they do
  /// so in another order: 0, 3, 1, 2 for N x H x W x C held as N x C x H x W.
  llvm::SmallVector<int64_t, 0> order;
  HostTensor known;
  mlir::Value value;
  std::string name; ///< of the initializer that it is

  bool isKnown() const { return known.valid(); }
  bool hasBatch() const { return !shape.empty() && shape[0] == kOpen; }
  /// Where the data decide how many elements there are along an axis: their
  /// number. The shape has room for the most.
  std::shared_ptr<const Tensor> count;
  int64_t countedAxis = -1;

  /// Whether the batch is one of the inner sizes.
  bool isTurned() const { return openAxis(shape) > 0; }
  bool isOrdered() const { return !order.empty(); }
  /// The tensor as its value has it.
  Tensor held() const;
  bool isCounted() const { return count != nullptr; }
  int64_t rank() const { return shape.size(); }
  Kind kind() const { return kindOf(type); }
  llvm::ArrayRef<int64_t> sizes() const { return shape; }
};

/// N x C x 1 x L for N x C x L, the shape itself for others.
Shape asMaps(llvm::ArrayRef<int64_t> shape);

/// An operand inside a formula: x(i, j) or x(coordinates).
class Reader {
public:
  /// `kept` is the shape of the value that holds the elements.
  Reader(unsigned operand, const Tensor &tensor, Shape kept)
      : operand(operand), elements(tensor.kind()), shape(tensor.shape),
        order(llvm::ArrayRef(tensor.order)), kept(std::move(kept)) {}
  Expr operator()(Coords at) const;
  template <typename... Index> Expr operator()(Expr first, Index... rest) const {
    return (*this)(llvm::ArrayRef<Expr>({first, Expr(rest)...}));
  }
  llvm::ArrayRef<int64_t> sizes() const { return shape; }
  Kind kind() const { return elements; }

private:
  unsigned operand;
  Kind elements;
  Shape shape, order, kept;
};

using Element = llvm::function_ref<Expr(Coords, llvm::ArrayRef<Reader>)>;
using ElementMap = llvm::function_ref<Expr(llvm::ArrayRef<Expr>)>;

/// A node while it is imported.
class NodeContext {
public:
  NodeContext(Importer &importer, const Node &node);

  const Node &node;
  int64_t opset() const { return node.opset; }

  //===--- Operands -------------------------------------------------------===//
  unsigned size() const { return node.inputs.size(); }
  bool has(unsigned i) const;
  const Tensor &in(unsigned i) const;
  /// All operands, which must be there.
  llvm::SmallVector<Tensor> all() const;
  /// The numbers of an operand that decides about shapes. Nothing, and
  /// reported, where they are not known.
  std::optional<HostTensor> known(unsigned i);
  std::optional<llvm::SmallVector<int64_t>> knownIntegers(unsigned i);
  std::optional<llvm::SmallVector<double>> knownReals(unsigned i);
  /// The same, or an attribute where older versions had one.
  std::optional<llvm::SmallVector<int64_t>> integersAt(unsigned i,
                                                       llvm::StringRef attribute,
                                                       bool &given);

  //===--- Attributes -----------------------------------------------------===//
  bool given(llvm::StringRef name) const;
  int64_t integer(llvm::StringRef name, int64_t otherwise = 0) const;
  double number(llvm::StringRef name, double otherwise = 0) const;
  std::string word(llvm::StringRef name, llvm::StringRef otherwise = "") const;
  std::vector<int64_t> integers(llvm::StringRef name,
                                std::vector<int64_t> otherwise = {}) const;
  std::vector<float> numbers(llvm::StringRef name) const;
  std::vector<std::string> words(llvm::StringRef name) const;
  const HostTensor *tensor(llvm::StringRef name) const;
  const Graph *graph(llvm::StringRef name) const;
  /// An axis from 0 to rank - 1. Nothing, and reported, beyond.
  std::optional<int64_t> axis(int64_t axis, int64_t rank);
  std::optional<Shape> axes(llvm::ArrayRef<int64_t> axes, int64_t rank);

  //===--- Results --------------------------------------------------------===//
  mlir::LogicalResult set(unsigned i, Tensor tensor);
  mlir::LogicalResult set(Tensor tensor) { return set(0, std::move(tensor)); }
  bool wants(unsigned i) const {
    return i < node.outputs.size() && !node.outputs[i].empty();
  }
  mlir::LogicalResult fail(const llvm::Twine &message);
  /// The open batch is not what this node can keep apart.
  mlir::LogicalResult mixesBatch(const llvm::Twine &how);
  bool failed() const { return bad; }
  /// Forgets that it failed.
  void retry() { bad = false; }

  //===--- Making ---------------------------------------------------------===//
  /// The shape that tensors broadcast to. Nothing, and reported, if none.
  std::optional<Shape> broadcast(llvm::ArrayRef<Tensor> tensors);
  /// One element of the result from one of each operand; they broadcast.
  Tensor map(llvm::ArrayRef<Tensor> operands, DataType type, ElementMap element);
  /// A formula with coordinates. The result is held as its operands are.
  Tensor compute(DataType type, llvm::ArrayRef<int64_t> shape,
                 llvm::ArrayRef<Tensor> operands, Element element);
  /// The same, held in the order that is given.
  Tensor computeIn(llvm::ArrayRef<int64_t> order, DataType type,
                   llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<Tensor> operands, Element element);
  /// The same elements, held in another order; in none for {}.
  Tensor ordered(const Tensor &x, llvm::ArrayRef<int64_t> order);
  /// The same elements in another shape.
  Tensor reshape(const Tensor &x, llvm::ArrayRef<int64_t> shape);
  Tensor transpose(const Tensor &x, llvm::ArrayRef<int64_t> order);
  Tensor cast(const Tensor &x, DataType type);
  Tensor constant(HostTensor known);
  /// The tensor, of which there are as many along an axis as `like` has.
  Tensor counted(Tensor x, const Tensor &like, int64_t axis);
  /// An operand of an operation, in exactly this shape; null, and reported, if
  /// there is none.
  mlir::Value value(const Tensor &x, llvm::ArrayRef<int64_t> shape);
  /// A parameter, under the name of its initializer where it is one as it is.
  mlir::Value weight(const Tensor &x, llvm::StringRef role);
  /// A result of an operation that was made; its shape is `shape`, or that of
  /// the value.
  Tensor made(mlir::Value value, DataType type = DataType::F32);
  Tensor made(mlir::Value value, DataType type, llvm::ArrayRef<int64_t> shape);

  mlir::OpBuilder &builder();
  mlir::Location loc() const { return location; }
  const std::string &path() const { return layerPath; }
  Importer &importer() { return owner; }

private:
  Tensor mapIn(const Shape &order, llvm::ArrayRef<int64_t> shape,
               llvm::ArrayRef<Tensor> operands, DataType type,
               ElementMap element);

  Importer &owner;
  std::string layerPath;
  mlir::Location location;
  bool bad = false;
};

/// Imports a node of an operator; registers itself by being a static variable.
using ImportFunction = mlir::LogicalResult (*)(NodeContext &node);
struct RegisterOperator {
  /// From version `since` on, to the next that is registered.
  RegisterOperator(llvm::StringRef name, ImportFunction import,
                   int64_t since = 1, llvm::StringRef domain = "");
  std::string key;
};
/// Operands that not all importers understand.
enum class Operand : uint8_t {
  Turned, ///< the batch is an inner size
  Counted ///< the data decide about a size
};
/// Says that importers understand such operands.
struct RegisterTakes {
  RegisterTakes(llvm::ArrayRef<RegisterOperator> operators,
                std::initializer_list<Operand> kinds = {Operand::Turned,
                                                        Operand::Counted});
};
bool takesOperand(llvm::StringRef domain, llvm::StringRef name, Operand kind);
/// The importer of an operator in a version; null where there is none.
ImportFunction findOperator(llvm::StringRef domain, llvm::StringRef name,
                            int64_t opset);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_IMPORTER_H
