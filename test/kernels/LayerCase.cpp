//===- LayerCase.cpp - Layers to test, and what they should give ----------===//

#include "test/kernels/LayerCase.h"

#include <cmath>
#include <limits>

namespace halcyon::test {

using Shape = std::vector<int64_t>;

std::vector<Tensor> LayerCase::inputs(int64_t batch) const {
  std::vector<Tensor> result;
  for (Shape shape : shapes) {
    for (int64_t &size : shape)
      if (size < 0)
        size = batch;
    result.push_back(Tensor::random(shape, (unsigned)result.size() + 1));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string type(const Shape &shape, const std::string &layout = "") {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += (size < 0 ? "?" : std::to_string(size)) + "x";
  return text + "f32" + (layout.empty() ? "" : ", " + layout) + ">";
}

static std::string list(const Shape &values) {
  std::string text = "array<i64";
  for (size_t i = 0; i < values.size(); ++i)
    text += (i ? ", " : ": ") + std::to_string(values[i]);
  return text + ">";
}

/// A kernel with inputs %0, %1, ... of these types that yields `%y`.
static std::string kernelText(const std::vector<std::string> &inputs,
                              const std::string &body,
                              const std::string &result) {
  std::string args;
  for (size_t i = 0; i < inputs.size(); ++i)
    args += (i ? ", " : "") + ("%a" + std::to_string(i)) + ": " + inputs[i];
  return "exec.kernel @k <\"none\", {}> {\n^bb0(" + args + "):\n" + body +
         "  cnn.yield %y : " + result + "\n}\n";
}

/// `%y = cnn.OP %a0, ... {attributes}` on inputs of these shapes.
static std::string layerText(const std::string &op,
                             const std::vector<Shape> &shapes,
                             const std::string &attributes, const Shape &result,
                             const std::string &to = "%y") {
  std::string args, types;
  for (size_t i = 0; i < shapes.size(); ++i) {
    args += (i ? ", %a" : "%a") + std::to_string(i);
    types += (i ? ", " : "") + type(shapes[i]);
  }
  return "  " + to + " = cnn." + op + " " + args + " {" + attributes + "} : (" +
         types + ") -> " + type(result) + "\n";
}

static std::vector<std::string> types(const std::vector<Shape> &shapes) {
  std::vector<std::string> result;
  for (const Shape &shape : shapes)
    result.push_back(type(shape));
  return result;
}

/// A map of one operand: max(v, 0).
static std::string reluText(const std::string &to, const std::string &from,
                            const Shape &shape) {
  return "  " + to + " = cnn.map \"relu\" " + from + " : (" + type(shape) +
         ") -> " + type(shape) +
         " {\n  ^bb0(%v: f32):\n    %zero = arith.constant 0.0 : f32\n"
         "    %m = arith.maximumf %v, %zero : f32\n    cnn.yield %m : f32\n  }\n";
}

//===----------------------------------------------------------------------===//
// Plain loops
//===----------------------------------------------------------------------===//

static Shape batched(Shape shape, const Tensor &like) {
  shape[0] = like.shape[0];
  return shape;
}

/// Calls f(n, c, y, x) -> value for every element.
template <typename F> static Tensor filled(const Shape &shape, F f) {
  Tensor result(shape);
  size_t index = 0;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < shape[1]; ++c)
      for (int64_t y = 0; y < (shape.size() > 2 ? shape[2] : 1); ++y)
        for (int64_t x = 0; x < (shape.size() > 2 ? shape[3] : 1); ++x)
          result.data[index++] = (float)f(n, c, y, x);
  return result;
}

static float element(const Tensor &t, int64_t n, int64_t c, int64_t y, int64_t x) {
  if (t.shape.size() == 2)
    return t.data[n * t.shape[1] + c];
  return t.data[((n * t.shape[1] + c) * t.shape[2] + y) * t.shape[3] + x];
}

/// As `element`, with sizes of 1 read at 0 and vectors along the channels.
static float spread(const Tensor &t, int64_t n, int64_t c, int64_t y, int64_t x) {
  if (t.shape.size() == 1)
    return t.data[t.shape[0] == 1 ? 0 : c];
  if (t.shape.size() == 2)
    return element(t, n, t.shape[1] == 1 ? 0 : c, 0, 0);
  return element(t, n, t.shape[1] == 1 ? 0 : c, t.shape[2] == 1 ? 0 : y,
                 t.shape[3] == 1 ? 0 : x);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// silu(a * b + c) for inputs that broadcast to `shape`.
static LayerCase mapCase(const std::string &name, const Shape &shape,
                         const Shape &b, const Shape &c) {
  std::vector<Shape> shapes = {shape, b, c};
  std::string body =
      "  %y = cnn.map \"f\" %a0, %a1, %a2 : (" + type(shape) + ", " + type(b) +
      ", " + type(c) + ") -> " + type(shape) +
      " {\n  ^bb0(%p: f32, %q: f32, %r: f32):\n"
      "    %one = arith.constant 1.0 : f32\n"
      "    %0 = arith.mulf %p, %q : f32\n    %1 = arith.addf %0, %r : f32\n"
      "    %2 = arith.negf %1 : f32\n    %3 = math.exp %2 : f32\n"
      "    %4 = arith.addf %3, %one : f32\n    %5 = arith.divf %1, %4 : f32\n"
      "    cnn.yield %5 : f32\n  }\n";
  return {"map " + name, "elementwise", kernelText(types(shapes), body, type(shape)),
          shapes, [](const std::vector<Tensor> &in) -> std::vector<Tensor> {
            return {filled(in[0].shape, [&](auto... at) {
              double v = (double)element(in[0], at...) * spread(in[1], at...) +
                         spread(in[2], at...);
              return v / (1 + std::exp(-v));
            })};
          }};
}

/// One function of the library, at 8 * x for x in [-1, 1).
static LayerCase functionCase(const std::string &op, double (*function)(double)) {
  Shape shape = {-1, 64, 9, 9};
  std::string body = "  %y = cnn.map \"f\" %a0 : (" + type(shape) + ") -> " +
                     type(shape) +
                     " {\n  ^bb0(%p: f32):\n    %e = arith.constant 8.0 : f32\n"
                     "    %0 = arith.mulf %p, %e : f32\n    %1 = math." +
                     op + " %0 : f32\n    cnn.yield %1 : f32\n  }\n";
  return {"function " + op, "elementwise",
          kernelText({type(shape)}, body, type(shape)), {shape},
          [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
            return {filled(in[0].shape, [&](auto... at) {
              return function(8.0 * element(in[0], at...));
            })};
          },
          1e-6};
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

struct PoolSpec {
  Shape kernel, stride, pad = {0, 0, 0, 0}, dilation = {1, 1};
  bool ceil = false, countPad = true;
};

static int64_t pooled(int64_t size, const PoolSpec &p, int axis) {
  int64_t room = size + p.pad[axis] + p.pad[axis + 2] -
                 p.dilation[axis] * (p.kernel[axis] - 1) - 1;
  int64_t count = (room + (p.ceil ? p.stride[axis] - 1 : 0)) / p.stride[axis] + 1;
  if (p.ceil && (count - 1) * p.stride[axis] >= size + p.pad[axis])
    --count;
  return count;
}

static LayerCase poolCase(bool mean, int64_t channels, int64_t height,
                          int64_t width, PoolSpec p, bool maps = false) {
  Shape shape = {-1, channels, height, width};
  Shape result = {-1, channels, pooled(height, p, 0), pooled(width, p, 1)};
  std::string op = mean ? "avgpool" : "maxpool";
  std::string attributes =
      "kernel = " + list(p.kernel) + ", stride = " + list(p.stride) +
      ", pad = " + list(p.pad) + ", dilation = " + list(p.dilation) +
      (p.ceil ? ", ceil = true" : "") +
      (mean && !p.countPad ? ", count_pad = false" : "");
  std::string body;
  if (!maps) {
    body = layerText(op, {shape}, attributes, result);
  } else {
    body = reluText("%b", "%a0", shape) + "  %p = cnn." + op + " %b {" +
           attributes + "} : (" + type(shape) + ") -> " + type(result) + "\n" +
           reluText("%y", "%p", result);
  }
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]), [&](int64_t n, int64_t c, int64_t y,
                                               int64_t x) {
      double sum = 0, most = -std::numeric_limits<double>::infinity();
      int cells = 0;
      for (int64_t i = 0; i < p.kernel[0]; ++i)
        for (int64_t j = 0; j < p.kernel[1]; ++j) {
          int64_t yy = y * p.stride[0] - p.pad[0] + i * p.dilation[0];
          int64_t xx = x * p.stride[1] - p.pad[1] + j * p.dilation[1];
          bool inside = yy >= 0 && yy < height && xx >= 0 && xx < width;
          bool padded = yy >= -p.pad[0] && yy < height + p.pad[2] &&
                        xx >= -p.pad[1] && xx < width + p.pad[3];
          cells += p.countPad ? padded : inside;
          if (!inside)
            continue;
          double v = element(in[0], n, c, yy, xx);
          if (maps)
            v = std::max(v, 0.0);
          sum += v;
          most = std::max(most, v);
        }
      double v = mean ? sum / std::max(cells, 1) : most;
      return maps ? std::max(v, 0.0) : v;
    })};
  };
  std::string name = op + " " + type(shape) + " " + attributes + (maps ? " maps" : "");
  return {name, "pool", kernelText({type(shape)}, body, type(result)), {shape},
          reference};
}

