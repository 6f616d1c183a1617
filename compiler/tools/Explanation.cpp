//===- Explanation.cpp - What the compiler knows of each layer ------------===//

#include "compiler/tools/Explanation.h"
#include "compiler/kernels/Kernel.h"
#include "compiler/tune/Schedule.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

using Fields = std::array<ReceptiveField, 2>;

/// What the layer adds to its input's field along one axis.
static ReceptiveField
throughWindow(ReceptiveField in, const cnn::Window &window, int axis,
              int64_t before, int64_t n, int64_t out) {
  if (window.global) {
    in.whole = true;
    return in;
  }
  in.first -= before * in.step;
  in.end += (window.size[axis] - 1 - before) * in.step;
  in.step *= window.stride[axis];
  // A map that grows has several elements for each one of its input.
  if (window.stride[axis] == 1 && n > 0 && out >= 2 * n)
    in.step /= std::round(double(out) / n);
  return in;
}

static bool hasPlane(Value value) { return cnn::tensorOf(value).getRank() == 4; }
static bool isMap(Value value) { return hasPlane(value) && !Group::isWeight(value); }

/// The union of what the operands see, through the layer's window.
static Fields fieldOf(cnn::ComputeOpInterface op, ArrayRef<int64_t> pad,
                      const DenseMap<Value, Fields> &fields) {
  cnn::Window window = op.getWindow();
  Value result = op->getResult(0);
  Fields joined;
  bool first = true;
  for (Value operand : op->getOperands()) {
    auto found = fields.find(operand);
    if (found == fields.end())
      continue;
    for (int axis : {0, 1}) {
      ReceptiveField field = found->second[axis];
      if (hasPlane(operand) && hasPlane(result))
        field = throughWindow(field, window, axis,
                              pad.empty() ? window.pad[axis] : pad[axis],
                              cnn::sizeOf(operand, axis + 2),
                              cnn::sizeOf(result, axis + 2));
      else if (hasPlane(operand))
        field.whole = true;
      ReceptiveField &all = joined[axis];
      if (first) {
        all = field;
      } else {
        all.first = std::min(all.first, field.first);
        all.end = std::max(all.end, field.end);
        all.step = std::max(all.step, field.step);
        all.whole |= field.whole;
      }
    }
    first = false;
  }
  return joined;
}

static std::vector<int64_t> padOf(Operation *op, std::string &mode) {
  auto padded = dyn_cast<cnn::PaddedOpInterface>(op);
  if (!padded)
    return {};
  if (padded.getAutoPad() != cnn::AutoPad::none)
    mode = cnn::stringifyAutoPad(padded.getAutoPad()).str();
  return cnn::padNumbers(padded.getAutoPad(), padded.getPad(),
                         cnn::tensorOf(op->getOperand(0)).getShape().drop_front(2),
                         padded.getTaps(), padded.getStride(),
                         padded.getDilation());
}

/// Of one image.
static double bytesOf(Value value) {
  Type element = cnn::tensorOf(value).getElementType();
  return cnn::elementsOf(value.getType()) *
         double(llvm::divideCeil(element.getIntOrFloatBitWidth(), 8));
}

