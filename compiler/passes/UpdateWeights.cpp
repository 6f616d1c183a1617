//===- UpdateWeights.cpp - The optimizer's step ---------------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/passes/TrainingMaps.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace halcyon {
#define GEN_PASS_DEF_UPDATEWEIGHTS
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
/// A weight, its gradient, and what the optimizer keeps beside it.
struct Trained {
  InputOp input;
  OutputOp output; ///< of the gradient
  Value gradient;
  std::string name;
  Value squared, squares; ///< a gradient, and the sum of its squares
};

struct UpdateWeights : halcyon::impl::UpdateWeightsBase<UpdateWeights> {
  void runOnOperation() override;

private:
  void collect();
  Value squaresOf(Trained &weight);
  void showNorms();
  void clip();
  void accumulate();
  LogicalResult update(Trained &weight);
  Value scalar(StringRef name);
  Value input(StringRef name, Type type);
  Value rateOf(const Trained &weight);
  Value constant(Value like, double value);
  void show(Value value, const Twine &name);
  Value choose(Value condition, Value yes, Value no);

  RuleOp rule;
  DictionaryAttr train;
  Type element;
  std::vector<Trained> weights;
  llvm::StringMap<Value> scalars;
  Value complete; ///< whether the gradients of a whole batch are together
  OpBuilder *builder = nullptr;
};
} // namespace

static double number(Attribute value) {
  if (auto real = dyn_cast_or_null<FloatAttr>(value))
    return real.getValueAsDouble();
  if (auto whole = dyn_cast_or_null<IntegerAttr>(value))
    return (double)whole.getInt();
  return 0;
}

/// An input of the step, made where the others stand.
Value UpdateWeights::input(StringRef name, Type type) {
  OpBuilder start(&getOperation().getBody().front(),
                  getOperation().getBody().front().begin());
  return InputOp::create(start, getOperation().getLoc(), type,
                         start.getStringAttr(name), DictionaryAttr());
}

Value UpdateWeights::scalar(StringRef name) {
  Value &value = scalars[name];
  for (auto there : getOperation().getBody().front().getOps<InputOp>())
    if (!value && there.getName() == name)
      value = there.getResult();
  if (!value)
    value = input(name, RankedTensorType::get({1}, element));
  return value;
}

void UpdateWeights::show(Value value, const Twine &name) {
  OutputOp::create(*builder, value.getLoc(), value,
                   builder->getStringAttr(name), nullptr);
}

/// One element, as a map of a tensor that has one.
Value UpdateWeights::constant(Value like, double value) {
  return makeMap(*builder, like.getLoc(), "constant", {like},
                 [&](OpBuilder &b, ValueRange s) -> Value {
                   return arith::ConstantOp::create(
                       b, like.getLoc(), b.getFloatAttr(s[0].getType(), value));
                 });
}

Value UpdateWeights::choose(Value condition, Value yes, Value no) {
  Location loc = yes.getLoc();
  return makeMap(*builder, loc, "choose", {condition, yes, no},
                 [&](OpBuilder &b, ValueRange s) -> Value {
                   Value half = arith::ConstantOp::create(
                       b, loc, b.getFloatAttr(s[0].getType(), 0.5));
                   Value on = arith::CmpFOp::create(
                       b, loc, arith::CmpFPredicate::OGT, s[0], half);
                   return arith::SelectOp::create(b, loc, on, s[1], s[2]);
                 });
}

void UpdateWeights::collect() {
  llvm::StringMap<InputOp> inputs;
  Block &body = getOperation().getBody().front();
  for (auto input : body.getOps<InputOp>())
    if (input.getName().starts_with("param:"))
      inputs[input.getName().drop_front(6)] = input;
  for (auto output : body.getOps<OutputOp>()) {
    StringRef name = output.getName();
    if (name.consume_front("grad:") && inputs.count(name))
      weights.push_back({inputs[name], output, output.getValue(), name.str()});
  }
}

Value UpdateWeights::squaresOf(Trained &weight) {
  if (weight.squared != weight.gradient) {
    weight.squared = weight.gradient;
    weight.squares = sumOfSquares(*builder, weight.gradient);
  }
  return weight.squares;
}

/// The trainer logs the norm of the gradient of every filter.
void UpdateWeights::showNorms() {
  for (Trained &weight : weights)
    if (tensorOf(weight.gradient).getRank() > 1)
      show(squaresOf(weight), "squares:" + weight.name);
}