static LayerCase globalPoolCase(bool mean, int64_t channels, int64_t height,
                                int64_t width) {
  Shape shape = {-1, channels, height, width}, result = {-1, channels, 1, 1};
  std::string op = mean ? "global_avgpool" : "global_maxpool";
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]), [&](int64_t n, int64_t c, int64_t,
                                               int64_t) {
      double sum = 0, most = -1e30;
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) {
          sum += element(in[0], n, c, y, x);
          most = std::max<double>(most, element(in[0], n, c, y, x));
        }
      return mean ? sum / (double)(height * width) : most;
    })};
  };
  return {op + " " + type(shape), "global_pool",
          kernelText({type(shape)}, layerText(op, {shape}, "", result),
                     type(result)),
          {shape}, reference};
}

//===----------------------------------------------------------------------===//
// Linear, softmax
//===----------------------------------------------------------------------===//

static LayerCase linearCase(int64_t features, int64_t outputs, bool maps) {
  Shape x = {-1, features}, result = {-1, outputs};
  std::vector<Shape> shapes = {x, {outputs, features}, {outputs}};
  std::string body;
  if (!maps) {
    // The bias is a map, as after canonicalization.
    body = layerText("linear", {x, shapes[1], shapes[2]}, "", result, "%p");
  } else {
    body = reluText("%x", "%a0", x) + "  %p = cnn.linear %x, %a1, %a2 : (" +
           type(x) + ", " + type(shapes[1]) + ", " + type(shapes[2]) + ") -> " +
           type(result) + "\n";
  }
  body += reluText("%y", "%p", result);
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]), [&](int64_t n, int64_t o, int64_t,
                                               int64_t) {
      double sum = in[2].data[o];
      for (int64_t i = 0; i < features; ++i) {
        double v = in[0].data[n * features + i];
        sum += (maps ? std::max(v, 0.0) : v) * in[1].data[o * features + i];
      }
      return std::max(sum, 0.0);
    })};
  };
  return {"linear " + type(shapes[1]) + (maps ? " maps" : ""), "linear",
          kernelText(types(shapes), body, type(result)), shapes, reference};
}

