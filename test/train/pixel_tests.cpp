//===- pixel_tests.cpp - Kernels for pictures against plain loops ---------===//
//
// Each over pictures of odd and even sizes, of one to four channels, smaller and
// larger than a vector.
//
//===----------------------------------------------------------------------===//

#include "check.h"
#include "train/Picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

using namespace halcyon::train;

namespace {
struct Shape {
  int channels, height, width;
};
} // namespace

static constexpr Shape shapes[] = {{1, 1, 1},   {3, 1, 5},   {1, 7, 3},  {3, 16, 16},
                                   {4, 17, 33}, {3, 31, 2},  {2, 5, 64}, {3, 40, 67},
                                   {1, 28, 28}, {3, 96, 130}};

/// Numbers within 0 to 1.
static Picture someOf(Shape s, uint64_t item = 0) {
  Picture picture(s.channels, s.height, s.width);
  Random random(7, Random::Noise, item);
  for (float &value : picture.values)
    value = float(random.uniform());
  return picture;
}

static Sample sampleOf(Shape s) {
  Sample sample;
  sample.picture = someOf(s);
  for (int i = 0; i < s.height * s.width; ++i)
    sample.mask.push_back(i);
  return sample;
}

using Value = std::function<double(int c, int y, int x)>;

/// Whether a picture has this form and these values.
static bool is(const Picture &picture, Shape s, double error, const Value &wanted) {
  if (picture.channels != s.channels || picture.height != s.height ||
      picture.width != s.width)
    return false;
  for (int c = 0; c < s.channels; ++c)
    for (int y = 0; y < s.height; ++y)
      for (int x = 0; x < s.width; ++x)
        if (!(std::abs(picture.row(c, y)[x] - wanted(c, y, x)) <= error)) {
          printf("(%d, %d, %d) of %dx%dx%d is %g, not %g\n", c, y, x, s.channels,
                 s.height, s.width, double(picture.row(c, y)[x]), wanted(c, y, x));
          return false;
        }
  return true;
}

static double clamped(double value) { return std::clamp(value, 0.0, 1.0); }

//===----------------------------------------------------------------------===//
// Where pixels are
//===----------------------------------------------------------------------===//

static void resampling() {
  for (Shape s : shapes)
    for (Shape to : shapes)
      for (bool part : {false, true}) {
        Box box = part ? Box{0.2 * s.height, 0.3 * s.width, 0.6 * s.height, 0.55 * s.width}
                       : Box{0, 0, double(s.height), double(s.width)};
        Sample sample = sampleOf(s), from = sample;
        sample.boxes.push_back({box.x, box.y, box.x + box.width, box.y + box.height, 1});
        resample(sample, box, to.height, to.width);
        auto weights = [](double begin, double extent, int source, int target, int i) {
          double scale = extent / target, reach = std::max(scale, 1.0), sum = 0;
          std::vector<double> all;
          for (int k = 0; k < source; ++k) {
            double center = begin + (i + 0.5) * scale;
            all.push_back(std::max(0.0, 1 - std::abs(k + 0.5 - center) / reach));
            sum += all.back();
          }
          for (double &weight : all)
            weight /= sum;
          return all;
        };
        CHECK(is(sample.picture, {s.channels, to.height, to.width}, 2e-6,
                 [&](int c, int y, int x) {
                   auto down = weights(box.y, box.height, s.height, to.height, y),
                        across = weights(box.x, box.width, s.width, to.width, x);
                   double sum = 0;
                   for (int i = 0; i < s.height; ++i)
                     for (int k = 0; down[size_t(i)] > 0 && k < s.width; ++k)
                       sum += down[size_t(i)] * across[size_t(k)] *
                              from.picture.row(c, i)[k];
                   return sum;
                 }));
        bool right = sample.mask.size() == size_t(to.height) * size_t(to.width);
        for (int y = 0; right && y < to.height; ++y)
          for (int x = 0; x < to.width; ++x) {
            int i = std::min(int(box.y + (y + 0.5) * box.height / to.height), s.height - 1),
                k = std::min(int(box.x + (x + 0.5) * box.width / to.width), s.width - 1);
            right &= sample.mask[size_t(y) * size_t(to.width) + size_t(x)] ==
                     i * s.width + k;
          }
        CHECK(right);
        CHECK(sample.boxes.size() == 1 && std::abs(sample.boxes[0].left) < 1e-9 &&
              std::abs(sample.boxes[0].bottom - to.height) < 1e-9);
      }
}

