//===- Picture.cpp - Pictures, and what moves their pixels ----------------===//

#include "Picture.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace halcyon::train {

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
/// The source pixels of one target pixel along an axis, and their weights.
struct Taps {
  int first;
  std::vector<float> weights;
};
} // namespace

/// A triangle as wide as a target pixel, at least as a source pixel: bilinear
/// where it grows, the mean of all where it shrinks.
static std::vector<Taps> tapsOf(double from, double extent, int source, int target) {
  double scale = extent / target, reach = std::max(scale, 1.0);
  std::vector<Taps> result(size_t(target), Taps{});
  for (int i = 0; i < target; ++i) {
    double center = from + (i + 0.5) * scale;
    int first = std::max(0, int(std::floor(center - reach))),
        last = std::min(source - 1, int(std::ceil(center + reach)));
    Taps &taps = result[size_t(i)];
    taps.first = first = std::min(first, source - 1);
    double sum = 0;
    std::vector<double> weights;
    for (int s = first; s <= last; ++s) {
      double weight = std::max(0.0, 1 - std::abs((s + 0.5 - center) / reach));
      weights.push_back(weight);
      sum += weight;
    }
    if (sum <= 0) {
      weights.assign(1, 1);
      sum = 1;
    }
    for (double weight : weights)
      taps.weights.push_back(float(weight / sum));
  }
  return result;
}

void resample(Sample &sample, Box box, int height, int width) {
  const Picture &from = sample.picture;
  if (box.y == 0 && box.x == 0 && box.height == height && box.width == width &&
      from.height == height && from.width == width)
    return;
  std::vector<Taps> rows = tapsOf(box.y, box.height, from.height, height),
                    columns = tapsOf(box.x, box.width, from.width, width);
  Picture half(from.channels, from.height, width), to(from.channels, height, width);
  for (int c = 0; c < from.channels; ++c) {
    for (int y = 0; y < from.height; ++y)
      for (int x = 0; x < width; ++x) {
        const Taps &taps = columns[size_t(x)];
        float sum = 0;
        for (size_t t = 0; t < taps.weights.size(); ++t)
          sum += taps.weights[t] * from.row(c, y)[taps.first + int(t)];
        half.row(c, y)[x] = sum;
      }
    for (int y = 0; y < height; ++y) {
      const Taps &taps = rows[size_t(y)];
      float *out = to.row(c, y);
      for (size_t t = 0; t < taps.weights.size(); ++t) {
        const float *in = half.row(c, taps.first + int(t));
        for (int x = 0; x < width; ++x)
          out[x] += taps.weights[t] * in[x];
      }
    }
  }
  if (!sample.mask.empty()) {
    std::vector<int32_t> mask(size_t(height) * width);
    auto nearest = [](double from, double extent, int i, int target, int source) {
      return std::clamp(int(from + (i + 0.5) * extent / target), 0, source - 1);
    };
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        mask[size_t(y) * width + x] =
            sample.mask[size_t(nearest(box.y, box.height, y, height, from.height)) *
                            from.width +
                        nearest(box.x, box.width, x, width, from.width)];
    sample.mask = std::move(mask);
  }
  moveBoxes(sample.boxes, box.x, box.y, width / box.width, height / box.height, height,
            width);
  sample.picture = std::move(to);
}

//===----------------------------------------------------------------------===//
// Moving
//===----------------------------------------------------------------------===//

void cut(Sample &sample, int top, int left, int height, int width, float fill) {
  const Picture &from = sample.picture;
  Picture to(from.channels, height, width, fill);
  std::vector<int32_t> mask(sample.mask.empty() ? 0 : size_t(height) * width);
  int first = std::max(0, -left), last = std::min(width, from.width - left);
  for (int y = std::max(0, -top); y < std::min(height, from.height - top); ++y) {
    if (first >= last)
      break;
    for (int c = 0; c < from.channels; ++c)
      std::copy_n(from.row(c, y + top) + first + left, last - first,
                  to.row(c, y) + first);
    if (!mask.empty())
      std::copy_n(sample.mask.data() + size_t(y + top) * from.width + first + left,
                  last - first, mask.data() + size_t(y) * width + first);
  }
  moveBoxes(sample.boxes, left, top, 1, 1, height, width);
  sample.picture = std::move(to);
  sample.mask = std::move(mask);
}

void flipHorizontally(Sample &sample) {
  Picture &p = sample.picture;
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < p.height; ++y)
      std::reverse(p.row(c, y), p.row(c, y) + p.width);
  for (size_t at = 0; at < sample.mask.size(); at += size_t(p.width))
    std::reverse(sample.mask.begin() + long(at),
                 sample.mask.begin() + long(at) + p.width);
  for (Marked &box : sample.boxes)
    std::tie(box.left, box.right) = std::pair(p.width - box.right, p.width - box.left);
}

void flipVertically(Sample &sample) {
  Picture &p = sample.picture;
  for (int c = 0; c < p.channels; ++c)
    for (int y = 0; y < p.height / 2; ++y)
      std::swap_ranges(p.row(c, y), p.row(c, y) + p.width,
                       p.row(c, p.height - 1 - y));
  for (int y = 0; !sample.mask.empty() && y < p.height / 2; ++y)
    std::swap_ranges(sample.mask.begin() + long(y) * p.width,
                     sample.mask.begin() + long(y + 1) * p.width,
                     sample.mask.begin() + long(p.height - 1 - y) * p.width);
  for (Marked &box : sample.boxes)
    std::tie(box.top, box.bottom) = std::pair(p.height - box.bottom, p.height - box.top);
}

