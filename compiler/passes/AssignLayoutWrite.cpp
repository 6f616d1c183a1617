//===- AssignLayoutWrite.cpp - Writes chosen layouts into a model ---------===//

#include "compiler/passes/AssignLayout.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace halcyon {

static bool isMap(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 4 && !Group::isWeight(value);
}

/// A kernel of its own around one operation that moves data. The operation is
/// rebuilt inside from the group's arguments.
static cnn::FusedOp wrap(OpBuilder &builder, Location loc, ValueRange inputs,
                         Type result, StringRef algorithm, StringRef reason,
                         const Target &target,
                         function_ref<Value(OpBuilder &, ValueRange)> make) {
  auto fused = cnn::FusedOp::create(builder, loc, TypeRange{result}, inputs,
                                    nullptr, builder.getStringAttr(reason));
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&fused.getBody());
  for (Value input : inputs)
    body->addArgument(input.getType(), loc);
  cnn::YieldOp::create(builder, loc, make(builder, body->getArguments()));
  Group group(*body);
  const Kernel *kernel = findKernel(algorithm);
  // Devices have one kernel for all that moves data.
  std::string why;
  for (const Kernel *other : allKernels())
    if (target.device && other->isGeneral() && other->takes(group, target, why))
      kernel = other;
  fused.setScheduleAttr(kernel->schedule(group, target));
  return fused;
}

LayoutWriter::LayoutWriter(cnn::ModelOp model, const Target &target)
    : model(model), target(target), solver(model, target) {}

LogicalResult LayoutWriter::run() {
  for (auto &[op, node] : solver.nodes) {
    for (auto [index, result] : llvm::enumerate(op->getResults()))
      if (isMap(result))
        layouts[result] = node.chosen().outputs[index].withHalo({0, 0, 0, 0});
    if (isa<cnn::FusedOp>(op))
      choices[op] = node.chosen();
  }
  insertConversions();
  sliceConcats();
  copyToOutputs();
  spreadHalos();
  setTypes();
  wrapCopies();
  for (auto &[op, choice] : choices)
    packWeights(cast<cnn::FusedOp>(op), choice);
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>())
    retypeGroup(fused);
  return success();
}

/// The value in another layout, as a kernel of its own right behind it.
Value LayoutWriter::convert(OpBuilder &builder, Value value,
                            cnn::LayoutAttr layout) {
  builder.setInsertionPointAfter(value.getDefiningOp());
  auto fused = wrap(
      builder, value.getLoc(), value, value.getType(), "relayout",
      "changes the layout", target, [&](OpBuilder &b, ValueRange args) {
        return cnn::RelayoutOp::create(b, value.getLoc(), value.getType(),
                                       args[0])
            .getResult();
      });
  layouts[fused.getResult(0)] = layout.withHalo({0, 0, 0, 0});
  return fused.getResult(0);
}

void LayoutWriter::insertConversions() {
  OpBuilder builder(model.getContext());
  llvm::DenseMap<std::pair<Value, Attribute>, Value> converted;
  for (auto &[op, node] : solver.nodes) {
    for (OpOperand &operand : op->getOpOperands()) {
      cnn::LayoutAttr wanted = node.chosen().inputs[operand.getOperandNumber()];
      Value value = operand.get();
      if (!wanted || !isMap(value))
        continue;
      cnn::LayoutAttr plain = wanted.withHalo({0, 0, 0, 0});
      // The caller's tensors have no room for a halo.
      bool copies = layouts[value].getOrder() != wanted.getOrder() ||
                    (wanted.hasHalo() && value.getDefiningOp<cnn::InputOp>());
      if (copies) {
        Value &there = converted[{value, plain}];
        if (!there)
          there = convert(builder, value, plain);
        operand.set(there);
        value = there;
      }
      auto &halo = halos[value];
      halo.resize(4, 0);
      for (auto [have, need] : llvm::zip(halo, wanted.getHalo()))
        have = std::max(have, need);
    }
  }
}

/// Whether the input of an output's name, over which the caller may have it
/// lie, is read when the output is there already.
static bool losesInput(cnn::ModelOp model, cnn::OutputOp output, Value written) {
  auto inputs = model.getBody().front().getOps<cnn::InputOp>();
  auto input = llvm::find_if(inputs, [&](cnn::InputOp input) {
    return input.getName() == output.getName();
  });
  if (input == inputs.end())
    return false;
  Operation *writer = written.getDefiningOp();
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : (*input).getResult().getUses())
    uses.push_back(&use);
  while (!uses.empty()) {
    OpOperand *use = uses.pop_back_val();
    auto reader = dyn_cast<cnn::FusedOp>(use->getOwner());
    if (!reader) {
      if (isa<cnn::OutputOp>(use->getOwner()))
        return true;
      for (OpOperand &next : use->getOwner()->getUses())
        uses.push_back(&next);
      continue;
    }
    Group group(reader.getBody().front());
    cnn::ScheduleAttr schedule = *reader.getSchedule();
    if (reader != writer ? writer->isBeforeInBlock(reader)
                         : !findKernel(schedule.getAlgorithm())
                                ->mayOverwrite(group, use->getOperandNumber(),
                                               schedule))
      return true;
  }
  return false;
}

