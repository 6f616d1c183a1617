//===- ProgramTables.cpp - What a program consists of ---------------------===//

#include "compiler/codegen/ProgramTables.h"
#include "dialects/cnn/Geometry.h"

#include "llvm/ADT/StringMap.h"

#include <map>

using namespace mlir;

namespace halcyon {

namespace {

/// Halide's code of an element type.
static uint8_t typeCode(Type element) {
  if (isa<IntegerType>(element))
    return element.isUnsignedInteger() || element.isInteger(1) ? 1 : 0;
  return element.isBF16() ? 3 : 2;
}

/// Strings of the table, each once, as byte offsets.
class Strings {
public:
  uint32_t add(StringRef text) {
    auto [entry, fresh] = offsets.try_emplace(text, bytes.size());
    if (fresh)
      bytes.append(text.data(), text.size()).push_back('\0');
    return entry->second;
  }
  std::string bytes;

private:
  llvm::StringMap<uint32_t> offsets;
};

class Collector {
public:
  explicit Collector(exec::ProgramOp program) : program(program) {}
  ProgramTables run();

private:
  void collect(exec::FunctionOp function);
  halcyon_view viewOf(Value value, const cnn::BufferGeometry &geometry);
  halcyon_port portOf(DictionaryAttr port, bool isInput);