static void cutting() {
  for (Shape s : shapes)
    for (int top : {-3, 0, 2, 200})
      for (int left : {-20, 0, 1})
        for (int extent : {1, 15, 40}) {
          Sample sample = sampleOf(s), from = sample;
          int height = extent, width = extent + 2;
          cut(sample, top, left, height, width, 0.25f);
          auto isInside = [&](int y, int x) {
            return y + top >= 0 && y + top < s.height && x + left >= 0 &&
                   x + left < s.width;
          };
          CHECK(is(sample.picture, {s.channels, height, width}, 0,
                   [&](int c, int y, int x) {
                     return isInside(y, x) ? from.picture.row(c, y + top)[x + left] : 0.25f;
                   }));
          bool right = sample.mask.size() == size_t(height) * size_t(width);
          for (int y = 0; right && y < height; ++y)
            for (int x = 0; x < width; ++x)
              right &= sample.mask[size_t(y * width + x)] ==
                       (isInside(y, x) ? (y + top) * s.width + x + left : 0);
          CHECK(right);
        }
}

static void flipping() {
  for (Shape s : shapes)
    for (bool across : {false, true}) {
      Sample sample = sampleOf(s), from = sample;
      (across ? flipHorizontally : flipVertically)(sample);
      auto y0 = [&](int y) { return across ? y : s.height - 1 - y; };
      auto x0 = [&](int x) { return across ? s.width - 1 - x : x; };
      CHECK(is(sample.picture, s, 0, [&](int c, int y, int x) {
        return from.picture.row(c, y0(y))[x0(x)];
      }));
      bool right = true;
      for (int y = 0; y < s.height; ++y)
        for (int x = 0; x < s.width; ++x)
          right &= sample.mask[size_t(y * s.width + x)] == y0(y) * s.width + x0(x);
      CHECK(right);
    }
}

using Source = std::function<void(double &y, double &x)>;

