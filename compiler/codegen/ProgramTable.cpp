//===- ProgramTable.cpp - The constant data of a program ------------------===//

#include "compiler/codegen/ProgramTable.h"
#include "compiler/codegen/ProgramTables.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace halcyon {

namespace {

class TableWriter {
public:
  TableWriter(exec::ProgramOp program, const Target &target,
              const ProgramTableOptions &options)
      : program(program), target(target), options(options),
        builder(program.getContext()), loc(builder.getUnknownLoc()),
        tables(collectTables(program)) {}

  OwningOpRef<ModuleOp> run();

private:
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
  const ProgramTables tables;
  OwningOpRef<ModuleOp> module;
};

} // namespace

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
  auto type = LLVM::LLVMArrayType::get(pointer, std::max<size_t>(tables.kernels.size(), 1));
  auto function = LLVM::LLVMFunctionType::get(builder.getI32Type(), {pointer});
  for (const std::string &name : tables.kernels) {
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
  for (auto [index, name] : llvm::enumerate(tables.kernels)) {
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
  fields.append({i64, i32, pointer});
  auto type = LLVM::LLVMStructType::getLiteral(context, fields);

  LLVM::GlobalOp kernelTable = addKernels();
  SmallVector<LLVM::GlobalOp> arrays = {
      kernelTable,
      addArray("views", tables.views),
      addArray("calls", tables.calls),
      addArray("functions", tables.functions),
      addArray("inputs", tables.inputs),
      addArray("outputs", tables.outputs),
      addBytes("strings", tables.strings)};
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

  if (target.device) {
    auto function = LLVM::LLVMFunctionType::get(pointer, {});
    LLVM::LLVMFuncOp::create(builder, loc, target.device->interface, function);
  }
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
  for (uint64_t n : {size_t(HALCYON_PROGRAM_VERSION), tables.kernels.size(),
                     tables.views.size(), tables.calls.size(),
                     tables.functions.size(), tables.inputs.size(),
                     tables.outputs.size(), size_t(target.alignment)})
    number(i32, n);
  number(i64, program.getArena());
  number(i64, program.getArenaChains() + program.getArenaFixed());
  number(i64, program.getWeights());
  for (LLVM::GlobalOp array : arrays)
    address(array);
  if (weights)
    address(weights);
  else
    ++at; // stays null
  for (LLVM::GlobalOp name : texts)
    address(name);
  number(i64, options.weightsId);
  number(i32, tables.onlyBatch);
  if (target.device)
    put(LLVM::AddressOfOp::create(builder, loc, pointer,
                                  target.device->interface));
  LLVM::ReturnOp::create(builder, loc, value);
}

OwningOpRef<ModuleOp> TableWriter::run() {
  builder.getContext()->loadDialect<LLVM::LLVMDialect>();
  module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  addRoot();
  return std::move(module);
}

OwningOpRef<ModuleOp> buildProgramTable(exec::ProgramOp program,
                                        const Target &target,
                                        const ProgramTableOptions &options) {
  return TableWriter(program, target, options).run();
}

} // namespace halcyon
