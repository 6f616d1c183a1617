//===- Picture.h - Pictures, and what moves their pixels ------------------===//
//
// Values are 0 to 1 for a decoded picture. A mask goes wherever the pixels go;
// its values are classes, so that it is never interpolated. So do boxes.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_PICTURE_H
#define HALCYON_TRAIN_PICTURE_H

#include "Support.h"

#include <array>

namespace halcyon::train {

/// Channels, one after another, of rows.
struct Picture {
  int channels = 0, height = 0, width = 0;
  std::vector<float> values;

  Picture() = default;
  Picture(int channels, int height, int width, float value = 0)
      : channels(channels), height(height), width(width),
        values(size_t(channels) * height * width, value) {}

  float *row(int channel, int y) {
    return values.data() + (size_t(channel) * height + y) * width;
  }
  const float *row(int channel, int y) const {
    return values.data() + (size_t(channel) * height + y) * width;
  }
};

/// An object in a picture: its borders in pixels, and what it is.
struct Marked {
  double left, top, right, bottom;
  int32_t kind;
};

/// One element of the data.
struct Sample {
  Picture picture;
  int32_t label = 0;
  std::vector<Marked> boxes;
  std::vector<int32_t> mask; ///< of the picture's size; empty where none is
  /// How the picture became numbers was said by an augmentation.
  bool normalized = false;
};

/// A rectangle of pixels, which may have broken edges.
struct Box {
  double y, x, height, width;
};

/// A rectangle of whole pixels.
struct Area {
  int top, left, height, width;
};

//===----------------------------------------------------------------------===//
// Where pixels are
//===----------------------------------------------------------------------===//

/// The part of a sample in `box`, scaled to a size. Where it shrinks, every
/// pixel counts; masks take the nearest.
void resample(Sample &sample, Box box, int height, int width);

/// The part from (y, x), which may lie outside: there is `fill`, and class 0.
void cut(Sample &sample, int y, int x, int height, int width, float fill = 0);

void flipHorizontally(Sample &sample);
void flipVertically(Sample &sample);

/// The value at (x, y) comes from ((k0 x + k1 y + k2) / d, (k3 x + k4 y + k5) / d),
/// d = k6 x + k7 y + 1.
using Projection = std::array<double, 8>;
void project(Sample &sample, const Projection &from, float fill);

/// The value at (x, y) comes from `scale` times the shifts there, [down, across].
void displace(Sample &sample, const Picture &shifts, float scale, float fill);

//===----------------------------------------------------------------------===//
// What pixels are
//===----------------------------------------------------------------------===//

/// Interleaved bytes as numbers from 0 to 1.
Picture decoded(const uint8_t *bytes, int channels, int height, int width);

void blur(Picture &picture, double sigma);
/// (value - mean) / deviation; a number for each channel.
void normalize(Picture &picture, const std::vector<float> &mean,
               const std::vector<float> &deviation);

/// Factor 1 leaves the picture; 0 gives black, the mean gray, the gray picture, and
/// a blurred one.
void brightness(Picture &picture, float factor);
void contrast(Picture &picture, float factor);
void saturation(Picture &picture, float factor);
void sharpness(Picture &picture, float factor);
/// Turns the hue by a part of the circle; gray pictures stay.
void turnHue(Picture &picture, double turn);

/// Stretches each channel to the whole range.
void autocontrast(Picture &picture);
/// Spreads each channel's values evenly, in 256 steps.
void equalize(Picture &picture);
/// Inverts what is at least as bright.
void solarize(Picture &picture, float threshold);
void posterize(Picture &picture, int levels);

/// Adds normal numbers of a key and each value's place.
void noise(Picture &picture, float deviation, uint64_t key);
/// Numbers evenly within -1 to 1, of a key and each value's place.
Picture scattered(int channels, int height, int width, uint64_t key);

void blank(Picture &picture, Area area, float value);
/// Of pictures, channels after channels: out = other + part (own - other) within the
/// area; the rest of `out` stays.
void mixPictures(const float *own, const float *other, float *out, int channels,
                 int height, int width, float part, Area area);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_PICTURE_H
