//===- Trials.cpp - One thing computed in several ways, as one program ----===//

#include "compiler/tune/Trials.h"
#include "compiler/passes/Passes.h"
#include "compiler/tune/Schedule.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/ADT/StringSet.h"

#include <map>

using namespace mlir;

namespace halcyon {

/// Marks the call of the group among those that convert tensors for it.
static const char *const kTrial = "trial";

std::string Choice::text() const {
  ScheduleLine line;
  line.kernel = schedule.getAlgorithm().str();
  line.layout = layout;
  for (NamedAttribute param : schedule.getParams())
    line.terms.push_back({param.getName().str(),
                          cast<IntegerAttr>(param.getValue()).getInt()});
  return line.text();
}

std::string groupText(cnn::FusedOp group) {
  OwningOpRef<Operation *> copy(group->clone());
  auto fused = cast<cnn::FusedOp>(*copy);
  fused.removeScheduleAttr();
  fused.removeReasonAttr();
  fused.removeLayoutAttr();
  std::string text;
  llvm::raw_string_ostream os(text);
  for (Type type : fused->getOperandTypes())
    os << type << " ";
  if (Attribute bound = fused->getAttr(cnn::kMaxErrorAttr))
    os << bound << " ";
  fused.getBody().front().print(os);
  return text;
}

exec::ProgramOp TrialProgram::program() const {
  return *module.get().getOps<exec::ProgramOp>().begin();
}

//===----------------------------------------------------------------------===//
// A trial
//===----------------------------------------------------------------------===//

/// The value in another precision, by a kernel of its own.
static Value convert(OpBuilder &builder, Value value, Type type) {
  if (value.getType() == type)
    return value;
  Location loc = value.getLoc();
  auto fused = cnn::FusedOp::create(builder, loc, TypeRange{type}, value,
                                    nullptr, nullptr, nullptr);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&fused.getBody());
  Value argument = body->addArgument(value.getType(), loc);
  cnn::YieldOp::create(
      builder, loc,
      cnn::RelayoutOp::create(builder, loc, type, argument).getResult());
  return fused.getResult(0);
}

/// A model of the group alone: its maps are inputs, its weights made from a
/// seed, everything that comes and goes is f32.
static void writeModel(OpBuilder &builder, cnn::FusedOp group,
                       const Choice &choice) {
  Location loc = builder.getUnknownLoc();
  auto model = cnn::ModelOp::create(builder, loc, kTrial);
  builder.createBlock(&model.getBody());
  auto plain = [](Type type) {
    return cnn::withPrecision(type, cnn::Precision::f32);
  };
  IRMapping mapping;
  for (auto [index, operand] : llvm::enumerate(group.getInputs())) {
    std::string number = std::to_string(index);
    Type type = operand.getType();
    Value made;
    if (mapping.contains(operand)) {
      continue;
    } else if (Group::isWeight(operand)) {
      made = cnn::WeightOp::create(builder, loc, plain(type),
                                   builder.getStringAttr(number + ".weight"));
      if (type != made.getType())
        made = cnn::RoundOp::create(builder, loc, type, made);
    } else {
      made = convert(builder,
                     cnn::InputOp::create(builder, loc, plain(type),
                                          builder.getStringAttr("x" + number),
                                          nullptr),
                     type);
    }
    mapping.map(operand, made);
  }
  auto fused = cast<cnn::FusedOp>(builder.clone(*group, mapping));
  fused.setScheduleAttr(choice.schedule);
  fused.setReason(kTrial);
  if (choice.layout.empty())
    fused.removeLayoutAttr();
  else
    fused.setLayout(choice.layout);
  for (auto [index, result] : llvm::enumerate(fused.getResults()))
    cnn::OutputOp::create(builder, loc,
                          convert(builder, result, plain(result.getType())),
                          builder.getStringAttr("y" + std::to_string(index)),
                          nullptr);
}

/// Every buffer gets a place of its own, so that a kernel can run any number of
/// times: nothing lies over what it reads.
static void spreadBuffers(exec::ProgramOp program) {
  std::map<int64_t, int64_t> slots;
  int64_t bytes = 0;
  program.walk([&](exec::ArenaOp arena) {
    auto [slot, fresh] = slots.try_emplace(arena.getBuffer(), bytes);
    if (fresh)
      bytes += arena.getBytes();
    arena.setSlot(slot->second);
  });
  program.setArena(bytes);
}

static exec::FunctionOp functionOf(exec::ProgramOp program, StringRef name) {
  for (auto function : program.getBody().front().getOps<exec::FunctionOp>())
    if (function.getSymName() == name)
      return function;
  return {};
}

