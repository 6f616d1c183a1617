//===- NormalizePadding.cpp - One form for strides and padding ------------===//

#include "compiler/passes/Passes.h"
#include "dialects/cnn/Support.h"

#include "mlir/IR/Builders.h"

namespace halcyon {
#define GEN_PASS_DEF_NORMALIZEPADDING
#include "compiler/passes/Passes.h.inc"
} // namespace halcyon

using namespace mlir;
using namespace halcyon;
using namespace halcyon::cnn;

/// Gives a window the least padding and the plainest stride that have the same
/// output.
static void normalizeWindow(PaddedOpInterface op) {
  ArrayRef<int64_t> in = tensorOf(op->getOperand(0)).getShape().drop_front(2);
  ArrayRef<int64_t> out = tensorOf(op->getResult(0)).getShape().drop_front(2);
  SmallVector<int64_t> taps = op.getTaps();
  auto stride = llvm::to_vector(op.getStride());
  auto dilation = llvm::to_vector(op.getDilation());
  std::vector<int64_t> pad =
      padNumbers(op.getAutoPad(), op.getPad(), in, taps, stride, dilation);
  op.setPad(pad);
  op.setAutoPad(AutoPad::none);

  int64_t reach[2]; // rows from the padded map's first to the last one read
  bool overhangs = false;
  for (int axis : {0, 1}) {
    if (taps[axis] == 1)
      dilation[axis] = 1;
    reach[axis] = (out[axis] - 1) * stride[axis] +
                  dilation[axis] * (taps[axis] - 1) + 1;
    overhangs |= reach[axis] > in[axis] + pad[axis] + pad[axis + 2];
  }
  op.setDilation(dilation);
  if (overhangs && !op.takeOverhangAsPad())
    return;
  for (int axis : {0, 1}) {
    int64_t room = in[axis] + pad[axis];
    pad[axis + 2] = std::max<int64_t>(0, reach[axis] - room);
    // Where the only window fills the map, it takes no step.
    if (out[axis] == 1 && reach[axis] >= room)
      stride[axis] = 1;
  }
  op.setPad(pad);
  op.setStride(stride);
  op.setCeil(false);
}

/// conv(x, pad, mode) = conv(pad(x, mode)) where mode is not zero.
static void padExplicitly(ConvOp conv) {
  if (conv.getPadMode() == PadMode::zero)
    return;
  if (llvm::any_of(conv.getPad(), [](int64_t p) { return p != 0; })) {
    OpBuilder builder(conv);
    auto pad = PadOp::create(builder, conv.getLoc(), conv.getX(), conv.getPad(),
                             conv.getPadMode());
    copyPrecision(conv, pad);
    conv.getXMutable().assign(pad);
    conv.setPad({0, 0, 0, 0});
  }
  conv.setPadMode(PadMode::zero);
}

/// op(pad(x, zero), p) = op(x, pad + p). Returns whether there was such a pad.
static bool absorbZeroPad(PaddedOpInterface op) {
  auto outer = op->getOperand(0).getDefiningOp<PadOp>();
  if (!outer || outer.getMode() != PadMode::zero || !op.takeZerosAsPad())
    return false;
  SmallVector<int64_t> pad;
  for (auto [a, b] : llvm::zip(outer.getPad(), op.getPad()))
    pad.push_back(a + b);
  op.setPad(pad);
  op->setOperand(0, outer.getX());
  if (outer->use_empty())
    outer->erase();
  return true;
}

namespace {
struct NormalizePadding
    : halcyon::impl::NormalizePaddingBase<NormalizePadding> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (auto padded = dyn_cast<PaddedOpInterface>(op)) {
        normalizeWindow(padded);
        if (auto conv = dyn_cast<ConvOp>(op))
          padExplicitly(conv);
        while (absorbZeroPad(padded))
          ;
        // Zeros that came with a cnn.pad may be in vain, too.
        normalizeWindow(padded);
      }
    });
  }
};
} // namespace
