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

OwningOpRef<ModuleOp> buildTrainerTable(MLIRContext *context, StringRef step,
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
  for (StringRef program : {step, eval})
    LLVM::GlobalOp::create(builder, loc, bytes(1), /*isConstant=*/true,
                           LLVM::Linkage::External, program, Attribute());
  std::string text = plan.str() + '\0';
  LLVM::GlobalOp::create(builder, loc, bytes(text.size()), /*isConstant=*/true,
                         LLVM::Linkage::Internal, "halcyon_trainer_plan",
                         builder.getStringAttr(text));

  Type number = builder.getI32Type();
  auto type = LLVM::LLVMStructType::getLiteral(
      context, {number, number, pointer, pointer, pointer});
  auto root = LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/true,
                                     LLVM::Linkage::External,
                                     "halcyon_trainer_main", Attribute(),
                                     /*alignment=*/8);
  builder.createBlock(&root.getInitializerRegion());
  Value value = LLVM::ZeroOp::create(builder, loc, type);
  value = LLVM::InsertValueOp::create(
      builder, loc, value,
      LLVM::ConstantOp::create(builder, loc, number,
                               builder.getI32IntegerAttr(HALCYON_TRAINER_VERSION)),
      int64_t(0));
  int64_t at = 2;
  for (StringRef symbol : {step, eval, StringRef("halcyon_trainer_plan")})
    value = LLVM::InsertValueOp::create(
        builder, loc, value,
        LLVM::AddressOfOp::create(builder, loc, pointer, symbol), at++);
  LLVM::ReturnOp::create(builder, loc, value);
  return module;
}

} // namespace halcyon