/// Lowers a trial; `call` becomes the place of the group's call.
static FailureOr<OwningOpRef<ModuleOp>>
lowerTrial(cnn::FusedOp group, const Choice &choice, const Target &target,
           int &call) {
  MLIRContext *context = group.getContext();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
  OpBuilder builder(module->getBody(), module->getBody()->begin());
  writeModel(builder, group, choice);
  PassManager manager(context);
  manager.addNestedPass<cnn::ModelOp>(createChooseAlgorithm({target.name, ""}));
  manager.addNestedPass<cnn::ModelOp>(createAssignLayout({target.name}));
  manager.addPass(createLowerToExec({target.name}));
  if (failed(manager.run(*module)))
    return failure();
  exec::ProgramOp program = *module->getOps<exec::ProgramOp>().begin();
  spreadBuffers(program);
  call = 0;
  for (auto each :
       functionOf(program, "infer").getBody().front().getOps<exec::CallOp>()) {
    if (each.getReason() == StringRef(kTrial))
      break;
    ++call;
  }
  return module;
}

//===----------------------------------------------------------------------===//
// Several of them
//===----------------------------------------------------------------------===//

/// How a weight is made, as text.
static std::string recipe(Value value) {
  Operation *op = value.getDefiningOp();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << op->getName() << op->getAttrDictionary() << op->getPropertiesAsAttribute()
     << value.getType() << "(";
  for (Value operand : op->getOperands())
    os << recipe(operand) << ",";
  os << ")";
  return text;
}

/// Clones what a weight is made of.
static Value cloneWeight(OpBuilder &builder, Value value, IRMapping &mapping) {
  if (Value there = mapping.lookupOrNull(value))
    return there;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    cloneWeight(builder, operand, mapping);
  builder.clone(*op, mapping);
  return mapping.lookup(value);
}

void mergePrograms(exec::ProgramOp first, exec::ProgramOp second) {
  Block &body = first.getBody().front();
  llvm::StringSet<> names;
  unsigned functions = 0;
  for (auto kernel : body.getOps<exec::KernelOp>())
    names.insert(kernel.getSymName());
  for (auto function : body.getOps<exec::FunctionOp>())
    functions += function.getSymName() != "prepare";
  OpBuilder builder(first.getContext());
  builder.setInsertionPointToStart(&body);
  // A kernel's name says what it is.
  for (auto kernel : second.getBody().front().getOps<exec::KernelOp>())
    if (names.insert(kernel.getSymName()).second)
      builder.clone(*kernel);

  std::map<std::string, int64_t> stored;
  std::map<int64_t, int64_t> moved;
  exec::FunctionOp prepare = functionOf(first, "prepare");
  for (auto store : prepare.getBody().front().getOps<exec::StoreOp>())
    stored[recipe(store.getValue())] = store.getOffset();
  builder.setInsertionPointToEnd(&prepare.getBody().front());
  IRMapping mapping;
  for (auto store : functionOf(second, "prepare")
                        .getBody()
                        .front()
                        .getOps<exec::StoreOp>()) {
    Value value = store.getValue();
    int64_t end = first.getWeights();
    auto [place, fresh] = stored.try_emplace(recipe(value), end);
    moved[store.getOffset()] = place->second;
    if (!fresh)
      continue;
    exec::StoreOp::create(builder, store.getLoc(),
                          cloneWeight(builder, value, mapping), end);
    first.setWeights(llvm::alignTo(end + cnn::bytesOf(value.getType()), 64));
  }

  builder.setInsertionPointToEnd(&body);
  auto infer = cast<exec::FunctionOp>(
      builder.clone(*functionOf(second, "infer")));
  infer.setSymName(kTrial + std::to_string(functions));
  infer.walk([&](exec::WeightsOp weights) {
    weights.setOffset(moved.at(weights.getOffset()));
  });
  first.setArena(std::max(first.getArena(), second.getArena()));
}

void removeFunction(exec::ProgramOp program, unsigned number) {
  for (auto function : llvm::make_early_inc_range(
           program.getBody().front().getOps<exec::FunctionOp>()))
    if (function.getSymName() != "prepare" && number-- == 0)
      function.erase();
  llvm::StringSet<> called;
  program.walk([&](exec::CallOp call) { called.insert(call.getKernel()); });
  for (auto kernel : llvm::make_early_inc_range(
           program.getBody().front().getOps<exec::KernelOp>()))
    if (!called.contains(kernel.getSymName()))
      kernel.erase();
}

FailureOr<TrialProgram> makeTrials(cnn::FusedOp group,
                                   ArrayRef<Choice> choices,
                                   const Target &target) {
  TrialProgram result;
  for (const Choice &choice : choices) {
    int call = 0;
    auto module = lowerTrial(group, choice, target, call);
    if (failed(module))
      return failure();
    if (!result.module)
      result.module = std::move(*module);
    else
      mergePrograms(result.program(),
                    *(*module)->getOps<exec::ProgramOp>().begin());
    result.calls.push_back(call);
  }
  return result;
}

} // namespace halcyon
