//===- AssignPrecision.cpp - Which values and weights are stored in bf16 --===//
//
// Layers are asked for in f32 or bf16. The pass settles which kernels are
// bf16, gives values between them a precision, and puts conversions where a
// kernel cannot read what it gets.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/Passes.h"

#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_ASSIGNPRECISION
#include "compiler/passes/Passes.h.inc"

using cnn::FusedOp;
using cnn::Precision;

namespace {

/// A kernel, and what it is to be.
struct Layer {
  bool bf16 = false;
  /// Why it is f32 where bf16 was asked for.
  std::string kept;
};

class PrecisionWriter {
public:
  PrecisionWriter(cnn::ModelOp model, const Target &target, Precision precision)
      : model(model), target(target), precision(precision) {}

  void run();

private:
  void findBorders();
  Layer wanted(FusedOp fused);
  bool isHandled(FusedOp fused, std::string &why);
  bool isHandledInBf16(FusedOp fused, std::string &why);
  void findStorage();
  void roundWeights(FusedOp fused);
  void convertInputs(FusedOp fused);
  Value convert(Value value, Precision to);
  void retype(FusedOp fused);

  cnn::ModelOp model;
  const Target &target;
  const Precision precision; ///< where nothing is said
  llvm::MapVector<Operation *, Layer> layers;
  /// Kernels that no layer with weights separates from an input, an output.
  llvm::SmallPtrSet<Operation *, 8> first, last;
  /// Feature values that are stored in bf16.
  llvm::DenseSet<Value> rounded;
  llvm::DenseMap<Value, Value> converted;
};

} // namespace

static Block &bodyOf(FusedOp fused) { return fused.getBody().front(); }

/// The filters of a kernel: weights of more than one dimension.
static SmallVector<BlockArgument> filtersOf(FusedOp fused) {
  SmallVector<BlockArgument> filters;
  for (BlockArgument argument : bodyOf(fused).getArguments())
    if (Group::isWeight(argument) &&
        cast<RankedTensorType>(argument.getType()).getRank() > 1)
      filters.push_back(argument);
  return filters;
}

static void setPrecision(Value value, Precision precision) {
  value.setType(cnn::withPrecision(value.getType(), precision));
}

/// What the language asks of a kernel: of the layer that gives it its
/// structure, or of the last one.
static std::optional<Precision> markOf(FusedOp fused) {
  Group group(bodyOf(fused));
  Operation *layer = group.anchor();
  if (!layer)
    layer = group.outputs().front().getDefiningOp();
  auto mark = layer->getAttrOfType<StringAttr>(cnn::kPrecisionAttr);
  return mark ? cnn::symbolizePrecision(mark.getValue()) : std::nullopt;
}

/// Weights that train, their gradients, and statistics of a batch are f32, of
/// whatever they are made.
static bool isOfAllImages(Operation *fused) {
  return llvm::all_of(fused->getResultTypes(), cnn::isFixed);
}

void PrecisionWriter::findBorders() {
  auto hasWeights = [](Operation *op) {
    auto fused = dyn_cast<FusedOp>(op);
    return fused && !filtersOf(fused).empty();
  };
  // Forwards from inputs, backwards from outputs, up to a layer with weights.
  // Weights that train come and go as inputs and outputs, too.
  for (Operation &op : model.getBody().front()) {
    bool reads = isa<cnn::InputOp>(op) && !cnn::isFixed(op.getResult(0).getType());
    for (Value operand : op.getOperands())
      if (Operation *from = operand.getDefiningOp())
        reads |= first.contains(from) && !hasWeights(from);
    if (reads)
      first.insert(&op);
  }
  for (Operation &op : llvm::reverse(model.getBody().front())) {
    bool shows = isa<cnn::OutputOp>(op) && !cnn::isFixed(op.getOperand(0).getType());
    for (Operation *user : op.getUsers())
      shows |= last.contains(user) && !hasWeights(user);
    if (shows)
      last.insert(&op);
  }
}

Layer PrecisionWriter::wanted(FusedOp fused) {
  std::optional<Precision> mark = markOf(fused);
  if (mark.value_or(precision) == Precision::f32)
    return {};
  if (isOfAllImages(fused))
    return {};
  std::string why;
  if (!isHandledInBf16(fused, why))
    return {false, why};
  if (mark)
    return {true, ""};
  bool filters = !filtersOf(fused).empty();
  if (first.contains(fused))
    return {false, filters ? "the first layer" : "before the first layer"};
  if (last.contains(fused))
    return {false, filters ? "the last layer" : "behind the last layer"};
  if (isa_and_nonnull<cnn::SoftmaxOp>(Group(bodyOf(fused)).anchor()))
    return {false, "softmax"};
  return {true, ""};
}

/// Whether a kernel computes the group as it stands; else what they all say.
bool PrecisionWriter::isHandled(FusedOp fused, std::string &why) {
  Group group(bodyOf(fused));
  std::string all;
  for (const Kernel *kernel : allKernels()) {
    std::string reason;
    if (kernel->takes(group, target, reason))
      return true;
    if (!reason.empty())
      all += (all.empty() ? "" : "; ") + kernel->name().str() + ": " + reason;
  }
  why = all.empty() ? "no kernel computes it in bf16" : all;
  return false;
}

