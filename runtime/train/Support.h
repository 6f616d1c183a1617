//===- Support.h - What the parts of the trainer share --------------------===//
//
// The trainer is a program of its own: C++20 with its standard library linked
// in, no part of the runtime that other programs embed. What goes wrong is
// thrown as a Failure, whose text is one line for the user.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_SUPPORT_H
#define HALCYON_TRAIN_SUPPORT_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon::train {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file's bytes, unpacked where it is a gzip file.
std::vector<uint8_t> readFile(const std::string &path);

/// Writes a file whole or not at all; in either case what stood there before
/// is never half gone. Throws with the reason: no room, no permission.
void writeWhole(const std::string &path,
                std::span<const std::span<const std::byte>> pieces);
void writeWhole(const std::string &path, std::string_view text);

void makeFolder(const std::string &path);

/// Has the C library keep what is freed: pictures come and go, and new pages cost
/// more than what is done to one.
void keepFreedMemory();

/// Seconds of a clock that only goes forward.
double now();

/// Random numbers without state: the n-th of (seed, stream, item) is the same
/// whatever was drawn before, in whatever thread.
class Random {
public:
  /// What numbers are for, so that no two uses share any.
  enum Stream : uint64_t { Shuffle = 1, Augment, Initialize, Mix, Split, Noise };

  Random(uint64_t seed, Stream stream, uint64_t item, uint64_t part = 0);

  uint64_t next();
  /// In [0, 1).
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  double uniform(double from, double to) { return from + (to - from) * uniform(); }
  /// In [0, count).
  uint64_t below(uint64_t count);
  bool chance(double probability) { return uniform() < probability; }
  double normal();
  /// Of Beta(alpha, alpha).
  double beta(double alpha);

private:
  double gamma(double shape);

  uint64_t key, counter = 0;
};

/// 0 .. count-1 in an order of the generator's.
std::vector<uint32_t> permutation(size_t count, Random random);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_SUPPORT_H
