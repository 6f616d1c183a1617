//===- Compare.cpp - Whether two models compute the same ------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/write/Compare.h"
#include "compiler/write/Write.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace halcyon::write {

namespace {
class Comparison {
public:
  explicit Comparison(std::map<std::string, std::string> &weights)
      : weights(weights) {}
  std::string run(cnn::ModelOp left, cnn::ModelOp right);
  bool formulas(Operation *left, Operation *right, NumberPairs *numbers);

private:
  using Pair = std::pair<Value, Value>;
  bool match(Value left, Value right);
  bool follow();
  bool matchOps(Operation *left, Operation *right);
  bool matchRegions(Region &left, Region &right);

  std::map<std::string, std::string> &weights;
  llvm::DenseMap<Value, Value> known;
  SmallVector<Pair> open;
  std::string trouble;
  NumberPairs *numbers = nullptr;
};
} // namespace

/// What is said of an operation, and not part of what it computes.
static bool isRemark(StringRef attribute) {
  return attribute == "function" || attribute == "name" ||
         attribute == "operandSegmentSizes";
}

static bool sameAttributes(Operation *left, Operation *right) {
  for (auto [a, b] : {std::pair(left, right), std::pair(right, left)})
    for (NamedAttribute attribute : a->getAttrs())
      if (!isRemark(attribute.getName().getValue()) &&
          b->getAttr(attribute.getName()) != attribute.getValue())
        return false;
  return true;
}

/// The tensors that a concatenation joins, through those that it joins.
static void collect(cnn::ConcatOp concat, SmallVectorImpl<Value> &parts) {
  SmallVector<Value> stack(llvm::reverse(concat.getInputs()));
  while (!stack.empty()) {
    Value part = stack.pop_back_val();
    if (auto inner = part.getDefiningOp<cnn::ConcatOp>())
      append_range(stack, llvm::reverse(inner.getInputs()));
    else
      parts.push_back(part);
  }
}

bool Comparison::match(Value left, Value right) {
  // A weight that several layers share is written for each.
  if (left.getDefiningOp<cnn::WeightOp>()) {
    open.push_back({left, right});
    return left.getType() == right.getType();
  }
  auto [found, fresh] = known.try_emplace(left, right);
  if (!fresh)
    return found->second == right;
  open.push_back({left, right});
  return left.getType() == right.getType();
}

bool Comparison::follow() {
  while (!open.empty()) {
    auto [left, right] = open.pop_back_val();
    Operation *a = left.getDefiningOp(), *b = right.getDefiningOp();
    // Arguments of a block are matched with it.
    bool same = a && b &&
                cast<OpResult>(left).getResultNumber() ==
                    cast<OpResult>(right).getResultNumber() &&
                matchOps(a, b);
    if (same)
      continue;
    if (trouble.empty()) {
      auto text = [](Operation *op) {
        return op ? op->getName().getStringRef().str() : "an index";
      };
      Location loc = a ? a->getLoc() : left.getLoc();
      trouble = text(a) + " of '" + cnn::layerLocation(loc).path +
                "' would become another " + text(b);
    }
    return false;
  }
  return true;
}

bool Comparison::matchOps(Operation *left, Operation *right) {
  auto number = [](Operation *op) {
    auto constant = dyn_cast<arith::ConstantOp>(op);
    return constant ? dyn_cast<FloatAttr>(constant.getValue()) : FloatAttr();
  };
  if (numbers && number(left) && number(right)) {
    numbers->push_back({number(left).getValueAsDouble(),
                        number(right).getValueAsDouble()});
    return true;
  }
  if (left->getName() != right->getName() || !sameAttributes(left, right) ||
      left->getNumRegions() != right->getNumRegions())
    return false;
  if (auto weight = dyn_cast<cnn::WeightOp>(left)) {
    std::string name = weight.getName().str();
    auto [found, fresh] = weights.try_emplace(
        cast<cnn::WeightOp>(right).getName().str(), name);
    return fresh || found->second == name;
  }
  SmallVector<Value> a(left->getOperands()), b(right->getOperands());
  if (a.size() != b.size() && isa<cnn::ConcatOp>(left)) {
    a.clear(), b.clear();
    collect(cast<cnn::ConcatOp>(left), a);
    collect(cast<cnn::ConcatOp>(right), b);
  }
  if (a.size() != b.size())
    return false;
  for (auto [x, y] : llvm::zip(a, b))
    if (!match(x, y))
      return false;
  for (auto [x, y] : llvm::zip(left->getRegions(), right->getRegions()))
    if (!matchRegions(x, y))
      return false;
  return true;
}