void warp(Sample &sample, const Field &from, float fill) {
  const Picture &p = sample.picture;
  Picture to(p.channels, p.height, p.width, fill);
  std::vector<int32_t> mask(sample.mask.size());
  // A box goes around all pixels that come from it, whatever the field.
  std::vector<Marked> around = sample.boxes;
  for (Marked &box : around)
    box.left = box.top = INFINITY, box.right = box.bottom = -INFINITY;
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x) {
      double sy = y, sx = x;
      from(sy, sx);
      for (size_t i = 0; i < around.size(); ++i) {
        const Marked &box = sample.boxes[i];
        double py = sy + 0.5, px = sx + 0.5;
        if (px < box.left || px >= box.right || py < box.top || py >= box.bottom)
          continue;
        around[i].left = std::min(around[i].left, double(x));
        around[i].right = std::max(around[i].right, x + 1.0);
        around[i].top = std::min(around[i].top, double(y));
        around[i].bottom = std::max(around[i].bottom, y + 1.0);
      }
      if (!(sy > -1 && sx > -1 && sy < p.height && sx < p.width))
        continue;
      int y0 = int(std::floor(sy)), x0 = int(std::floor(sx));
      float fy = float(sy - y0), fx = float(sx - x0);
      for (int c = 0; c < p.channels; ++c) {
        auto at = [&](int yy, int xx) {
          return yy >= 0 && xx >= 0 && yy < p.height && xx < p.width
                     ? p.row(c, yy)[xx]
                     : fill;
        };
        to.row(c, y)[x] =
            (at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx) * (1 - fy) +
            (at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx) * fy;
      }
      int ny = int(std::lround(sy)), nx = int(std::lround(sx));
      if (!mask.empty() && ny >= 0 && nx >= 0 && ny < p.height && nx < p.width)
        mask[size_t(y) * p.width + x] = sample.mask[size_t(ny) * p.width + nx];
    }
  std::erase_if(around, [](const Marked &box) { return box.right < box.left; });
  sample.boxes = std::move(around);
  sample.picture = std::move(to);
  sample.mask = std::move(mask);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void blur(Picture &picture, double sigma) {
  int reach = std::max(1, int(std::ceil(3 * sigma)));
  std::vector<float> weights;
  float sum = 0;
  for (int i = -reach; i <= reach; ++i) {
    weights.push_back(float(std::exp(-0.5 * i * i / (sigma * sigma))));
    sum += weights.back();
  }
  for (float &weight : weights)
    weight /= sum;
  Picture half = picture;
  for (int c = 0; c < picture.channels; ++c) {
    for (int y = 0; y < picture.height; ++y)
      for (int x = 0; x < picture.width; ++x) {
        float value = 0;
        for (int i = -reach; i <= reach; ++i)
          value += weights[size_t(i + reach)] *
                   picture.row(c, y)[std::clamp(x + i, 0, picture.width - 1)];
        half.row(c, y)[x] = value;
      }
    for (int y = 0; y < picture.height; ++y)
      for (int x = 0; x < picture.width; ++x) {
        float value = 0;
        for (int i = -reach; i <= reach; ++i)
          value += weights[size_t(i + reach)] *
                   half.row(c, std::clamp(y + i, 0, picture.height - 1))[x];
        picture.row(c, y)[x] = value;
      }
  }
}

void blend(Picture &picture, const Picture &other, float factor) {
  for (size_t i = 0; i < picture.values.size(); ++i)
    picture.values[i] = std::clamp(
        other.values[i] + factor * (picture.values[i] - other.values[i]), 0.0f, 1.0f);
}

Picture grayOf(const Picture &picture) {
  Picture gray = picture;
  if (picture.channels != 3)
    return gray;
  size_t plane = picture.values.size() / 3;
  for (size_t i = 0; i < plane; ++i) {
    const float *v = picture.values.data() + i;
    float value = luma(v[0], v[plane], v[2 * plane]);
    for (size_t c = 0; c < 3; ++c)
      gray.values[c * plane + i] = value;
  }
  return gray;
}

/// A rotation about the gray axis, in the space of brightness and two colour
/// differences (YIQ): cheap, and the identity for no turn.
void turnHue(Picture &picture, double turn) {
  if (picture.channels != 3)
    return;
  size_t plane = picture.values.size() / 3;
  float cosine = float(std::cos(turn * 6.283185307179586)),
        sine = float(std::sin(turn * 6.283185307179586));
  for (size_t n = 0; n < plane; ++n) {
    float &r = picture.values[n], &g = picture.values[plane + n],
          &b = picture.values[2 * plane + n];
    float y = luma(r, g, b), i = 0.596f * r - 0.274f * g - 0.322f * b,
          q = 0.211f * r - 0.523f * g + 0.312f * b;
    float turnedI = cosine * i - sine * q, turnedQ = sine * i + cosine * q;
    r = std::clamp(y + 0.956f * turnedI + 0.621f * turnedQ, 0.0f, 1.0f);
    g = std::clamp(y - 0.272f * turnedI - 0.647f * turnedQ, 0.0f, 1.0f);
    b = std::clamp(y - 1.106f * turnedI + 1.703f * turnedQ, 0.0f, 1.0f);
  }
}

} // namespace halcyon::train
