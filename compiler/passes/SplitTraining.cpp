//===- SplitTraining.cpp - A model that trains becomes two ----------------===//

#include "compiler/passes/Passes.h"
#include "compiler/passes/TrainingMaps.h"

#include "llvm/ADT/StringSet.h"

namespace halcyon {
#define GEN_PASS_DEF_SPLITTRAINING
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

/// (x - mean) / sqrt(variance + eps) * weight + bias
static MapOp normalize(OpBuilder &builder, BatchNormOp norm, Value mean,
                       Value variance) {
  Location loc = norm.getLoc();
  return makeMap(
      builder, loc, "batchnorm",
      {norm.getX(), mean, variance, norm.getWeight(), norm.getBias()},
      [&](OpBuilder &b, ValueRange s) -> Value {
        Value eps = arith::ConstantOp::create(
            b, loc, b.getFloatAttr(s[0].getType(), norm.getEps().convertToDouble()));
        Value difference = arith::SubFOp::create(b, loc, s[0], s[1]);
        Value sum = arith::AddFOp::create(b, loc, s[2], eps);
        Value root = math::SqrtOp::create(b, loc, sum);
        Value scale = arith::DivFOp::create(b, loc, s[3], root);
        Value scaled = arith::MulFOp::create(b, loc, difference, scale);
        return arith::AddFOp::create(b, loc, scaled, s[4]);
      });
}

/// old + part * (value - old), `value` times count / (count - 1) where it is a
/// variance, whose running value is that of the population.
static Value approach(OpBuilder &builder, Location loc, Value old, Value value,
                      double part, Value count) {
  SmallVector<Value> operands = {old, value};
  if (count)
    operands.push_back(count);
  return makeMap(
      builder, loc, "running", operands, [&](OpBuilder &b, ValueRange s) -> Value {
        auto constant = [&](double c) -> Value {
          return arith::ConstantOp::create(b, loc, b.getFloatAttr(s[0].getType(), c));
        };
        Value now = s[1];
        if (s.size() > 2) {
          Value less = arith::SubFOp::create(b, loc, s[2], constant(1));
          Value least = arith::MaximumFOp::create(b, loc, less, constant(1));
          now = arith::MulFOp::create(b, loc, now,
                                      arith::DivFOp::create(b, loc, s[2], least));
        }
        Value way = arith::SubFOp::create(b, loc, now, s[0]);
        return arith::AddFOp::create(
            b, loc, s[0], arith::MulFOp::create(b, loc, constant(part), way));
      });
}

namespace {
class Splitter {
public:
  /// `training`: the model behaves as in training; `marked`: what is
  /// differentiated by is marked.
  Splitter(ModelOp model, bool training, bool marked)
      : model(model), step(training), marked(marked) {}
  void run();
  void makeLoss();
  void makeCotangents();
  void markInputs();
  /// Leaves what step `which` of models in turn needs, and none of the others'
  /// weights to change.
  void takeTurn(DictionaryAttr turn, bool last);

private:
  void makeInputs();
  void replaceNorms();
  void replaceRandom();
  Value uniform(OpBuilder &builder, Location loc, Type type, Value like);
  Value dropped(DropoutOp dropout);

  ModelOp model;
  bool step, marked;
  void eraseUnused();

  llvm::StringSet<> frozen;
  std::optional<llvm::StringSet<>> own; ///< weights of the turn, if it is one
  Value seed, number; ///< inputs of the step, once something is drawn
  int64_t drawn = 0;
};

struct SplitTraining : halcyon::impl::SplitTrainingBase<SplitTraining> {
  using SplitTrainingBase::SplitTrainingBase;

