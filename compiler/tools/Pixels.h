//===- Pixels.h - Pictures of numbers -------------------------------------===//

#ifndef HALCYON_COMPILER_TOOLS_PIXELS_H
#define HALCYON_COMPILER_TOOLS_PIXELS_H

#include "llvm/ADT/ArrayRef.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace halcyon {

using Colour = std::array<uint8_t, 3>;

/// Colours, row by row.
struct Pixels {
  Pixels() = default;
  Pixels(int64_t height, int64_t width, Colour fill = {})
      : height(height), width(width), at(height * width, fill) {}
  Colour &operator()(int64_t y, int64_t x) { return at[y * width + x]; }
  const Colour &operator()(int64_t y, int64_t x) const { return at[y * width + x]; }
  /// Copies a picture to a place, as far as there is room.
  void put(const Pixels &other, int64_t y, int64_t x);
  /// Each pixel as a square of so many.
  Pixels enlarged(int64_t factor) const;
  /// Every so many-th pixel, at most `size` on the longer side.
  Pixels reduced(int64_t size) const;
  /// A PNG file's bytes; empty where LLVM was built without zlib.
  std::string png() const;

  int64_t height = 0, width = 0;
  std::vector<Colour> at;
};

/// A map from its least to its largest value, black to white. One of equal values
/// is black.
Pixels grey(llvm::ArrayRef<float> map, int64_t height, int64_t width);
/// A map where 0 is the middle grey, and the largest value by amount black or white.
Pixels signedGrey(llvm::ArrayRef<float> map, int64_t height, int64_t width);
/// A picture of 3 channels, or of 1, from its least to its largest value.
Pixels photo(llvm::ArrayRef<float> maps, int64_t channels, int64_t height,
             int64_t width);
/// Values from 0 to 1 as dark blue, green, yellow, red.
Colour heat(float value);
/// Pictures of one size in rows, a dark line between them.
Pixels grid(llvm::ArrayRef<Pixels> tiles, int64_t columns);
/// A map in another size, between whose elements is interpolated: bilinear, with
/// centres at half positions.
std::vector<float> resized(llvm::ArrayRef<float> map, int64_t height, int64_t width,
                           int64_t toHeight, int64_t toWidth);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_PIXELS_H