/// Whether `made` is `from` with every value from where `source` says. Places are
/// f32 in the kernels: what lies within `slack` of a border may be on either side.
static void checkWarp(const Sample &from, const Sample &made, float fill, double error,
                      const Source &source) {
  const Picture &p = from.picture;
  constexpr double slack = 1e-3;
  CHECK(is(made.picture, {p.channels, p.height, p.width}, error, [&](int c, int y, int x) {
    double sy = y, sx = x;
    source(sy, sx);
    int y0 = int(std::floor(sy)), x0 = int(std::floor(sx));
    double fy = sy - y0, fx = sx - x0;
    auto at = [&](int i, int k) {
      return i >= 0 && k >= 0 && i < p.height && k < p.width ? p.row(c, i)[k] : fill;
    };
    return (at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx) * (1 - fy) +
           (at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx) * fy;
  }));
  auto isNear = [](double place) { return std::abs(place - std::round(place)) < slack; };
  int wrong = 0;
  std::vector<Marked> least, most;
  for (const Marked &box : from.boxes)
    for (std::vector<Marked> *all : {&least, &most})
      all->push_back({INFINITY, INFINITY, -INFINITY, -INFINITY, box.kind});
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x) {
      double sy = y, sx = x;
      source(sy, sx);
      int row = int(std::floor(sy + 0.5)), column = int(std::floor(sx + 0.5));
      bool inside = row >= 0 && column >= 0 && row < p.height && column < p.width;
      if (!isNear(sy + 0.5) && !isNear(sx + 0.5))
        wrong += made.mask[size_t(y * p.width + x)] !=
                 (inside ? row * p.width + column : 0);
      for (size_t i = 0; i < from.boxes.size(); ++i) {
        const Marked &box = from.boxes[i];
        auto grow = [&](Marked &around, double by) {
          if (sx + 0.5 < box.left - by || sx + 0.5 >= box.right + by ||
              sy + 0.5 < box.top - by || sy + 0.5 >= box.bottom + by)
            return;
          around.left = std::min(around.left, double(x));
          around.top = std::min(around.top, double(y));
          around.right = std::max(around.right, x + 1.0);
          around.bottom = std::max(around.bottom, y + 1.0);
        };
        grow(least[i], -slack);
        grow(most[i], slack);
      }
    }
  CHECK(wrong == 0);
  size_t at = 0;
  for (size_t i = 0; i < from.boxes.size(); ++i) {
    bool gone = at >= made.boxes.size() || made.boxes[at].kind != from.boxes[i].kind;
    CHECK(!gone || least[i].right < least[i].left);
    if (gone)
      continue;
    const Marked &box = made.boxes[at++];
    CHECK(box.left <= least[i].left && box.left >= most[i].left);
    CHECK(box.right >= least[i].right && box.right <= most[i].right);
    CHECK(box.top <= least[i].top && box.top >= most[i].top);
    CHECK(box.bottom >= least[i].bottom && box.bottom <= most[i].bottom);
  }
  CHECK(at == made.boxes.size());
}

static Sample boxedSampleOf(Shape s) {
  Sample sample = sampleOf(s);
  double h = s.height, w = s.width;
  sample.boxes = {{0.1 * w, 0.2 * h, 0.7 * w, 0.5 * h, 1},
                  {0, 0, w, h, 2},
                  {0.3 * w, 0.6 * h, 0.35 * w, 0.61 * h, 3}};
  return sample;
}

static void projecting() {
  for (Shape s : shapes)
    for (const Projection &k :
         {Projection{1, 0, 0, 0, 1, 0, 0, 0}, Projection{0.8, 0.31, -1.2, -0.29, 0.9, 2.7, 0, 0},
          Projection{-1, 0, s.width - 1.0, 0, -1, s.height - 1.0, 0, 0},
          Projection{1.1, 0.05, -0.4, 0.02, 0.93, 0.3, 1.3e-3, -0.7e-3},
          Projection{1e9, 0, 0, 0, 1e9, -1e8, 0, 0}}) {
      Sample sample = boxedSampleOf(s), from = sample;
      project(sample, k, 0.5f);
      checkWarp(from, sample, 0.5f, 2e-4, [&](double &y, double &x) {
        double d = k[6] * x + k[7] * y + 1;
        double u = (k[0] * x + k[1] * y + k[2]) / d, v = (k[3] * x + k[4] * y + k[5]) / d;
        // Not beyond what a whole number holds.
        x = std::clamp(u, -2.0, s.width + 1.0);
        y = std::clamp(v, -2.0, s.height + 1.0);
      });
      if (k[0] == 1 && k[5] == 0)
        CHECK(sample.picture.values == from.picture.values && sample.mask == from.mask);
    }
}

static void displacing() {
  for (Shape s : shapes)
    for (float scale : {0.0f, 1.0f, 5.5f}) {
      Sample sample = boxedSampleOf(s), from = sample;
      Picture shifts = scattered(2, s.height, s.width, 11);
      displace(sample, shifts, scale, 0);
      checkWarp(from, sample, 0, 1e-4, [&](double &y, double &x) {
        int row = int(y), column = int(x);
        y += double(scale) * shifts.row(0, row)[column];
        x += double(scale) * shifts.row(1, row)[column];
      });
    }
}

//===----------------------------------------------------------------------===//
// What pixels are
//===----------------------------------------------------------------------===//