  exec::ProgramOp program;
  ProgramTables tables;
  Strings strings;
  std::map<std::string, uint32_t> kernelIndex;
};

} // namespace

halcyon_view Collector::viewOf(Value value,
                                 const cnn::BufferGeometry &geometry) {
  halcyon_view view = {};
  auto type = cast<RankedTensorType>(value.getType());
  unsigned width = cnn::elementBytes(type);
  view.type_code = typeCode(type.getElementType());
  view.type_bits = width * 8;
  view.rank = geometry.dims.size();
  view.offset = geometry.offset * width;
  Operation *op = value.getDefiningOp();
  if (auto arena = dyn_cast<exec::ArenaOp>(op)) {
    view.space = HALCYON_ARENA;
    view.offset += arena.getOffset();
    // What does not grow with the batch lies behind what does.
    if (cnn::isFixed(type)) {
      view.slot = program.getArena();
      view.offset += program.getArenaChains() + arena.getSlot();
    } else {
      view.slot = arena.getSlot();
      view.offset += arena.getRoom().value_or(0);
      view.images = arena.getImages().value_or(0);
    }
  } else if (auto weights = dyn_cast<exec::WeightsOp>(op)) {
    view.space = HALCYON_WEIGHTS;
    view.offset += weights.getOffset();
  } else if (auto input = dyn_cast<exec::InputOp>(op)) {
    view.space = HALCYON_INPUT;
    view.index = input.getIndex();
  } else if (auto output = dyn_cast<exec::OutputOp>(op)) {
    view.space = HALCYON_OUTPUT;
    view.index = output.getIndex();
    view.offset += output.getOffset();
  } else {
    view.space = HALCYON_IMAGE;
  }
  if (geometry.dims.size() > HALCYON_MAX_RANK)
    llvm::report_fatal_error("a buffer has more dimensions than a view");
  for (auto [index, dim] : llvm::enumerate(geometry.dims)) {
    auto number = [](int64_t n) {
      return n == cnn::kBatch       ? HALCYON_BATCH
             : n == cnn::kAtRunTime ? HALCYON_DYNAMIC
                                    : static_cast<int32_t>(n);
    };
    view.dims[index] = {static_cast<int32_t>(dim.min), number(dim.extent),
                        number(dim.stride)};
  }
  return view;
}

void Collector::collect(exec::FunctionOp function) {
  halcyon_function entry = {};
  entry.name = strings.add(function.getSymName());
  entry.first_call = tables.calls.size();
  std::optional<int64_t> chain;
  size_t first = 0; // of the chain
  for (auto op : function.getBody().front().getOps<exec::CallOp>()) {
    halcyon_call call = {};
    call.kernel = kernelIndex.at(op.getKernel().str());
    call.first_view = tables.views.size();
    for (Value input : op.getInputs())
      tables.views.push_back(viewOf(input, cnn::geometryOf(input.getType())));
    for (Value output : op.getOutputs()) {
      tables.views.push_back(viewOf(output, cnn::interiorOf(output.getType())));
      for (auto &border : cnn::bordersOf(output.getType()))
        tables.views.push_back(viewOf(output, border));
    }
    call.num_views = tables.views.size() - call.first_view;
    cnn::LayerLocation at = cnn::layerLocation(op.getLoc());
    call.layer = strings.add(at.path);
    call.line = at.line;
    exec::KernelOp kernel = op.getKernelOp();
    call.algorithm = strings.add(kernel.getSchedule().getAlgorithm());
    call.flops = op.getFlops().convertToDouble();
    call.bytes = op.getBytes().convertToDouble();
    if (op.getChain()) {
      if (op.getChain() != chain)
        first = tables.calls.size();
      call.images = *op.getImages();
    }
    chain = op.getChain();
    tables.calls.push_back(call);
    if (chain)
      ++tables.calls[first].chain;
  }
  entry.num_calls = tables.calls.size() - entry.first_call;
  tables.functions.push_back(entry);
}

halcyon_port Collector::portOf(DictionaryAttr attributes, bool isInput) {
  halcyon_port port = {};
  StringRef name = attributes.getAs<StringAttr>("name").getValue();
  port.name = strings.add(name);
  auto type = cast<RankedTensorType>(attributes.getAs<TypeAttr>("type").getValue());
  port.type_code = typeCode(type.getElementType());
  port.type_bits = cnn::elementBytes(type) * 8;
  port.rank = type.getRank();
  for (auto [index, size] : llvm::enumerate(type.getShape()))
    port.shape[index] = !ShapedType::isDynamic(size) ? size
                        : tables.onlyBatch           ? tables.onlyBatch
                                                     : HALCYON_BATCH;
  port.image_function = -1;
  if (isInput)
    for (auto [index, function] : llvm::enumerate(tables.functions))
      if (StringRef(strings.bytes.c_str() + function.name) ==
          ("image." + name).str())
        port.image_function = index;
  port.labels = UINT32_MAX;
  if (auto labels = attributes.getAs<StringAttr>("labels"))
    port.labels = strings.add(labels.getValue());
  port.softmax = attributes.contains("softmax");
  if (auto counted = attributes.getAs<DictionaryAttr>("counted")) {
    auto isCount = [&](Attribute output) {
      return cast<DictionaryAttr>(output).get("name") == counted.get("by");
    };
    port.counted_by =
        llvm::find_if(program.getOutputs(), isCount) - program.getOutputs().begin() + 1;
    port.counted_axis = counted.getAs<IntegerAttr>("axis").getInt();
  }
  return port;
}

ProgramTables Collector::run() {
  if (auto batch = program->getAttrOfType<IntegerAttr>("only_batch"))
    tables.onlyBatch = batch.getInt();
  for (auto kernel : program.getBody().front().getOps<exec::KernelOp>()) {
    kernelIndex[kernel.getSymName().str()] = tables.kernels.size();
    tables.kernels.push_back(kernel.getSymName().str());
  }
  // `infer` is function 0.
  for (bool infer : {true, false})
    for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
      if (function.getSymName() != "prepare" &&
          (function.getSymName() == "infer") == infer)
        collect(function);
  for (Attribute port : program.getInputs())
    tables.inputs.push_back(portOf(cast<DictionaryAttr>(port), true));
  for (Attribute port : program.getOutputs())
    tables.outputs.push_back(portOf(cast<DictionaryAttr>(port), false));
  tables.strings = std::move(strings.bytes);
  return std::move(tables);
}

ProgramTables collectTables(exec::ProgramOp program) {
  return Collector(program).run();
}

} // namespace halcyon
