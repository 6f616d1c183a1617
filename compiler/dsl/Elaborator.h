//===- Elaborator.h - A tree to the cnn dialect ---------------------------===//
//
// Runs a model's body: blocks, loops and conditions unroll, layers and ops
// become operations. After a mistake the variables of its statement hold a
// value that silences what depends on them, and the rest is checked as usual.
//
// No layer is known here: `conv` is whatever registered operation implements
// LayerOpInterface under that name.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_ELABORATOR_H
#define HALCYON_COMPILER_DSL_ELABORATOR_H

#include "Diagnostics.h"
#include "Frontend.h"
#include "Value.h"

#include "dialects/cnn/CnnOps.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <functional>
#include <optional>

namespace halcyon::dsl {

/// Where names of layers are counted: a model, or one call of a block.
struct Scope {
  std::string path;
  llvm::StringMap<unsigned> counts = {};
  /// A later call of an instance: its weights are there already.
  bool repeats = false;
};

struct Variable {
  Value value;
  llvm::SMRange where; ///< of its last assignment
};

/// One call of a block, model or op.
struct Frame {
  const File *file;
  const Definition *definition;
  Frame *caller;
  llvm::SMRange callSite;
  Scope scope;
  llvm::StringMap<Variable> variables = {};
  Value result = {};
  bool hasReturned = false;
  /// A statement did not parse, so that what is missing may be its fault.
  bool incomplete = false;
  bool isTop = false;
  /// Of a model that states its own.
  std::optional<double> maxError = {};
  /// Of a model that another one calls.
  std::vector<Arg> inputs = {};
  std::vector<Value> outputs = {};
  llvm::StringSet<> portNames = {};
};

/// Marks layers as they are made with the precision that is asked for around
/// them.
struct PrecisionMarker : mlir::OpBuilder::Listener {
  void notifyOperationInserted(mlir::Operation *op,
                               mlir::OpBuilder::InsertPoint) override;
  std::optional<cnn::Precision> precision;
};

/// What an index runs through; a size of -1 is the batch.
struct IndexBounds {
  int64_t from, size;
};

/// An op in index notation while its formula is evaluated.
struct Formula {
  /// A read and where its indices stand.
  struct Read {
    cnn::ReadOp op;
    llvm::SmallVector<llvm::SMRange> places;
  };
  mlir::OpBuilder::InsertPoint outside; ///< where operations on tensors stand
  llvm::SmallVector<mlir::Value> inputs;
  cnn::PadMode edge = cnn::PadMode::zero;
  mlir::Type number; ///< f32 or f64
  std::vector<Read> reads;
};

class Elaborator {
public:
  Elaborator(mlir::MLIRContext &context, Diagnostics &diags,
             const FrontendOptions &options, const File &library);

  /// Elaborates a model of `file`, or how it is trained. Null where there were
  /// mistakes.
  mlir::OwningOpRef<mlir::ModuleOp> run(const File &file);

private:
  friend class LayerBinder;
  friend class TrainElaborator;

  // The model and its ports (ElaborateModel.cpp).
  const Definition *chooseModel(const File &file);
  const Training *chooseTraining(const File &file);
  const Definition *modelOf(const Training &training);
  void bindModelParams(const Definition &model, Frame &frame);
  /// Evaluates what a model states before its body, in its own frame.
  void bindProperties(const Definition &model);
  /// The bound of an error; nothing, and reported, where it is wrong.
  std::optional<double> maxError(const Value &value, llvm::SMRange where);
  /// The bound of the nearest model that states one and is not the outermost.
  std::optional<double> calledMaxError() const;
  void checkLeftOver(const Definition &model);
  /// The mean of several members and views (ElaborateEnsemble.cpp).
  void average(const Definition &model);
  void executeInput(const InputStmt &statement);
  void executeOutput(const OutputStmt &statement);
  mlir::Type inputType(const InputStmt &statement);
  mlir::DictionaryAttr imageAttr(const CallExpr &call, mlir::Type type,
                                 bool overridden);
  mlir::StringAttr labelsAttr(const StringExpr &path);