/// Regions of one block that yields: what is yielded counts.
bool Comparison::matchRegions(Region &left, Region &right) {
  Block &a = left.front(), &b = right.front();
  if (a.getArgumentTypes() != b.getArgumentTypes())
    return false;
  for (auto [x, y] : llvm::zip(a.getArguments(), b.getArguments()))
    known[x] = y;
  ValueRange yields = a.getTerminator()->getOperands();
  ValueRange others = b.getTerminator()->getOperands();
  if (yields.size() != others.size())
    return false;
  for (auto [x, y] : llvm::zip(yields, others))
    if (!match(x, y))
      return false;
  return true;
}

bool Comparison::formulas(Operation *left, Operation *right,
                          NumberPairs *pairs) {
  numbers = pairs;
  return matchRegions(left->getRegion(0), right->getRegion(0)) && follow();
}

bool sameFormula(Operation *left, Operation *right, NumberPairs *numbers) {
  std::map<std::string, std::string> none;
  return Comparison(none).formulas(left, right, numbers);
}

std::string Comparison::run(cnn::ModelOp left, cnn::ModelOp right) {
  auto inputs = [](cnn::ModelOp model) {
    return llvm::to_vector(model.getOps<cnn::InputOp>());
  };
  auto outputs = [](cnn::ModelOp model) {
    return llvm::to_vector(model.getOps<cnn::OutputOp>());
  };
  auto in = inputs(left), otherIn = inputs(right);
  auto out = outputs(left), otherOut = outputs(right);
  if (in.size() != otherIn.size() || out.size() != otherOut.size())
    return "the model has other inputs or outputs";
  for (auto [a, b] : llvm::zip(in, otherIn)) {
    if (a.getType() != b.getType())
      return "the input '" + a.getName().str() + "' has another type";
    known[a] = b;
  }
  for (auto [a, b] : llvm::zip(out, otherOut))
    if (!match(a.getValue(), b.getValue()) && trouble.empty())
      trouble = "the output '" + a.getName().str() + "' has another type";
  if (trouble.empty())
    follow();
  return trouble;
}

/// map(x, x) = map(x)
static void mergeOperands(cnn::MapOp map) {
  Block &block = map.getBody().front();
  for (unsigned i = 0; i < map.getInputs().size(); ++i)
    for (unsigned j = map.getInputs().size() - 1; j > i; --j)
      if (map.getInputs()[i] == map.getInputs()[j]) {
        block.getArgument(j).replaceAllUsesWith(block.getArgument(i));
        block.eraseArgument(j);
        map->eraseOperand(j);
      }
}

/// In the language weights stand behind all other operands.
static void weightsLast(cnn::IndexedOp op) {
  SmallVector<unsigned> order = llvm::to_vector(
      llvm::seq<unsigned>(op.getInputs().size()));
  llvm::stable_sort(order, [&](unsigned i, unsigned j) {
    auto isWeight = [&](unsigned k) {
      return op.getInputs()[k].getDefiningOp<cnn::WeightOp>() != nullptr;
    };
    return !isWeight(i) && isWeight(j);
  });
  SmallVector<Value> inputs = llvm::map_to_vector(
      order, [&](unsigned i) { return Value(op.getInputs()[i]); });
  op.getInputsMutable().assign(inputs);
  op.walk([&](cnn::ReadOp read) {
    read.setOperand(llvm::find(order, read.getOperand()) - order.begin());
  });
}

/// A copy in which what can be said in several ways is said in one.
static OwningOpRef<ModuleOp> normalized(ModuleOp module) {
  OwningOpRef<ModuleOp> copy = module.clone();
  copy->walk([](Operation *op) {
    if (op->getPropertiesStorage())
      op->getName().populateDefaultProperties(op->getPropertiesStorage());
    if (auto map = dyn_cast<cnn::MapOp>(op))
      mergeOperands(map);
    if (auto indexed = dyn_cast<cnn::IndexedOp>(op))
      weightsLast(indexed);
  });
  PassManager manager(module.getContext());
  manager.addNestedPass<cnn::ModelOp>(createOpenBatch());
  manager.addNestedPass<cnn::ModelOp>(createNormalizePadding());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  if (failed(manager.run(*copy)))
    return nullptr;
  return copy;
}

std::string compareModels(ModuleOp left, ModuleOp right,
                          std::map<std::string, std::string> &weights) {
  OwningOpRef<ModuleOp> a = normalized(left), b = normalized(right);
  auto model = [](ModuleOp module) {
    auto models = module.getOps<cnn::ModelOp>();
    return models.empty() ? cnn::ModelOp() : *models.begin();
  };
  if (!a || !b || !model(*a) || !model(*b))
    return "there is no model";
  return Comparison(weights).run(model(*a), model(*b));
}

} // namespace halcyon::write