/// What an output shows lies in the caller's tensor: it is nobody's slice,
/// has no halo, and is neither an input nor a weight.
void LayoutWriter::copyToOutputs() {
  OpBuilder builder(model.getContext());
  llvm::SmallPtrSet<void *, 4> shown;
  for (auto output : model.getBody().front().getOps<cnn::OutputOp>()) {
    Value value = output.getValue();
    Value root = value;
    while (auto flatten = root.getDefiningOp<cnn::FlattenOp>())
      root = flatten.getX();
    bool slice = isMap(root) && layouts.lookup(root).getChannels() != 0;
    bool haloed = llvm::any_of(halos.lookup(root),
                               [](int64_t h) { return h != 0; });
    bool again = !shown.insert(root.getAsOpaquePointer()).second;
    bool given = root.getDefiningOp<cnn::InputOp>() || cnn::isPrepared(root);
    if (!slice && !haloed && !again && !given && !losesInput(model, output, root))
      continue;
    builder.setInsertionPoint(output);
    Value copy;
    if (isMap(value))
      copy = convert(builder, value,
                     cnn::LayoutAttr::get(model.getContext(), "nchw"));
    else
      copy = wrap(builder, output.getLoc(), value, value.getType(), "relayout",
                  "copies to the output", target,
                  [&](OpBuilder &b, ValueRange args) {
                    return cnn::RelayoutOp::create(b, output.getLoc(),
                                                   value.getType(), args[0])
                        .getResult();
                  })
                 .getResult(0);
    // Each output has a copy of its own: equal ones must not become one.
    copy.getDefiningOp()->setAttr("output", output.getNameAttr());
    output.getValueMutable().assign(copy);
  }
}

/// Gives the operands of concatenations places in the result's buffer, from
/// the last concatenation back, so that a chain of them shares one buffer.
/// A value lies in one buffer; where it is needed in another, it is copied.
void LayoutWriter::sliceConcats() {
  struct Place {
    int64_t buffer, at, channels;
  };
  llvm::DenseMap<Value, Place> places;
  OpBuilder builder(model.getContext());
  int64_t buffers = 0;
  SmallVector<cnn::ConcatOp> concats(
      model.getBody().front().getOps<cnn::ConcatOp>());
  for (cnn::ConcatOp concat : llvm::reverse(concats)) {
    Value result = concat.getResult();
    if (!isMap(result) || !concatIsFree(concat, layouts[result], target))
      continue;
    sliced.insert(concat);
    // All operands may already follow each other in another buffer.
    auto inputs = concat.getInputs();
    auto first = places.find(inputs.front());
    if (first != places.end() && !places.count(result)) {
      int64_t at = first->second.at, buffer = first->second.buffer;
      bool contiguous = llvm::all_of(inputs, [&](Value input) {
        auto place = places.find(input);
        bool fits = place != places.end() && place->second.buffer == buffer &&
                    place->second.at == at;
        at += cnn::sizeOf(input, 1);
        return fits;
      });
      if (contiguous) {
        places.insert({result, first->second});
        continue;
      }
    }
    if (!places.count(result))
      places[result] = {buffers++, 0, cnn::sizeOf(result, 1)};
    Place place = places[result];
    for (OpOperand &operand : concat->getOpOperands()) {
      Value input = operand.get();
      bool free = !places.count(input) &&
                  isa<cnn::FusedOp, cnn::ConcatOp>(input.getDefiningOp()) &&
                  (!input.getDefiningOp<cnn::ConcatOp>() ||
                   concatIsFree(input.getDefiningOp<cnn::ConcatOp>(),
                                layouts[input], target));
      if (!free) {
        input = convert(builder, input, layouts[input]);
        operand.set(input);
      }
      places[input] = place;
      place.at += cnn::sizeOf(input, 1);
    }
  }
  // One buffer has one halo: the widest that any of its slices needs.
  std::map<int64_t, SmallVector<int64_t, 4>> widest;
  for (auto &[value, place] : places) {
    auto &halo = widest[place.buffer];
    halo.resize(4, 0);
    auto own = halos.lookup(value);
    for (size_t i = 0; i < own.size(); ++i)
      halo[i] = std::max(halo[i], own[i]);
  }
  for (auto &[value, place] : places) {
    halos[value] = widest[place.buffer];
    bool whole = cnn::sizeOf(value, 1) == place.channels;
    layouts[value] = layouts[value].withChannels(whole ? 0 : place.channels);
    Operation *op = value.getDefiningOp();
    op->setAttr("buffer", builder.getI64IntegerAttr(place.buffer));
    op->setAttr("at", builder.getI64IntegerAttr(place.at));
  }
}

void LayoutWriter::spreadHalos() {
  for (auto &[value, layout] : layouts) {
    auto halo = halos.lookup(value);
    if (!halo.empty())
      layout = layout.withHalo(halo);
  }
}

void LayoutWriter::setTypes() {
  for (auto &[value, layout] : layouts)
    value.setType(cnn::withLayout(value.getType(), layout));
}