static LayerCase softmaxCase(const Shape &shape) {
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(in[0].shape, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
      double most = -1e30, sum = 0;
      for (int64_t k = 0; k < shape[1]; ++k)
        most = std::max<double>(most, element(in[0], n, k, y, x));
      for (int64_t k = 0; k < shape[1]; ++k)
        sum += std::exp(element(in[0], n, k, y, x) - most);
      return std::exp(element(in[0], n, c, y, x) - most) / sum;
    })};
  };
  return {"softmax " + type(shape), "softmax",
          kernelText({type(shape)}, layerText("softmax", {shape}, "", shape),
                     type(shape)),
          {shape}, reference};
}

//===----------------------------------------------------------------------===//
// Moving data
//===----------------------------------------------------------------------===//

static LayerCase flattenCase(int64_t channels, int64_t height, int64_t width) {
  Shape shape = {-1, channels, height, width};
  Shape result = {-1, channels * height * width};
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    Tensor out = in[0];
    out.shape = batched(result, in[0]);
    return {out};
  };
  return {"flatten " + type(shape), "flatten",
          kernelText({type(shape)}, layerText("flatten", {shape}, "", result),
                     type(result)),
          {shape}, reference};
}

static LayerCase concatCase(const Shape &channels, int64_t height, int64_t width) {
  std::vector<Shape> shapes;
  Shape result = {-1, 0, height, width};
  for (int64_t c : channels) {
    shapes.push_back({-1, c, height, width});
    result[1] += c;
  }
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]),
                   [&](int64_t n, int64_t c, int64_t y, int64_t x) {
                     size_t i = 0;
                     while (c >= in[i].shape[1])
                       c -= in[i++].shape[1];
                     return element(in[i], n, c, y, x);
                   })};
  };
  return {"concat " + list(channels), "concat",
          kernelText(types(shapes), layerText("concat", shapes, "", result),
                     type(result)),
          shapes, reference};
}