/// Gradients of a batch that comes in parts are summed in a slot, and given out
/// with its last part.
void UpdateWeights::accumulate() {
  double times = number(train.get("accumulate"));
  if (times <= 1)
    return;
  Value step = scalar("train.step");
  auto perBatch = [&](StringRef name, bool whole) {
    return makeMap(*builder, step.getLoc(), name, {step},
                   [&](OpBuilder &b, ValueRange s) -> Value {
                     Location loc = step.getLoc();
                     Value parts = arith::ConstantOp::create(
                         b, loc, b.getFloatAttr(s[0].getType(), times));
                     Value batches = math::CeilOp::create(
                         b, loc, arith::DivFOp::create(b, loc, s[0], parts));
                     if (!whole)
                       return batches;
                     Value end = arith::MulFOp::create(b, loc, batches, parts);
                     Value is = arith::CmpFOp::create(
                         b, loc, arith::CmpFPredicate::OEQ, end, s[0]);
                     Value one = arith::ConstantOp::create(
                         b, loc, b.getFloatAttr(s[0].getType(), 1));
                     Value zero = arith::ConstantOp::create(
                         b, loc, b.getFloatAttr(s[0].getType(), 0));
                     return arith::SelectOp::create(b, loc, is, one, zero);
                   })
        .getResult();
  };
  complete = perBatch("complete", true);
  scalars["train.step"] = perBatch("batches", false);
  for (Trained &weight : weights) {
    Location loc = weight.gradient.getLoc();
    Value slot = input("slot:accumulated:" + weight.name, weight.gradient.getType());
    Value sum = makeMap(*builder, loc, "accumulate", {slot, weight.gradient},
                        [&](OpBuilder &b, ValueRange s) -> Value {
                          Value part = arith::ConstantOp::create(
                              b, loc, b.getFloatAttr(s[0].getType(), 1 / times));
                          return arith::AddFOp::create(
                              b, loc, s[0],
                              arith::MulFOp::create(b, loc, part, s[1]));
                        });
    // Not in place: what is given out is read after the slot is emptied.
    Value empty = makeMap(*builder, loc, "zero", {sum},
                          [&](OpBuilder &b, ValueRange s) -> Value {
                            return arith::ConstantOp::create(
                                b, loc, b.getFloatAttr(s[0].getType(), 0));
                          });
    show(choose(complete, empty, sum), "slot:accumulated:" + weight.name);
    weight.gradient = sum;
  }
}

void UpdateWeights::clip() {
  auto clips = train.getAs<ArrayAttr>("clip");
  if (!clips)
    return;
  for (auto how : clips.getAsRange<DictionaryAttr>()) {
    double largest = number(how.get("largest"));
    if (how.getAs<StringAttr>("call").getValue() == "value") {
      for (Trained &weight : weights) {
        Location loc = weight.gradient.getLoc();
        weight.gradient = makeMap(
            *builder, loc, "clip", {weight.gradient},
            [&](OpBuilder &b, ValueRange s) -> Value {
              auto c = [&](double v) -> Value {
                return arith::ConstantOp::create(b, loc,
                                                 b.getFloatAttr(s[0].getType(), v));
              };
              Value low = arith::MaximumFOp::create(b, loc, s[0], c(-largest));
              return arith::MinimumFOp::create(b, loc, low, c(largest));
            });
      }
      continue;
    }
    Value total;
    for (Trained &weight : weights)
      total = addMaps(*builder, total, squaresOf(weight));
    if (!total)
      return;
    Location loc = total.getLoc();
    Value norm = makeMap(*builder, loc, "sqrt", {total},
                         [&](OpBuilder &b, ValueRange s) -> Value {
                           return math::SqrtOp::create(b, loc, s[0]);
                         });
    show(norm, "train.norm");
    for (Trained &weight : weights)
      weight.gradient = makeMap(
          *builder, loc, "clip", {weight.gradient, norm},
          [&](OpBuilder &b, ValueRange s) -> Value {
            auto c = [&](double v) -> Value {
              return arith::ConstantOp::create(b, loc,
                                               b.getFloatAttr(s[0].getType(), v));
            };
            // As torch does: the norm and a little.
            Value below = arith::AddFOp::create(b, loc, s[1], c(1e-6));
            Value factor = arith::DivFOp::create(b, loc, c(largest), below);
            Value least = arith::MinimumFOp::create(b, loc, factor, c(1));
            return arith::MulFOp::create(b, loc, s[0], least);
          });
  }
}

/// The rate of learning, of a part that has one of its own an input of its own.
Value UpdateWeights::rateOf(const Trained &weight) {
  auto rates = train.getAs<DictionaryAttr>("rates");
  return scalar(rates && rates.get(weight.name) ? "rate:" + weight.name
                                                : std::string("train.rate"));
}