  void runOnOperation() override {
    SmallVector<ModelOp> models;
    for (auto model : getOperation().getOps<ModelOp>())
      if (check || autograd || model->hasAttr(kTrainAttr))
        models.push_back(model);
    for (ModelOp model : models) {
      if (autograd) {
        splitForAutograd(model);
        continue;
      }
      OpBuilder builder(model);
      if (auto train = model->getAttrOfType<DictionaryAttr>(kTrainAttr))
        if (auto turns = train.getAs<ArrayAttr>("turns")) {
          makeTurns(model, turns);
          continue;
        }
      for (StringRef name : {"step", "eval"}) {
        auto made = cast<ModelOp>(builder.clone(*model));
        made.setSymName(name);
        bool step = name == "step";
        Splitter splitter(made, step || check, step);
        if (check)
          splitter.makeLoss();
        if (check && step)
          splitter.markInputs();
        splitter.run();
        if (check)
          for (auto rule : llvm::make_early_inc_range(
                   made.getBody().front().getOps<RuleOp>()))
            rule.erase();
      }
      model.erase();
    }
  }

  void makeTurns(ModelOp model, ArrayAttr turns) {
    OpBuilder builder(model);
    for (auto [index, name] : llvm::enumerate(stepNames(turns.size()))) {
      auto made = cast<ModelOp>(builder.clone(*model));
      made.setSymName(name);
      Splitter splitter(made, /*training=*/true, /*marked=*/true);
      splitter.takeTurn(cast<DictionaryAttr>(turns[index]),
                        index + 1 == turns.size());
      splitter.run();
    }
    model.setSymName("eval");
    Splitter(model, /*training=*/false, /*marked=*/false).run();
  }

private:
  void splitForAutograd(ModelOp model);
};
} // namespace

/// The turn's loss is the only one. What is measured is said by the last.
void Splitter::takeTurn(DictionaryAttr turn, bool last) {
  std::string loss = ("loss:" + turn.getAs<StringAttr>("name").getValue()).str();
  Block &body = model.getBody().front();
  for (auto output : llvm::make_early_inc_range(body.getOps<OutputOp>())) {
    StringRef name = output.getName();
    if (name == loss)
      output.setName("loss");
    else if (!last || name.starts_with("loss:"))
      output.erase();
  }
  own.emplace();
  for (auto name : turn.getAs<ArrayAttr>("weights").getAsRange<StringAttr>())
    own->insert(name.getValue());
  eraseUnused();
}

/// Norms that nothing reads would keep statistics all the same.
void Splitter::eraseUnused() {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(model.getBody().front())))
    if (op.getNumResults() > 0 && op.use_empty())
      op.erase();
}

/// Without places, which differ where the operations are the same.
static std::string textOf(ModelOp model) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (Operation &op : model.getBody().front())
    op.print(os, OpPrintingFlags().useLocalScope());
  return text;
}

void SplitTraining::splitForAutograd(ModelOp model) {
  model->removeAttr(kTrainAttr);
  OpBuilder builder(model);
  std::string training;
  for (StringRef mode : {"training", "inference"}) {
    auto made = cast<ModelOp>(builder.clone(*model));
    made.setSymName((model.getSymName() + "_" + mode).str());
    for (auto rule :
         llvm::make_early_inc_range(made.getBody().front().getOps<RuleOp>()))
      rule.erase();
    Splitter splitter(made, mode == "training", /*marked=*/true);
    splitter.makeCotangents();
    splitter.markInputs();
    splitter.run();
    std::string text = textOf(made);
    if (text == training)
      made.erase();
    training = text;
  }
  model.erase();
}

/// The sum of the squares of all outputs, unless there is a loss.
void Splitter::makeLoss() {
  OpBuilder builder = OpBuilder::atBlockEnd(&model.getBody().front());
  Value total;
  SmallVector<OutputOp> outputs(model.getBody().front().getOps<OutputOp>());
  for (OutputOp output : outputs)
    if (output.getName() == "loss")
      return;
  for (OutputOp output : outputs) {
    if (isa<FloatType>(tensorOf(output.getValue()).getElementType()))
      total = addMaps(builder, total, sumOfSquares(builder, output.getValue()));
  }
  if (total)
    OutputOp::create(builder, total.getLoc(), total, builder.getStringAttr("loss"),
                     nullptr);
}

