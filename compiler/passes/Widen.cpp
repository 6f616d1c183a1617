//===- Widen.cpp - Everything in double precision -------------------------===//

#include "compiler/passes/Passes.h"
#include "dialects/cnn/Exact.h"

namespace halcyon {
#define GEN_PASS_DEF_WIDEN
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;

static Type widened(Type type) {
  Type wide = Float64Type::get(type.getContext());
  if (type.isF32())
    return wide;
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    if (tensor.getElementType().isF32())
      return tensor.clone(wide);
  return type;
}

namespace {
struct Widen : halcyon::impl::WidenBase<Widen> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      for (Value result : op->getResults())
        result.setType(widened(result.getType()));
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            argument.setType(widened(argument.getType()));
      if (Attribute exact = op->removeAttr(halcyon::cnn::kExactAttr)) {
        op->setAttr("value", exact);
        return;
      }
      for (NamedAttribute attribute : op->getAttrs()) {
        auto number = dyn_cast<FloatAttr>(attribute.getValue());
        if (number && number.getType().isF32())
          op->setAttr(attribute.getName(),
                      FloatAttr::get(Float64Type::get(op->getContext()),
                                     number.getValueAsDouble()));
      }
      // Pictures become tensors of f32 alone.
      if (isa<halcyon::cnn::InputOp>(op))
        op->removeAttr("image");
    });
  }
};
} // namespace
