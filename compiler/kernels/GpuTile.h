//===- GpuTile.h - Sums of products by tiles on a device ------------------===//
//
// A block of threads computes a tile of a sum of products, each thread a part of
// it in registers. A few terms of both factors are copied to the memory that the
// block shares, used by all its threads, and replaced by the next few: the way
// of blocked products (Volkov and Demmel, Benchmarking GPUs to tune dense linear
// algebra, 2008).
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_GPUTILE_H
#define HALCYON_COMPILER_KERNELS_GPUTILE_H

#include "compiler/kernels/Builder.h"

namespace halcyon {

/// How much a thread computes, and how many threads there are of it: channels,
/// and pixels across and down.
struct GpuTile {
  int co = 4, x = 4, y = 1;
  int threadsCo = 16, threadsX = 2, threadsY = 8;

  int blockCo() const { return co * threadsCo; }
  int blockX() const { return x * threadsX; }
  int blockY() const { return y * threadsY; }
  int threads() const { return threadsCo * threadsX * threadsY; }
  int sums() const { return co * x * y; }

  /// As a schedule has it; `parameters` are the same names.
  static GpuTile of(cnn::ScheduleAttr schedule);
  cnn::ScheduleAttr schedule(mlir::MLIRContext *context,
                             llvm::StringRef kernel) const;
  static llvm::SmallVector<ScheduleParameter> parameters();
  /// The same, of a product whose columns lie in one row.
  static llvm::SmallVector<ScheduleParameter> parametersOfRows();

  /// Whether a block has room for it with so many bytes of shared memory.
  bool fits(const Target &target, int64_t sharedBytes, std::string &why) const;

  /// The part of the peak to be expected on a map: what the tile's edges use,
  /// what it reads of shared memory, whether all multiprocessors have work.
  double efficiency(const Target &target, int channels, int width, int height,
                    int maps = 1) const;
};

/// The tile of the best efficiency of those for which `sharedBytes` fits.
GpuTile chooseGpuTile(const Target &target, int channels, int width, int height,
                      int maps,
                      llvm::function_ref<int64_t(const GpuTile &)> sharedBytes);

/// How a sum is scheduled.
struct StagedSum {
  Halide::Func sum;               ///< zero, and one update
  Halide::Func user;              ///< reads each element of it once
  Halide::Var at;                 ///< a block's loop in `user`
  Halide::Var co, x, y;           ///< the sum's dimensions that the tile has;
                                  ///< y is unused where `rows` is false
  bool rows = true;
  std::vector<Halide::Var> rest;  ///< its other dimensions, of extent 1
  std::vector<Halide::RVar> inner; ///< terms between two copies, innermost first
  std::vector<Halide::RVar> outer; ///< others; a copy is made in the first
  std::vector<Halide::Func> copies; ///< what is staged in shared memory
};

/// Schedules the sum and its copies. The innermost of the inner terms is
/// unrolled.
void scheduleStagedSum(const StagedSum &s, const GpuTile &tile);

/// Splits a grid's loops over a user of such a sum: `block*` are the loops over
/// tiles, in which the sum can be computed. Tails are guarded.
struct TileLoops {
  Halide::Var co{"co"}, x{"xo"}, y{"yo"};
};
TileLoops splitByTile(Halide::Func user, const GpuTile &tile, Halide::Var co,
                      Halide::Var x, std::optional<Halide::Var> y,
                      bool vectorize);

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_GPUTILE_H
