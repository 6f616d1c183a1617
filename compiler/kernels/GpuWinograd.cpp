//===- GpuWinograd.cpp - Convolution by minimal filtering, on a device ----===//
//
// As on a CPU (ConvWinograd.cpp), in three grids: the input's tiles are
// transformed, matrices multiplied, one for each product of a tile, and the
// results transformed back. Tiles of all images are the columns of one matrix.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/GpuTile.h"
#include "compiler/kernels/Loops.h"
#include "compiler/targets/Binding.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Winograd.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::MemoryType;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {
namespace {

/// Channels of the input that a step of the product stages, and output channels
/// of a block of filters in memory.
constexpr int kStep = 8, kBlock = 32;

class GpuWinograd : public Kernel {
public:
  explicit GpuWinograd(int m) : m(m) {}
  StringRef name() const override {
    return m == 2 ? "gpu_winograd2" : "gpu_winograd4";
  }
  bool isForDevice() const override { return true; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/true, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    if (s.kh != 3 || s.kw != 3 || s.sh != 1 || s.sw != 1 || s.dh != 1 ||
        s.dw != 1 || s.groups != 1)
      why = "not a 3x3 window with stride, dilation and groups of 1";
    else if (s.c < kStep || s.o < kBlock)
      why = "too few channels for a product's tile";
    else if (int64_t most = mostBound(target);
             most && int64_t(4) * (m + 2) * (m + 2) * s.c * s.o > most)
      why = "more transformed weights than the device binds";
    else
      return hasZeroPadding(conv, why);
    return false;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nhwc")};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return {};
    return cnn::PackedAttr::get(conv.getContext(),
                                "hwOI" + std::to_string(kStep) + "i" +
                                    std::to_string(kBlock) + "o",
                                m);
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    return tileOf(ConvShape::of(conv), target).schedule(conv.getContext(), name());
  }

  SmallVector<ScheduleParameter> parameters(const Group &,
                                            const Target &) const override {
    // The product's columns are tiles in a row.
    return GpuTile::parametersOfRows();
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    GpuTile tile = GpuTile::of(schedule);
    return tile.fits(target, sharedBytes(tile), why);
  }

  // As ConvWinograd.cpp has it.
  double error(const Group &group, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    double amplification = std::pow(cnn::WinogradAxis(m, 3).amplification(), 2);
    if (cnn::isBf16(conv.getWeight().getType()))
      return 4.2e-3 * amplification;
    return 6.5e-8 * amplification *
           std::sqrt((double)ConvShape::of(conv).c);
  }

  // Transformed inputs and products are written to memory and read again.
  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double tiles = (double)ceilDiv(s.ow, m) * ceilDiv(s.oh, m);
    double products = (m + 2) * (m + 2);
    double flops = 2 * tiles * products * s.c * s.o;
    double efficiency = tileOf(s, target).efficiency(target, s.o, (int)tiles, 1,
                                                    (int)products);
    return rooflineSeconds(target, flops, 0, efficiency) +
           rooflineSeconds(target, 0, 8 * tiles * products * (s.c + s.o), 1) +
           rooflineSeconds(target, 0, groupBytes(group), 1);
  }

  void build(KernelBuilder &b) const override;

private:
  static int64_t sharedBytes(const GpuTile &t) {
    return 4 * kStep * (int64_t)(t.blockCo() + t.blockX());
  }
  GpuTile tileOf(const ConvShape &s, const Target &target) const {
    return chooseGpuTile(target, s.o, ceilDiv(s.ow, m) * ceilDiv(s.oh, m), 1,
                         (m + 2) * (m + 2), sharedBytes);
  }

  const int m; ///< outputs of a tile along an axis
};