/// One map per result of the rule, where that can be slots before the weight, which
/// reads their new values rather than computing them again.
LogicalResult UpdateWeights::update(Trained &weight) {
  Block &body = rule.getBody().front();
  Location loc = weight.input.getLoc();
  llvm::StringMap<Value> given;
  given["weight"] = weight.input.getResult();
  given["gradient"] = weight.gradient;
  given["rate"] = rateOf(weight);
  for (StringRef slot : rule.getSlots())
    given[slot] = input(("slot:" + slot + ":" + weight.name).str(),
                        weight.gradient.getType());
  SmallVector<Value> arguments;
  for (auto name : rule.getOperandNames().getAsRange<StringAttr>()) {
    StringRef operand = name.getValue();
    if (operand == "decay") {
      auto decays = train.getAs<DictionaryAttr>("decay");
      arguments.push_back(constant(scalar("train.rate"),
                                   decays ? number(decays.get(weight.name)) : 0));
    } else if (given.count(operand)) {
      arguments.push_back(given[operand]);
    } else {
      arguments.push_back(scalar(("train." + operand).str()));
    }
  }
  auto yields = body.getTerminator()->getOperands();
  auto names = llvm::to_vector(rule.getResultNames().getAsRange<StringAttr>());
  auto operandNames = llvm::to_vector(rule.getOperandNames().getAsRange<StringAttr>());
  DenseMap<Value, Value> made; // what the rule yields, as tensors
  SmallVector<size_t> left;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i].getValue() != "weight")
      left.push_back(i);
  left.push_back(llvm::find_if(names, [](StringAttr n) {
                   return n.getValue() == "weight";
                 }) - names.begin());
  // What stays as it is replaces nothing.
  llvm::erase_if(left, [&](size_t i) { return isa<BlockArgument>(yields[i]); });
  // The operations behind a result, down to what is given or has been made.
  llvm::SetVector<Operation *> slice;
  llvm::SetVector<Value> leaves;
  auto gather = [&](Value yielded, Value alsoMade) {
    slice.clear();
    leaves.clear();
    std::function<void(Value)> visit = [&](Value value) {
      if (isa<BlockArgument>(value) || made.count(value) || value == alsoMade) {
        leaves.insert(value);
        return;
      }
      Operation *op = value.getDefiningOp();
      if (slice.contains(op))
        return;
      for (Value operand : op->getOperands())
        visit(operand);
      slice.insert(op);
    };
    visit(yielded);
  };
  // A new value takes the old one's place: whoever reads the old one comes before.
  auto isReadLater = [&](size_t index) {
    return llvm::any_of(left, [&](size_t other) {
      if (other == index)
        return false;
      gather(yields[other], yields[index]);
      return llvm::any_of(leaves, [&](Value leaf) {
        auto argument = dyn_cast<BlockArgument>(leaf);
        return argument && operandNames[argument.getArgNumber()] == names[index];
      });
    });
  };
  while (!left.empty()) {
    auto next = llvm::find_if_not(left, isReadLater);
    if (next == left.end())
      return rule.emitError("the new values of ")
             << names[left[0]] << " and " << names[left[1]]
             << " each need the other's old one; write one by the other's new value";
    size_t index = *next;
    left.erase(next);
    Value yielded = yields[index];
    StringRef name = names[index].getValue();
    gather(yielded, Value());
    SmallVector<Value> operands;
    for (Value leaf : leaves) {
      auto argument = dyn_cast<BlockArgument>(leaf);
      operands.push_back(argument ? arguments[argument.getArgNumber()] : made[leaf]);
    }
    // The result has the weight's shape, whatever it is made of.
    if (llvm::none_of(operands, [&](Value operand) {
          return operand.getType() == weight.gradient.getType();
        }))
      operands.push_back(weight.gradient);
    Value result = makeMap(
        *builder, loc, (rule.getName() + "." + name).str(), operands,
        [&](OpBuilder &b, ValueRange s) -> Value {
          IRMapping mapping;
          for (auto [leaf, scalar] : llvm::zip(leaves, s))
            mapping.map(leaf, scalar);
          for (Operation *op : slice)
            b.clone(*op, mapping);
          return mapping.lookup(yielded);
        });
    if (complete)
      result = choose(complete, result, given[name]);
    made[yielded] = result;
    show(result, name == "weight" ? Twine("param:") + weight.name
                                  : "slot:" + name + ":" + weight.name);
  }
  return success();
}

void UpdateWeights::runOnOperation() {
  ModelOp model = getOperation();
  auto rules = model.getBody().front().getOps<RuleOp>();
  train = model->getAttrOfType<DictionaryAttr>(kTrainAttr);
  if (rules.empty() || !train)
    return;
  rule = *rules.begin();
  weights.clear();
  scalars.clear();
  complete = Value();
  collect();
  if (weights.empty())
    return;
  element = tensorOf(weights.front().input.getResult()).getElementType();
  OpBuilder end = OpBuilder::atBlockEnd(&model.getBody().front());
  builder = &end;
  showNorms();
  accumulate();
  clip();
  for (Trained &weight : weights)
    if (failed(update(weight)))
      return signalPassFailure();
  for (Trained &weight : weights)
    weight.output.erase();
  rule.erase();
}
