//===- Machine.h - What a machine can do at most ---------------------------===//
//
// Loops that reach a core's limits: multiply-adds from registers, and bytes
// from one level of the memory. Benchmarks state their results as parts of
// these.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_BENCH_MACHINE_H
#define HALCYON_BENCH_MACHINE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace halcyon::bench {

/// Floating-point operations of one step of `multiplyAdds`, and of `dots`.
extern const double kMultiplyAddFlops, kDotFlops;
/// Independent f32 multiply-adds.
void multiplyAdds(int64_t steps);
/// Independent dot products of bf16 pairs. Without the instruction,
/// `kDotFlops` is 0.
void dots(int64_t steps);

/// Reads `count` floats.
void sum(const float *from, size_t count);
/// Reads `count` floats and writes as many.
void scale(float *to, const float *from, size_t count);

/// A level of the memory, with what one of `threads` threads works on to stay
/// within it.
struct Level {
  std::string name; ///< "L1", "L2", ..., "memory"
  size_t bytes;
};
std::vector<Level> levels(int threads);

/// CPUs that the process may use.
int countCpus();
/// Pins the calling thread to the index-th CPU that the process may use.
void pinTo(int index);

/// GFLOP/s of `multiplyAdds` on so many pinned threads.
double measurePeak(int threads);
/// GB/s of `scale`, bytes read and written, on so many pinned threads where
/// all of them together work on `bytes`.
double measureBandwidth(size_t bytes, int threads);

} // namespace halcyon::bench

#endif // HALCYON_BENCH_MACHINE_H