static void values() {
  for (Shape s : shapes) {
    const Picture from = someOf(s);
    auto check = [&](const std::function<void(Picture &)> &change, double error,
                     const Value &wanted) {
      Picture made = from;
      change(made);
      CHECK(is(made, s, error, wanted));
    };
    auto in = [&](int c, int y, int x) { return double(from.row(c, y)[x]); };
    auto gray = [&](int c, int y, int x) {
      return s.channels == 3
                 ? 0.299 * in(0, y, x) + 0.587 * in(1, y, x) + 0.114 * in(2, y, x)
                 : in(c, y, x);
    };
    double mean = 0;
    for (int c = 0; c < s.channels; ++c)
      for (int y = 0; y < s.height; ++y)
        for (int x = 0; x < s.width; ++x)
          mean += gray(c, y, x) / double(from.values.size());
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < from.values.size(); ++i)
      bytes.push_back(uint8_t(37 * i));
    CHECK(is(decoded(bytes.data(), s.channels, s.height, s.width), s, 1e-7,
             [&](int c, int y, int x) {
               return bytes[size_t((y * s.width + x) * s.channels + c)] / 255.0;
             }));
    std::vector<float> means, deviations;
    for (int c = 0; c < s.channels; ++c) {
      means.push_back(0.1f * float(c) + 0.2f);
      deviations.push_back(0.5f + float(c));
    }
    check([&](Picture &p) { normalize(p, means, deviations); }, 1e-6,
          [&](int c, int y, int x) {
            return (in(c, y, x) - means[size_t(c)]) / deviations[size_t(c)];
          });
    for (float factor : {0.0f, 0.3f, 1.0f, 1.7f}) {
      auto blended = [&](double value, double other) {
        return clamped(other + double(factor) * (value - other));
      };
      check([&](Picture &p) { brightness(p, factor); }, 1e-6,
            [&](int c, int y, int x) { return blended(in(c, y, x), 0); });
      check([&](Picture &p) { contrast(p, factor); }, 1e-6,
            [&](int c, int y, int x) { return blended(in(c, y, x), mean); });
      check([&](Picture &p) { saturation(p, factor); }, 1e-6,
            [&](int c, int y, int x) { return blended(in(c, y, x), gray(c, y, x)); });
      Picture soft = from;
      blur(soft, 0.8);
      check([&](Picture &p) { sharpness(p, factor); }, 1e-6, [&](int c, int y, int x) {
        return blended(in(c, y, x), soft.row(c, y)[x]);
      });
    }
    for (double sigma : {0.1, 0.8, 3.0}) {
      int reach = std::max(1, int(std::ceil(3 * sigma)));
      double sum = 0;
      for (int i = -reach; i <= reach; ++i)
        sum += std::exp(-0.5 * i * i / (sigma * sigma));
      check([&](Picture &p) { blur(p, sigma); }, 2e-6, [&](int c, int y, int x) {
        double result = 0;
        for (int i = -reach; i <= reach; ++i)
          for (int k = -reach; k <= reach; ++k)
            result += std::exp(-0.5 * (i * i + k * k) / (sigma * sigma)) / (sum * sum) *
                      in(c, std::clamp(y + i, 0, s.height - 1),
                         std::clamp(x + k, 0, s.width - 1));
        return result;
      });
    }
    for (double turn : {0.0, 0.2, -0.5})
      check([&](Picture &p) { turnHue(p, turn); }, turn == 0 ? 2e-3 : 1e-5,
            [&](int c, int y, int x) {
              if (s.channels != 3 || turn == 0)
                return in(c, y, x);
              double r = in(0, y, x), g = in(1, y, x), b = in(2, y, x);
              double i = 0.596 * r - 0.274 * g - 0.322 * b,
                     q = 0.211 * r - 0.523 * g + 0.312 * b;
              double cosine = std::cos(turn * 2 * M_PI), sine = std::sin(turn * 2 * M_PI);
              double ofI[] = {0.956, -0.272, -1.106}, ofQ[] = {0.621, -0.647, 1.703};
              return clamped(gray(c, y, x) + ofI[c] * (cosine * i - sine * q) +
                             ofQ[c] * (sine * i + cosine * q));
            });
    check([](Picture &p) { solarize(p, 0.6f); }, 1e-6, [&](int c, int y, int x) {
      return from.row(c, y)[x] >= 0.6f ? 1 - in(c, y, x) : in(c, y, x);
    });
    check([](Picture &p) { posterize(p, 16); }, 1e-6,
          [&](int c, int y, int x) { return std::floor(from.row(c, y)[x] * 16) / 16; });
    check([](Picture &p) { blank(p, {1, -2, 5, 9}, 0.75f); }, 0, [&](int c, int y, int x) {
      return y >= 1 && y < 6 && x < 7 ? 0.75 : in(c, y, x);
    });
    Picture other = someOf(s, 1), mixed = from;
    mixPictures(from.values.data(), other.values.data(), mixed.values.data(), s.channels,
                s.height, s.width, 0.3f, {0, 2, 4, 30});
    CHECK(is(mixed, s, 1e-6, [&](int c, int y, int x) {
      return y < 4 && x >= 2 && x < 32 ? 0.3 * in(c, y, x) + 0.7 * other.row(c, y)[x]
                                       : in(c, y, x);
    }));
    auto level = [](float value) { return int(value * 255); };
    check(equalize, 1e-6, [&](int c, int y, int x) {
      int below = 0;
      for (int i = 0; i < s.height * s.width; ++i)
        below += level(from.row(c, 0)[i]) < level(from.row(c, y)[x]);
      return below / double(s.height * s.width);
    });
    check(autocontrast, 1e-6, [&](int c, int y, int x) {
      auto [low, high] =
          std::minmax_element(from.row(c, 0), from.row(c, 0) + s.height * s.width);
      return *high > *low ? (in(c, y, x) - *low) / (double(*high) - *low) : in(c, y, x);
    });
  }
}

