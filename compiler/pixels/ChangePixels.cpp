//===- ChangePixels.cpp - Kernels that change the values of pixels --------===//

#include "compiler/pixels/PixelKernel.h"

using namespace Halide;

namespace halcyon {

/// ITU-R BT.601.
static Expr luma(const ImageParam &in) {
  return 0.299f * in(x, y, 0) + 0.587f * in(x, y, 1) + 0.114f * in(x, y, 2);
}

/// `other` where the factor is 0, the picture where it is 1.
static Expr blended(Expr value, Expr other, Expr factor) {
  return clamp(other + factor * (value - other), 0.0f, 1.0f);
}

//===----------------------------------------------------------------------===//
// Value by value
//===----------------------------------------------------------------------===//

PIXEL_KERNEL(decode) {
  ImageParam bytes(UInt(8), 3, "bytes");
  bytes.dim(0).set_min(0);
  bytes.dim(1).set_stride(bytes.dim(0).extent());
  Func out("out");
  out(x, y, c) = cast<float>(bytes(c, x, y)) / 255.0f;
  alongRows(out, lanes);
  // Strided loads with a stride that is known are a few shuffles.
  for (int channels : {1, 3})
    out.specialize(bytes.dim(0).extent() == channels);
  return {{bytes}, {out}};
}

PIXEL_KERNEL(normalize) {
  ImageParam in(Float(32), 3, "in"), mean(Float(32), 1, "mean"),
      deviation(Float(32), 1, "deviation");
  return ofEach({in, mean, deviation}, (in(x, y, c) - mean(c)) / deviation(c), lanes);
}

PIXEL_KERNEL(blend_value) {
  ImageParam in(Float(32), 3, "in");
  Param<float> value("value"), factor("factor");
  return ofEach({in, value, factor}, blended(in(x, y, c), value, factor), lanes);
}

PIXEL_KERNEL(blend) {
  ImageParam in(Float(32), 3, "in"), other(Float(32), 3, "other");
  Param<float> factor("factor");
  return ofEach({in, other, factor},
                blended(in(x, y, c), other(x, y, c), factor), lanes);
}

PIXEL_KERNEL(saturate) {
  ImageParam in(Float(32), 3, "in");
  Param<float> factor("factor");
  Func out("out");
  out(x, y, c) = blended(in(x, y, c), luma(in), factor);
  out.reorder(c, x, y).bound(c, 0, 3).unroll(c);
  alongRows(out, lanes);
  return {{in, factor}, {out}};
}

/// A rotation about the gray axis, in the space of brightness and two colour
/// differences (YIQ): cheap, and the identity for no turn.
PIXEL_KERNEL(hue) {
  ImageParam in(Float(32), 3, "in");
  Param<float> cosine("cosine"), sine("sine");
  Expr r = in(x, y, 0), g = in(x, y, 1), b = in(x, y, 2);
  Expr i = 0.596f * r - 0.274f * g - 0.322f * b,
       q = 0.211f * r - 0.523f * g + 0.312f * b;
  Expr turnedI = cosine * i - sine * q, turnedQ = sine * i + cosine * q;
  auto back = [&](float ofI, float ofQ) {
    return clamp(luma(in) + ofI * turnedI + ofQ * turnedQ, 0.0f, 1.0f);
  };
  Func out("out");
  out(x, y, c) = mux(c, {back(0.956f, 0.621f), back(-0.272f, -0.647f),
                         back(-1.106f, 1.703f)});
  out.reorder(c, x, y).bound(c, 0, 3).unroll(c);
  alongRows(out, lanes);
  return {{in, cosine, sine}, {out}};
}

PIXEL_KERNEL(solarize) {
  ImageParam in(Float(32), 3, "in");
  Param<float> threshold("threshold");
  Expr value = in(x, y, c);
  return ofEach({in, threshold}, select(value >= threshold, 1 - value, value), lanes);
}

PIXEL_KERNEL(posterize) {
  ImageParam in(Float(32), 3, "in");
  Param<float> levels("levels");
  return ofEach({in, levels}, floor(in(x, y, c) * levels) / levels, lanes);
}

PIXEL_KERNEL(fill) {
  Param<float> value("value");
  return ofEach({value}, value, lanes);
}

PIXEL_KERNEL(mix) {
  ImageParam in(Float(32), 3, "in"), other(Float(32), 3, "other");
  Param<float> part("part");
  return ofEach({in, other, part},
                other(x, y, c) + part * (in(x, y, c) - other(x, y, c)), lanes);
}

//===----------------------------------------------------------------------===//
// Over all values of a channel
//===----------------------------------------------------------------------===//

static RDom pixelsOf(const ImageParam &in) {
  return RDom(in.dim(0).min(), in.dim(0).extent(), in.dim(1).min(), in.dim(1).extent());
}

PIXEL_KERNEL(sums) {
  ImageParam in(Float(32), 3, "in");
  RDom p = pixelsOf(in);
  Func out("out");
  out(c) = cast<double>(0);
  out(c) += cast<double>(in(p.x, p.y, c));
  out.update().atomic().vectorize(p.x, lanes, TailStrategy::GuardWithIf);
  return {{in}, {out}};
}

PIXEL_KERNEL(extremes) {
  ImageParam in(Float(32), 3, "in");
  RDom p = pixelsOf(in);
  Func least("least"), most("most");
  least(c) = Float(32).max();
  most(c) = Float(32).min();
  least(c) = min(least(c), in(p.x, p.y, c));
  most(c) = max(most(c), in(p.x, p.y, c));
  for (Func f : {least, most})
    f.update().atomic().vectorize(p.x, lanes, TailStrategy::GuardWithIf);
  return {{in}, {least, most}};
}

/// Of 256 levels, so that 8 bits are their own.
static Expr levelOf(Expr value) {
  return cast<int>(clamp(std::move(value), 0.0f, 1.0f) * 255);
}

PIXEL_KERNEL(histogram) {
  ImageParam in(Float(32), 3, "in");
  RDom p = pixelsOf(in);
  Var level("level");
  Func out("out");
  out(level, c) = 0;
  out(levelOf(in(p.x, p.y, c)), c) += 1;
  // Neighbours often have one level: nothing to vectorize.
  out.update().unscheduled();
  return {{in}, {out}};
}

PIXEL_KERNEL(lookup) {
  ImageParam in(Float(32), 3, "in"), table(Float(32), 2, "table");
  return ofEach({in, table}, table(levelOf(in(x, y, c)), c), lanes);
}

//===----------------------------------------------------------------------===//
// Random values
//===----------------------------------------------------------------------===//

/// The numbers of Random in runtime/train/Support.h (SplitMix64's finalizer), the
/// `draw`-th of a key: a value's place says which are its own.
static Expr drawn(Expr key, Expr draw) {
  Expr v = key + (cast<uint64_t>(draw) + 1) * Expr(uint64_t(0x9e3779b97f4a7c15));
  v = (v ^ (v >> 30)) * Expr(uint64_t(0xbf58476d1ce4e5b9));
  v = (v ^ (v >> 27)) * Expr(uint64_t(0x94d049bb133111eb));
  return v ^ (v >> 31);
}

/// In [0, 1), of 24 bits.
static Expr uniform(Expr key, Expr draw) {
  return cast<float>(cast<int32_t>(drawn(std::move(key), std::move(draw)) >> 40)) *
         0x1p-24f;
}

/// A value's place in a picture.
static Expr placeOf(Expr height, Expr width) { return (c * height + y) * width + x; }

/// Box and Muller, 1958.
PIXEL_KERNEL(noise) {
  ImageParam in(Float(32), 3, "in");
  Param<float> deviation("deviation");
  Param<uint64_t> key("key");
  Expr draw = 2 * placeOf(in.dim(1).extent(), in.dim(0).extent());
  Expr radius = sqrt(-2.0f * log(1.0f - uniform(key, draw)));
  Expr turn = 6.283185307f * uniform(key, draw + 1);
  return ofEach({in, deviation, key},
                clamp(in(x, y, c) + deviation * radius * fast_cos(turn), 0.0f, 1.0f), lanes);
}

PIXEL_KERNEL(scatter) {
  Param<uint64_t> key("key");
  Param<int32_t> height("height"), width("width");
  return ofEach({key, height, width},
                2.0f * uniform(key, placeOf(height, width)) - 1.0f, lanes);
}

} // namespace halcyon
