//===- Pixels.cpp - Pictures of numbers -----------------------------------===//

#include "compiler/tools/Pixels.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/Compression.h"
#include "llvm/Support/Endian.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace halcyon {

void Pixels::put(const Pixels &other, int64_t y, int64_t x) {
  for (int64_t i = std::max<int64_t>(0, -y); i < std::min(other.height, height - y); ++i)
    for (int64_t j = std::max<int64_t>(0, -x); j < std::min(other.width, width - x); ++j)
      (*this)(y + i, x + j) = other(i, j);
}

Pixels Pixels::enlarged(int64_t factor) const {
  Pixels result(height * factor, width * factor);
  for (int64_t y = 0; y < result.height; ++y)
    for (int64_t x = 0; x < result.width; ++x)
      result(y, x) = (*this)(y / factor, x / factor);
  return result;
}

Pixels Pixels::reduced(int64_t size) const {
  int64_t step = std::max<int64_t>(1, (std::max(height, width) + size - 1) / size);
  Pixels result((height + step - 1) / step, (width + step - 1) / step);
  for (int64_t y = 0; y < result.height; ++y)
    for (int64_t x = 0; x < result.width; ++x)
      result(y, x) = (*this)(y * step, x * step);
  return result;
}

/// A chunk: its length, its name and data, their check sum.
static void addChunk(std::string &png, StringRef name, StringRef data) {
  auto addNumber = [&](uint32_t number) {
    char bytes[4];
    support::endian::write32be(bytes, number);
    png.append(bytes, 4);
  };
  addNumber(data.size());
  std::string checked = (name + Twine(data)).str();
  png += checked;
  addNumber(crc32(arrayRefFromStringRef(checked)));
}

std::string Pixels::png() const {
  if (!compression::zlib::isAvailable())
    return "";
  std::string rows;
  for (int64_t y = 0; y < height; ++y) {
    rows += '\0'; // no filter
    for (int64_t x = 0; x < width; ++x)
      rows.append(reinterpret_cast<const char *>((*this)(y, x).data()), 3);
  }
  SmallVector<uint8_t> packed;
  compression::zlib::compress(arrayRefFromStringRef(rows), packed);
  char header[13] = {};
  support::endian::write32be(header, width);
  support::endian::write32be(header + 4, height);
  header[8] = 8; // bits
  header[9] = 2; // red, green, blue
  std::string result("\x89PNG\r\n\x1a\n", 8);
  addChunk(result, "IHDR", StringRef(header, sizeof header));
  addChunk(result, "IDAT", toStringRef(packed));
  addChunk(result, "IEND", "");
  return result;
}

static uint8_t level(float part) {
  return std::isfinite(part) ? std::lround(255 * std::clamp(part, 0.0f, 1.0f)) : 0;
}

Pixels grey(ArrayRef<float> map, int64_t height, int64_t width) {
  return photo(map, 1, height, width);
}

Pixels signedGrey(ArrayRef<float> map, int64_t height, int64_t width) {
  float most = 0;
  for (float value : map)
    most = std::max(most, std::fabs(value));
  Pixels result(height, width);
  for (size_t i = 0; i < map.size(); ++i)
    result.at[i].fill(level(most > 0 ? 0.5f + 0.5f * map[i] / most : 0.5f));
  return result;
}

Pixels photo(ArrayRef<float> maps, int64_t channels, int64_t height, int64_t width) {
  auto [low, high] = std::minmax_element(maps.begin(), maps.end());
  float least = maps.empty() ? 0 : *low, range = maps.empty() ? 0 : *high - least;
  Pixels result(height, width);
  for (int64_t i = 0; i < height * width; ++i)
    for (int64_t c = 0; c < 3; ++c) {
      float value = maps[(channels == 3 ? c : 0) * height * width + i];
      result.at[i][c] = level(range > 0 ? (value - least) / range : 0);
    }
  return result;
}

Colour heat(float value) {
  static constexpr float stops[][3] = {
      {0.05f, 0.05f, 0.35f}, {0.0f, 0.45f, 0.75f}, {0.2f, 0.75f, 0.4f}, {0.95f, 0.85f, 0.2f}, {0.85f, 0.1f, 0.1f}};
  float at = std::clamp(value, 0.0f, 1.0f) * 4;
  int first = std::min(3, int(at));
  Colour result;
  for (int c = 0; c < 3; ++c)
    result[c] = level(stops[first][c] + (at - first) * (stops[first + 1][c] - stops[first][c]));
  return result;
}

Pixels grid(ArrayRef<Pixels> tiles, int64_t columns) {
  if (tiles.empty())
    return {};
  int64_t count = tiles.size(), high = tiles[0].height + 1, wide = tiles[0].width + 1;
  columns = std::clamp<int64_t>(columns, 1, count);
  int64_t rows = (count + columns - 1) / columns;
  Pixels result(rows * high + 1, columns * wide + 1, {40, 40, 60});
  for (int64_t i = 0; i < count; ++i)
    result.put(tiles[i], i / columns * high + 1, i % columns * wide + 1);
  return result;
}

std::vector<float> resized(ArrayRef<float> map, int64_t height, int64_t width,
                           int64_t toHeight, int64_t toWidth) {
  std::vector<float> result(toHeight * toWidth);
  for (int64_t i = 0; i < toHeight; ++i)
    for (int64_t j = 0; j < toWidth; ++j) {
      float y = std::clamp((i + 0.5f) * height / toHeight - 0.5f, 0.0f, height - 1.0f);
      float x = std::clamp((j + 0.5f) * width / toWidth - 0.5f, 0.0f, width - 1.0f);
      int64_t y0 = y, x0 = x, y1 = std::min(y0 + 1, height - 1),
              x1 = std::min(x0 + 1, width - 1);
      float v = y - y0, u = x - x0;
      result[i * toWidth + j] =
          (1 - v) * ((1 - u) * map[y0 * width + x0] + u * map[y0 * width + x1]) +
          v * ((1 - u) * map[y1 * width + x0] + u * map[y1 * width + x1]);
    }
  return result;
}

} // namespace halcyon
