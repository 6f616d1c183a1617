//===- Sharpen.cpp - Gradients taken a little uphill ----------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/passes/TrainingMaps.h"

#include "mlir/IR/IRMapping.h"

namespace halcyon {
#define GEN_PASS_DEF_SHARPEN
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

namespace {
struct Sharpen : halcyon::impl::SharpenBase<Sharpen> {
  void runOnOperation() override;
};
} // namespace

/// weight + rho * gradient / norm
static Value uphill(OpBuilder &builder, Value weight, Value gradient, Value norm,
                    double rho) {
  Location loc = gradient.getLoc();
  return makeMap(builder, loc, "uphill", {weight, gradient, norm},
                 [&](OpBuilder &b, ValueRange s) -> Value {
                   auto constant = [&](double c) -> Value {
                     return arith::ConstantOp::create(
                         b, loc, b.getFloatAttr(s[0].getType(), c));
                   };
                   // Where the gradient is zero, there is no way up.
                   Value above = arith::AddFOp::create(b, loc, s[2], constant(1e-12));
                   Value scale = arith::DivFOp::create(b, loc, constant(rho), above);
                   Value way = arith::MulFOp::create(b, loc, s[1], scale);
                   return arith::AddFOp::create(b, loc, s[0], way);
                 });
}

void Sharpen::runOnOperation() {
  auto train = getOperation()->getAttrOfType<DictionaryAttr>(kTrainAttr);
  auto how = train ? train.getAs<DictionaryAttr>("sam") : DictionaryAttr();
  if (!how)
    return;
  Block &body = getOperation().getBody().front();
  llvm::StringMap<Value> weights;
  SmallVector<std::pair<Value, OutputOp>> trained; // a weight, its gradient
  SmallVector<Operation *> first;
  for (Operation &op : body) {
    if (auto input = dyn_cast<InputOp>(op)) {
      StringRef name = input.getName();
      if (name.consume_front("param:"))
        weights[name] = input.getResult();
    } else if (auto output = dyn_cast<OutputOp>(op)) {
      StringRef name = output.getName();
      if (name.consume_front("grad:") && weights.contains(name))
        trained.push_back({weights[name], output});
    } else if (isa<ComputeOpInterface>(op)) {
      first.push_back(&op);
    }
  }
  if (trained.empty())
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(&body);
  Value total;
  for (auto [weight, output] : trained)
    total = addMaps(builder, total, sumOfSquares(builder, output.getValue()));
  Location loc = total.getLoc();
  Value norm = makeMap(builder, loc, "sqrt", {total},
                       [&](OpBuilder &b, ValueRange s) -> Value {
                         return math::SqrtOp::create(b, loc, s[0]);
                       });
  double rho = how.getAs<FloatAttr>("rho").getValueAsDouble();
  IRMapping mapping;
  for (auto [weight, output] : trained)
    mapping.map(weight, uphill(builder, weight, output.getValue(), norm, rho));
  for (Operation *op : first)
    builder.clone(*op, mapping);
  for (auto [weight, output] : trained)
    output->setOperand(0, mapping.lookup(output.getValue()));
  // Outputs stand behind what they show.
  for (auto [weight, output] : trained)
    output->moveBefore(&body, body.end());
}