/// An input for the gradient of every output that may have one; no name of the
/// model's own meets those that passes make.
void Splitter::makeCotangents() {
  OpBuilder builder = OpBuilder::atBlockBegin(&model.getBody().front());
  auto prefixed = [&](StringRef prefix, StringRef name) {
    return builder.getStringAttr(prefix + name);
  };
  for (auto input : model.getBody().front().getOps<InputOp>()) {
    input.setNameAttr(prefixed("in:", input.getName()));
    input.removeImageAttr();
  }
  for (auto output : model.getBody().front().getOps<OutputOp>()) {
    StringRef name = output.getName();
    output.setNameAttr(prefixed("out:", name));
    auto type = tensorOf(output.getValue());
    if (!isa<FloatType>(type.getElementType()))
      continue;
    auto input = InputOp::create(builder, output.getLoc(), type,
                                 prefixed("cotangent:", name), DictionaryAttr());
    input->setAttr(kCotangentAttr, output.getNameAttr());
  }
}

void Splitter::markInputs() {
  for (auto input : model.getBody().front().getOps<InputOp>())
    if (isa<FloatType>(tensorOf(input.getResult()).getElementType()) &&
        !input->hasAttr(kCotangentAttr))
      input->setAttr(kWrtAttr, UnitAttr::get(model.getContext()));
}

void Splitter::run() {
  auto train = model->getAttrOfType<DictionaryAttr>(kTrainAttr);
  if (auto names = train ? train.getAs<ArrayAttr>("frozen") : ArrayAttr())
    for (auto name : names.getAsRange<StringAttr>())
      frozen.insert(name.getValue());
  replaceNorms();
  replaceRandom();
  makeInputs();
  if (!step)
    for (auto rule :
         llvm::make_early_inc_range(model.getBody().front().getOps<RuleOp>()))
      rule.erase();
}

/// Statistics are no parameters to be trained: the trainer's norms keep them.
void Splitter::replaceNorms() {
  DenseMap<Value, OutputOp> running; ///< what is kept of each, so far
  for (auto norm :
       llvm::make_early_inc_range(model.getBody().front().getOps<BatchNormOp>())) {
    OpBuilder builder(norm);
    Location loc = norm.getLoc();
    Value mean = norm.getRunningMean(), variance = norm.getRunningVar();
    for (Value running : {mean, variance})
      if (Operation *op = running.getDefiningOp())
        op->setAttr("cnn.running", builder.getUnitAttr());
    // A norm whose parameters are frozen stays as it is.
    auto name = [](Value value) { return value.getDefiningOp<WeightOp>().getName(); };
    StringRef gamma = name(norm.getWeight());
    if (step && !frozen.contains(gamma)) {
      Type vector = tensorOf(mean).clone(tensorOf(norm.getX()).getElementType());
      auto stats = BatchStatsOp::create(builder, loc, vector, vector, norm.getX());
      Value count = CountOp::create(
          builder, loc,
          RankedTensorType::get({1}, tensorOf(norm.getX()).getElementType()),
          norm.getX());
      double part = norm.getMomentum().convertToDouble();
      // A norm that is called twice hears of both.
      auto keep = [&](Value old, Value now, Value many) {
        OutputOp &kept = running[old];
        Value before = kept ? kept.getValue() : old;
        Value after = approach(builder, loc, before, now, part, many);
        if (kept)
          kept.erase();
        OpBuilder end = OpBuilder::atBlockEnd(&model.getBody().front());
        kept = OutputOp::create(end, loc, after,
                                end.getStringAttr("param:" + name(old)), nullptr);
      };
      if (!own || own->contains(gamma)) {
        keep(mean, stats.getMean(), Value());
        keep(variance, stats.getVariance(), count);
      }
      mean = stats.getMean();
      variance = stats.getVariance();
    }
    norm.replaceAllUsesWith(normalize(builder, norm, mean, variance).getResult());
    norm.erase();
  }
}

