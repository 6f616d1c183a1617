//===- FoldBatchNorm.cpp - Batch normalisation into the layer before it ---===//

#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace halcyon {
#define GEN_PASS_DEF_FOLDBATCHNORM
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

/// (W * z + b) * s + t = (s W) * z + (s b + t)
static void foldInto(AffineOpInterface layer, Value scale, Value shift,
                     OpBuilder &builder, Location loc) {
  Value weight = ScaleFilterOp::create(builder, loc, layer.getWeight(), scale,
                                       layer.getChannelAxis(),
                                       layer.getChannelGroups());
  Value bias = layer.getBias()
                   ? AffineBiasOp::create(builder, loc, layer.getBias(), scale,
                                          shift)
                   : shift;
  layer.setAffine(weight, bias);
}

/// x * s + t, element by element.
static Value scaleAndShift(Value x, Value scale, Value shift,
                           OpBuilder &builder, Location loc) {
  auto map = MapOp::create(builder, loc, x.getType(), "scale_shift",
                           ValueRange{x, scale, shift});
  OpBuilder::InsertionGuard guard(builder);
  Type f32 = builder.getF32Type();
  Block *block = builder.createBlock(&map.getBody(), {}, {f32, f32, f32},
                                     {loc, loc, loc});
  Value product = arith::MulFOp::create(builder, loc, block->getArgument(0),
                                        block->getArgument(1));
  Value sum =
      arith::AddFOp::create(builder, loc, product, block->getArgument(2));
  YieldOp::create(builder, loc, sum);
  return map;
}

namespace {
struct FoldBatchNorm : halcyon::impl::FoldBatchNormBase<FoldBatchNorm> {
  void runOnOperation() override {
    // In order, so that a second normalisation finds the first one folded.
    getOperation().walk([](BatchNormOp norm) {
      Location loc = norm.getLoc();
      auto layer = norm.getX().getDefiningOp<AffineOpInterface>();
      bool folds = layer && norm.getX().hasOneUse();
      // The new weights are needed where the layer stands, and the statistics
      // may be defined after it.
      OpBuilder builder(norm);
      Value scale = NormScaleOp::create(builder, loc, norm.getWeight(),
                                        norm.getRunningVar(), norm.getEpsAttr());
      Value shift = NormShiftOp::create(builder, loc, norm.getBias(),
                                        norm.getRunningMean(), scale);
      Value result;
      if (folds) {
        foldInto(layer, scale, shift, builder, loc);
        layer->moveBefore(norm);
        result = norm.getX();
      } else {
        result = scaleAndShift(norm.getX(), scale, shift, builder, loc);
        copyPrecision(norm, result.getDefiningOp());
      }
      norm.getResult().replaceAllUsesWith(result);
      norm.erase();
    });
  }
};
} // namespace
