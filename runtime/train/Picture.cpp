//===- Picture.cpp - Pictures, and what moves their pixels ----------------===//

#include "Picture.h"
#include "Pixels.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <tuple>

namespace halcyon::train {

//===----------------------------------------------------------------------===//
// As kernels take them
//===----------------------------------------------------------------------===//

namespace {
/// A buffer of a kernel's over values that somebody else owns.
template <class T> class Buffer {
public:
  Buffer(const T *values, std::initializer_list<int> extents) {
    int64_t stride = 1;
    for (int extent : extents) {
      dims[buffer.dimensions++] = {0, extent, int32_t(stride)};
      stride *= extent;
    }
    // What is only read is const to whoever has it, and to no kernel.
    buffer.host = const_cast<uint8_t *>(reinterpret_cast<const uint8_t *>(values));
    buffer.type = halide_type_of<T>();
    buffer.dim = dims;
  }
  Buffer(const std::vector<T> &values, std::initializer_list<int> extents)
      : Buffer(values.data(), extents) {}
  Buffer(const Buffer &) = delete;
  operator halide_buffer_t *() { return &buffer; }

  /// The part of dimension `which` from a place on.
  Buffer &narrow(int which, int from, int extent) {
    buffer.host += size_t(from) * size_t(dims[which].stride) * sizeof(T);
    dims[which].extent = extent;
    return *this;
  }
  Buffer &narrow(Area area) {
    return narrow(1, area.top, area.height).narrow(0, area.left, area.width);
  }

private:
  halide_buffer_t buffer = {};
  halide_dimension_t dims[3];
};

struct PictureBuffer : Buffer<float> {
  explicit PictureBuffer(const Picture &p)
      : Buffer(p.values, {p.width, p.height, p.channels}) {}
};

struct MaskBuffer : Buffer<int32_t> {
  MaskBuffer(const std::vector<int32_t> &mask, int height, int width)
      : Buffer(mask, {width, height, 1}) {}
};
} // namespace

/// Another picture of the same form, made by a kernel from this one.
template <class Kernel, class... Values>
static void remake(Picture &picture, Kernel kernel, Values &&...values) {
  Picture made(picture.channels, picture.height, picture.width);
  kernel(PictureBuffer(picture), std::forward<Values>(values)..., PictureBuffer(made));
  picture = std::move(made);
}

template <class Kernel, class... Values>
static void remakeMask(std::vector<int32_t> &mask, int height, int width, Kernel kernel,
                       Values &&...values) {
  if (mask.empty())
    return;
  std::vector<int32_t> made(mask.size());
  kernel(MaskBuffer(mask, height, width), std::forward<Values>(values)...,
         MaskBuffer(made, height, width));
  mask = std::move(made);
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// An object of which less is left in the picture is none any more.
static constexpr double leastLeft = 0.25;

/// Shifts and scales boxes, and cuts them to the picture's new size.
static void moveBoxes(std::vector<Marked> &boxes, double left, double top,
                      double scaleX, double scaleY, int height, int width) {
  for (Marked &box : boxes) {
    box.left = (box.left - left) * scaleX;
    box.right = (box.right - left) * scaleX;
    box.top = (box.top - top) * scaleY;
    box.bottom = (box.bottom - top) * scaleY;
  }
  std::erase_if(boxes, [&](Marked &box) {
    auto area = [&] {
      return std::max(box.right - box.left, 0.0) * std::max(box.bottom - box.top, 0.0);
    };
    double before = area();
    box.left = std::max(box.left, 0.0);
    box.top = std::max(box.top, 0.0);
    box.right = std::min(box.right, double(width));
    box.bottom = std::min(box.bottom, double(height));
    return area() <= leastLeft * before;
  });
}

//===----------------------------------------------------------------------===//
// Scaling
//===----------------------------------------------------------------------===//

namespace {
/// The source pixels of each target pixel along an axis, and their weights: the t-th
/// of all pixels one after another.
struct Taps {
  std::vector<int32_t> first;
  std::vector<float> weights;
  int count = 0; ///< of weights a pixel, 0 where it has fewer

  explicit Taps(const std::vector<std::vector<double>> &all, std::vector<int32_t> from)
      : first(std::move(from)) {
    for (const std::vector<double> &one : all)
      count = std::max(count, int(one.size()));
    weights.resize(all.size() * size_t(count));
    for (size_t i = 0; i < all.size(); ++i) {
      double sum = 0;
      for (double weight : all[i])
        sum += weight;
      for (size_t t = 0; t < all[i].size(); ++t)
        weights[t * all.size() + i] = float(all[i][t] / sum);
    }
  }
  int size() const { return int(first.size()); }
  int begin() const { return *std::min_element(first.begin(), first.end()); }
  int end(int source) const {
    return std::min(source, *std::max_element(first.begin(), first.end()) + count);
  }
};
} // namespace

/// A triangle as wide as a target pixel, at least as a source pixel: bilinear
/// where it grows, the mean of all where it shrinks.
static Taps scalingTaps(double from, double extent, int source, int target) {
  double scale = extent / target, reach = std::max(scale, 1.0);
  std::vector<std::vector<double>> all(size_t(target), std::vector<double>{});
  std::vector<int32_t> begin(size_t(target), 0);
  for (int i = 0; i < target; ++i) {
    double center = from + (i + 0.5) * scale;
    auto weightOf = [&](int at) { return 1 - std::abs((at + 0.5 - center) / reach); };
    int first = std::clamp(int(std::floor(center - reach)), 0, source - 1),
        last = std::min(source - 1, int(std::ceil(center + reach)));
    while (first < last && weightOf(first) <= 0)
      ++first;
    begin[size_t(i)] = first;
    std::vector<double> &weights = all[size_t(i)];
    for (int at = first; at <= last && weightOf(at) > 0; ++at)
      weights.push_back(weightOf(at));
    if (weights.empty())
      weights.push_back(1);
  }
  return Taps(all, begin);
}

/// Of a normal distribution; what lies outside counts as the last pixel inside.
static Taps blurTaps(double sigma, int size) {
  int reach = std::max(1, int(std::ceil(3 * sigma)));
  std::vector<std::vector<double>> all(size_t(size), std::vector<double>{});
  std::vector<int32_t> begin(size_t(size), 0);
  for (int i = 0; i < size; ++i) {
    int first = std::max(i - reach, 0), last = std::min(i + reach, size - 1);
    begin[size_t(i)] = first;
    std::vector<double> &weights = all[size_t(i)];
    weights.resize(size_t(last - first + 1));
    for (int k = -reach; k <= reach; ++k)
      weights[size_t(std::clamp(i + k, first, last) - first)] +=
          std::exp(-0.5 * k * k / (sigma * sigma));
  }
  return Taps(all, begin);
}

/// With rows and columns exchanged.
static Picture transposed(const Picture &from) {
  Picture to(from.channels, from.width, from.height);
  halcyon_pixels_transpose(PictureBuffer(from), PictureBuffer(to));
  return to;
}

/// Sums of rows, each of a picture's columns from `begin` to `end`.
static Picture sumsOfRows(const Picture &from, const Taps &rows, int begin, int end) {
  Picture to(from.channels, rows.size(), end - begin);
  PictureBuffer part(from);
  part.narrow(0, begin, end - begin);
  halcyon_pixels_scale_rows(part, Buffer(rows.first, {rows.size()}),
                            Buffer(rows.weights, {rows.size(), rows.count}),
                            PictureBuffer(to));
  return to;
}

/// Sums of rows and then of columns, of what they need of the picture.
static Picture sumsOf(const Picture &from, const Taps &rows, Taps columns) {
  int begin = columns.begin();
  Picture half = sumsOfRows(from, rows, begin, columns.end(from.width));
  for (int32_t &first : columns.first)
    first -= begin;
  return transposed(sumsOfRows(transposed(half), columns, 0, half.height));
}

/// The nearest source pixel of each.
static std::vector<int32_t> nearestOf(double from, double extent, int source,
                                      int target) {
  std::vector<int32_t> nearest;
  for (int i = 0; i < target; ++i)
    nearest.push_back(
        std::clamp(int(from + (i + 0.5) * extent / target), 0, source - 1));
  return nearest;
}

void resample(Sample &sample, Box box, int height, int width) {
  const Picture &from = sample.picture;
  if (box.y == 0 && box.x == 0 && box.height == height && box.width == width &&
      from.height == height && from.width == width)
    return;
  if (!sample.mask.empty()) {
    std::vector<int32_t> mask(size_t(height) * size_t(width)),
        rows = nearestOf(box.y, box.height, from.height, height),
        columns = nearestOf(box.x, box.width, from.width, width);
    halcyon_pixels_pick_mask(MaskBuffer(sample.mask, from.height, from.width),
                             Buffer(rows, {height}), Buffer(columns, {width}),
                             MaskBuffer(mask, height, width));
    sample.mask = std::move(mask);
  }
  moveBoxes(sample.boxes, box.x, box.y, width / box.width, height / box.height, height,
            width);
  sample.picture = sumsOf(from, scalingTaps(box.y, box.height, from.height, height),
                          scalingTaps(box.x, box.width, from.width, width));
}

//===----------------------------------------------------------------------===//
// Moving
//===----------------------------------------------------------------------===//

void cut(Sample &sample, int top, int left, int height, int width, float fill) {
  const Picture &from = sample.picture;
  Picture to(from.channels, height, width);
  halcyon_pixels_cut(PictureBuffer(from), top, left, fill, PictureBuffer(to));
  if (!sample.mask.empty()) {
    std::vector<int32_t> mask(size_t(height) * size_t(width));
    halcyon_pixels_cut_mask(MaskBuffer(sample.mask, from.height, from.width), top, left,
                            0, MaskBuffer(mask, height, width));
    sample.mask = std::move(mask);
  }
  moveBoxes(sample.boxes, left, top, 1, 1, height, width);
  sample.picture = std::move(to);
}

static void flip(Sample &sample, bool horizontally) {
  remake(sample.picture, halcyon_pixels_flip, horizontally);
  remakeMask(sample.mask, sample.picture.height, sample.picture.width,
             halcyon_pixels_flip_mask, horizontally);
}

void flipHorizontally(Sample &sample) {
  flip(sample, true);
  for (Marked &box : sample.boxes)
    std::tie(box.left, box.right) = std::pair(sample.picture.width - box.right,
                                              sample.picture.width - box.left);
}

void flipVertically(Sample &sample) {
  flip(sample, false);
  for (Marked &box : sample.boxes)
    std::tie(box.top, box.bottom) = std::pair(sample.picture.height - box.bottom,
                                              sample.picture.height - box.top);
}

/// A box goes around all pixels that come from it, whatever the kernel.
template <class Kernel, class... Values>
static void warpBoxes(Sample &sample, Kernel kernel, Values &&...values) {
  if (sample.boxes.empty())
    return;
  std::vector<float> edges, around(4 * sample.boxes.size());
  for (const Marked &box : sample.boxes)
    for (double edge : {box.left, box.top, box.right, box.bottom})
      edges.push_back(float(edge));
  int count = int(sample.boxes.size());
  kernel(Buffer(edges, {4, count}), std::forward<Values>(values)...,
         sample.picture.height, sample.picture.width, Buffer(around, {4, count}));
  for (size_t i = 0; i < sample.boxes.size(); ++i) {
    const float *edge = around.data() + 4 * i;
    sample.boxes[i] = {edge[0], edge[1], edge[2], edge[3], sample.boxes[i].kind};
  }
  std::erase_if(sample.boxes, [](const Marked &box) { return box.right < box.left; });
}

void project(Sample &sample, const Projection &from, float fill) {
  std::vector<float> k(from.begin(), from.end());
  auto coefficients = [&k] { return Buffer(k, {8}); };
  warpBoxes(sample, halcyon_pixels_project_boxes, coefficients());
  remakeMask(sample.mask, sample.picture.height, sample.picture.width,
             halcyon_pixels_project_mask, coefficients());
  remake(sample.picture, halcyon_pixels_project, coefficients(), fill);
}

void displace(Sample &sample, const Picture &shifts, float scale, float fill) {
  warpBoxes(sample, halcyon_pixels_displace_boxes, PictureBuffer(shifts), scale);
  remakeMask(sample.mask, sample.picture.height, sample.picture.width,
             halcyon_pixels_displace_mask, PictureBuffer(shifts), scale);
  remake(sample.picture, halcyon_pixels_displace, PictureBuffer(shifts), scale, fill);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Picture decoded(const uint8_t *bytes, int channels, int height, int width) {
  Picture picture(channels, height, width);
  halcyon_pixels_decode(Buffer(bytes, {channels, width, height}), PictureBuffer(picture));
  return picture;
}

void blur(Picture &picture, double sigma) {
  picture = sumsOf(picture, blurTaps(sigma, picture.height), blurTaps(sigma, picture.width));
}

void normalize(Picture &picture, const std::vector<float> &mean,
               const std::vector<float> &deviation) {
  remake(picture, halcyon_pixels_normalize, Buffer(mean, {picture.channels}),
         Buffer(deviation, {picture.channels}));
}

void brightness(Picture &picture, float factor) {
  remake(picture, halcyon_pixels_blend_value, 0.0f, factor);
}

/// Parts of red, green and blue in the brightness: ITU-R BT.601.
static constexpr double luma[] = {0.299, 0.587, 0.114};

void contrast(Picture &picture, float factor) {
  std::vector<double> sums(size_t(picture.channels));
  halcyon_pixels_sums(PictureBuffer(picture), Buffer(sums, {picture.channels}));
  double mean = 0;
  for (size_t c = 0; c < sums.size(); ++c)
    mean += sums[c] * (sums.size() == 3 ? luma[c] : 1.0 / double(sums.size()));
  mean /= double(picture.height) * picture.width;
  remake(picture, halcyon_pixels_blend_value, float(mean), factor);
}

void saturation(Picture &picture, float factor) {
  if (picture.channels == 3)
    remake(picture, halcyon_pixels_saturate, factor);
}

void sharpness(Picture &picture, float factor) {
  Picture soft = picture;
  blur(soft, 0.8);
  remake(picture, halcyon_pixels_blend, PictureBuffer(soft), factor);
}

void turnHue(Picture &picture, double turn) {
  double angle = 2 * std::numbers::pi * turn;
  if (picture.channels == 3)
    remake(picture, halcyon_pixels_hue, float(std::cos(angle)), float(std::sin(angle)));
}

void autocontrast(Picture &picture) {
  std::vector<float> least(size_t(picture.channels)), span(least.size());
  halcyon_pixels_extremes(PictureBuffer(picture), Buffer(least, {picture.channels}),
                          Buffer(span, {picture.channels}));
  for (size_t c = 0; c < least.size(); ++c) {
    span[c] -= least[c];
    if (!(span[c] > 0)) {
      least[c] = 0;
      span[c] = 1;
    }
  }
  normalize(picture, least, span);
}

void equalize(Picture &picture) {
  constexpr int levels = 256;
  std::vector<int32_t> counts(size_t(levels) * size_t(picture.channels));
  std::vector<float> table(counts.size());
  halcyon_pixels_histogram(PictureBuffer(picture),
                           Buffer(counts, {levels, picture.channels}));
  for (size_t at = 0; at < counts.size(); at += levels) {
    int64_t below = 0;
    for (size_t i = at; i < at + levels; below += counts[i++])
      table[i] = float(double(below) / (double(picture.height) * picture.width));
  }
  remake(picture, halcyon_pixels_lookup, Buffer(table, {levels, picture.channels}));
}

void solarize(Picture &picture, float threshold) {
  remake(picture, halcyon_pixels_solarize, threshold);
}

void posterize(Picture &picture, int levels) {
  remake(picture, halcyon_pixels_posterize, float(levels));
}

void noise(Picture &picture, float deviation, uint64_t key) {
  remake(picture, halcyon_pixels_noise, deviation, key);
}

Picture scattered(int channels, int height, int width, uint64_t key) {
  Picture picture(channels, height, width);
  halcyon_pixels_scatter(key, height, width, PictureBuffer(picture));
  return picture;
}

/// The part of an area that lies in a picture.
static Area within(Area area, int height, int width) {
  int top = std::clamp(area.top, 0, height), left = std::clamp(area.left, 0, width);
  return {top, left, std::clamp(area.top + area.height, top, height) - top,
          std::clamp(area.left + area.width, left, width) - left};
}

void blank(Picture &picture, Area area, float value) {
  area = within(area, picture.height, picture.width);
  halcyon_pixels_fill(value, PictureBuffer(picture).narrow(area));
}

void mixPictures(const float *own, const float *other, float *out, int channels,
                 int height, int width, float part, Area area) {
  area = within(area, height, width);
  auto areaOf = [&](const float *values) {
    return Buffer(values, {width, height, channels});
  };
  halcyon_pixels_mix(areaOf(own).narrow(area), areaOf(other).narrow(area), part,
                     areaOf(out).narrow(area));
}

} // namespace halcyon::train
