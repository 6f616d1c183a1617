//===- Picture.h - Pictures, and what moves their pixels ------------------===//
//
// Values are 0 to 1 for a decoded picture. A mask goes wherever the pixels go;
// its values are classes, so that it is never interpolated. So do boxes.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_PICTURE_H
#define HALCYON_TRAIN_PICTURE_H

#include "Support.h"

#include <functional>

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

/// The part of a sample in `box`, scaled to a size. Where it shrinks, every
/// pixel counts; masks take the nearest.
void resample(Sample &sample, Box box, int height, int width);

/// The part from (y, x), which may lie outside: there is `fill`, and class 0.
void cut(Sample &sample, int y, int x, int height, int width, float fill = 0);

void flipHorizontally(Sample &sample);
void flipVertically(Sample &sample);

/// Where the value of a pixel comes from: takes (y, x), leaves the source's.
using Field = std::function<void(double &y, double &x)>;
void warp(Sample &sample, const Field &from, float fill);

void blur(Picture &picture, double sigma);

/// Brightness of a pixel, from its red, green and blue.
inline float luma(float r, float g, float b) {
  return 0.299f * r + 0.587f * g + 0.114f * b; // ITU-R BT.601
}

/// Mixes with `other`: factor 1 leaves the picture, 0 gives the other.
void blend(Picture &picture, const Picture &other, float factor);
Picture grayOf(const Picture &picture);
/// Turns the hue by a part of the circle; gray pictures stay.
void turnHue(Picture &picture, double turn);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_PICTURE_H
