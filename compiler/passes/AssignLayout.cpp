//===- AssignLayout.cpp - One layout for every value ----------------------===//
//
// Kernels say with which layouts they can run. The pass picks one assignment
// per kernel so that the conversions between them, over the whole graph, cost
// least; then it makes the padding that convolutions read part of the buffers
// that producers write, and concatenations slices of one buffer.
//
//===----------------------------------------------------------------------===//

#include "compiler/passes/AssignLayout.h"
#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_ASSIGNLAYOUT
#include "compiler/passes/Passes.h.inc"

/// Whether a value is a feature map, which has a layout to choose.
static bool isMap(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 4 && !Group::isWeight(value);
}

//===----------------------------------------------------------------------===//
// The choice of orders
//===----------------------------------------------------------------------===//

LayoutNode LayoutSolver::makeNode(Operation *op, LayoutPrices prices) {
  LayoutNode node{op, {}, {}, 0};
  if (auto fused = dyn_cast<cnn::FusedOp>(op); fused && prices)
    prices(fused, node);
  if (!node.choices.empty())
    return node;
  auto add = [&](LayoutChoice choice, double penalty) {
    node.choices.push_back(std::move(choice));
    node.penalties.push_back(penalty);
  };
  MLIRContext *context = op->getContext();
  if (auto fused = dyn_cast<cnn::FusedOp>(op)) {
    Group group(fused.getBody().front());
    const Kernel *kernel = findKernel(fused.getSchedule()->getAlgorithm());
    auto choices = kernel->layouts(group, target);
    if (fused.getLayout())
      choices = layoutsFor(choices, *fused.getLayout());
    double cost = kernel->cost(group, target);
    // A kernel lists its best layout first; the others are a little slower.
    for (auto [index, choice] : llvm::enumerate(choices))
      add(choice, index * 0.02 * cost);
  } else if (auto concat = dyn_cast<cnn::ConcatOp>(op)) {
    for (const std::string &order : orders) {
      auto layout = cnn::LayoutAttr::get(context, order);
      LayoutChoice choice;
      for (Value input : concat.getInputs())
        choice.inputs.push_back(isMap(input) ? layout : cnn::LayoutAttr());
      choice.outputs.push_back(isMap(concat) ? layout : cnn::LayoutAttr());
      bool free = isMap(concat) && concatIsFree(concat, layout, target);
      add(choice, free ? 0 : conversionSeconds(concat.getResult(), target));
      if (!isMap(concat))
        break;
    }
  } else if (auto flatten = dyn_cast<cnn::FlattenOp>(op)) {
    for (const std::string &order : orders) {
      auto layout = cnn::LayoutAttr::get(context, order);
      LayoutChoice choice;
      choice.inputs.push_back(layout);
      choice.outputs.push_back({});
      bool free = flattenIsFree(cnn::withLayout(flatten.getX().getType(), layout));
      add(choice, free ? 0 : conversionSeconds(flatten.getX(), target));
    }
  } else {
    // Inputs and outputs belong to the caller: dense, in the logical order.
    auto layout = cnn::LayoutAttr::get(context, "nchw");
    LayoutChoice choice;
    for (Value input : op->getOperands())
      choice.inputs.push_back(isMap(input) ? layout : cnn::LayoutAttr());
    for (Value output : op->getResults())
      choice.outputs.push_back(isMap(output) ? layout : cnn::LayoutAttr());
    add(choice, 0);
  }
  return node;
}

double conversionSeconds(Value value, const Target &target) {
  double bytes = 2.0 * cnn::elementBytes(value.getType()) *
                 cnn::elementsPerImage(value.getType());
  return rooflineSeconds(target, 0, bytes, 1);
}

LayoutSolver::LayoutSolver(cnn::ModelOp model, const Target &target,
                           LayoutPrices prices)
    : target(target) {
  orders = {cnn::LayoutAttr::blocked(target.lanes), "nchw", "nhwc"};
  for (Operation &op : model.getBody().front())
    if (isa<cnn::FusedOp, cnn::ConcatOp, cnn::FlattenOp, cnn::InputOp,
            cnn::OutputOp>(op))
      nodes.insert({&op, makeNode(&op, prices)});
  solve();
}

/// The orders in which the users of a node's results want them, once each.
double LayoutSolver::costOf(const LayoutNode &node, size_t choice) {
  const LayoutChoice &mine = node.choices[choice];
  double cost = node.penalties[choice];
  for (auto [index, operand] : llvm::enumerate(node.op->getOperands())) {
    if (!isMap(operand) || !mine.inputs[index])
      continue;
    auto producer = nodes.find(operand.getDefiningOp());
    if (producer == nodes.end())
      continue;
    cnn::LayoutAttr there = producer->second.chosen().outputs.front();
    if (there.getOrder() != mine.inputs[index].getOrder())
      cost += conversionSeconds(operand, target);
  }
  for (auto [index, result] : llvm::enumerate(node.op->getResults())) {
    if (!isMap(result))
      continue;
    // Users that want one order share one conversion.
    llvm::SmallVector<StringRef> wanted;
    for (OpOperand &use : result.getUses()) {
      auto user = nodes.find(use.getOwner());
      if (user == nodes.end())
        continue;
      cnn::LayoutAttr there =
          user->second.chosen().inputs[use.getOperandNumber()];
      if (there && there.getOrder() != mine.outputs[index].getOrder() &&
          !llvm::is_contained(wanted, there.getOrder()))
        wanted.push_back(there.getOrder());
    }
    cost += wanted.size() * conversionSeconds(result, target);
  }
  return cost;
}

/// Coordinate descent: every node in turn takes its cheapest choice, the
/// others held, until nothing moves. Chains of elementwise kernels follow
/// their neighbours within a few sweeps.
void LayoutSolver::solve() {
  for (int sweep = 0; sweep < 16; ++sweep) {
    bool moved = false;
    auto visit = [&](LayoutNode &node) {
      size_t best = node.choice;
      double bestCost = costOf(node, best);
      for (size_t i = 0; i < node.choices.size(); ++i)
        if (double cost = costOf(node, i); cost < bestCost * (1 - 1e-9)) {
          best = i;
          bestCost = cost;
        }
      moved |= best != node.choice;
      node.choice = best;
    };
    for (auto &entry : nodes)
      visit(entry.second);
    for (auto &entry : llvm::reverse(nodes))
      visit(entry.second);
    if (!moved)
      return;
  }
}

bool concatIsFree(cnn::ConcatOp concat, cnn::LayoutAttr layout,
                  const Target &target) {
  // A device's buffers begin at multiples of more than a channel.
  if (target.device)
    return false;
  // A slice begins at a whole block; only the last may end within one.
  for (Value input : concat.getInputs().drop_back())
    if (cnn::sizeOf(input, 1) % layout.getBlock())
      return false;
  return true;
}

bool flattenIsFree(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  if (tensor.getRank() != 4)
    return true;
  if (layout.hasHalo() || layout.getChannels())
    return false;
  if (layout.getOrder() == "nchw")
    return true;
  bool point = tensor.getDimSize(2) == 1 && tensor.getDimSize(3) == 1;
  return point && tensor.getDimSize(1) % layout.getBlock() == 0;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct AssignLayout : impl::AssignLayoutBase<AssignLayout> {
  using AssignLayoutBase::AssignLayoutBase;

  void runOnOperation() override {
    std::optional<Target> machine = targetFor(getOperation(), target);
    if (!machine)
      return signalPassFailure();
    if (failed(LayoutWriter(getOperation(), *machine).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace halcyon