/// The same with everything in bf16 that can be.
bool PrecisionWriter::isHandledInBf16(FusedOp fused, std::string &why) {
  Block &body = bodyOf(fused);
  auto filters = filtersOf(fused);
  SmallVector<Value> values(filters.begin(), filters.end());
  for (BlockArgument argument : body.getArguments())
    if (!Group::isWeight(argument))
      values.push_back(argument);
  llvm::append_range(values, body.getTerminator()->getOperands());
  for (Value value : values)
    setPrecision(value, Precision::bf16);
  bool handled = isHandled(fused, why);
  for (Value value : values)
    setPrecision(value, Precision::f32);
  return handled;
}

/// Values that a concatenation or a flattening ties are stored alike. They are
/// bf16 where one of their producers is, or all of their readers are; what the
/// caller sees is f32.
void PrecisionWriter::findStorage() {
  llvm::EquivalenceClasses<Value> classes;
  for (Operation &op : model.getBody().front()) {
    if (isa<FusedOp, cnn::InputOp>(op))
      for (Value result : op.getResults())
        classes.insert(result);
    if (isa<cnn::ConcatOp, cnn::FlattenOp>(op))
      for (Value operand : op.getOperands())
        classes.unionSets(op.getResult(0), operand);
  }
  for (const auto &entry : classes) {
    if (!entry->isLeader())
      continue;
    bool shown = false, written = false, read = false, readAsF32 = false;
    for (Value value : classes.members(*entry)) {
      Operation *from = value.getDefiningOp();
      shown |= isa<cnn::InputOp>(from);
      written |= layers.lookup(from).bf16;
      for (Operation *user : value.getUsers()) {
        shown |= isa<cnn::OutputOp>(user);
        if (isa<FusedOp>(user) && !isOfAllImages(user))
          (layers.lookup(user).bf16 ? read : readAsF32) = true;
      }
    }
    if (!shown && (written || (read && !readAsF32)))
      for (Value value : classes.members(*entry))
        if (!cnn::isFixed(value.getType()))
          rounded.insert(value);
  }
}

/// Filters of a bf16 kernel are bf16; vectors of channels stay f32.
void PrecisionWriter::roundWeights(FusedOp fused) {
  OpBuilder builder(fused);
  for (BlockArgument filter : filtersOf(fused)) {
    OpOperand &operand = fused->getOpOperand(filter.getArgNumber());
    Type type = cnn::withPrecision(filter.getType(), Precision::bf16);
    operand.set(cnn::RoundOp::create(builder, operand.get().getLoc(), type,
                                     operand.get()));
    filter.setType(type);
  }
}

/// The value in another precision, as a kernel of its own right behind it.
Value PrecisionWriter::convert(Value value, Precision to) {
  Value &result = converted[value];
  if (result)
    return result;
  Location loc = value.getLoc();
  OpBuilder builder(model.getContext());
  builder.setInsertionPointAfter(value.getDefiningOp());
  Type type = cnn::withPrecision(value.getType(), to);
  auto fused = FusedOp::create(builder, loc, TypeRange{type}, value);
  Block *body = builder.createBlock(&fused.getBody());
  body->addArgument(value.getType(), loc);
  auto map = cnn::MapOp::create(builder, loc, type, "convert",
                                body->getArguments());
  cnn::YieldOp::create(builder, loc, map.getResult());
  Block *scalar = builder.createBlock(&map.getBody());
  scalar->addArgument(builder.getF32Type(), loc);
  cnn::YieldOp::create(builder, loc, scalar->getArguments());
  return result = fused.getResult(0);
}

void PrecisionWriter::convertInputs(FusedOp fused) {
  Precision own = layers.lookup(fused).bf16 ? Precision::bf16 : Precision::f32;
  for (OpOperand &operand : fused->getOpOperands())
    if (!Group::isWeight(operand.get()) &&
        cnn::precisionOf(operand.get().getType()) != own)
      operand.set(convert(operand.get(), own));
}

/// Gives the region the types of what the kernel reads and writes. Values
/// between are f32, in registers.
void PrecisionWriter::retype(FusedOp fused) {
  Block &body = bodyOf(fused);
  for (auto [argument, operand] :
       llvm::zip(body.getArguments(), fused.getInputs()))
    argument.setType(operand.getType());
  for (auto [value, result] :
       llvm::zip(body.getTerminator()->getOperands(), fused.getResults()))
    value.setType(result.getType());
}

void PrecisionWriter::run() {
  findBorders();
  for (auto fused : model.getBody().front().getOps<FusedOp>())
    layers.insert({fused, wanted(fused)});
  findStorage();
  for (Value value : rounded)
    setPrecision(value, Precision::bf16);
  for (auto &[op, layer] : layers) {
    auto fused = cast<FusedOp>(op);
    if (layer.bf16)
      roundWeights(fused);
    if (!layer.kept.empty())
      fused->setAttr(cnn::kKeptF32Attr,
                     StringAttr::get(fused.getContext(), layer.kept));
    retype(fused);
    std::string why;
    if (isHandled(fused, why))
      continue;
    convertInputs(fused);
    retype(fused);
  }
  model.walk([](Operation *op) { op->removeAttr(cnn::kPrecisionAttr); });
}

namespace {

struct AssignPrecision : impl::AssignPrecisionBase<AssignPrecision> {
  using AssignPrecisionBase::AssignPrecisionBase;

  void runOnOperation() override {
    std::optional<Target> machine = targetFor(getOperation(), target);
    if (!machine)
      return signalPassFailure();
    std::optional<Precision> asked = cnn::symbolizePrecision(precision);
    if (!asked) {
      getOperation().emitError("unknown precision '" + precision +
                               "'; there are f32 and bf16");
      return signalPassFailure();
    }
    PrecisionWriter(getOperation(), *machine, *asked).run();
  }
};

} // namespace
} // namespace halcyon
