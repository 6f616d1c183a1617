//===- ElaborateTrain.h - A train block to `cnn.train` and `cnn.rule` ------===//
//
// Runs in the frame of the trained model, after its body: losses and metrics
// see the model's variables. What the trainer needs becomes a dictionary on the
// model, the optimizer a region of scalars.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_ELABORATETRAIN_H
#define HALCYON_COMPILER_DSL_ELABORATETRAIN_H

#include "Elaborator.h"
#include "TrainSettings.h"

#include "llvm/ADT/MapVector.h"

namespace halcyon::dsl {

class TrainElaborator {
public:
  TrainElaborator(Elaborator &elaborator, const Training &training,
                  cnn::ModelOp model)
      : e(elaborator), training(training), model(model), builder(e.builder) {}

  void run();

  /// The input that a source of data yields under this name, made when it is
  /// first asked for; poison where sources yield no such thing.
  Value sourceInput(llvm::StringRef name);

private:
  // Lines (ElaborateTrain.cpp).
  struct Line {
    llvm::StringRef word;
    void (TrainElaborator::*run)(const ClauseStmt &);
  };
  static const Line *find(llvm::StringRef word);
  void execute(const ClauseStmt &clause);
  void data(const ClauseStmt &clause);
  void number(const ClauseStmt &clause);
  void loss(const ClauseStmt &clause);
  void metrics(const ClauseStmt &clause);
  void optimizer(const ClauseStmt &clause);
  void rate(const ClauseStmt &clause);
  void decay(const ClauseStmt &clause);
  void freeze(const ClauseStmt &clause);
  void from(const ClauseStmt &clause);
  void fromOfParts(const ClauseStmt &clause, mlir::Attribute path);
  void penalty(const ClauseStmt &clause);
  void list(const ClauseStmt &clause);
  void precision(const ClauseStmt &clause);
  Value minimized(const Expr &expr);
  std::string lossOf(llvm::StringRef weight);
  Value mixedLoss(const Expr &expr, const Value &loss);
  void findLastNorms();
  void checkMissing();
  mlir::Attribute describeInputs();

  // Several models in turn (ElaborateTurns.cpp).
  void models(const ClauseStmt &clause);
  void turn(const ClauseStmt &clause);
  void findTurns();
  Value modelInput(llvm::StringRef name);

  // Parts of the model (ElaborateTrain.cpp).
  bool only(const ClauseStmt &clause, const llvm::Twine &what);
  void findWeights();
  std::vector<llvm::StringRef> weightsOf(const Identifier &part);

  // The optimizer (ElaborateRule.cpp).
  void buildRule(const Callable &callee, std::vector<Arg> args,
                 llvm::SMRange where);

  // Settings (ElaborateSettings.cpp).
  mlir::DictionaryAttr setting(const SettingFamily &family, const Expr &expr,
                               size_t given = 0);
  mlir::ArrayAttr chain(const SettingFamily &first, const SettingFamily &later,
                        const Expr &expr);
  mlir::Attribute argument(const SettingFamily &family, const Setting &setting,
                           const SettingParam &param, const Argument &arg);
  mlir::Attribute wrong(const SettingParam &param, const Argument &arg,
                        const llvm::Twine &wanted);
  mlir::Attribute defaultOf(const SettingParam &param);
  mlir::Attribute duration(const Argument &arg, const SettingParam &param);
  mlir::Attribute normalization(const Argument &arg, const SettingParam &param);
  mlir::Attribute numbers(const Argument &arg, const SettingParam &param);

  mlir::Attribute real(double value) { return builder.getF64FloatAttr(value); }
  mlir::Attribute whole(int64_t value) {
    return builder.getI64IntegerAttr(value);
  }
  mlir::Attribute text(llvm::StringRef value) {
    return builder.getStringAttr(value);
  }
  mlir::DictionaryAttr
  dictionary(llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Attribute>> items);

  Elaborator &e;
  const Training &training;
  cnn::ModelOp model;
  mlir::OpBuilder &builder;

  llvm::StringMap<llvm::SMRange> seen; ///< clauses, by their words
  llvm::StringMap<mlir::Attribute> entries;
  llvm::MapVector<llvm::StringRef, cnn::WeightOp> weights;
  std::vector<const ClauseStmt *> aboutParts; ///< for when all weights exist
  std::vector<std::string> metricNames;
  std::vector<std::pair<llvm::SMRange, std::string>> namedMetrics;
  int64_t mostBoxes = 0; ///< of a picture, where data have boxes
  llvm::StringSet<> penalized; ///< weights of which a part's line has spoken
  bool mixes = false; ///< images of a batch, and so their losses
  std::vector<std::pair<std::string, const Instance *>> players; ///< by `models`
  std::vector<const ClauseStmt *> turns; ///< `step` lines, in their order
};

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_ELABORATETRAIN_H