  // Statements (Elaborator.cpp).
  void execute(const Body &body);
  void execute(const Stmt &statement);
  void executeAssign(const AssignStmt &statement);
  void executeFor(const ForStmt &statement);
  void executePrecision(const PrecisionStmt &statement);
  void assign(const Pattern &pattern, const Value &value);
  void assign(llvm::ArrayRef<Pattern> patterns, const Value &value,
              llvm::SMRange where);
  void poison(const Pattern &pattern);

  // Expressions (ElaborateExpr.cpp).
  Value evaluate(const Expr &expr);
  Value evaluateKind(const Expr &expr);
  Value evaluateName(const NameExpr &expr);
  Value evaluateUnary(const UnaryExpr &expr);
  Value evaluateBinary(const BinaryExpr &expr);
  Value evaluateLogic(const BinaryExpr &expr);
  Value evaluateMember(const MemberExpr &expr);
  Value evaluateIndex(const IndexExpr &expr);
  Value evaluateIf(const IfExpr &expr);
  Value evaluateBranch(const Body &body, llvm::SMRange where);
  std::optional<std::string> evaluateText(const StringExpr &expr);
  Value lookup(llvm::StringRef name);
  std::vector<llvm::StringRef> visibleNames() const;

  // Arithmetic on numbers (Arithmetic.cpp).
  Value arithmetic(BinaryOp op, const Value &lhs, const Value &rhs,
                   llvm::SMRange where);
  Value compare(BinaryOp op, const Value &lhs, const Value &rhs,
                llvm::SMRange where);
  Value helper(llvm::StringRef name, const std::vector<Arg> &args,
               llvm::SMRange where, const StringExpr *as);
  Value helperOfNumbers(llvm::StringRef name, const std::vector<Value> &args,
                        llvm::SMRange where);
  Value makeRange(int64_t from, int64_t to, llvm::SMRange where);

  // Calls (ElaborateCall.cpp).
  Value evaluateCall(const CallExpr &expr);
  Value evaluateInstance(const InstanceExpr &expr);
  bool evaluateArgs(const CallExpr &expr, const Value &callee,
                    std::vector<Arg> &args);
  Value call(const Callable &callee, std::vector<Arg> args, llvm::SMRange where,
             const StringExpr *as);
  Value callInstance(Instance &instance, std::vector<Arg> args,
                     llvm::SMRange where);
  Value callDefinition(const Definition &definition, std::vector<Arg> args,
                       llvm::SMRange where, Scope scope);
  Value callModel(const Definition &model, std::vector<Arg> args,
                  llvm::SMRange where, const StringExpr *as);
  Value callOp(const Definition &definition, std::vector<Arg> args,
               llvm::SMRange where, const std::string &path);
  Value callLayer(const Callable &callee, std::vector<Arg> args,
                  llvm::SMRange where, Scope scope);
  /// What the formula of an op, or its body, gives in the present frame.
  Value evaluateFormula(const Definition &definition);
  bool bindWeights(const Definition &definition, Frame &callee,
                   llvm::SMRange where, const std::string &path);
  bool bindParams(const Definition &definition, const std::vector<Arg> &args,
                  llvm::SMRange where, Frame &callee);
  std::optional<std::string> layerPath(llvm::StringRef name,
                                       const StringExpr *as);

  // Ops in index notation (ElaborateIndexed.cpp).
  using AxisVisitor = llvm::function_ref<void(const Node &)>;
  Value callIndexed(const Definition &definition, Frame &callee,
                    llvm::SMRange where, const std::string &path);
  std::optional<cnn::PadMode> edgeOf(const Definition &definition);
  void checkReads(cnn::IndexedOp op, const Formula &formula);
  Value readElement(const IndexExpr &expr, const Value &tensor);
  Value evaluateEach(const EachExpr &expr);
  std::optional<Value> reduceElements(llvm::StringRef name,
                                      const CallExpr &call);
  std::optional<IndexBounds>
  wholeAxis(const Identifier &name,
            llvm::function_ref<void(AxisVisitor)> formulas);
  std::optional<IndexBounds> explicitRange(const IndexRangeExpr &index);
  /// Whether a value is a whole number, known now or at run time.
  static bool isWhole(const Value &value);
  mlir::Value toIndex(const Value &value, llvm::SMRange where);
  mlir::Value toNumber(mlir::Value element, mlir::Location loc);
  Value indexBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                    llvm::SMRange where);
  Value indexCompare(BinaryOp op, const Value &lhs, const Value &rhs,
                     llvm::SMRange where);
  std::optional<Value> indexHelper(llvm::StringRef name,
                                   const std::vector<Value> &args,
                                   llvm::SMRange where);
  /// Operations of one formula: what a kernel's compiler takes in its stride.
  static constexpr unsigned maxFormula = 2000;
  /// Beyond any size of a tensor.
  static constexpr int64_t maxIndex = int64_t(1) << 31;

