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

/// `total` of `at` becomes the sum of the products of the pairs of units of inputs, and is
/// scheduled but for where it is computed.
void addPairs(Halide::Func total, const std::vector<Halide::Var> &at,
              llvm::ArrayRef<cnn::FastRun> runs, Factor x);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_FASTPRODUCT_H
