//===- FastProduct.h - Winograd's fast inner product ----------------------===//
//
// S. Winograd, A New Algorithm for Inner Product, IEEE Transactions on Computers
// C-17, 1968: two products of a sum become one,
//
//   x0 w0 + x1 w1 = (x0 + w1) (x1 + w0) - x0 x1 - w0 w1
//
// and what is subtracted is one number for a pixel and one for an output channel.
// Where units for additions work beside those for multiply-adds, three channels take
// the time of two: a pair, and one by itself (cnn::FastChannels).
//
// Sums of inputs and weights keep the bits of both where these are of one size. Powers
// of two make them so: of an output's weights when the program is made, of a pixel's
// inputs as they are packed. So the error is that of a sum of products of the largest
// input and the largest weight, whatever their sizes.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_FASTPRODUCT_H
#define HALCYON_COMPILER_KERNELS_FASTPRODUCT_H

#include "compiler/kernels/ConvCommon.h"
#include "dialects/cnn/FastProduct.h"

#include <functional>

namespace halcyon {

/// Whether a convolution's products can be made so.
bool takesFastProduct(const Group &group, std::string &why);

/// The time of the products of these units over that of multiply-adds alone for whole
/// vectors: 2/3 where additions are free, and all channels are threes.
double fastProductTime(llvm::ArrayRef<cnn::FastRun> units, const Target &target);
/// The target with the registers that are left to accumulators.
Target fastProductTarget(const Target &target);
/// Cycles in a second, as far as its arithmetic tells.
double cyclesPerSecond(const Target &target);

/// Rows of tiles and vectors of output channels of a task.
struct FastCut {
  int rows, blocks;
};
/// Cuts so many of them whose products take `seconds` on one core: `rowBytes` of windows
/// are packed for a row of tiles, `packing` cycles for all of them, and again by each task
/// of other channels; each task of other rows reads the weights again.
FastCut cutFast(const Target &target, int rows, int blocks, double rowBytes,
                double weightBytes, double seconds, double packing);

/// Their error over the root of the terms, as Kernel::error. Measured on the data of
/// test/kernels/ConvErrors.cpp: windows up to 9.4e-8, of channels of very different sizes;
/// in Winograd's kernels, over their amplification, up to 1.4e-7.
inline constexpr double kFastError = 1.7e-7;

/// The power of two that brings a number to [1, 2), and what undoes it.
struct FastScale {
  Halide::Expr scale, unscale;
  explicit FastScale(Halide::Expr largest);
};
/// `scale` with the sign that a lane of a block has; `first` of the units.
Halide::Expr turnedScale(Halide::Expr scale, const cnn::FastRun &first, Halide::Expr lane,
                         Halide::Expr block);

/// A factor of a channel, by lane and block.
using Factor = llvm::function_ref<Halide::Expr(Halide::Expr, Halide::Expr)>;

/// One update of `acc` at `place` for the pairs of units, with one channel beside each,
/// and one for the channels that are left. Returns the updates' domains: lanes, units.
llvm::SmallVector<Halide::RDom> addFastProducts(Halide::Func acc,
                                                const std::vector<Halide::Expr> &place,
                                                const cnn::FastRun &units, Factor x,
                                                Factor w);

/// The products of the pairs of units of inputs, a vector of lanes of which the first
/// `pairs` count: to be summed over them.
struct FastPairs {
  Halide::Func sums;
  Halide::RDom units;
  int pairs, lanes;
};
FastPairs pairsOf(const cnn::FastRun &units, const std::vector<Halide::Var> &at, Factor x);
/// Adds them up: gives `total` of `at`, and schedules that but for where it is computed.
void addPairs(Halide::Func total, const std::vector<Halide::Var> &at,
              llvm::ArrayRef<FastPairs> runs);

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
  llvm::SmallVector<FastPairs> pairs;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_FASTPRODUCT_H