/// Flattening and concatenation that cost a copy become kernels.
void LayoutWriter::wrapCopies() {
  OpBuilder builder(model.getContext());
  for (Operation &op :
       llvm::make_early_inc_range(model.getBody().front())) {
    StringRef name;
    if (auto flatten = dyn_cast<cnn::FlattenOp>(op)) {
      if (flattenIsFree(flatten.getX().getType()) &&
          !flatten.getX().getDefiningOp<cnn::InputOp>())
        continue;
      name = "flatten";
    } else if (isa<cnn::ConcatOp>(op) && !sliced.contains(&op)) {
      name = "concat";
    } else {
      continue;
    }
    builder.setInsertionPoint(&op);
    auto fused = wrap(builder, op.getLoc(), op.getOperands(),
                      op.getResult(0).getType(), name, "a copy: the values do "
                      "not lie behind each other", target,
                      [&](OpBuilder &b, ValueRange args) {
                        IRMapping mapping;
                        mapping.map(op.getOperands(), args);
                        return b.clone(op, mapping)->getResult(0);
                      });
    op.getResult(0).replaceAllUsesWith(fused.getResult(0));
    op.erase();
  }
}

/// Gives values inside a group their orders: before the anchor the order of
/// what is read, behind it the order of what is written.
void LayoutWriter::retypeGroup(cnn::FusedOp fused) {
  Block &body = fused.getBody().front();
  for (auto [argument, operand] :
       llvm::zip(body.getArguments(), fused.getInputs()))
    argument.setType(operand.getType());
  Group group(body);
  auto orderOnly = [&](Value value, Value like) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() == 4 && isMap(like))
      value.setType(cnn::withLayout(
          type, cnn::LayoutAttr::get(value.getContext(),
                                     cnn::layoutOf(like.getType()).getOrder())));
  };
  bool before = !group.anchors().empty();
  for (Operation &op : body.without_terminator()) {
    before &= !llvm::is_contained(group.anchors(), &op);
    Value like = fused.getResult(0);
    if (before)
      for (Value operand : op.getOperands())
        if (isMap(operand)) {
          like = operand;
          break;
        }
    orderOnly(op.getResult(0), like);
  }
  for (auto [value, result] :
       llvm::zip(body.getTerminator()->getOperands(), fused.getResults()))
    value.setType(result.getType());
}

/// A weight that trains, and that a kernel reads in bf16 as it stands.
void LayoutWriter::roundAtRunTime(OpOperand &operand) {
  auto round = operand.get().getDefiningOp<cnn::RoundOp>();
  if (!round || cnn::isPrepared(round.getResult()))
    return;
  Value &there = packedAtRunTime[{round.getWeight(), round.getType()}];
  if (!there) {
    OpBuilder behind(round);
    Location loc = round.getLoc();
    there = wrap(behind, loc, round.getWeight(), round.getType(), "plain",
                 "rounds a weight", target,
                 [&](OpBuilder &b, ValueRange args) -> Value {
                   auto map = cnn::MapOp::create(b, loc, round.getType(), "convert", args);
                   Block *scalar = b.createBlock(&map.getBody());
                   scalar->addArgument(b.getF32Type(), loc);
                   cnn::YieldOp::create(b, loc, scalar->getArguments());
                   b.setInsertionPointAfter(map);
                   return map.getResult();
                 })
                .getResult(0);
  }
  operand.set(there);
}

void LayoutWriter::packWeights(cnn::FusedOp fused, const LayoutChoice &choice) {
  Group group(fused.getBody().front());
  const Kernel *kernel = findKernel(fused.getSchedule()->getAlgorithm());
  OpBuilder builder(fused);
  for (OpOperand &operand : fused->getOpOperands()) {
    if (!Group::isWeight(operand.get()))
      continue;
    cnn::PackedAttr packed =
        kernel->packing(group, operand.getOperandNumber(), choice, target);
    if (!packed) {
      roundAtRunTime(operand);
      continue;
    }
    Value weight = operand.get();
    auto type = cast<RankedTensorType>(weight.getType());
    // What packing computes, it computes of the weight before it is rounded.
    if (auto round = weight.getDefiningOp<cnn::RoundOp>())
      weight = round.getWeight();
    auto packedType =
        RankedTensorType::get(type.getShape(), type.getElementType(), packed);
    auto pack = [&](OpBuilder &b, Value value) -> Value {
      return cnn::PackOp::create(b, weight.getLoc(), packedType, value);
    };
    // What is not known when the program is made is packed in every run, where
    // all kernels that want it so find it.
    if (cnn::isPrepared(weight)) {
      operand.set(pack(builder, weight));
      continue;
    }
    Value &there = packedAtRunTime[{weight, packedType}];
    if (!there) {
      OpBuilder behind(weight.getContext());
      behind.setInsertionPointAfter(weight.getDefiningOp());
      there = wrap(behind, weight.getLoc(), weight, packedType, "pack",
                   "packs a weight", target,
                   [&](OpBuilder &b, ValueRange args) { return pack(b, args[0]); })
                  .getResult(0);
    }
    operand.set(there);
  }
}

} // namespace halcyon
