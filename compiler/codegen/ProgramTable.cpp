//===- ProgramTable.cpp - The constant data of a program ------------------===//

#include "compiler/codegen/ProgramTable.h"
#include "dialects/cnn/Geometry.h"
#include "halcyon/program.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

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

class TableWriter {
public:
  TableWriter(exec::ProgramOp program, const Target &target,
              const ProgramTableOptions &options)
      : program(program), target(target), options(options),
        builder(program.getContext()), loc(builder.getUnknownLoc()) {}

  OwningOpRef<ModuleOp> run();

private:
  void collect(exec::FunctionOp function);
  void addView(Value value);
  void addBorders(Value value);
  halcyon_view viewOf(Value value, const cnn::BufferGeometry &geometry);
  halcyon_port portOf(DictionaryAttr port, bool isInput);
  /// The only batch that the program computes; 0 where it is free.
  int64_t onlyBatch() {
    auto batch = program->getAttrOfType<IntegerAttr>("only_batch");
    return batch ? batch.getInt() : 0;
  }
  LLVM::GlobalOp addBytes(StringRef suffix, StringRef bytes);
  template <typename T>
  LLVM::GlobalOp addArray(StringRef suffix, const std::vector<T> &items) {
    return addBytes(suffix, StringRef(reinterpret_cast<const char *>(items.data()),
                                      items.size() * sizeof(T)));
  }
  LLVM::GlobalOp addKernels();
  void addRoot();

  exec::ProgramOp program;
  const Target &target;
  const ProgramTableOptions &options;
  OpBuilder builder;
  Location loc;
  OwningOpRef<ModuleOp> module;

  Strings strings;
  std::vector<halcyon_view> views;
  std::vector<halcyon_call> calls;
  std::vector<halcyon_function> functions;
  std::vector<halcyon_port> inputs, outputs;
  std::vector<std::string> kernels;
  std::map<std::string, uint32_t> kernelIndex;
};

} // namespace

halcyon_view TableWriter::viewOf(Value value,
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
      view.offset += arena.getSlot();
    } else {
      view.slot = arena.getSlot();
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

void TableWriter::collect(exec::FunctionOp function) {
  halcyon_function entry = {};
  entry.name = strings.add(function.getSymName());
  entry.first_call = calls.size();
  for (auto op : function.getBody().front().getOps<exec::CallOp>()) {
    halcyon_call call = {};
    call.kernel = kernelIndex.at(op.getKernel().str());
    call.first_view = views.size();
    for (Value input : op.getInputs())
      views.push_back(viewOf(input, cnn::geometryOf(input.getType())));
    for (Value output : op.getOutputs()) {
      views.push_back(viewOf(output, cnn::interiorOf(output.getType())));
      for (auto &border : cnn::bordersOf(output.getType()))
        views.push_back(viewOf(output, border));
    }
    call.num_views = views.size() - call.first_view;
    cnn::LayerLocation at = cnn::layerLocation(op.getLoc());
    call.layer = strings.add(at.path);
    call.line = at.line;
    auto kernel = SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(
        op, op.getKernelAttr());
    call.algorithm = strings.add(kernel.getSchedule().getAlgorithm());
    call.flops = op.getFlops().convertToDouble();
    call.bytes = op.getBytes().convertToDouble();
    calls.push_back(call);
  }
  entry.num_calls = calls.size() - entry.first_call;
  functions.push_back(entry);
}

halcyon_port TableWriter::portOf(DictionaryAttr attributes, bool isInput) {
  halcyon_port port = {};
  StringRef name = attributes.getAs<StringAttr>("name").getValue();
  port.name = strings.add(name);
  auto type = cast<RankedTensorType>(attributes.getAs<TypeAttr>("type").getValue());
  port.type_code = typeCode(type.getElementType());
  port.type_bits = cnn::elementBytes(type) * 8;
  port.rank = type.getRank();
  for (auto [index, size] : llvm::enumerate(type.getShape()))
    port.shape[index] = !ShapedType::isDynamic(size) ? size
                        : onlyBatch()                ? onlyBatch()
                                                     : HALCYON_BATCH;
  port.image_function = -1;
  if (isInput)
    for (auto [index, function] : llvm::enumerate(functions))
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

LLVM::GlobalOp TableWriter::addBytes(StringRef suffix, StringRef bytes) {
  // An empty array keeps its address valid.
  std::string content = bytes.empty() ? std::string(1, '\0') : bytes.str();
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), content.size());
  return LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/true,
                                LLVM::Linkage::Internal,
                                options.symbol + "_" + suffix.str(),
                                builder.getStringAttr(content), /*alignment=*/8);
}