/// Numbers from [0, 1), of a type: each layer draws its own.
Value Splitter::uniform(OpBuilder &builder, Location loc, Type type, Value like) {
  if (!seed) {
    OpBuilder start(&model.getBody().front(), model.getBody().front().begin());
    seed = InputOp::create(start, loc,
                           RankedTensorType::get({1}, builder.getI32Type()),
                           builder.getStringAttr("train.seed"), DictionaryAttr());
    number = InputOp::create(start, loc,
                             RankedTensorType::get({1}, builder.getF32Type()),
                             builder.getStringAttr("train.step"), DictionaryAttr());
  }
  return UniformOp::create(builder, loc, type, like, seed, number,
                           builder.getI64IntegerAttr(drawn++));
}

/// x where it is kept, 1 / (1 - p) times as large; one draw for what is dropped
/// together.
Value Splitter::dropped(DropoutOp dropout) {
  double p = dropout.getP().convertToDouble();
  if (!step || p == 0)
    return dropout.getX();
  OpBuilder builder(dropout);
  Location loc = dropout.getLoc();
  auto type = tensorOf(dropout.getX());
  SmallVector<int64_t> shape(type.getShape());
  unsigned kept = dropout.getOf() == Dropped::elements   ? shape.size()
                  : dropout.getOf() == Dropped::channels ? 2
                                                         : 1;
  for (unsigned i = kept; i < shape.size(); ++i)
    shape[i] = 1;
  Value drawn = uniform(builder, loc,
                        RankedTensorType::get(shape, type.getElementType()),
                        dropout.getX());
  return makeMap(builder, loc, "dropout", {dropout.getX(), drawn},
                 [&](OpBuilder &b, ValueRange s) -> Value {
                   auto constant = [&](double c) -> Value {
                     return arith::ConstantOp::create(
                         b, loc, b.getFloatAttr(s[0].getType(), c));
                   };
                   Value drop = arith::CmpFOp::create(
                       b, loc, arith::CmpFPredicate::OLT, s[1], constant(p));
                   Value kept = arith::MulFOp::create(b, loc, s[0],
                                                      constant(1 / (1 - p)));
                   return arith::SelectOp::create(b, loc, drop, constant(0), kept);
                 });
}

void Splitter::replaceRandom() {
  for (Operation &op :
       llvm::make_early_inc_range(model.getBody().front())) {
    Value result;
    if (auto dropout = dyn_cast<DropoutOp>(op)) {
      result = dropped(dropout);
    } else if (auto choice = dyn_cast<InTrainingOp>(op)) {
      result = step ? choice.getTraining() : choice.getOtherwise();
    } else if (auto random = dyn_cast<RandomOp>(op); random && step) {
      OpBuilder builder(random);
      result = uniform(builder, random.getLoc(), random.getType(), random.getX());
    } else {
      continue;
    }
    op.getResult(0).replaceAllUsesWith(result);
    op.erase();
  }
}

void Splitter::makeInputs() {
  for (auto weight :
       llvm::make_early_inc_range(model.getBody().front().getOps<WeightOp>())) {
    OpBuilder builder(weight);
    auto input = InputOp::create(builder, weight.getLoc(), weight.getType(),
                                 builder.getStringAttr("param:" + weight.getName()),
                                 DictionaryAttr());
    if (marked && !weight->hasAttr("cnn.running") &&
        !frozen.contains(weight.getName()) &&
        (!own || own->contains(weight.getName())))
      input->setAttr(kWrtAttr, builder.getUnitAttr());
    weight.replaceAllUsesWith(input.getResult());
    weight.erase();
  }
}
