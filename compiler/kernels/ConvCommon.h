//===- ConvCommon.h - What the convolution kernels share ------------------===//
//
// The numbers of a convolution, the tiles that fit the registers, and how work
// is cut into tasks.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_CONVCOMMON_H
#define HALCYON_COMPILER_KERNELS_CONVCOMMON_H

#include "compiler/kernels/Builder.h"

namespace halcyon {

/// The numbers of a convolution, direct or transposed. Of a transposed one,
/// `h`, `w`, `oh`, `ow` are still those of its own input and output.
struct ConvShape {
  int c, h, w;    ///< input
  int o, oh, ow;  ///< output
  int kh, kw, sh, sw, dh, dw, top, left, groups;
  int cig, cog;   ///< channels of a group, in and out

  static ConvShape of(cnn::ConvOp conv);
  static ConvShape of(cnn::ConvTransposeOp conv);
  /// Of the convolution whose weight's gradient this is.
  static ConvShape of(cnn::ConvWeightGradOp grad);

  /// The border that a convolution of `oh` x `ow` outputs reads around its
  /// input: top, left, bottom, right.
  llvm::SmallVector<int64_t> halo(int oh, int ow) const;
  llvm::SmallVector<int64_t> halo() const { return halo(oh, ow); }
  double flops() const { return 2.0 * o * oh * ow * cig * kh * kw; }
};

/// Whether the taps of a transposed convolution are counted within a phase, along an
/// axis. Of a single tap the others have none.
inline bool isPhased(int kernel, int stride, int dilation) {
  return dilation == 1 && (kernel >= stride || kernel == 1);
}
/// The border that a transposed convolution reads around its input.
llvm::SmallVector<int64_t> transposedHalo(const ConvShape &s);

/// Whether the group is an anchor of this type that reads block arguments
/// (`prologue`: its input may come from maps), followed by maps of the same
/// shape, with one output.
template <typename Op>
bool isPlainGroup(const Group &group, bool prologue, std::string &why);

/// The gradient of a convolution's weight that the group consists of, from maps
/// in f32 or bf16; null for any other group.
cnn::ConvWeightGradOp weightGradOf(const Group &group);

/// Whether the convolution's padding is zero and resolved.
bool hasZeroPadding(cnn::ConvOp conv, std::string &why);

/// Whether each channel has one filter of its own.
bool isDepthwise(cnn::ConvOp conv, std::string &why);

/// Images that come at once, as far as it is known: those of a training step.
int usualBatch(const Group &group);

/// The number of a block argument; -1 for no value or a computed one.
int argumentNumber(mlir::Value value);

/// Blocked layouts everywhere, `halo` on the argument `x`.
LayoutChoice blockedChoice(const Group &group, const Target &target,
                           mlir::Value x, llvm::ArrayRef<int64_t> halo);
/// The block argument that the anchor's input comes from: itself, or the one
/// of the same shape that its prologue reads.
mlir::Value sourceOf(mlir::Value x);

/// Whether the anchor's input and weights are bf16 and the target has an
/// instruction that adds up the products of pairs of channels in f32.
bool usesPairs(const Group &group, const Target &target);
/// Operations a second, on one core, of the anchor's products.
double productFlops(const Group &group, const Target &target);
/// A block of weights of one tap in memory: channels in, channels out, and,
/// where the target adds them up, pairs of channels in.
std::string blockTag(const Group &group, const Target &target);

/// A block of accumulators: blocks of output channels, pixels, rows.
struct Tile {
  int co = 1, x = 1, y = 1;
  double efficiency = 0; ///< of the peak, with what the edges waste
};

/// The tile of least waste for a map of this size.
Tile chooseTile(const Target &target, int width, int height, int blocks,
                bool coDivides = false, int maxPixels = 28);
/// The tiles that a search tries on such a map: the best by their efficiency,
/// that first.
llvm::SmallVector<Tile> tilesToTry(const Target &target, int width, int height,
                                   int blocks, bool coDivides = false,
                                   int maxPixels = 28);
/// Whether a tile's accumulators, one row of weights and an input fit the
/// vector registers; `why` says what they need.
bool tileFits(const Target &target, int co, int pixels, std::string &why);
/// Sizes of tasks that cut `units` into 1, 2, 4 ... parts.
llvm::SmallVector<int64_t, 8> taskSizes(int units);
/// `unroll_ci` and its like: what divides a vector of channels, 0 for
/// whatever leaves the accumulators in their registers, see `unrollOf`.
ScheduleParameter unrollParameter(llvm::StringRef name, const Target &target);
/// Whether it does, in a schedule.
bool unrollDivides(const Target &target, int64_t unroll, std::string &why);

/// The fraction of the peak that a tile reaches on such a map.
double tileEfficiency(const Target &target, const Tile &tile, int width,
                      int height, int blocks);

/// `perTask` tiles of a task, or a few more, so that the last two tiles are of
/// one task. They overlap where `size` is no multiple of `tile`, and unrolled
/// places of a tile may round differently: were they of two tasks, the bits
/// would depend on which ends last.
int tilesPerTask(int size, int tile, int perTask);

/// How many of `units` loop steps a task takes, where the rest of the loop
/// nest has `others` tasks and all of it takes `seconds` on one core: enough
/// tasks for the cores, evenly, none of them too short.
int unitsPerTask(const Target &target, int units, int others, double seconds);
/// Units that the busiest core gets, where each takes the next task as it ends one:
/// `others` times `units` of them, `per` a task, the last one the rest.
int busiestUnits(int cores, int units, int others, int per);

/// ceil(a / b).
inline int ceilDiv(int a, int b) { return (a + b - 1) / b; }

/// The largest divisor of `n` that is at most `limit`.
int divisorUpTo(int n, int limit);

/// How often the innermost loop of a reduction over `lanes` is unrolled: what
/// the schedule says under `name`, or else what leaves the accumulators in their
/// registers. Percent of peak on Zen 5, LLVM 21: 3x3 at 13x13 with a tile of
/// 2x13 71 for 4 times, 99 for 2 times; 3x3/2 at 28x28 with 2x14 94 for 4
/// times, 80 for 2 times.
int unrollOf(KernelBuilder &builder, llvm::StringRef name, int lanes,
             int accumulators);

/// The combinations of `term(0..n-1)` that the rows of a matrix of Winograd's
/// transforms describe, chosen by `index`.
Halide::Expr winogradTransform(llvm::ArrayRef<double> matrix, int n,
                               Halide::Expr index,
                               llvm::function_ref<Halide::Expr(int)> term);

/// Gives the gradient of a weight, the kernel's output, as the sum over `chunks` of
/// the batch, in their order. `inChunk` is a chunk's share at `at`, the weight's
/// indices, innermost first. Returns the Func of the shares, whose loops over `at`
/// and, where there are several chunks, `k` are the caller's to cut into tasks.
Halide::Func sumOfChunks(KernelBuilder &builder, const std::vector<Halide::Var> &at,
                         Halide::Var k, int chunks,
                         llvm::function_ref<Halide::Expr(Halide::Expr)> inChunk);

/// Along one axis, what `outputs` windows of `taps` read, `apart` windows further
/// on, from the first element that the first of these reads here.
struct CellsAhead {
  int outputs, stride = 1, taps = 1, dilation = 1, apart = 0;
};
/// Fetches, in the body of `loop`, cells of the blocked map `argument`, of `blocks` of
/// channels, that a tile so far apart, and so many images further on, reads and the
/// one before it does not.
void fetchCells(KernelBuilder &builder, const StreamLoop &loop, mlir::Value argument,
                CellsAhead columns, CellsAhead rows, int blocks = 1, int images = 0);
/// The same for all tensors like the output that a group reads behind its anchor,
/// but for the map that the anchor reads.
void fetchAdded(KernelBuilder &builder, const StreamLoop &loop, mlir::Value source,
                CellsAhead columns, CellsAhead rows, int blocks = 1);

/// Unroll factor for a reduction over `extent` lanes.
int unrollFactor(int extent, int accumulators);

/// Seconds of `flops` operations of maps: one result each and dependent, they
/// run at about a third of the peak.
inline double epilogueSeconds(const Target &target, double flops) {
  return 3 * flops / (target.flops * target.cores);
}

/// Seconds of a convolution: arithmetic at `efficiency` of the peak, or the
/// group's bytes. `flops` are those that the algorithm really does, `again` the
/// bytes that it reads more than once from beyond L2.
double convSeconds(const Group &group, const Target &target, double flops,
                   double efficiency, double extraBytes = 0, double again = 0);

/// Bytes of weights that pass L2 once for every tile of pixels, where those of a
/// tile's channels, with all taps, are more than it holds; else 0.
double bytesPerTile(const ConvShape &s, const Tile &tile, const Target &target);

/// Adds `name = value` of `defaults` as the builder's schedule overrides them.
inline int param(const KernelBuilder &builder, cnn::ScheduleAttr defaults,
                 llvm::StringRef name) {
  return (int)builder.schedule.param(name, defaults.param(name));
}

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_CONVCOMMON_H