static LayerCase relayoutCase(const std::string &from, const std::string &to,
                              int64_t channels, int64_t height, int64_t width,
                              bool halo) {
  Shape shape = {-1, channels, height, width};
  std::string before = "#cnn.layout<\"" + from + "\">";
  std::string after = "#cnn.layout<\"" + to + "\">";
  std::string body = "  %y = cnn.relayout %a0 : " + type(shape, before) + " to " +
                     type(shape, after) + "\n";
  return {"relayout " + from + " to " + to + " " + type(shape) +
              (halo ? " halo" : ""),
          "relayout", kernelText({type(shape, before)}, body, type(shape, after)),
          {shape},
          [](const std::vector<Tensor> &in) -> std::vector<Tensor> {
            return {in[0]};
          }};
}

//===----------------------------------------------------------------------===//
// Resampling
//===----------------------------------------------------------------------===//

static LayerCase padCase(const std::string &mode, int64_t channels,
                         int64_t height, int64_t width, const Shape &pad) {
  Shape shape = {-1, channels, height, width};
  Shape result = {-1, channels, height + pad[0] + pad[2], width + pad[1] + pad[3]};
  int code = mode == "zero" ? 0 : mode == "reflect" ? 1 : mode == "replicate" ? 2 : 3;
  auto inside = [=](int64_t i, int64_t size) -> int64_t {
    if (i >= 0 && i < size)
      return i;
    if (code == 1)
      return i < 0 ? -i : 2 * (size - 1) - i;
    if (code == 2)
      return i < 0 ? 0 : size - 1;
    return code == 3 ? (i + size) % size : -1;
  };
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]),
                   [&](int64_t n, int64_t c, int64_t y, int64_t x) {
                     int64_t i = inside(y - pad[0], height);
                     int64_t j = inside(x - pad[1], width);
                     return i < 0 || j < 0 ? 0.0f : element(in[0], n, c, i, j);
                   })};
  };
  std::string attributes =
      "pad = " + list(pad) + ", mode = " + std::to_string(code) + " : i32";
  return {"pad " + mode + " " + type(shape), "pad",
          kernelText({type(shape)}, layerText("pad", {shape}, attributes, result),
                     type(result)),
          {shape}, reference};
}