static std::vector<LayerFacts> collectLayers(cnn::ModelOp model) {
  std::vector<LayerFacts> layers;
  DenseMap<Value, Fields> fields;
  DenseMap<Value, size_t> makers;
  llvm::DenseSet<Value> counted; // a shared weight counts once
  for (Operation &op : model.getBody().front()) {
    if (auto input = dyn_cast<cnn::InputOp>(op))
      fields[input.getResult()] = {};
    auto compute = dyn_cast<cnn::ComputeOpInterface>(op);
    if (!compute)
      continue;
    LayerFacts layer{op.getLoc(), cnn::layerLocation(op.getLoc())};
    // An elementwise function has a name of its own.
    auto function = op.getAttrOfType<StringAttr>("function");
    layer.kind = (function ? function.getValue() : op.getName().stripDialect()).str();
    layer.shape = cnn::shapeText(op.getResult(0).getType());
    layer.sizes.assign(cnn::tensorOf(op.getResult(0)).getShape().begin() + 1,
                       cnn::tensorOf(op.getResult(0)).getShape().end());
    layer.flops = compute.getFlops();
    layer.pad = padOf(&op, layer.padMode);
    Fields field = fieldOf(compute, layer.pad, fields);
    fields[op.getResult(0)] = field;
    std::copy(field.begin(), field.end(), layer.field);
    for (Value operand : op.getOperands()) {
      layer.bytes += bytesOf(operand);
      if (auto maker = makers.find(operand); maker != makers.end())
        layer.reads.push_back(maker->second);
      auto weight = operand.getDefiningOp<cnn::WeightOp>();
      if (!weight || !counted.insert(operand).second)
        continue;
      StringRef role = weight.getName().rsplit('.').second;
      (role.starts_with("running_") ? layer.statistics : layer.parameters) +=
          cnn::elementsOf(operand.getType());
    }
    for (Value result : op.getResults()) {
      layer.bytes += bytesOf(result);
      makers[result] = layers.size();
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// "nchw16c+1 bf16": the order, the border of zeros around it, and what is
/// stored, if it is not f32.
static std::string layoutText(Type type) {
  cnn::LayoutAttr layout = cnn::layoutOf(type);
  std::string text = layout.getOrder().str();
  ArrayRef<int64_t> halo = layout.getHalo();
  if (layout.hasHalo())
    text += "+" + (llvm::all_equal(halo) ? std::to_string(halo[0])
                                         : llvm::join(llvm::map_range(halo, [](int64_t n) {
                                                        return std::to_string(n);
                                                      }), ","));
  if (layout.getChannels())
    text += " of " + std::to_string(layout.getChannels());
  if (cnn::isBf16(type))
    text += " bf16";
  return text;
}

/// Takes the record of cnn-choose-algorithm apart: "reason; direct 0.120 ms;
/// depthwise: not one filter for each channel".
static void readReason(StringRef text, KernelFacts &kernel) {
  auto [reason, rest] = text.split("; ");
  kernel.reason = reason.str();
  while (!rest.empty()) {
    StringRef entry;
    std::tie(entry, rest) = rest.split("; ");
    Alternative candidate;
    auto [name, why] = entry.split(": ");
    StringRef number;
    std::tie(name, number) = name.split(' ');
    candidate.algorithm = name.str();
    candidate.why = why.str();
    if (number.consume_back(" ms"))
      number.getAsDouble(candidate.ms);
    kernel.candidates.push_back(candidate);
  }
}

/// The precision of a kernel's filters, or of what it writes.
static cnn::Precision precisionOf(const Group &group) {
  for (Value input : group.inputs())
    if (Group::isWeight(input) && cnn::tensorOf(input).getRank() > 1)
      return cnn::precisionOf(input.getType());
  return cnn::precisionOf(group.outputs().front().getType());
}

static KernelFacts describe(cnn::FusedOp fused, const Target &target) {
  KernelFacts kernel;
  Group group(fused.getBody().front());
  kernel.at = cnn::layerLocation(fused.getLoc());
  kernel.algorithm = fused.getSchedule()->getAlgorithm().str();
  kernel.precision = cnn::stringifyPrecision(precisionOf(group)).str();
  if (auto kept = fused->getAttrOfType<StringAttr>(cnn::kKeptF32Attr))
    kernel.keptF32 = kept.getValue().str();
  for (Value input : fused.getInputs())
    if (isMap(input))
      kernel.inputs.push_back(layoutText(input.getType()));
  for (Value output : fused.getResults())
    if (isMap(output))
      kernel.outputs.push_back(layoutText(output.getType()));
  kernel.schedule = scheduleLine(fused, target).text();
  kernel.ms = findKernel(kernel.algorithm)->cost(group, target) * 1e3;
  kernel.error = findKernel(kernel.algorithm)->error(group, target);
  kernel.maxError = cnn::maxErrorOf(fused);
  kernel.flops = groupFlops(group);
  kernel.bytes = groupBytes(group);
  kernel.conversion = group.anchorAs<cnn::RelayoutOp>() != nullptr;
  if (fused.getReason())
    readReason(*fused.getReason(), kernel);
  else
    kernel.reason = kernel.conversion ? "its readers want another layout"
                                      : "its parts can't lie in place";
  for (Alternative &candidate : kernel.candidates) {
    const Kernel *algorithm = findKernel(candidate.algorithm);
    std::string why;
    if (algorithm->takes(group, target, why))
      candidate.error = algorithm->error(group, target);
    if (candidate.algorithm == kernel.algorithm && candidate.ms >= 0)
      kernel.ms = candidate.ms;
  }
  return kernel;
}

namespace {
/// Which kernels carry something of a layer.
struct Traces {
  llvm::SetVector<size_t> computed, folded;
};
} // namespace

/// Notes the kernels that read what `op` makes of weights.
static void traceWeights(Operation *op, const DenseMap<Operation *, size_t> &index,
                         llvm::SetVector<size_t> &readers) {
  for (Operation *user : op->getUsers()) {
    auto kernel = index.find(user);
    if (kernel != index.end())
      readers.insert(kernel->second);
    else if (isa<cnn::WeightOpInterface>(user))
      traceWeights(user, index, readers);
  }
}

/// Notes the kernels that made a value, through what only moves it.
static void addReads(Value value, const DenseMap<Operation *, size_t> &made,
                     std::vector<size_t> &reads) {
  Operation *maker = value.getDefiningOp();
  if (!maker)
    return;
  auto kernel = made.find(maker);
  if (kernel != made.end()) {
    if (!llvm::is_contained(reads, kernel->second))
      reads.push_back(kernel->second);
    return;
  }
  if (isa<cnn::ComputeOpInterface>(maker))
    for (Value operand : maker->getOperands())
      addReads(operand, made, reads);
}

/// Finds each layer's kernels by its location, which all passes keep.
static void connect(cnn::ModelOp model, Explanation &result) {
  DenseMap<Operation *, size_t> index;
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>())
    index[fused] = index.size();
  llvm::MapVector<Location, Traces> traces;
  llvm::DenseSet<Location> inPlace;
  for (Operation &op : model.getBody().front()) {
    auto compute = dyn_cast<cnn::ComputeOpInterface>(op);
    if (compute && compute.movesDataOnly())
      inPlace.insert(op.getLoc());
    if (isa<cnn::WeightOpInterface>(op))
      traceWeights(&op, index, traces[op.getLoc()].folded);
    if (auto fused = dyn_cast<cnn::FusedOp>(op)) {
      size_t kernel = index.lookup(fused);
      if (result.kernels[kernel].conversion)
        continue;
      for (Operation &inner : fused.getBody().front().without_terminator())
        traces[inner.getLoc()].computed.insert(kernel);
    }
  }
  for (LayerFacts &layer : result.layers) {
    Traces &trace = traces[layer.loc];
    auto &kernels = trace.computed.empty() ? trace.folded : trace.computed;
    layer.kernels.assign(kernels.begin(), kernels.end());
    if (!trace.computed.empty())
      layer.fate = result.kernels[kernels.back()].at.path == layer.at.path
                       ? "computed"
                       : "fused";
    else if (!trace.folded.empty())
      layer.fate = "folded";
    else
      layer.fate = inPlace.contains(layer.loc) ? "in place" : "no work";
  }
}

/// The bytes that live in the arena during each call of a function. Buffers of
/// one slot take it in turn, or lie over each other.
static std::vector<int64_t> liveBytes(exec::FunctionOp function) {
  struct Use {
    int64_t bytes = 0;
    size_t first = 0, last = 0;
  };
  llvm::MapVector<std::pair<int64_t, int64_t>, Use> uses; // by slot and buffer
  size_t time = 0;
  for (auto call : function.getBody().front().getOps<exec::CallOp>()) {
    for (Value operand : call->getOperands())
      if (auto arena = operand.getDefiningOp<exec::ArenaOp>()) {
        const int64_t bytes = arena.getBytes() * arena.getImages().value_or(1);
        const int64_t place = arena.getSlot() + arena.getRoom().value_or(0);
        auto [use, fresh] =
            uses.try_emplace({place, arena.getBuffer()}, Use{bytes, time, time});
        use->second.last = time;
      }
    ++time;
  }
  std::vector<int64_t> live(time);
  for (size_t call = 0; call < time; ++call) {
    std::map<int64_t, int64_t> slots;
    for (auto &[key, use] : uses)
      if (use.first <= call && call <= use.last)
        slots[key.first] = std::max(slots[key.first], use.bytes);
    for (auto &[slot, bytes] : slots)
      live[call] += bytes;
  }
  return live;
}

bool explainModule(Driver &driver, Explanation &result) {
  auto models = driver.module->getOps<cnn::ModelOp>();
  if (models.empty())
    return fail("the file has no model");
  cnn::ModelOp model = *models.begin();
  result.layers = collectLayers(model);
  if (!driver.optimize() || !driver.chooseKernels())
    return false;
  DenseMap<Operation *, size_t> made;
  for (auto fused : model.getBody().front().getOps<cnn::FusedOp>()) {
    KernelFacts kernel = describe(fused, driver.target);
    for (Value input : fused.getInputs())
      addReads(input, made, kernel.reads);
    made[fused] = result.kernels.size();
    result.kernels.push_back(std::move(kernel));
  }
  connect(model, result);
  if (!driver.lower())
    return false;
  exec::ProgramOp program = driver.program();
  // Pictures are prepared before the network, by a kernel that is not counted.
  llvm::DenseSet<StringRef> distinct;
  for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
    if (function.getSymName() == "infer") {
      for (auto call : function.getBody().front().getOps<exec::CallOp>()) {
        distinct.insert(call.getKernel());
        if (call.getChain()) {
          ++result.chainedCalls;
          result.partImages = *call.getImages();
        }
      }
      // What needs no work is no call.
      std::vector<int64_t> live = liveBytes(function);
      if (live.size() == result.kernels.size())
        for (auto [kernel, bytes] : llvm::zip(result.kernels, live))
          kernel.live = bytes;
    }
  result.distinctKernels = distinct.size();
  result.weights = program.getWeights();
  result.arena = program.getArena() + program.getArenaChains();
  result.arenaBound = program.getArenaBound();
  return true;
}

} // namespace halcyon
