//===- TrainerTable.cpp - The constant data of a training program ---------===//

#include "compiler/codegen/TrainerTable.h"
#include "halcyon/training.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
namespace json = llvm::json;

namespace halcyon {

json::Value planOf(Attribute attribute) {
  return llvm::TypeSwitch<Attribute, json::Value>(attribute)
      .Case([](DictionaryAttr dictionary) {
        json::Object object;
        for (NamedAttribute entry : dictionary)
          object[entry.getName().strref()] = planOf(entry.getValue());
        return object;
      })
      .Case([](ArrayAttr list) {
        json::Array items;
        for (Attribute item : list)
          items.push_back(planOf(item));
        return items;
      })
      .Case([](DenseF64ArrayAttr list) {
        json::Array items;
        for (double item : list.asArrayRef())
          items.push_back(item);
        return items;
      })
      .Case([](StringAttr text) { return json::Value(text.getValue().str()); })
      .Case([](FloatAttr number) { return json::Value(number.getValueAsDouble()); })
      .Case([](IntegerAttr number) -> json::Value {
        if (number.getType().isInteger(1))
          return number.getValue().getBoolValue();
        return number.getInt();
      })
      .Default([](Attribute other) {
        std::string text;
        llvm::raw_string_ostream(text) << other;
        return json::Value(text);
      });
}

OwningOpRef<ModuleOp> buildTrainerTable(MLIRContext *context,
                                        ArrayRef<std::string> steps,
                                        StringRef eval, StringRef plan) {
  context->loadDialect<LLVM::LLVMDialect>();
  OpBuilder builder(context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto bytes = [&](int64_t count) {
    return LLVM::LLVMArrayType::get(builder.getI8Type(), count);
  };
  std::vector<std::string> programs = steps;
  programs.push_back(eval.str());
  for (const std::string &program : programs)
    LLVM::GlobalOp::create(builder, loc, bytes(1), /*isConstant=*/true,
                           LLVM::Linkage::External, program, Attribute());
  std::string text = plan.str() + '\0';
  LLVM::GlobalOp::create(builder, loc, bytes(text.size()), /*isConstant=*/true,
                         LLVM::Linkage::Internal, "halcyon_trainer_plan",
                         builder.getStringAttr(text));

  auto addressOf = [&](StringRef symbol) -> Value {
    return LLVM::AddressOfOp::create(builder, loc, pointer, symbol);
  };
  auto tables = LLVM::LLVMArrayType::get(pointer, steps.size());
  {
    OpBuilder::InsertionGuard guard(builder);
    auto list = LLVM::GlobalOp::create(builder, loc, tables, /*isConstant=*/true,
                                       LLVM::Linkage::Internal,
                                       "halcyon_trainer_steps", Attribute(),
                                       /*alignment=*/8);
    builder.createBlock(&list.getInitializerRegion());
    Value value = LLVM::ZeroOp::create(builder, loc, tables);
    for (auto [index, symbol] : llvm::enumerate(steps))
      value = LLVM::InsertValueOp::create(builder, loc, value, addressOf(symbol),
                                          int64_t(index));
    LLVM::ReturnOp::create(builder, loc, value);
  }

  Type number = builder.getI32Type();
  auto type = LLVM::LLVMStructType::getLiteral(
      context, {number, number, pointer, pointer, pointer});
  auto root = LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/true,
                                     LLVM::Linkage::External,
                                     "halcyon_trainer_main", Attribute(),
                                     /*alignment=*/8);
  builder.createBlock(&root.getInitializerRegion());
  Value value = LLVM::ZeroOp::create(builder, loc, type);
  int64_t at = 0;
  for (int32_t each : {int32_t(HALCYON_TRAINER_VERSION), int32_t(steps.size())})
    value = LLVM::InsertValueOp::create(
        builder, loc, value,
        LLVM::ConstantOp::create(builder, loc, number,
                                 builder.getI32IntegerAttr(each)),
        at++);
  for (StringRef symbol : {StringRef("halcyon_trainer_steps"), eval,
                           StringRef("halcyon_trainer_plan")})
    value = LLVM::InsertValueOp::create(builder, loc, value, addressOf(symbol), at++);
  LLVM::ReturnOp::create(builder, loc, value);
  return module;
}

} // namespace halcyon