static LayerCase upsampleCase(bool bilinear, bool corners, int64_t channels,
                              int64_t height, int64_t width, int64_t sy,
                              int64_t sx) {
  Shape shape = {-1, channels, height, width};
  Shape result = {-1, channels, height * sy, width * sx};
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]), [&](int64_t n, int64_t c, int64_t y,
                                               int64_t x) -> double {
      if (!bilinear)
        return element(in[0], n, c, y / sy, x / sx);
      auto source = [&](int64_t o, int64_t size, int64_t factor) {
        if (corners)
          return size * factor == 1
                     ? 0.0
                     : double(o) * (double)(size - 1) / (double)(size * factor - 1);
        return std::max(0.0, (double(o) + 0.5) / (double)factor - 0.5);
      };
      double fy = source(y, height, sy), fx = source(x, width, sx), sum = 0;
      for (int i : {0, 1})
        for (int j : {0, 1}) {
          int64_t yy = std::min<int64_t>((int64_t)fy + i, height - 1);
          int64_t xx = std::min<int64_t>((int64_t)fx + j, width - 1);
          double wy = fy - std::floor(fy), wx = fx - std::floor(fx);
          sum += element(in[0], n, c, yy, xx) * (i ? wy : 1 - wy) *
                 (j ? wx : 1 - wx);
        }
      return sum;
    })};
  };
  std::string attributes =
      "scale = " + list({sy, sx}) + ", mode = " + (bilinear ? "1" : "0") +
      " : i32" + (corners ? ", align_corners = true" : "");
  return {"upsample " + type(shape) + " " + attributes, "upsample",
          kernelText({type(shape)},
                     layerText("upsample", {shape}, attributes, result),
                     type(result)),
          {shape}, reference};
}

static LayerCase adaptiveCase(int64_t channels, int64_t height, int64_t width,
                              int64_t rows, int64_t columns) {
  Shape shape = {-1, channels, height, width};
  Shape result = {-1, channels, rows, columns};
  auto reference = [=](const std::vector<Tensor> &in) -> std::vector<Tensor> {
    return {filled(batched(result, in[0]),
                   [&](int64_t n, int64_t c, int64_t y, int64_t x) {
                     int64_t y0 = y * height / rows, x0 = x * width / columns;
                     int64_t y1 = ((y + 1) * height + rows - 1) / rows;
                     int64_t x1 = ((x + 1) * width + columns - 1) / columns;
                     double sum = 0;
                     for (int64_t i = y0; i < y1; ++i)
                       for (int64_t j = x0; j < x1; ++j)
                         sum += element(in[0], n, c, i, j);
                     return sum / (double)((y1 - y0) * (x1 - x0));
                   })};
  };
  std::string attributes = "size = " + list({rows, columns});
  return {"adaptive_avgpool " + type(shape) + " " + attributes, "adaptive_pool",
          kernelText({type(shape)},
                     layerText("adaptive_avgpool", {shape}, attributes, result),
                     type(result)),
          {shape}, reference};
}

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

