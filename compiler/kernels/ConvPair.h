//===- ConvPair.h - Two convolutions as one kernel ------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_CONVPAIR_H
#define HALCYON_COMPILER_KERNELS_CONVPAIR_H

#include "compiler/kernels/ConvCommon.h"

namespace halcyon {

/// What kernels of two convolutions share: f32, blocked layouts, the weights of
/// a 1x1 packed as "pointwise" has them and those of a depthwise as "depthwise".
class ConvPair : public Kernel {
public:
  bool handles(const Group &group, const Target &target,
               std::string &why) const override;
  llvm::SmallVector<LayoutChoice> layouts(const Group &group,
                                          const Target &target) const override;
  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &choice,
                          const Target &target) const override;
  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override;
  llvm::SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override;
  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override;
  double cost(const Group &group, const Target &target) const override;

protected:
  /// Tiles and tasks, and the seconds that the arithmetic takes with them.
  struct Plan {
    Tile pointwise; ///< of the 1x1
    Tile depthwise;
    int rowsPerTask = 1; ///< tiles of the output
    double seconds = 0;
  };

  /// Whether this is the kernel of such a pair, by its numbers alone.
  virtual bool isOurs(const ConvShape &first, const ConvShape &second) const = 0;
  virtual Plan planOf(const Group &group, const Target &target) const = 0;

  static cnn::ConvOp firstOf(const Group &group) {
    return mlir::cast<cnn::ConvOp>(group.anchors().front());
  }
  static cnn::ConvOp secondOf(const Group &group) {
    return mlir::cast<cnn::ConvOp>(group.anchors().back());
  }
  static bool isDepthwise(const ConvShape &s) {
    return s.groups > 1 && s.cig == 1 && s.cog == 1;
  }
  /// 1x1 in place: output (y, x) reads input (y, x).
  static bool isPointwise(const ConvShape &s) {
    return s.kh == 1 && s.kw == 1 && s.groups == 1 && s.sh == 1 && s.sw == 1 &&
           s.oh == s.h && s.ow == s.w;
  }

  /// Operations of the maps between the two, and of those behind.
  static std::pair<double, double> mapFlops(const Group &group);
  /// The bias at the builder's variables, or zero.
  static Halide::Expr biasOf(KernelBuilder &b, cnn::ConvOp conv);
  /// `acc += weights of the 1x1 * source(lane, block)`, over all its channels;
  /// the reductions, whole blocks before the lanes of the last.
  static llvm::SmallVector<Halide::RDom>
  addPointwise(KernelBuilder &b, cnn::ConvOp conv, Halide::Func acc,
               llvm::function_ref<Halide::Expr(Halide::Expr, Halide::Expr)> source);
  /// Schedules those updates for tiles of `tileCo` blocks by `tileX` pixels.
  /// One tile of weights runs through `loops`, then through the reduction; the
  /// one `tilesAhead` is fetched meanwhile, where the schedule says so.
  void schedulePointwise(KernelBuilder &b, cnn::ConvOp conv, Halide::Func acc,
                         llvm::ArrayRef<Halide::RDom> sums, int tileCo,
                         int tileX, std::vector<StreamLoop> loops,
                         int tilesAhead) const;
  /// Schedules the taps of a depthwise sum.
  static void scheduleTaps(KernelBuilder &b, Halide::Func sum, Halide::RDom k,
                           const ConvShape &s);
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_CONVPAIR_H