void GpuWinograd::build(KernelBuilder &b) const {
  auto conv = b.group.anchorAs<cnn::ConvOp>();
  ConvShape s = ConvShape::of(conv);
  GpuTile t = GpuTile::of(completeSchedule(b.group, b.target, b.schedule));
  const cnn::WinogradAxis axis(m, 3);
  const int n = axis.n, columns = ceilDiv(s.ow, m), rows = ceilDiv(s.oh, m);
  const int steps = ceilDiv(s.c, kStep), blocks = ceilDiv(s.o, kBlock);
  Expr tiles = batchOf(b) * (columns * rows);
  Var ci("ci"), tile("tile"), u("u"), v("v"), i("i"), j("j"), row("row");

  // Columns first, then rows. A tile is known by its number over all images.
  Func inX("input_x"), inT("input_transform");
  inX(ci, u, row, tile) = winogradTransform(axis.input, n, u, [&](int p) {
    Expr x = tile % columns * m + p - s.left;
    Expr y = tile / columns % rows * m + row - s.top;
    Point q = {tile / (columns * rows), Expr(), ci, Halide::clamp(y, 0, s.h - 1),
               Halide::clamp(x, 0, s.w - 1)};
    return Halide::select(x >= 0 && x < s.w && y >= 0 && y < s.h,
                          b.at(conv.getX(), q), 0.0f);
  });
  inT(ci, tile, u, v) = winogradTransform(
      axis.input, n, v, [&](int p) { return inX(ci, u, p, tile); });

  // One product of matrices for each product of a tile.
  Func staged("staged"), filters("filters"), sum("sum"), product("product");
  Expr inside = ci < s.c;
  Expr value = inT(Halide::clamp(ci, 0, s.c - 1),
                   Halide::clamp(tile, 0, tiles - 1), u, v);
  staged(ci, tile, u, v) =
      s.c % kStep ? Halide::select(inside, value, 0.0f) : value;
  filters(b.c, ci, u, v) =
      b.read(conv.getWeight(), {b.c % kBlock, ci % kStep, ci / kStep,
                                Halide::clamp(b.c / kBlock, 0, blocks - 1), u, v});
  RDom r(0, kStep, 0, steps, "r");
  Expr channel = r[1] * kStep + r[0];
  sum(b.c, tile, u, v) = 0.0f;
  sum(b.c, tile, u, v) += filters(b.c, channel, u, v) * staged(channel, tile, u, v);
  product(b.c, tile, u, v) = sum(b.c, tile, u, v);

  Func outX("output_x");
  Var tx("tx"), ty("ty");
  outX(b.c, i, v, tx, ty, b.n) = winogradTransform(axis.output, n, i, [&](int p) {
    return product(b.c, (b.n * rows + ty) * columns + tx, p, v);
  });
  b.bind(conv.getResult(), [&](const Point &p) {
    Expr value = winogradTransform(axis.output, n, p.y % m, [&](int q) {
      return outX(p.c, p.x % m, q, p.x / m, p.y / m, p.n);
    });
    return conv.getBias() ? value + b.load(conv.getBias(), p, conv.getType())
                          : value;
  });
  Func out = b.output();

  auto guard = TailStrategy::GuardWithIf;
  Var lane("lane"), block("block"), xi("xi"), yi("yi"), place("place");
  inT.compute_root()
      .split(ci, block, lane, 64, guard)
      .reorder(u, v, lane, tile, block)
      .unroll(u)
      .unroll(v)
      .gpu_blocks(tile, block)
      .gpu_threads(lane);
  inX.compute_at(inT, lane).store_in(MemoryType::Register).unroll(u).unroll(row);

  TileLoops loops = splitByTile(product.compute_root().bound(b.c, 0, s.o), t, b.c,
                                tile, std::nullopt,
                                /*vectorize=*/s.o % t.blockCo() == 0);
  product.bound(u, 0, n).bound(v, 0, n);
  Var uv("uv");
  product.reorder(loops.x, loops.co, u, v)
      .fuse(u, v, uv)
      .gpu_blocks(loops.x, loops.co, uv);
  StagedSum how = {sum, product, loops.x, b.c, tile, Var()};
  how.rows = false;
  how.rest = {u, v};
  how.inner = {r[0]};
  how.outer = {r[1]};
  how.copies = {staged, filters};
  scheduleStagedSum(how, t);

  out.split(b.x, tx, xi, m, guard)
      .split(b.y, ty, yi, m, guard)
      .split(b.c, block, lane, 64, guard)
      .reorder(xi, yi, lane, tx, ty, b.n, block)
      .unroll(xi)
      .unroll(yi)
      .fuse(tx, ty, place)
      .fuse(place, b.n, place)
      .gpu_blocks(place, block)
      .gpu_threads(lane);
  outX.compute_at(out, lane)
      .store_in(MemoryType::Register)
      .bound_extent(i, m)
      .bound_extent(tx, 1)
      .bound_extent(ty, 1)
      .unroll(i)
      .unroll(v);
}

struct GpuWinograd2 : GpuWinograd {
  GpuWinograd2() : GpuWinograd(2) {}
};
struct GpuWinograd4 : GpuWinograd {
  GpuWinograd4() : GpuWinograd(4) {}
};
RegisterKernel<GpuWinograd2> gpuWinograd2;
RegisterKernel<GpuWinograd4> gpuWinograd4;

} // namespace
} // namespace halcyon
