//===- Support.cpp - What the parts of the trainer share ------------------===//

#include "Support.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <numbers>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

namespace halcyon::train {

static std::string reason() { return strerror(errno); }

std::vector<uint8_t> readFile(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    throw Failure(path + ": it is a folder");
  errno = 0;
  // Reads what is not packed as it is.
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file)
    throw Failure("can't read " + path + ": " + reason());
  std::vector<uint8_t> bytes;
  size_t used = 0;
  int count = 0;
  do {
    bytes.resize(std::max<size_t>(used + (1 << 16), bytes.size() * 2));
    count = gzread(file, bytes.data() + used,
                   unsigned(std::min<size_t>(bytes.size() - used, 1 << 30)));
    used += count > 0 ? size_t(count) : 0;
  } while (count > 0);
  int status = gzclose(file);
  if (count < 0 || status != Z_OK)
    throw Failure(path + ": can't be read, or is damaged");
  bytes.resize(used);
  return bytes;
}

void writeWhole(const std::string &path,
                std::span<const std::span<const std::byte>> pieces) {
  std::string temporary = path + ".tmp" + std::to_string(getpid());
  int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = file >= 0;
  for (auto piece : pieces)
    while (good && !piece.empty()) {
      ssize_t written = write(file, piece.data(), piece.size());
      if (written < 0 && errno == EINTR)
        continue;
      good = written > 0;
      if (good)
        piece = piece.subspan(size_t(written));
    }
  // A name that stands for bytes that were never written is worse than none.
  good = good && fsync(file) == 0;
  int first = errno;
  if (file >= 0 && close(file) != 0 && good) {
    good = false;
    first = errno;
  }
  if (good && rename(temporary.c_str(), path.c_str()) != 0) {
    good = false;
    first = errno;
  }
  if (good)
    return;
  unlink(temporary.c_str());
  throw Failure("can't write " + path + ": " + strerror(first));
}

void writeWhole(const std::string &path, std::string_view text) {
  std::span<const std::byte> piece = std::as_bytes(std::span(text));
  writeWhole(path, std::span(&piece, 1));
}

void makeFolder(const std::string &path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    mkdir(path.substr(0, slash).c_str(), 0777);
  struct stat info;
  if (mkdir(path.c_str(), 0777) != 0 &&
      (errno != EEXIST || stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)))
    throw Failure("can't make the folder " + path + ": " + reason());
}

void keepFreedMemory() {
  constexpr int picture = 32 << 20; // bytes: the most that glibc takes
  mallopt(M_MMAP_THRESHOLD, picture);
  mallopt(M_TRIM_THRESHOLD, 4 * picture);
}

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

/// 2^64 over the golden ratio: consecutive multiples fall far apart.
static constexpr uint64_t golden = 0x9e3779b97f4a7c15;

Random::Random(uint64_t seed, Stream stream, uint64_t item, uint64_t part)
    : key(mix(mix(mix(mix(seed + golden) + stream * golden) + item * golden) +
              part * golden)) {}

uint64_t Random::next() { return mix(key + ++counter * golden); }

uint64_t Random::below(uint64_t count) {
  return uint64_t((unsigned __int128)(next()) * count >> 64);
}

double Random::normal() {
  double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

/// Marsaglia and Tsang, 2000.
double Random::gamma(double shape) {
  if (shape < 1) {
    double power = std::pow(1 - uniform(), 1 / shape);
    return gamma(shape + 1) * power;
  }
  double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    double x = normal(), v = 1 + c * x;
    v = v * v * v;
    if (v > 0 && std::log(1 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v))
      return d * v;
  }
}

double Random::beta(double alpha) {
  double a = gamma(alpha), b = gamma(alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

std::vector<uint32_t> permutation(size_t count, Random random) {
  std::vector<uint32_t> order(count);
  for (size_t i = 0; i < count; ++i) {
    size_t j = random.below(i + 1);
    order[i] = order[j];
    order[j] = uint32_t(i);
  }
  return order;
}

} // namespace halcyon::train
