//===- ConvWinograd.h - Convolution by minimal filtering ------------------===//
//
// The kernel of ConvWinograd.cpp, and how it cuts its work (ConvWinogradPlan.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_CONVWINOGRAD_H
#define HALCYON_COMPILER_KERNELS_CONVWINOGRAD_H

#include "compiler/kernels/FastProduct.h"
#include "dialects/cnn/Winograd.h"

#include <cmath>

namespace halcyon {

/// Outputs and products of a tile, across and down.
struct TileShape {
  int mx, my, nx, ny;

  TileShape(const ConvShape &s, int m)
      : mx(s.kw == 1 ? 1 : m), my(s.kh == 1 ? 1 : m),
        nx(cnn::WinogradAxis::productsOf(m, s.kw)),
        ny(cnn::WinogradAxis::productsOf(m, s.kh)) {}
  int products() const { return nx * ny; }
  /// Tiles of a map of this convolution.
  int columns(const ConvShape &s) const { return ceilDiv(s.ow, mx); }
  int rows(const ConvShape &s) const { return ceilDiv(s.oh, my); }
};

/// More of a tile's vectors would leave the registers in the transforms.
inline constexpr int kMostProducts = 64;
/// Up to so many a tile's transforms are one piece of code each. Of more a loop
/// makes a column at a time, else what lies between the axes is spilled in any
/// order: F(6x6), Zen 4, 256x256x32 4.2 ms for 4.8, 128x128x64 3.2 for 3.6.
inline constexpr int kUnrolledProducts = 36;
/// The transforms wait for maps beyond L2, of which a tile's few rows lie far apart:
/// this many tiles ahead they are fetched. Zen 4, one thread, 256x256, 64 to 32:
/// 8.27 ms without, 7.99 one tile ahead, 7.65 two, 7.40 three.
inline constexpr int kTilesAhead = 3;
/// Tiles that are enough for the weights to be read once for them all, and
/// images of a group at most.
inline constexpr int kManyTiles = 128, kMostImages = 64;

/// Images of a group: evenly, those whose tiles are many.
inline int imagesOf(int tiles, int batch) {
  int most = std::clamp(kManyTiles / tiles, 1, kMostImages);
  return ceilDiv(batch, ceilDiv(batch, most));
}

/// What a way of cutting the tiles into tasks costs.
struct Plan {
  int rows = 1;        ///< tile rows of a task
  int columns = 1;     ///< and its tile columns
  bool phases = false; ///< all tiles at once, each stage in parallel
  int images = 1;      ///< whose tiles are computed at once
  double seconds = 1e30; ///< for an image
};

class WinogradConv : public Kernel {
public:
  /// `fast`: with the fast inner product.
  WinogradConv(int m, bool fast)
      : m(m), fast(fast), text("winograd" + std::to_string(m) + (fast ? "_fip" : "")) {}

  llvm::StringRef name() const override { return text; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    if (!isPlainGroup<cnn::ConvOp>(group, /*prologue=*/false, why))
      return false;
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    TileShape tile(s, m);
    if (s.kh * s.kw == 1 || s.sh != 1 || s.sw != 1 || s.dh != 1 || s.dw != 1 ||
        s.groups != 1)
      why = "not a window with stride, dilation and groups of 1";
    else if (std::max(tile.nx, tile.ny) > cnn::WinogradAxis::kMost ||
             tile.products() > kMostProducts)
      why = "the window is too large";
    else if (s.c < target.lanes || s.o < target.lanes)
      why = "fewer channels than a vector has lanes";
    else
      return hasZeroPadding(conv, why) && (!fast || takesFastProduct(group, why));
    return false;
  }

  llvm::SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    TileShape tile(s, m);
    // Tiles are whole: what they read past the right and the bottom is halo.
    return {blockedChoice(
        group, target, conv.getX(),
        s.halo(tile.rows(s) * tile.my, tile.columns(s) * tile.mx))};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    if ((int)input != argumentNumber(conv.getWeight()))
      return Kernel::packing(group, input, choice, target);
    return cnn::PackedAttr::get(conv.getContext(),
                                "hwOI" + blockTag(group, target), m, fast);
  }

  // Percent of the peak of direct's count, m = 4, Zen 5, one thread: 56x56x64
  // 316, 28x28x128 351, 14x14x256 275 (weights in cache; from memory 271, 235,
  // 124), 56x56x256 330, 112x112x128 284, 224x224x64 230, 256x256x32 200.
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    Plan plan = planOf(group, target);
    ImageTile tile = tileOf(group, target, plan);
    return makeSchedule(conv.getContext(), name(),
                        {{"tile_co", tile.co},
                         {"tile_x", tile.x},
                         {"tile_y", tile.y},
                         {"tile_n", tile.n},
                         {"unroll_ci", 0},
                         {"rows", plan.rows},
                         {"columns", plan.columns},
                         {"images", plan.images},
                         {"phases", plan.phases},
                         {"prefetch", 1}});
  }

  llvm::SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    TileShape tile(s, m);
    return {{"tile_co", 1, ceilDiv(s.o, target.lanes), {}},
            {"tile_x", 1, tile.columns(s), {}},
            {"tile_y", 1, tile.rows(s), {}},
            {"tile_n", 1, kMostImages, {}},
            unrollParameter("unroll_ci", target),
            {"rows", 1, tile.rows(s), {}},
            {"columns", 1, tile.columns(s), {}},
            {"images", 1, kMostImages, {}},
            {"phases", 0, 1, {0}, /*flag=*/true},
            {"prefetch", 0, 1, {0, 1}, /*flag=*/true}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override;
  llvm::SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                       const Target &target) const override;

  // The sums over channels are short; the transform back, which subtracts large
  // numbers, amplifies what they leave. Measured over 16 to 512 channels of five
  // kinds of data and windows of 3 to 7 (test/kernels/ConvErrors.cpp), the error
  // over the root of the channels and the amplification is 3.0e-8 to 5.4e-8.
  double error(const Group &group, const Target &) const override {
    auto conv = group.anchorAs<cnn::ConvOp>();
    ConvShape s = ConvShape::of(conv);
    double amplification = cnn::WinogradAxis(m, s.kw).amplification() *
                           cnn::WinogradAxis(m, s.kh).amplification();
    // Filters, and inputs, that are rounded once they are transformed: no
    // precision asks for that. Simulated on 16 to 256 channels of 3x3: up to
    // 4.8e-3 for m = 2 and 6.4e-2 for m = 4, whatever their count.
    if (cnn::isBf16(conv.getWeight().getType()))
      return 4.2e-3 * amplification;
    return (fast ? kFastError : 6.5e-8) * amplification * std::sqrt(s.c);
  }

  double cost(const Group &group, const Target &target) const override {
    ConvShape s = ConvShape::of(group.anchorAs<cnn::ConvOp>());
    double rest = groupFlops(group) - s.flops();
    return planOf(group, target).seconds + epilogueSeconds(target, rest) +
           target.callSeconds;
  }

  void build(KernelBuilder &b) const override;

private:
  /// A tile of the products, over images, too.
  struct ImageTile : Tile {
    int n = 1;
  };
  ImageTile tileOf(const Group &group, const Target &target,
                   const Plan &plan) const;
  Plan planOf(const Group &group, const Target &target) const;
  static auto unitsOf(const ConvShape &s, const Target &target) {
    return cnn::fastRuns(s.c, 1, target.lanes, /*inThrees=*/false);
  }

  const int m; ///< outputs of a tile along an axis
  const bool fast;
  const std::string text; ///< the name
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_CONVWINOGRAD_H
