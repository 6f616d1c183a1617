//===- GpuIm2col.cpp - Convolution as a product of matrices, on a device --===//
//
//   y[o, p] = sum over k of w[o, k] * patch[k, p]
//
// k counts the channels of each tap, p the pixels of all images: rows and images
// are cut by no tile, so that small or odd maps leave no threads idle. The matrix
// of patches is never whole: blocks of threads make the few of its terms that they
// multiply next, in the memory that they share (Chetlur et al., cuDNN, 2014). The
// product is written to memory, and what comes behind the convolution reads it.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Cost.h"
#include "compiler/kernels/GpuConv.h"
#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

namespace {
/// Terms that lie in shared memory at a time.
constexpr int kStep = 8;

class GpuIm2col : public GpuConv {
public:
  StringRef name() const override { return "gpu_im2col"; }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return tileOf(ConvShape::of(conv), target).schedule(conv.getContext(), name());
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    return GpuTile::parametersOfRows();
  }

  bool holds(const Group &, const Target &target, cnn::ScheduleAttr schedule,
             std::string &why) const override {
    GpuTile tile = GpuTile::of(schedule);
    return tile.fits(target, sharedBytes(tile), why);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double efficiency =
        tileOf(s, target).efficiency(target, s.o, s.ow * s.oh, 1);
    return groupSeconds(group, target, efficiency) +
           rooflineSeconds(target, 0, 8.0 * s.o * s.ow * s.oh, 1);
  }

  void build(KernelBuilder &b) const override;

private:
  /// In the order of the terms.
  std::string orderOf(const ConvShape &) const override { return "Ohwi"; }
  static int64_t sharedBytes(const GpuTile &t) {
    return 4 * kStep * (int64_t)(t.blockCo() + t.blockX());
  }
  static GpuTile tileOf(const ConvShape &s, const Target &target) {
    return chooseGpuTile(target, s.o, s.ow * s.oh, 1, 1, sharedBytes);
  }
};
} // namespace

void GpuIm2col::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  GpuTile t = GpuTile::of(completeSchedule(b.group, b.target, b.schedule));
  const int block = filterBlock(s), blocks = ceilDiv(s.o, block);
  const int terms = s.c * s.kw * s.kh, steps = ceilDiv(terms, kStep);
  Expr pixels = batchOf(b) * (s.ow * s.oh);
  Var k("k"), pixel("pixel");

  // Terms behind the last are zeros, and pixels behind the last are never read.
  Expr ci = k % s.c, u = k / s.c % s.kw, v = Halide::min(k / (s.c * s.kw), s.kh - 1);
  Expr p = Halide::clamp(pixel, 0, pixels - 1);
  Expr x = p % s.ow * s.sw + u * s.dw - s.left;
  Expr y = p / s.ow % s.oh * s.sh + v * s.dh - s.top;
  Expr inside = x >= 0 && x < s.w && y >= 0 && y < s.h;
  if (terms % kStep)
    inside = inside && k < terms;
  Point q = {p / (s.ow * s.oh), Expr(), Halide::clamp(ci, 0, s.c - 1),
             Halide::clamp(y, 0, s.h - 1), Halide::clamp(x, 0, s.w - 1)};
  Func staged("staged"), filters("filters"), sum("sum"), product("product");
  staged(k, pixel) = Halide::select(inside, b.at(conv.getX(), q), 0.0f);
  filters(b.c, k) =
      b.read(conv.getWeight(),
             {b.c % block, ci, u, v, Halide::clamp(b.c / block, 0, blocks - 1)});
  RDom r(0, kStep, 0, steps, "r");
  Expr term = r[1] * kStep + r[0];
  sum(b.c, pixel) = 0.0f;
  sum(b.c, pixel) += filters(b.c, term) * staged(term, pixel);
  product(b.c, pixel) = sum(b.c, pixel);
  b.bind(conv.getResult(), [&](const Point &at) {
    Expr value = product(at.c, (at.n * s.oh + at.y) * s.ow + at.x);
    return conv.getBias() ? value + b.load(conv.getBias(), at, conv.getType())
                          : value;
  });
  Func out = b.output();

  TileLoops loops = splitByTile(product.compute_root().bound(b.c, 0, s.o), t, b.c,
                                pixel, std::nullopt,
                                /*vectorize=*/s.o % t.blockCo() == 0);
  product.gpu_blocks(loops.x, loops.co);
  StagedSum how = {sum, product, loops.x, b.c, pixel, Var()};
  how.rows = false;
  how.inner = {r[0]};
  how.outer = {r[1]};
  how.copies = {staged, filters};
  scheduleStagedSum(how, t);
  scheduleThreads(out, {b.c, b.x, b.y, b.n}, {s.o, s.ow, s.oh});
}

static RegisterKernel<GpuIm2col> gpuIm2col;

} // namespace halcyon
