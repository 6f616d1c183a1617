//===- Train.cpp - What training adds to a model --------------------------===//

#include "dialects/cnn/Train.h"
#include "dialects/cnn/Map.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace halcyon::cnn {

static constexpr StringRef given[] = {"weight", "gradient", "rate", "decay",
                                      "step"};

bool RuleOp::isGiven(StringRef name) { return llvm::is_contained(given, name); }

SmallVector<StringRef> RuleOp::getSlots() {
  SmallVector<StringRef> slots;
  for (StringRef name : getOperandNames().getAsValueRange<StringAttr>())
    if (!isGiven(name))
      slots.push_back(name);
  return slots;
}

LogicalResult RuleOp::verify() {
  Block &block = getBody().front();
  auto names = llvm::to_vector(getOperandNames().getAsValueRange<StringAttr>());
  llvm::StringSet<> seen;
  for (StringRef name : names)
    if (!seen.insert(name).second)
      return emitOpError("has two operands '") << name << "'";
  if (!seen.contains("weight") || !seen.contains("gradient"))
    return emitOpError("needs the operands 'weight' and 'gradient'");
  if (block.getNumArguments() != names.size())
    return emitOpError("the region takes one scalar per operand");
  SmallVector<StringRef> wanted = {"weight"};
  llvm::append_range(wanted, getSlots());
  if (llvm::to_vector(getResultNames().getAsValueRange<StringAttr>()) != wanted)
    return emitOpError("yields the weight and every slot, in their order");
  auto yield = dyn_cast_or_null<YieldOp>(
      block.mightHaveTerminator() ? block.getTerminator() : nullptr);
  if (!yield || yield.getNumOperands() != wanted.size())
    return emitOpError("the region yields one scalar per result");
  auto isElement = [](Type type) { return type.isF32() || type.isF64(); };
  if (!llvm::all_of(block.getArgumentTypes(), isElement) ||
      !llvm::all_of(yield->getOperandTypes(), isElement))
    return emitOpError("computes with f32 or f64");
  for (Operation &op : block.without_terminator())
    if (!isa<arith::ArithDialect, math::MathDialect>(op.getDialect()))
      return op.emitOpError("is not an operation on scalars");
  return success();
}

void CnnDialect::registerTrainOps() {
  addOperations<
#define GET_OP_LIST
#include "dialects/cnn/Train.cpp.inc"
      >();
}

} // namespace halcyon::cnn

#define GET_OP_CLASSES
#include "dialects/cnn/Train.cpp.inc"
