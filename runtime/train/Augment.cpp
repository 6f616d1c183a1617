//===- Augment.cpp - What is done to a sample before it is trained on -----===//

#include "Augment.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

namespace halcyon::train {

static double number(const Json &call, const char *name) {
  return call.at(name).get<double>();
}

namespace {
struct Pair {
  double first, second;
  Pair(const Json &call, const char *name)
      : first(call.at(name).at(0)), second(call.at(name).at(1)) {}
  double draw(Random &random) const { return random.uniform(first, second); }
  /// Evenly over factors: 1/2 is as likely as 2.
  double drawFactor(Random &random) const {
    return std::exp(random.uniform(std::log(first), std::log(second)));
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Where pixels are
//===----------------------------------------------------------------------===//

/// Inception's crop: a part of the area, of a part of the proportions.
static Augmentation randomResizedCrop(const Json &call) {
  Pair size(call, "size"), scale(call, "scale"), ratio(call, "ratio");
  return [=](Sample &sample, Random &random) {
    double h = sample.picture.height, w = sample.picture.width;
    Box box{0, 0, std::min(h, w), std::min(h, w)};
    box.y = (h - box.height) / 2;
    box.x = (w - box.width) / 2;
    for (int attempt = 0; attempt < 10; ++attempt) {
      double area = h * w * scale.draw(random), shape = ratio.drawFactor(random);
      double width = std::round(std::sqrt(area * shape)),
             height = std::round(std::sqrt(area / shape));
      if (width < 1 || height < 1 || width > w || height > h)
        continue;
      box = {double(random.below(uint64_t(h - height) + 1)),
             double(random.below(uint64_t(w - width) + 1)), height, width};
      break;
    }
    resample(sample, box, int(size.first), int(size.second));
  };
}

static Augmentation randomCrop(const Json &call) {
  Pair size(call, "size");
  int pad = call.at("pad");
  return [=](Sample &sample, Random &random) {
    int height = int(size.first), width = int(size.second);
    auto place = [&](int extent, int wanted) {
      int room = extent + 2 * pad - wanted;
      return room > 0 ? int(random.below(uint64_t(room) + 1)) - pad : room / 2 - pad;
    };
    int y = place(sample.picture.height, height);
    int x = place(sample.picture.width, width);
    cut(sample, y, x, height, width);
  };
}

/// One number is the shorter side's, two are both.
static Augmentation resize(const Json &call) {
  Pair size(call, "size");
  return [=](Sample &sample, Random &) {
    double h = sample.picture.height, w = sample.picture.width;
    double height = size.first, width = size.second;
    if (height == width) {
      double factor = height / std::min(h, w);
      height = std::round(h * factor);
      width = std::round(w * factor);
    }
    resample(sample, {0, 0, h, w}, int(height), int(width));
  };
}

static Augmentation centerCrop(const Json &call) {
  Pair size(call, "size");
  return [=](Sample &sample, Random &) {
    int height = int(size.first), width = int(size.second);
    cut(sample, (sample.picture.height - height) / 2,
        (sample.picture.width - width) / 2, height, width);
  };
}

static Augmentation flip(const Json &call) {
  double p = number(call, "p");
  bool vertical = call.at("axis") == "vertical";
  return [=](Sample &sample, Random &random) {
    if (!random.chance(p))
      return;
    if (vertical)
      flipVertically(sample);
    else
      flipHorizontally(sample);
  };
}

/// Turns, scales, shears and shifts about the middle of the picture.
static void transform(Sample &sample, double degrees, double scale, double shear,
                      double dy, double dx, float fill) {
  double cy = (sample.picture.height - 1) / 2.0, cx = (sample.picture.width - 1) / 2.0;
  double angle = degrees * std::numbers::pi / 180,
         slope = std::tan(shear * std::numbers::pi / 180);
  double cosine = std::cos(angle) / scale, sine = std::sin(angle) / scale;
  warp(
      sample,
      [=](double &y, double &x) {
        double v = y - cy - dy, u = x - cx - dx;
        u -= slope * v;
        x = cosine * u + sine * v + cx;
        y = -sine * u + cosine * v + cy;
      },
      fill);
}

static Augmentation rotate(const Json &call) {
  double degrees = number(call, "degrees");
  float fill = float(number(call, "fill"));
  return [=](Sample &sample, Random &random) {
    transform(sample, random.uniform(-degrees, degrees), 1, 0, 0, 0, fill);
  };
}

static Augmentation affine(const Json &call) {
  double degrees = number(call, "degrees"), translate = number(call, "translate"),
         shear = number(call, "shear");
  Pair scale(call, "scale");
  float fill = float(number(call, "fill"));
  return [=](Sample &sample, Random &random) {
    double angle = random.uniform(-degrees, degrees);
    double dy = random.uniform(-translate, translate) * sample.picture.height;
    double dx = random.uniform(-translate, translate) * sample.picture.width;
    double factor = scale.drawFactor(random);
    transform(sample, angle, factor, random.uniform(-shear, shear), dy, dx, fill);
  };
}

/// The projection that takes the corners of a rectangle to four points, as
/// (a x + b y + c) / (g x + h y + 1) and (d x + e y + f) / (the same).
static bool solveProjection(const double (&from)[4][2], const double (&to)[4][2],
                            double (&out)[8]) {
  double m[8][9];
  for (int i = 0; i < 4; ++i) {
    double x = from[i][0], y = from[i][1], u = to[i][0], v = to[i][1];
    double rows[2][9] = {{x, y, 1, 0, 0, 0, -u * x, -u * y, u},
                         {0, 0, 0, x, y, 1, -v * x, -v * y, v}};
    std::copy_n(rows[0], 9, m[2 * i]);
    std::copy_n(rows[1], 9, m[2 * i + 1]);
  }
  for (int column = 0; column < 8; ++column) {
    int best = column;
    for (int row = column; row < 8; ++row)
      if (std::abs(m[row][column]) > std::abs(m[best][column]))
        best = row;
    if (std::abs(m[best][column]) < 1e-12)
      return false;
    std::swap_ranges(m[best], m[best] + 9, m[column]);
    for (int row = 0; row < 8; ++row) {
      double factor = row == column ? 0 : m[row][column] / m[column][column];
      for (int k = column; factor != 0 && k < 9; ++k)
        m[row][k] -= factor * m[column][k];
    }
  }
  for (int i = 0; i < 8; ++i)
    out[i] = m[i][8] / m[i][i];
  return true;
}

static Augmentation perspective(const Json &call) {
  double distortion = number(call, "distortion"), p = number(call, "p");
  return [=](Sample &sample, Random &random) {
    if (!random.chance(p))
      return;
    double h = sample.picture.height - 1, w = sample.picture.width - 1;
    double corners[4][2] = {{0, 0}, {w, 0}, {w, h}, {0, h}}, moved[4][2];
    for (int i = 0; i < 4; ++i)
      for (int axis = 0; axis < 2; ++axis) {
        double reach = distortion / 2 * (axis == 0 ? w : h);
        double inward = corners[i][axis] == 0 ? 1 : -1;
        moved[i][axis] = corners[i][axis] + inward * random.uniform(0, reach);
      }
    double k[8];
    if (!solveProjection(moved, corners, k))
      return;
    warp(
        sample,
        [&k](double &y, double &x) {
          double scale = 1 / (k[6] * x + k[7] * y + 1);
          double u = (k[0] * x + k[1] * y + k[2]) * scale,
                 v = (k[3] * x + k[4] * y + k[5]) * scale;
          x = u;
          y = v;
        },
        0);
  };
}

/// Simard, Steinkraus and Platt, 2003: a smooth field of small shifts.
static Augmentation elastic(const Json &call) {
  double alpha = number(call, "alpha"), sigma = number(call, "sigma");
  return [=](Sample &sample, Random &random) {
    int width = sample.picture.width;
    Picture shifts(2, sample.picture.height, width);
    for (float &value : shifts.values)
      value = float(random.uniform(-1, 1));
    blur(shifts, sigma);
    warp(
        sample,
        [&](double &y, double &x) {
          int row = int(y), column = int(x);
          y += alpha * shifts.row(0, row)[column];
          x += alpha * shifts.row(1, row)[column];
        },
        0);
  };
}

//===----------------------------------------------------------------------===//
// What pixels are
//===----------------------------------------------------------------------===//

static void brightness(Picture &picture, double factor) {
  blend(picture, Picture(picture.channels, picture.height, picture.width), float(factor));
}

static void contrast(Picture &picture, double factor) {
  Picture gray = grayOf(picture);
  double sum = 0;
  for (float value : gray.values)
    sum += value;
  blend(picture,
        Picture(picture.channels, picture.height, picture.width,
                float(sum / double(gray.values.size()))),
        float(factor));
}

static void saturation(Picture &picture, double factor) {
  blend(picture, grayOf(picture), float(factor));
}

static void sharpness(Picture &picture, double factor) {
  Picture soft = picture;
  blur(soft, 0.8);
  blend(picture, soft, float(factor));
}

static Augmentation colorJitter(const Json &call) {
  double strength = number(call, "strength"), hue = number(call, "hue");
  return [=](Sample &sample, Random &random) {
    double least = std::max(0.0, 1 - strength), most = 1 + strength;
    using Change = void (*)(Picture &, double);
    static constexpr Change changes[] = {brightness, contrast, saturation, turnHue};
    for (uint32_t which : permutation(4, Random(random.next(), Random::Augment, 0)))
      changes[which](sample.picture, which == 3 ? random.uniform(-hue, hue)
                                                : random.uniform(least, most));
  };
}

static Augmentation noise(const Json &call) {
  double deviation = number(call, "deviation");
  return [=](Sample &sample, Random &random) {
    for (float &value : sample.picture.values)
      value = std::clamp(value + float(deviation * random.normal()), 0.0f, 1.0f);
  };
}

static Augmentation blurred(const Json &call) {
  Pair sigma(call, "sigma");
  double p = number(call, "p");
  return [=](Sample &sample, Random &random) {
    if (random.chance(p))
      blur(sample.picture, sigma.draw(random));
  };
}

static void blank(Picture &picture, int y, int x, int height, int width, float value) {
  for (int c = 0; c < picture.channels; ++c)
    for (int row = std::max(y, 0); row < std::min(y + height, picture.height); ++row)
      for (int column = std::max(x, 0); column < std::min(x + width, picture.width);
           ++column)
        picture.row(c, row)[column] = value;
}

static Augmentation erasing(const Json &call) {
  double p = number(call, "p");
  Pair scale(call, "scale"), ratio(call, "ratio");
  float value = float(number(call, "value"));
  return [=](Sample &sample, Random &random) {
    if (!random.chance(p))
      return;
    Picture &picture = sample.picture;
    for (int attempt = 0; attempt < 10; ++attempt) {
      double area = scale.draw(random) * picture.height * picture.width,
             shape = ratio.drawFactor(random);
      int height = int(std::lround(std::sqrt(area * shape))),
          width = int(std::lround(std::sqrt(area / shape)));
      if (height < 1 || width < 1 || height >= picture.height || width >= picture.width)
        continue;
      int y = int(random.below(uint64_t(picture.height - height) + 1));
      int x = int(random.below(uint64_t(picture.width - width) + 1));
      return blank(picture, y, x, height, width, value);
    }
  };
}

static Augmentation cutout(const Json &call) {
  Pair size(call, "size");
  int count = call.at("count");
  return [=](Sample &sample, Random &random) {
    Picture &picture = sample.picture;
    for (int i = 0; i < count; ++i) {
      int y = int(random.below(uint64_t(picture.height))) - int(size.first) / 2;
      int x = int(random.below(uint64_t(picture.width))) - int(size.second) / 2;
      blank(picture, y, x, int(size.first), int(size.second), 0);
    }
  };
}

static Augmentation normalize(const Json &call) {
  std::vector<float> mean = call.at("by").at("mean"), deviation = call.at("by").at("std");
  return [=](Sample &sample, Random &) {
    Picture &picture = sample.picture;
    size_t plane = size_t(picture.height) * picture.width;
    auto of = [&](const std::vector<float> &values, int channel) {
      return values[values.size() == 1 ? 0 : size_t(channel)];
    };
    for (const std::vector<float> *values : {&mean, &deviation})
      if (values->size() != 1 && values->size() != size_t(picture.channels))
        throw Failure("normalize has " + std::to_string(values->size()) +
                      " numbers for " + std::to_string(picture.channels) + " channels");
    for (int c = 0; c < picture.channels; ++c)
      for (size_t i = 0; i < plane; ++i) {
        float &value = picture.values[size_t(c) * plane + i];
        value = (value - of(mean, c)) / of(deviation, c);
      }
    sample.normalized = true;
  };
}

//===----------------------------------------------------------------------===//
// Some of many
//===----------------------------------------------------------------------===//

static Augmentation choice(const Json &call) {
  std::vector<Augmentation> all;
  for (const Json &one : call.at("of"))
    all.push_back(makeAugmentation(one));
  return [=](Sample &sample, Random &random) {
    all[random.below(all.size())](sample, random);
  };
}

/// Stretches each channel to the whole range.
static void autocontrast(Picture &picture) {
  size_t plane = size_t(picture.height) * picture.width;
  for (int c = 0; c < picture.channels; ++c) {
    float *values = picture.values.data() + size_t(c) * plane;
    auto [low, high] = std::minmax_element(values, values + plane);
    float least = *low, span = *high - *low;
    for (size_t i = 0; span > 0 && i < plane; ++i)
      values[i] = (values[i] - least) / span;
  }
}

/// Spreads each channel's values evenly, in 256 steps.
static void equalize(Picture &picture) {
  size_t plane = size_t(picture.height) * picture.width;
  for (int c = 0; c < picture.channels; ++c) {
    float *values = picture.values.data() + size_t(c) * plane;
    auto level = [](float value) { return size_t(std::clamp(value, 0.0f, 1.0f) * 255); };
    std::vector<size_t> below(257);
    for (size_t i = 0; i < plane; ++i)
      ++below[level(values[i]) + 1];
    for (size_t i = 1; i < below.size(); ++i)
      below[i] += below[i - 1];
    for (size_t i = 0; i < plane; ++i)
      values[i] = float(below[level(values[i])]) / float(plane);
  }
}

/// Cubuk, Zoph, Shlens and Le, 2020: some of fourteen changes, each as strong as
/// the magnitude of thirty says.
static Augmentation randaugment(const Json &call) {
  int count = call.at("count");
  double part = number(call, "magnitude") / 30;
  return [=](Sample &sample, Random &random) {
    for (int i = 0; i < count; ++i) {
      Picture &picture = sample.picture;
      uint64_t which = random.below(14);
      double sign = random.chance(0.5) ? 1 : -1, factor = 1 + sign * 0.9 * part;
      double shift = sign * part / 3;
      switch (which) {
      case 0:
        break; // nothing
      case 1:
        autocontrast(picture);
        break;
      case 2:
        equalize(picture);
        break;
      case 3:
        transform(sample, sign * 30 * part, 1, 0, 0, 0, 0);
        break;
      case 4: // solarize
        for (float &value : picture.values)
          value = value >= 1 - part ? 1 - value : value;
        break;
      case 5: { // posterize: 8 bits down to 4
        float levels = float(1 << (8 - int(4 * part)));
        for (float &value : picture.values)
          value = std::floor(value * levels) / levels;
        break;
      }
      case 6:
        saturation(picture, factor);
        break;
      case 7:
        contrast(picture, factor);
        break;
      case 8:
        brightness(picture, factor);
        break;
      case 9:
        sharpness(picture, factor);
        break;
      case 10:
      case 11:
        transform(sample, which == 10 ? 0 : 90, 1, sign * 16.7 * part, 0, 0, 0);
        if (which == 11)
          transform(sample, -90, 1, 0, 0, 0, 0);
        break;
      case 12:
        transform(sample, 0, 1, 0, 0, shift * picture.width, 0);
        break;
      default:
        transform(sample, 0, 1, 0, shift * picture.height, 0, 0);
      }
    }
  };
}

//===----------------------------------------------------------------------===//
// From the plan
//===----------------------------------------------------------------------===//

Augmentation makeAugmentation(const Json &call) {
  static const std::map<std::string, Augmentation (*)(const Json &)> makers = {
      {"random_resized_crop", randomResizedCrop},
      {"random_crop", randomCrop},
      {"resize", resize},
      {"center_crop", centerCrop},
      {"flip", flip},
      {"rotate", rotate},
      {"affine", affine},
      {"perspective", perspective},
      {"elastic", elastic},
      {"color_jitter", colorJitter},
      {"noise", noise},
      {"blur", blurred},
      {"erasing", erasing},
      {"cutout", cutout},
      {"randaugment", randaugment},
      {"choice", choice},
      {"normalize", normalize}};
  std::string name = call.at("call");
  auto maker = makers.find(name);
  if (maker == makers.end())
    throw Failure("this program knows no augmentation '" + name + "'");
  return maker->second(call);
}

Pipeline Pipeline::of(const Json &calls) {
  Pipeline pipeline;
  for (size_t i = 1; i < calls.size(); ++i) {
    const Json &call = calls[i];
    if (call.at("call") == "mixup")
      pipeline.mixing = {Mixing::Mixup, number(call, "alpha")};
    else if (call.at("call") == "cutmix")
      pipeline.mixing = {Mixing::Cutmix, number(call, "alpha")};
    else
      pipeline.steps.push_back(makeAugmentation(call));
  }
  return pipeline;
}

} // namespace halcyon::train
