//===- FastProduct.h - Channels of Winograd's fast inner product ----------===//
//
// Which channels make a pair where sums are of (x0 + w1) (x1 + w0): kernels and the
// weights that are packed for them agree by this. See compiler/kernels/FastProduct.h.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_FASTPRODUCT_H
#define HALCYON_DIALECTS_CNN_FASTPRODUCT_H

#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace halcyon::cnn {

/// `count` units of a run of blocks of channels, from block `first` on, that are taken
/// alike. A unit of three blocks: each channel of the first makes a pair with that of
/// the second, each of the third is by itself. A unit of one, of which `used` channels
/// count: the first `pairs` with the next `pairs`, the others by themselves.
struct FastRun {
  int64_t first, count, blocks, used;
  int64_t pairs() const { return blocks == 3 ? used : used / 3; }
};

/// The units of so many channels in blocks of so many, each block with all its taps one
/// after another: where `inThrees`, threes of whole blocks, then what is left of these,
/// then the last block.
inline llvm::SmallVector<FastRun, 3> fastRuns(int64_t channels, int64_t taps,
                                              int64_t block, bool inThrees) {
  const int64_t whole = channels / block * taps, threes = inThrees ? whole / 3 : 0;
  llvm::SmallVector<FastRun, 3> runs;
  if (threes)
    runs.push_back({0, threes, 3, block});
  if (whole > 3 * threes)
    runs.push_back({3 * threes, whole - 3 * threes, 1, block});
  if (channels % block)
    runs.push_back({whole, taps, 1, channels % block});
  return runs;
}

/// Whether a lane of a block is one whose sign is turned, in inputs and in weights: the
/// second of a pair in every other unit of the first run. Then what is to be subtracted
/// does not add up where all inputs are alike. `Index` is a number or an expression.
template <typename Index>
auto turnsSign(const FastRun &first, Index lane, Index block) {
  // Of a unit of three, all lanes of the second block.
  const int pairs = (int)first.pairs(), from = first.blocks == 3 ? 0 : pairs;
  const int period = int(2 * first.blocks), second = first.blocks == 3 ? 4 : 1;
  return block < int(first.count * first.blocks) && block % period == second &&
         lane >= from && lane < from + pairs;
}

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_FASTPRODUCT_H
