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
  const std::vector<double> size = call.at("size");
  return [=](Sample &sample, Random &) {
    double h = sample.picture.height, w = sample.picture.width;
    double height = size.front(), width = size.back();
    if (size.size() == 1) {
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
  // With v = y - cy - dy and u = x - cx - dx - slope v, the value comes from
  // (cosine u + sine v + cx, -sine u + cosine v + cy).
  double xy = sine - slope * cosine, yy = cosine + slope * sine;
  double v = cy + dy, u = cx + dx;
  project(sample,
          {cosine, xy, cx - (cosine * u + xy * v), -sine, yy, cy - (yy * v - sine * u),
           0, 0},
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

/// The projection that takes the corners of a rectangle to four points.
static bool solveProjection(const double (&from)[4][2], const double (&to)[4][2],
                            Projection &out) {
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
    out[size_t(i)] = m[i][8] / m[i][i];
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
    Projection k;
    if (solveProjection(moved, corners, k))
      project(sample, k, 0);
  };
}

/// Simard, Steinkraus and Platt, 2003: a smooth field of small shifts.
static Augmentation elastic(const Json &call) {
  double alpha = number(call, "alpha"), sigma = number(call, "sigma");
  return [=](Sample &sample, Random &random) {
    Picture shifts =
        scattered(2, sample.picture.height, sample.picture.width, random.next());
    blur(shifts, sigma);
    displace(sample, shifts, float(alpha), 0);
  };
}

//===----------------------------------------------------------------------===//
// What pixels are
//===----------------------------------------------------------------------===//

static Augmentation colorJitter(const Json &call) {
  double strength = number(call, "strength"), hue = number(call, "hue");
  return [=](Sample &sample, Random &random) {
    double least = std::max(0.0, 1 - strength), most = 1 + strength;
    using Change = void (*)(Picture &, float);
    static constexpr Change changes[] = {brightness, contrast, saturation};
    for (uint32_t which : permutation(4, Random(random.next(), Random::Augment, 0)))
      if (which == 3)
        turnHue(sample.picture, random.uniform(-hue, hue));
      else
        changes[which](sample.picture, float(random.uniform(least, most)));
  };
}

static Augmentation noisy(const Json &call) {
  double deviation = number(call, "deviation");
  return [=](Sample &sample, Random &random) {
    noise(sample.picture, float(deviation), random.next());
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
      return blank(picture, {y, x, height, width}, value);
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
      blank(picture, {y, x, int(size.first), int(size.second)}, 0);
    }
  };
}

static Augmentation normalized(const Json &call) {
  std::vector<float> mean = call.at("by").at("mean"), deviation = call.at("by").at("std");
  return [=](Sample &sample, Random &) {
    size_t channels = size_t(sample.picture.channels);
    auto forEach = [&](std::vector<float> values) {
      if (values.size() != 1 && values.size() != channels)
        throw Failure("normalize has " + std::to_string(values.size()) +
                      " numbers for " + std::to_string(channels) + " channels");
      values.resize(channels, values[0]);
      return values;
    };
    normalize(sample.picture, forEach(mean), forEach(deviation));
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
      case 4:
        solarize(picture, float(1 - part));
        break;
      case 5: // 8 bits down to 4
        posterize(picture, 1 << (8 - int(4 * part)));
        break;
      case 6:
        saturation(picture, float(factor));
        break;
      case 7:
        contrast(picture, float(factor));
        break;
      case 8:
        brightness(picture, float(factor));
        break;
      case 9:
        sharpness(picture, float(factor));
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
      {"noise", noisy},
      {"blur", blurred},
      {"erasing", erasing},
      {"cutout", cutout},
      {"randaugment", randaugment},
      {"choice", choice},
      {"normalize", normalized}};
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