/// Mean, deviation and how alike neighbours are.
static void checkSpread(const Picture &p, double mean, double deviation) {
  double sum = 0, squares = 0, products = 0, count = double(p.values.size());
  for (size_t i = 0; i < p.values.size(); ++i) {
    double value = p.values[i] - mean;
    sum += value;
    squares += value * value;
    products += i ? value * (p.values[i - 1] - mean) : 0;
  }
  // Six deviations of a mean over so many.
  CHECK(std::abs(sum / count) < 6 * deviation / std::sqrt(count));
  CHECK(std::abs(std::sqrt(squares / count) / deviation - 1) < 0.02);
  CHECK(std::abs(products / squares) < 6 / std::sqrt(count));
}

static void randomValues() {
  Picture gray(3, 201, 299, 0.5f), a = gray, b = gray, c = gray;
  noise(a, 0.05f, 1);
  noise(b, 0.05f, 1);
  noise(c, 0.05f, 2);
  CHECK(a.values == b.values && a.values != c.values);
  checkSpread(a, 0.5, 0.05);
  int far = 0;
  for (float value : a.values)
    far += std::abs(value - 0.5f) > 0.1f;
  CHECK(std::abs(far / double(a.values.size()) - 0.0455) < 0.004);
  a = gray;
  noise(a, 5, 1);
  CHECK(*std::max_element(a.values.begin(), a.values.end()) == 1);
  Picture even = scattered(2, 123, 457, 9);
  CHECK(even.values == scattered(2, 123, 457, 9).values);
  checkSpread(even, 0, std::sqrt(1 / 3.0));
}

int main() {
  return runTests({{"resampling", resampling},
                   {"cutting", cutting},
                   {"flipping", flipping},
                   {"projecting", projecting},
                   {"displacing", displacing},
                   {"values", values},
                   {"random values", randomValues}});
}
