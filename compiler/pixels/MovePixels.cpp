//===- MovePixels.cpp - Kernels that move pixels --------------------------===//
//
// Rows are vectors; what an output pixel takes from elsewhere in a row is gathered.
// Loaders have a thread for each picture, so that no kernel has threads of its own.
//
//===----------------------------------------------------------------------===//

#include "compiler/pixels/PixelKernel.h"

using namespace Halide;

namespace halcyon {

static Var n("n");

static Expr within(const OutputImageParam &in, int dimension, Expr at) {
  return clamp(std::move(at), in.dim(dimension).min(), in.dim(dimension).max());
}

//===----------------------------------------------------------------------===//
// Scaling
//===----------------------------------------------------------------------===//

/// The sums grow in the output itself, of which a row lies in L1 meanwhile. Sums along
/// rows would gather: a transposed picture has none (x86 has no gather that is faster
/// than its loads).
PIXEL_KERNEL(scale_rows) {
  ImageParam in(Float(32), 3, "in"), first(Int(32), 1, "first"),
      weights(Float(32), 2, "weights");
  Func out("out");
  RDom t(weights.dim(1).min(), weights.dim(1).extent(), "t");
  out(x, y, c) = 0.0f;
  out(x, y, c) += weights(y, t) * in(x, within(in, 1, first(y) + t), c);
  alongRows(out, lanes);
  out.update().reorder(x, t, y, c).vectorize(x, lanes, TailStrategy::GuardWithIf);
  return {{in, first, weights}, {out}};
}

PIXEL_KERNEL(transpose) {
  ImageParam in(Float(32), 3, "in");
  Func out("out");
  out(x, y, c) = in(y, x, c);
  // A tile's lines stay in L1 until all of them are used.
  Var xo("xo"), yo("yo"), xi("xi"), yi("yi");
  out.tile(x, y, xo, yo, xi, yi, lanes, lanes, TailStrategy::GuardWithIf).vectorize(xi);
  return {{in}, {out}};
}

PIXEL_KERNEL(pick_mask) {
  ImageParam in(Int(32), 3, "in"), rows(Int(32), 1, "rows"),
      columns(Int(32), 1, "columns");
  return ofEach({in, rows, columns},
                in(within(in, 0, columns(x)), within(in, 1, rows(y)), c), lanes);
}

//===----------------------------------------------------------------------===//
// Cutting and turning over
//===----------------------------------------------------------------------===//

template <class T> static Pixels cutOf(int lanes) {
  ImageParam in(type_of<T>(), 3, "in");
  Param<int32_t> top("top"), left("left");
  Param<T> fill("fill");
  Func around = BoundaryConditions::constant_exterior(
      in, fill,
      {{in.dim(0).min(), in.dim(0).extent()}, {in.dim(1).min(), in.dim(1).extent()}});
  return ofEach({in, top, left, fill}, around(x + left, y + top, c), lanes);
}

PIXEL_KERNEL(cut) { return cutOf<float>(lanes); }
PIXEL_KERNEL(cut_mask) { return cutOf<int32_t>(lanes); }

template <class T> static Pixels flipOf(int lanes) {
  ImageParam in(type_of<T>(), 3, "in");
  Param<bool> horizontally("horizontally");
  auto turned = [&](int dimension, Expr at) {
    return in.dim(dimension).min() + in.dim(dimension).max() - at;
  };
  Func out("out");
  out(x, y, c) = select(horizontally, in(turned(0, x), y, c),
                        in(x, turned(1, y), c));
  // A reversed vector is one load and one shuffle, unless it is guarded.
  out.specialize(horizontally && out.output_buffer().dim(0).extent() >= lanes)
      .vectorize(x, lanes, TailStrategy::ShiftInwards);
  out.specialize(!horizontally).vectorize(x, lanes, TailStrategy::GuardWithIf);
  alongRows(out, lanes);
  return {{in, horizontally}, {out}};
}

PIXEL_KERNEL(flip) { return flipOf<float>(lanes); }
PIXEL_KERNEL(flip_mask) { return flipOf<int32_t>(lanes); }

//===----------------------------------------------------------------------===//
// Warping
//===----------------------------------------------------------------------===//

namespace {
/// Where the value of a pixel comes from.
struct Place {
  Expr y, x;
};

struct Projection {
  ImageParam k{Float(32), 1, "k"};
  std::vector<Argument> arguments{k};
  Place of(Expr y, Expr x) const {
    Expr scale = 1.0f / (k(6) * x + k(7) * y + 1.0f);
    return {(k(3) * x + k(4) * y + k(5)) * scale, (k(0) * x + k(1) * y + k(2)) * scale};
  }
};

struct Displacement {
  ImageParam shifts{Float(32), 3, "shifts"};
  Param<float> scale{"scale"};
  std::vector<Argument> arguments{shifts, scale};
  Place of(Expr y, Expr x) const {
    return {y + scale * shifts(x, y, 0), x + scale * shifts(x, y, 1)};
  }
};
} // namespace

static Pixels pixels(ImageParam in, std::vector<Argument> more, Func out) {
  more.insert(more.begin(), in);
  return {more, {out}};
}

template <class Warp> static Pixels warpPicture(int lanes) {
  Warp warp;
  ImageParam in(Float(32), 3, "in");
  Param<float> fill("fill");
  Place from = warp.of(y, x);
  Expr height = in.dim(1).extent(), width = in.dim(0).extent();
  // Far places would not fit into the whole numbers.
  Expr sy = clamp(from.y, -2.0f, cast<float>(height) + 1),
       sx = clamp(from.x, -2.0f, cast<float>(width) + 1);
  Expr y0 = cast<int>(floor(sy)), x0 = cast<int>(floor(sx));
  Expr fy = sy - y0, fx = sx - x0;
  auto at = [&](Expr row, Expr column) {
    return select(row >= 0 && column >= 0 && row < height && column < width,
                  in(within(in, 0, column), within(in, 1, row), c), fill);
  };
  Func out("out");
  out(x, y, c) = (at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx) * (1 - fy) +
                 (at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx) * fy;
  alongRows(out, lanes);
  std::vector<Argument> arguments = warp.arguments;
  arguments.push_back(fill);
  return pixels(in, arguments, out);
}

template <class Warp> static Pixels warpMask(int lanes) {
  Warp warp;
  ImageParam in(Int(32), 3, "in");
  Place from = warp.of(y, x);
  // Halves away from zero.
  auto nearest = [&](Expr at, int dimension) {
    Expr most = cast<float>(in.dim(dimension).extent());
    at = clamp(at, -2.0f, most + 1);
    return cast<int>(floor(at + 0.5f));
  };
  Expr row = nearest(from.y, 1), column = nearest(from.x, 0);
  Func out("out");
  out(x, y, c) = select(row >= 0 && column >= 0 && row < in.dim(1).extent() &&
                            column < in.dim(0).extent(),
                        in(within(in, 0, column), within(in, 1, row), c), 0);
  alongRows(out, lanes);
  return pixels(in, warp.arguments, out);
}

template <class Warp> static Pixels warpBoxes(int lanes) {
  Warp warp;
  ImageParam boxes(Float(32), 2, "boxes");
  Param<int32_t> height("height"), width("width");
  RDom p(0, width, 0, height, "p");
  Place from = warp.of(p.y, p.x);
  Expr py = from.y + 0.5f, px = from.x + 0.5f;
  Expr inside = px >= boxes(0, n) && px < boxes(2, n) && py >= boxes(1, n) &&
                py < boxes(3, n);
  Var edge("edge");
  Func out("out");
  out(edge, n) = 0.0f;
  for (int which = 0; which < 4; ++which) {
    bool least = which < 2;
    Expr at = cast<float>(which % 2 == 0 ? p.x : p.y) + (least ? 0.0f : 1.0f);
    float none = least ? 1e9f : -1e9f;
    Func reach("reach");
    reach(n) = none;
    Expr value = select(inside, at, none);
    reach(n) = least ? min(reach(n), value) : max(reach(n), value);
    reach.update().atomic().vectorize(p.x, lanes, TailStrategy::GuardWithIf);
    out(which, n) = reach(n);
    reach.compute_at(out, n);
  }
  // The four edges of a box one after another, with nothing kept between boxes.
  for (int which = 0; which < 4; ++which)
    out.update(which).unscheduled();
  std::vector<Argument> arguments = warp.arguments;
  arguments.insert(arguments.end(), {height, width});
  return pixels(boxes, arguments, out);
}

PIXEL_KERNEL(project) { return warpPicture<Projection>(lanes); }
PIXEL_KERNEL(project_mask) { return warpMask<Projection>(lanes); }
PIXEL_KERNEL(project_boxes) { return warpBoxes<Projection>(lanes); }
PIXEL_KERNEL(displace) { return warpPicture<Displacement>(lanes); }
PIXEL_KERNEL(displace_mask) { return warpMask<Displacement>(lanes); }
PIXEL_KERNEL(displace_boxes) { return warpBoxes<Displacement>(lanes); }

} // namespace halcyon