LLVM::GlobalOp TableWriter::addKernels() {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto type = LLVM::LLVMArrayType::get(pointer, std::max<size_t>(kernels.size(), 1));
  auto function = LLVM::LLVMFunctionType::get(builder.getI32Type(), {pointer});
  for (const std::string &name : kernels) {
    auto declared =
        LLVM::LLVMFuncOp::create(builder, loc, name + "_argv", function);
    declared.setVisibility_(LLVM::Visibility::Hidden);
  }
  auto global = LLVM::GlobalOp::create(
      builder, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
      options.symbol + "_kernels", Attribute(), /*alignment=*/8);
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&global.getInitializerRegion());
  Value array = LLVM::ZeroOp::create(builder, loc, type);
  for (auto [index, name] : llvm::enumerate(kernels)) {
    Value address =
        LLVM::AddressOfOp::create(builder, loc, pointer, name + "_argv");
    array = LLVM::InsertValueOp::create(builder, loc, array, address,
                                        static_cast<int64_t>(index));
  }
  LLVM::ReturnOp::create(builder, loc, array);
  return global;
}

void TableWriter::addRoot() {
  MLIRContext *context = builder.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  // The fields of halcyon_program, in order.
  SmallVector<Type> fields(8, i32);
  fields.append({i64, i64, i64});
  fields.append(11, pointer);
  fields.append({i64, i32});
  auto type = LLVM::LLVMStructType::getLiteral(context, fields);

  LLVM::GlobalOp kernelTable = addKernels();
  SmallVector<LLVM::GlobalOp> tables = {
      kernelTable,          addArray("views", views),
      addArray("calls", calls),   addArray("functions", functions),
      addArray("inputs", inputs), addArray("outputs", outputs),
      addBytes("strings", strings.bytes)};
  LLVM::GlobalOp weights;
  if (options.embedWeights) {
    weights = LLVM::GlobalOp::create(
        builder, loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 1),
        /*isConstant=*/true, LLVM::Linkage::External, "halcyon_weights",
        Attribute());
    weights.setVisibility_(LLVM::Visibility::Hidden);
  }
  auto text = [&](StringRef suffix, StringRef value) {
    return addBytes(suffix, std::string(value) + '\0');
  };
  SmallVector<LLVM::GlobalOp> texts = {text("name", program.getSymName()),
                                       text("target", target.halide),
                                       text("features", target.cpuFeatures)};

  auto root = LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/true,
                                     LLVM::Linkage::External, options.symbol,
                                     Attribute(), /*alignment=*/8);
  builder.createBlock(&root.getInitializerRegion());
  Value value = LLVM::ZeroOp::create(builder, loc, type);
  int64_t at = 0;
  auto put = [&](Value field) {
    value = LLVM::InsertValueOp::create(builder, loc, value, field, at++);
  };
  auto number = [&](Type type, uint64_t n) {
    put(LLVM::ConstantOp::create(builder, loc, type,
                                 builder.getIntegerAttr(type, n)));
  };
  auto address = [&](LLVM::GlobalOp global) {
    put(LLVM::AddressOfOp::create(builder, loc, pointer, global.getSymName()));
  };
  for (uint64_t n : {size_t(HALCYON_PROGRAM_VERSION), kernels.size(), views.size(),
                     calls.size(), functions.size(), inputs.size(),
                     outputs.size(), size_t(64)})
    number(i32, n);
  number(i64, program.getArena());
  number(i64, program.getArenaFixed());
  number(i64, program.getWeights());
  for (LLVM::GlobalOp table : tables)
    address(table);
  if (weights)
    address(weights);
  else
    ++at; // stays null
  for (LLVM::GlobalOp name : texts)
    address(name);
  number(i64, options.weightsId);
  number(i32, onlyBatch());
  LLVM::ReturnOp::create(builder, loc, value);
}

OwningOpRef<ModuleOp> TableWriter::run() {
  builder.getContext()->loadDialect<LLVM::LLVMDialect>();
  module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  for (auto kernel : program.getBody().front().getOps<exec::KernelOp>()) {
    kernelIndex[kernel.getSymName().str()] = kernels.size();
    kernels.push_back(kernel.getSymName().str());
  }
  // `infer` is function 0.
  for (bool infer : {true, false})
    for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
      if (function.getSymName() != "prepare" &&
          (function.getSymName() == "infer") == infer)
        collect(function);
  for (Attribute port : program.getInputs())
    inputs.push_back(portOf(cast<DictionaryAttr>(port), true));
  for (Attribute port : program.getOutputs())
    outputs.push_back(portOf(cast<DictionaryAttr>(port), false));
  addRoot();
  return std::move(module);
}

OwningOpRef<ModuleOp> buildProgramTable(exec::ProgramOp program,
                                        const Target &target,
                                        const ProgramTableOptions &options) {
  return TableWriter(program, target, options).run();
}

} // namespace halcyon
