//===- Pixels.h - Kernels for pictures ------------------------------------===//
//
// What is done to the values of pictures and masks. Declared here, defined and
// scheduled in compiler/pixels/, compiled for the program's target and linked to
// every training program.
//
// A picture is f32 [x, y, channel], a mask i32 of the same form with one channel;
// x is dense. Every kernel reads its first buffers and writes the last ones, which
// must not overlap them; positions are of pixels, (0, 0) the first. None allocates,
// fails (the result is 0) or starts threads: any thread may call any.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TRAIN_PIXELS_H
#define HALCYON_TRAIN_PIXELS_H

#include <HalideRuntime.h>

extern "C" {

//===----------------------------------------------------------------------===//
// Where pixels are
//===----------------------------------------------------------------------===//

/// out(x, y, c) = sum over t of weights(y, t) in(x, first(y) + t, c). `first` is i32.
int halcyon_pixels_scale_rows(halide_buffer_t *in, halide_buffer_t *first,
                              halide_buffer_t *weights, halide_buffer_t *out);
/// out(x, y, c) = in(y, x, c).
int halcyon_pixels_transpose(halide_buffer_t *in, halide_buffer_t *out);
/// out(x, y) = in(columns(x), rows(y)): a mask is scaled by its nearest pixels.
int halcyon_pixels_pick_mask(halide_buffer_t *in, halide_buffer_t *rows,
                             halide_buffer_t *columns, halide_buffer_t *out);

/// out(x, y, c) = in(x + left, y + top, c), or `fill` where that lies outside.
int halcyon_pixels_cut(halide_buffer_t *in, int32_t top, int32_t left, float fill,
                       halide_buffer_t *out);
int halcyon_pixels_cut_mask(halide_buffer_t *in, int32_t top, int32_t left,
                            int32_t fill, halide_buffer_t *out);

int halcyon_pixels_flip(halide_buffer_t *in, bool horizontally, halide_buffer_t *out);
int halcyon_pixels_flip_mask(halide_buffer_t *in, bool horizontally,
                             halide_buffer_t *out);

/// The value at (x, y) comes from ((k0 x + k1 y + k2) / d, (k3 x + k4 y + k5) / d),
/// d = k6 x + k7 y + 1; between pixels it is interpolated, outside it is `fill`.
int halcyon_pixels_project(halide_buffer_t *in, halide_buffer_t *k, float fill,
                           halide_buffer_t *out);
/// The nearest pixel; 0 outside.
int halcyon_pixels_project_mask(halide_buffer_t *in, halide_buffer_t *k,
                                halide_buffer_t *out);
/// Boxes [left, top, right, bottom; box] around all pixels, of a picture of this
/// size, that come from within one; left > right where there are none.
int halcyon_pixels_project_boxes(halide_buffer_t *boxes, halide_buffer_t *k,
                                 int32_t height, int32_t width, halide_buffer_t *out);

/// The same, with the value at (x, y) coming from
/// (x + scale shifts(x, y, 1), y + scale shifts(x, y, 0)).
int halcyon_pixels_displace(halide_buffer_t *in, halide_buffer_t *shifts, float scale,
                            float fill, halide_buffer_t *out);
int halcyon_pixels_displace_mask(halide_buffer_t *in, halide_buffer_t *shifts,
                                 float scale, halide_buffer_t *out);
int halcyon_pixels_displace_boxes(halide_buffer_t *boxes, halide_buffer_t *shifts,
                                  float scale, int32_t height, int32_t width,
                                  halide_buffer_t *out);

//===----------------------------------------------------------------------===//
// What pixels are
//===----------------------------------------------------------------------===//

/// Interleaved bytes [channel, x, y] as 0 to 1.
int halcyon_pixels_decode(halide_buffer_t *bytes, halide_buffer_t *out);

/// out(x, y, c) = (in(x, y, c) - mean(c)) / deviation(c).
int halcyon_pixels_normalize(halide_buffer_t *in, halide_buffer_t *mean,
                             halide_buffer_t *deviation, halide_buffer_t *out);

/// clamp(value + factor (in - value), 0, 1).
int halcyon_pixels_blend_value(halide_buffer_t *in, float value, float factor,
                               halide_buffer_t *out);
/// The same with another picture's values.
int halcyon_pixels_blend(halide_buffer_t *in, halide_buffer_t *other, float factor,
                         halide_buffer_t *out);
/// The same with the brightness of a picture of three channels.
int halcyon_pixels_saturate(halide_buffer_t *in, float factor, halide_buffer_t *out);
/// Turns hues: see turnHue. Three channels.
int halcyon_pixels_hue(halide_buffer_t *in, float cosine, float sine,
                       halide_buffer_t *out);

/// Sums (f64), least and greatest values of each channel.
int halcyon_pixels_sums(halide_buffer_t *in, halide_buffer_t *out);
int halcyon_pixels_extremes(halide_buffer_t *in, halide_buffer_t *least,
                            halide_buffer_t *most);
/// How many (i32 [level, channel]) of a channel's values are of each of 256 levels.
int halcyon_pixels_histogram(halide_buffer_t *in, halide_buffer_t *out);
/// table(level of in(x, y, c), c).
int halcyon_pixels_lookup(halide_buffer_t *in, halide_buffer_t *table,
                          halide_buffer_t *out);

/// 1 - value where that is at least the threshold.
int halcyon_pixels_solarize(halide_buffer_t *in, float threshold, halide_buffer_t *out);
/// Down to multiples of 1/levels.
int halcyon_pixels_posterize(halide_buffer_t *in, float levels, halide_buffer_t *out);

/// in + deviation times a normal number, clamped to 0 to 1. The numbers are those of
/// Random's key and the value's place, in whatever order they are drawn.
int halcyon_pixels_noise(halide_buffer_t *in, float deviation, uint64_t key,
                         halide_buffer_t *out);
/// Numbers evenly within -1 to 1, of the key and the place in a picture of this size.
int halcyon_pixels_scatter(uint64_t key, int32_t height, int32_t width,
                           halide_buffer_t *out);

int halcyon_pixels_fill(float value, halide_buffer_t *out);
/// other + part (in - other).
int halcyon_pixels_mix(halide_buffer_t *in, halide_buffer_t *other, float part,
                       halide_buffer_t *out);

} // extern "C"

#endif // HALCYON_TRAIN_PIXELS_H