  // Elementwise functions (ElaborateMap.cpp).
  using ElementFunction = std::function<Value(std::vector<Value>)>;
  /// Applies `function` to every element of the tensors in `args`; or to the
  /// arguments themselves, where none is a tensor.
  Value mapElements(llvm::StringRef name, std::vector<Value> args,
                    llvm::SMRange where, const std::string &path,
                    const ElementFunction &function);
  Value elementBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                      llvm::SMRange where);
  Value elementCompare(BinaryOp op, const Value &lhs, const Value &rhs,
                       llvm::SMRange where);
  Value elementHelper(llvm::StringRef name, const std::vector<Value> &args,
                      llvm::SMRange where);
  Value elementSelect(const Value &condition, const Value &yes, const Value &no,
                      llvm::SMRange where);
  mlir::Value toElement(const Value &value, llvm::SMRange where);
  Value applyBinary(BinaryOp op, const Value &lhs, const Value &rhs,
                    llvm::SMRange where);

  // What everything above stands on (Elaborator.cpp).
  Value error(llvm::SMRange where, const llvm::Twine &message,
              std::vector<std::string> notes = {});
  /// Where the user sees `where`: the call that led into the library.
  llvm::SMRange userPlace(llvm::SMRange where) const;
  mlir::Location location(llvm::SMRange where, llvm::StringRef path);
  bool countStep(llvm::SMRange where);
  std::string describe(const Value &tensor) const;
  std::string describe(mlir::Value tensor) const;
  bool checkSize(llvm::ArrayRef<int64_t> shape, llvm::SMRange where);
  /// The weight of a layer or op called `name`, of its first call or a later
  /// one. Sets `reported` where it cannot be.
  mlir::Value makeWeight(const std::string &path, llvm::ArrayRef<int64_t> shape,
                         llvm::StringRef name, bool repeats, mlir::Location loc,
                         llvm::SMRange where, bool &reported);
  std::optional<Callable> findLayer(llvm::StringRef name) const;

  mlir::MLIRContext &context;
  Diagnostics &diags;
  const FrontendOptions &options;
  const File &library;
  PrecisionMarker marker;
  mlir::OpBuilder builder;
  Frame *frame = nullptr;
  /// The op in index notation that is being evaluated, if any.
  Formula *formula = nullptr;
  unsigned calls = 0, depth = 0;
  uint64_t steps = 0;
  bool aborted = false;
  /// Where a model is trained.
  class TrainElaborator *trainer = nullptr;
  llvm::StringMap<mlir::RegisteredOperationName> layers;
  llvm::StringSet<> enumerants;

  struct Weight {
    mlir::Value value;
    llvm::SMRange where;
  };
  llvm::StringMap<Weight> weights;
  llvm::DenseMap<const Definition *, std::shared_ptr<Instance>> models;
  /// The values of `--set`, parsed.
  File optionValues;
  /// Files that labels came from, by path.
  llvm::StringMap<mlir::StringAttr> labelFiles;
};

/// Mean and deviation of ImageNet's training pictures, red, green and blue, as
/// every network trained on it since 2014 has used them.
inline constexpr double imagenetMean[] = {0.485, 0.456, 0.406};
inline constexpr double imagenetStd[] = {0.229, 0.224, 0.225};

/// The names of the built-in functions, for suggestions.
llvm::ArrayRef<llvm::StringRef> helperNames();
bool isHelper(llvm::StringRef name);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_ELABORATOR_H
