//===- FusePairs.cpp - Two groups with structure become one kernel --------===//
//
// Where one group alone reads what another writes, kernels that compute both
// are asked what they cost. The pair is formed where the cheapest of them costs
// less than the cheapest kernels of the two apart. It may join others again.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_FUSEPAIRS
#include "compiler/passes/Passes.h.inc"

namespace {

struct FusePairs : impl::FusePairsBase<FusePairs> {
  using FusePairsBase::FusePairsBase;
  void runOnOperation() override;

private:
  struct Choice {
    double seconds = 0;
    bool any = false;
    bool forced = false; ///< the algorithm that was asked for computes it
  };
  Choice cheapest(cnn::FusedOp fused, const Target &machine) const;
  double gain(cnn::FusedOp producer, cnn::FusedOp reader,
              const Target &machine);

  /// What is known already of groups that are there.
  llvm::DenseMap<std::pair<Operation *, Operation *>, double> gains;
};

} // namespace

static bool hasAnchor(cnn::FusedOp fused) {
  return !Group(fused.getBody().front()).anchors().empty();
}

/// The group whose result the first structure of `reader` reads, and nobody else.
/// Neither has a schedule yet, and the same is said of both.
static cnn::FusedOp producerOf(cnn::FusedOp reader) {
  Group group(reader.getBody().front());
  if (group.anchors().empty() || reader.getSchedule() ||
      group.anchors().front()->getNumOperands() == 0)
    return {};
  auto argument = dyn_cast<BlockArgument>(group.anchors().front()->getOperand(0));
  if (!argument)
    return {};
  Value value = reader.getInputs()[argument.getArgNumber()];
  auto producer = value.getDefiningOp<cnn::FusedOp>();
  if (!producer || producer.getSchedule() || producer->getNumResults() != 1 ||
      !value.hasOneUse() || !hasAnchor(producer) ||
      producer->getDiscardableAttrDictionary() !=
          reader->getDiscardableAttrDictionary())
    return {};
  return producer;
}

/// Both groups in one region, where the reader stands.
static cnn::FusedOp join(cnn::FusedOp producer, cnn::FusedOp reader) {
  OpBuilder builder(reader);
  SmallVector<Value> inputs(producer.getInputs());
  for (Value input : reader.getInputs())
    if (input != producer.getResult(0) && !llvm::is_contained(inputs, input))
      inputs.push_back(input);
  auto both = cnn::FusedOp::create(builder, reader.getLoc(),
                                   reader.getResultTypes(), inputs,
                                   /*schedule=*/nullptr, /*reason=*/nullptr);
  both->setDiscardableAttrs(reader->getDiscardableAttrDictionary());
  Block *block = builder.createBlock(&both.getBody());
  llvm::DenseMap<Value, Value> arguments;
  for (Value input : inputs)
    arguments[input] = block->addArgument(input.getType(), input.getLoc());
  auto take = [&](cnn::FusedOp fused) {
    IRMapping mapping;
    Block &body = fused.getBody().front();
    for (auto [argument, input] :
         llvm::zip(body.getArguments(), fused.getInputs()))
      mapping.map(argument, arguments[input]);
    for (Operation &op : body.without_terminator())
      builder.clone(op, mapping);
    return mapping.lookup(body.getTerminator()->getOperand(0));
  };
  arguments[producer.getResult(0)] = take(producer);
  cnn::YieldOp::create(builder, reader.getLoc(), take(reader));
  return both;
}

FusePairs::Choice FusePairs::cheapest(cnn::FusedOp fused,
                                      const Target &machine) const {
  Group group(fused.getBody().front());
  Choice choice;
  for (const Kernel *kernel : allKernels()) {
    std::string why;
    // What takes any group says nothing of pairs.
    if (kernel->isFallback() || !kernel->takes(group, machine, why))
      continue;
    double seconds = kernel->cost(group, machine);
    if (!choice.any || seconds < choice.seconds)
      choice.seconds = seconds;
    choice.any = true;
    choice.forced |= kernel->name() == algorithm;
  }
  return choice;
}

/// Seconds that one kernel saves. More than any, where it is the algorithm that
/// was asked for; none where that computes one of the two.
double FusePairs::gain(cnn::FusedOp producer, cnn::FusedOp reader,
                       const Target &machine) {
  auto [known, fresh] = gains.try_emplace({producer, reader}, 0.0);
  if (!fresh)
    return known->second;
  cnn::FusedOp both = join(producer, reader);
  Choice pair = cheapest(both, machine);
  both.erase();
  if (!pair.any)
    return 0;
  Choice first = cheapest(producer, machine), second = cheapest(reader, machine);
  double saved = first.seconds + second.seconds - pair.seconds;
  if (pair.forced)
    saved = 1;
  else if (!first.any || !second.any || first.forced || second.forced)
    saved = 0;
  return known->second = saved;
}

void FusePairs::runOnOperation() {
  gains.clear();
  std::optional<Target> machine = targetFor(getOperation(), target);
  if (!machine)
    return signalPassFailure();
  // Largest gain first: a depthwise may join the layer before it or the one
  // behind it.
  while (true) {
    cnn::FusedOp best;
    double most = 0;
    SmallVector<cnn::FusedOp> groups(
        getOperation().getBody().front().getOps<cnn::FusedOp>());
    for (cnn::FusedOp reader : groups)
      if (cnn::FusedOp producer = producerOf(reader))
        if (double seconds = gain(producer, reader, *machine); seconds > most) {
          best = reader;
          most = seconds;
        }
    if (!best)
      return;
    cnn::FusedOp producer = producerOf(best), both = join(producer, best);
    best.getResult(0).replaceAllUsesWith(both.getResult(0));
    for (auto known : llvm::make_early_inc_range(gains)) {
      auto [first, second] = known.first;
      if (first == producer || first == best || second == producer ||
          second == best)
        gains.erase(known.first);
    }
    best.erase();
    producer.erase();
  }
}

} // namespace halcyon
