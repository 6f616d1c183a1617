//===- FastConv.h - Convolutions of packed windows, fast inner product ----===//
//
// Windows are packed, each in one run in the order of the packed weights and scaled by a
// power of two; all output channels follow, by FastProduct.h. How the work is cut, and
// what it costs, is the same for all such kernels.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_FASTCONV_H
#define HALCYON_COMPILER_KERNELS_FASTCONV_H

#include "compiler/kernels/FastProduct.h"

#include <functional>

namespace halcyon {

/// Windows of a map, each packed as one run of so many vectors and scaled by the power of
/// two of a few neighbours in its row: always the same ones, whoever computes them.
class FastWindows {
public:
  /// A window's number, by lane, vector of the run, column, row and image.
  using Window = std::function<Halide::Expr(Halide::Expr, Halide::Expr, Halide::Expr,
                                            Halide::Expr, Halide::Expr)>;
  /// `width`: windows of a row.
  FastWindows(int lanes, int run, int width, llvm::SmallVector<cnn::FastRun, 3> units,
              Window window);

  /// By lane, vector of the run, column, row and image. Behind the run is `unscale`.
  Halide::Func packed{"packed"};
  Halide::Expr unscale(Halide::Expr x, Halide::Expr y, Halide::Expr n) const {
    return packed(0, run, x, y, n);
  }
  /// The sum of the products of its pairs, by column, row and image.
  Halide::Func total{"total"};
  /// The loop over the windows of rows is `row`.
  void computeAt(Halide::Func consumer, Halide::Var loop);

  /// Cycles of packing a window of so many vectors: a vector comes from L2 or beyond, is
  /// read twice, scaled, written and multiplied, and a pixel's numbers are gathered from
  /// their lanes. Zen 4: 100 for 6 vectors, 145 for 9, 750 for 64.
  static double cycles(double vectors) { return 13 * vectors + 15; }

  Halide::Var lane{"lane"}, q{"q"}, x{"x"}, row{"y"}, n{"n"};

private:
  int lanes, run;
  Halide::Func largest{"largest"}, peak{"peak"}, scales{"scale"}, unscales{"unscale"};
  Halide::RDom all;
  Halide::RDom across;
  Halide::Var group{"xg"};
};

/// A kernel whose products are of packed windows: its schedules and their cost.
class FastConv : public Kernel {
public:
  cnn::ScheduleAttr schedule(const Group &group, const Target &target) const override;
  llvm::SmallVector<ScheduleParameter> parameters(const Group &group,
                                                  const Target &target) const override;
  bool holds(const Group &group, const Target &target, cnn::ScheduleAttr schedule,
             std::string &why) const override;
  llvm::SmallVector<cnn::ScheduleAttr> space(const Group &group,
                                             const Target &target) const override;
  double error(const Group &group, const Target &target) const override;
  double cost(const Group &group, const Target &target) const override;

protected:
  /// What its windows and products are.
  struct Layer {
    ConvShape s;
    int taps;          ///< of a window
    int columns, rows; ///< of pixels that read neighbouring windows
    double windows;    ///< that are packed
    int outputs;       ///< channels whose products a task's length counts
    int lanes;

    /// Vectors of a window.
    int run() const { return ceilDiv(s.c, lanes) * taps; }
    llvm::SmallVector<cnn::FastRun, 3> units() const {
      return cnn::fastRuns(s.c, taps, lanes, /*inThrees=*/true);
    }
    /// The products' operations, as many as take their time in multiply-adds.
    double productFlops(const Target &target) const {
      return 2.0 * outputs * s.oh * s.ow * run() * lanes *
             fastProductTime(units(), target);
    }
    double packingCycles() const { return windows * FastWindows::cycles(run()); }
  };
  virtual Layer layerOf(const Group &group, const Target &target) const = 0;

private:
  /// Rows of tiles and vectors of output channels of a task.
  struct Cut {
    int rows, blocks;
  };
  static Cut cutOf(const Layer &layer, const Tile &tile, const Target &target);
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_FASTCONV_H