std::vector<LayerCase> layerCases() {
  std::vector<LayerCase> cases;
  auto add = [&](LayerCase test) { cases.push_back(std::move(test)); };
  const Shape channels = {1, 3, 5, 16, 17, 24, 32};

  for (int64_t c : channels) {
    Shape shape = {-1, c, 5, 7 + c % 4};
    add(mapCase("vectors " + std::to_string(c), shape, {c}, {c}));
    add(mapCase("gate " + std::to_string(c), shape, {-1, c, 1, 1}, shape));
    add(mapCase("plane " + std::to_string(c), shape, {-1, 1, 5, 7 + c % 4}, {1}));
    add(mapCase("rank 2 " + std::to_string(c), {-1, c}, {c}, {-1, c}));
  }
  add(functionCase("tanh", std::tanh));
  add(functionCase("erf", std::erf));
  add(functionCase("exp", std::exp));
  add(functionCase("sin", std::sin));
  add(functionCase("cos", std::cos));
  add(functionCase("absf", std::fabs));
  add(functionCase("floor", std::floor));
  add(functionCase("ceil", std::ceil));
  add(functionCase("roundeven", std::nearbyint));
  add(mapCase("wide", {-1, 8, 20, 37}, {8}, {-1, 8, 20, 37}));
  add(mapCase("1x1", {-1, 40, 1, 1}, {40}, {-1, 40, 1, 1}));
  add(mapCase("rank 2 long", {-1, 1000}, {1000}, {-1, 1}));

  for (const char *from : {"nchw", "nhwc", "nchw16c"})
    for (const char *to : {"nchw", "nhwc", "nchw16c"})
      for (int64_t c : channels)
        add(relayoutCase(from, to, c, 5, c % 2 ? 19 : 7, c % 3 != 0));

  for (bool mean : {false, true}) {
    int turn = 0;
    for (int64_t c : channels) {
      bool maps = turn++ % 3 == 2;
      add(poolCase(mean, c, 8, 8, {{2, 2}, {2, 2}}, maps));
      add(poolCase(mean, c, 13, 14, {{3, 3}, {2, 2}, {1, 1, 1, 1}}, maps));
      add(poolCase(mean, c, 7, 9, {{3, 3}, {1, 1}, {1, 1, 1, 1}}, maps));
    }
    add(poolCase(mean, 20, 13, 15, {{3, 3}, {2, 2}, {0, 0, 0, 0}, {1, 1}, true}));
    add(poolCase(mean, 20, 12, 10, {{3, 2}, {2, 3}, {1, 0, 1, 1}, {1, 1}, true}));
    add(poolCase(mean, 20, 12, 10, {{3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, true, false}));
    add(poolCase(mean, 20, 12, 30, {{3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, false, false}));
    add(poolCase(mean, 16, 12, 40, {{3, 3}, {1, 2}, {2, 2, 2, 2}, {2, 2}}));
    add(poolCase(mean, 16, 1, 2, {{2, 2}, {1, 1}, {1, 1, 1, 1}, {2, 2}}));
    add(poolCase(mean, 17, 20, 20, {{13, 13}, {1, 1}, {6, 6, 6, 6}}));
    add(poolCase(mean, 33, 9, 9, {{7, 7}, {2, 1}, {0, 1, 2, 3}}));
    add(poolCase(mean, 5, 31, 33, {{7, 7}, {7, 7}}));
    for (int64_t c : channels)
      add(globalPoolCase(mean, c, 7, c % 2 ? 7 : 19));
    add(globalPoolCase(mean, 40, 1, 1));
    add(globalPoolCase(mean, 8, 3, 2));
  }

  for (bool maps : {false, true}) {
    add(linearCase(84, 10, maps));
    add(linearCase(3, 5, maps));
    add(linearCase(33, 17, maps));
    add(linearCase(512, 1001, maps));
    add(linearCase(400, 120, maps));
    add(linearCase(784, 256, maps));
  }

  for (int64_t c : channels) {
    add(softmaxCase({-1, c}));
    add(softmaxCase({-1, c, 5, 9 + c % 2 * 70}));
  }
  add(softmaxCase({-1, 1000}));

  for (int64_t c : channels)
    add(flattenCase(c, 5, 7));
  add(flattenCase(100, 1, 1));
  add(flattenCase(48, 7, 7));
  add(flattenCase(3, 28, 30));

  add(concatCase({16, 32}, 5, 7));
  add(concatCase({3, 5, 24}, 5, 7));
  add(concatCase({17, 16, 1}, 3, 20));
  add(concatCase({32, 8}, 4, 4));
  add(concatCase({8, 32, 16}, 4, 4));

  for (const char *mode : {"zero", "reflect", "replicate", "circular"}) {
    add(padCase(mode, 3, 5, 7, {1, 2, 3, 4}));
    add(padCase(mode, 20, 6, 40, {0, 3, 2, 0}));
  }
  for (int64_t c : {3, 16, 20}) {
    add(upsampleCase(false, false, c, 5, 7, 2, 2));
    add(upsampleCase(true, false, c, 5, 7, 2, 2));
    add(upsampleCase(true, true, c, 5, 7, 2, 3));
    add(upsampleCase(true, false, c, 1, 9, 4, 3));
    add(adaptiveCase(c, 7, 7, 7, 7));
    add(adaptiveCase(c, 13, 11, 6, 6));
    add(adaptiveCase(c, 3, 5, 7, 6));
    add(adaptiveCase(c, 12, 12, 3, 2));
  }
  return cases;
}

} // namespace halcyon::test
