//===- Resize.cpp - Resampling --------------------------------------------===//
//
// Where samples lie is known while compiling: along each dimension every element
// of the result is a weighted sum of a few, from tables of indices and weights.
//
//===----------------------------------------------------------------------===//

#include "compiler/import/onnx/Graph.h"

#include <cmath>

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

namespace {

/// How samples are found and weighted; ONNX's names.
struct Method {
  std::string mode = "nearest", coordinates = "half_pixel";
  std::string nearest = "round_prefer_floor";
  double cubic = -0.75, outside = 0;
  bool excludesOutside = false, antialias = false;
};

/// One dimension that is resized.
struct Dimension {
  int64_t axis, in, out;
  double scale, begin = 0, end = 1; ///< of the region of interest
};

/// The samples of every element along a dimension, `taps` each; without any
/// where the element lies outside and is a number instead.
struct Table {
  int64_t taps = 0;
  std::vector<int64_t> indices;
  std::vector<double> weights;
  std::vector<bool> outside;
};

} // namespace

/// The position in the source of element `x` of the result.
static double positionOf(const Method &method, const Dimension &d, double x) {
  double length = d.scale * d.in;
  StringRef mode = method.coordinates;
  if (mode == "align_corners")
    return length == 1 ? 0 : x * (d.in - 1) / (length - 1);
  if (mode == "asymmetric")
    return x / d.scale;
  if (mode == "tf_half_pixel_for_nn")
    return (x + 0.5) / d.scale;
  if (mode == "tf_crop_and_resize") {
    double extent = (d.end - d.begin) * (d.in - 1);
    double along = length == 1 ? extent / 2 : x * extent / (length - 1);
    return along + d.begin * (d.in - 1);
  }
  double half = (x + 0.5) / d.scale - 0.5;
  if (mode == "pytorch_half_pixel")
    return length == 1 ? -0.5 : half;
  if (mode == "half_pixel_symmetric")
    return d.in / 2.0 * (1 - d.out / length) + half;
  return half;
}

/// Keys' cubic convolution kernel.
static double cubicAt(double a, double x) {
  x = std::abs(x);
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// The weights of the samples around a position that lies `ratio` behind the
/// one before it.
static std::vector<double> weightsOf(const Method &method, double ratio,
                                     double scale) {
  if (method.mode == "nearest") {
    bool later = ratio == 1 || (method.nearest == "round_prefer_floor"  ? ratio > 0.5
                                : method.nearest == "round_prefer_ceil" ? ratio >= 0.5
                                                        : method.nearest == "ceil");
    return {later ? 0.0 : 1.0, later ? 1.0 : 0.0};
  }
  bool cubic = method.mode == "cubic";
  double reach = cubic ? 2 : 1;
  // A smaller result averages over more of the source.
  double shrink = method.antialias ? std::min(scale, 1.0) : 1;
  auto start = int64_t(std::floor(-reach / shrink) + 1);
  std::vector<double> weights;
  double total = 0;
  for (int64_t i = start; i < 2 - start; ++i) {
    double x = (i - ratio) * shrink;
    weights.push_back(cubic ? cubicAt(method.cubic, x)
                            : std::max(0.0, 1 - std::abs(x)));
    total += weights.back();
  }
  for (double &weight : weights)
    weight /= method.antialias ? total : 1;
  return weights;
}

static Table tableOf(const Method &method, const Dimension &d) {
  Table table;
  for (int64_t i = 0; i < d.out; ++i) {
    double x = positionOf(method, d, double(i));
    double below = std::floor(x), ratio = x - below;
    // The sample to the left is preferred.
    if (ratio == 0) {
      below -= 1;
      ratio = 1;
    }
    std::vector<double> weights = weightsOf(method, ratio, d.scale);
    int64_t taps = weights.size(), first = int64_t(below) - taps / 2 + 1;
    double kept = 0;
    for (int64_t k = 0; k < taps; ++k) {
      int64_t index = first + k;
      if (method.excludesOutside && (index < 0 || index >= d.in))
        weights[k] = 0;
      kept += weights[k];
      table.indices.push_back(std::clamp<int64_t>(index, 0, d.in - 1));
    }
    for (double weight : weights)
      table.weights.push_back(method.excludesOutside ? weight / kept : weight);
    table.outside.push_back(method.coordinates == "tf_crop_and_resize" &&
                            (x < 0 || x > d.in - 1));
    table.taps = taps;
  }
  return table;
}

/// The sum over the samples along one dimension.
static Tensor resampled(NodeContext &node, const Tensor &x, const Method &method,
                        const Dimension &d) {
  Table table = tableOf(method, d);
  Shape shape = x.shape, sizes = {d.out, table.taps};
  shape[d.axis] = d.out;
  bool nearest = method.mode == "nearest";
  // Of the two samples of which one counts, that one.
  if (nearest) {
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < d.out; ++i)
      chosen.push_back(table.indices[2 * i + (table.weights[2 * i] == 0)]);
    table.indices = chosen;
    sizes = {d.out, 1};
  }
  std::vector<Scalar> indices, weights;
  for (int64_t index : table.indices)
    indices.push_back(Scalar::integer(index));
  for (double weight : table.weights)
    weights.push_back(Scalar::real(weight, x.type == DataType::F64 ? Kind::F64
                                                                   : Kind::F32));
  DataType real = x.type == DataType::F64 ? DataType::F64 : DataType::F32;
  Tensor places = node.constant(HostTensor::of(DataType::I32, sizes, indices));
  SmallVector<Tensor> operands = {x, places};
  if (!nearest)
    operands.push_back(node.constant(HostTensor::of(real, sizes, weights)));
  return node.compute(x.type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
    auto sample = [&](Expr tap) {
      SmallVector<Expr> from(at);
      from[d.axis] = in[1](at[d.axis], tap);
      return in[0](from);
    };
    if (nearest)
      return sample(Expr(0));
    return sum({sizes[1]}, [&](Coords k) {
      return sample(k[0]) * in[2](at[d.axis], k[0]);
    });
  });
}

/// Elements outside of the region of interest are a number.
static Tensor withOutside(NodeContext &node, const Tensor &x,
                          const Method &method, ArrayRef<Dimension> dims) {
  SmallVector<Tensor> operands = {x};
  for (const Dimension &d : dims) {
    std::vector<Scalar> flags;
    for (bool outside : tableOf(method, d).outside)
      flags.push_back(Scalar::integer(outside, Kind::Bool));
    Shape shape(x.rank(), 1);
    shape[d.axis] = d.out;
    operands.push_back(
        node.constant(HostTensor::of(DataType::Bool, shape, flags)));
  }
  return node.compute(
      x.type, x.shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        Expr outside(false);
        for (auto [i, d] : llvm::enumerate(dims)) {
          SmallVector<Expr> from(at.size(), Expr(0));
          from[d.axis] = at[d.axis];
          outside = outside || in[i + 1](from);
        }
        return select(outside, Expr(method.outside), in[0](at));
      });
}

/// Whole factors between pixel centres or from corner to corner: cnn.upsample.
static std::optional<Tensor> upsampled(NodeContext &node, const Tensor &x,
                                       const Method &method,
                                       ArrayRef<Dimension> dims) {
  if (x.rank() != 4 || x.type != DataType::F32 || !x.hasBatch())
    return std::nullopt;
  SmallVector<int64_t> factor = {1, 1};
  for (const Dimension &d : dims) {
    if (d.axis < 2 || d.out % d.in || d.scale != double(d.out) / d.in)
      return std::nullopt;
    factor[d.axis - 2] = d.out / d.in;
  }
  StringRef where = method.coordinates;
  bool half = where == "half_pixel" || where == "pytorch_half_pixel" ||
              where == "half_pixel_symmetric";
  bool repeats = method.mode == "nearest" &&
                 ((where == "asymmetric" && method.nearest == "floor") ||
                  (half && method.nearest == "round_prefer_floor" &&
                   llvm::all_of(factor, [](int64_t f) { return f <= 2; })));
  bool linear = method.mode == "linear" && !method.excludesOutside &&
                (half || where == "align_corners");
  for (const Dimension &d : dims)
    linear &= !(where == "pytorch_half_pixel" && d.out == 1);
  if (!repeats && !linear)
    return std::nullopt;
  mlir::Value input = node.value(x, x.shape);
  if (!input)
    return std::nullopt;
  mlir::Value up = cnn::UpsampleOp::create(
      node.builder(), node.loc(), input, factor,
      linear ? cnn::Resample::bilinear : cnn::Resample::nearest,
      linear && where == "align_corners");
  return node.made(up, x.type);
}

static LogicalResult resize(NodeContext &node, Tensor x, const Method &method,
                            SmallVector<Dimension> dims) {
  llvm::erase_if(dims, [&](const Dimension &d) {
    return d.in == d.out && d.scale == 1 &&
           method.coordinates != "tf_crop_and_resize";
  });
  for (const Dimension &d : dims)
    if (d.in == kOpen || d.in < 1 || d.out < 0 || d.out > (int64_t(1) << 24))
      return d.in == kOpen ? node.mixesBatch("it resizes the batch")
                           : node.fail("a size of its result makes no sense");
  if (auto fast = upsampled(node, x, method, dims))
    return node.set(*fast);
  if (node.failed())
    return failure();
  Tensor y = x;
  for (const Dimension &d : dims)
    y = resampled(node, y, method, d);
  if (method.coordinates == "tf_crop_and_resize")
    y = withOutside(node, y, method, dims);
  return node.set(y);
}

//===----------------------------------------------------------------------===//
// Resize, Upsample
//===----------------------------------------------------------------------===//

static LogicalResult importResize(NodeContext &node) {
  const Tensor x = node.in(0);
  Method method;
  bool first = node.opset() < 11;
  method.mode = node.word("mode", "nearest");
  method.coordinates = node.word("coordinate_transformation_mode",
                                 first ? "asymmetric" : "half_pixel");
  method.nearest =
      node.word("nearest_mode", first ? "floor" : "round_prefer_floor");
  method.cubic = node.number("cubic_coeff_a", -0.75);
  method.outside = node.number("extrapolation_value");
  method.excludesOutside = node.integer("exclude_outside");
  method.antialias = node.integer("antialias") && method.mode != "nearest";
  if (method.coordinates == "tf_half_pixel_for_nn")
    method.nearest = "floor";

  std::vector<int64_t> named = node.integers("axes");
  if (named.empty())
    for (int64_t d = 0; d < x.rank(); ++d)
      named.push_back(d);
  auto axes = node.axes(named, x.rank());
  if (!axes)
    return failure();
  unsigned at = first ? 1 : 2;
  SmallVector<double> scales, region;
  SmallVector<int64_t> sizes;
  if (node.has(at)) {
    auto numbers = node.knownReals(at);
    if (!numbers)
      return failure();
    scales = *numbers;
  }
  if (scales.empty() && node.has(3)) {
    auto numbers = node.knownIntegers(3);
    if (!numbers)
      return failure();
    sizes = *numbers;
  }
  if (method.coordinates == "tf_crop_and_resize") {
    auto numbers = node.knownReals(1);
    if (!numbers || numbers->size() != 2 * axes->size())
      return node.fail("it has a region of interest, two numbers for each axis");
    region = *numbers;
  }
  if (std::max(scales.size(), sizes.size()) != axes->size())
    return node.fail("it has a scale or a size for each axis");
  // One scale for all where proportions are kept.
  std::string policy = node.word("keep_aspect_ratio_policy", "stretch");
  double common = 0;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    // The batch stays what it is.
    if (x.shape[(*axes)[i]] == kOpen) {
      if (size != kBatchNumber && size != node.importer().declaredBatch)
        return node.mixesBatch("it resizes the batch");
      size = kBatchNumber;
      continue;
    }
    double scale = double(size) / x.shape[(*axes)[i]];
    if (common == 0 || (policy == "not_larger" ? scale < common : scale > common))
      common = scale;
  }
  SmallVector<Dimension> dims;
  for (auto [i, axis] : llvm::enumerate(*axes)) {
    if (x.shape[axis] == kOpen && !scales.empty() && scales[i] != 1)
      return node.mixesBatch("it resizes the batch");
    Dimension d{axis, x.shape[axis], x.shape[axis], 1};
    if (!scales.empty()) {
      d.scale = scales[i];
      if (d.in != kOpen)
        d.out = int64_t(std::floor(d.scale * d.in));
    } else if (sizes[i] == kBatchNumber && d.in == kOpen) {
      d.scale = 1;
    } else {
      d.out = policy == "stretch" ? sizes[i]
                                  : int64_t(std::floor(common * d.in + 0.5));
      d.scale = policy == "stretch" ? double(sizes[i]) / d.in : common;
    }
    if (!(d.scale > 0) || !std::isfinite(d.scale))
      return node.fail("a scale is not above 0");
    if (!region.empty()) {
      d.begin = region[i];
      d.end = region[i + axes->size()];
    }
    dims.push_back(d);
  }
  // Of the batch and the channels tf_crop_and_resize takes all.
  llvm::erase_if(dims, [](const Dimension &d) {
    return d.in == d.out && d.scale == 1 && d.begin == 0 && d.end == 1;
  });
  return resize(node, x, method, dims);
}
static RegisterOperator resizeOf("Resize", importResize, 10);

static LogicalResult importUpsample(NodeContext &node) {
  const Tensor x = node.in(0);
  Method method;
  method.mode = node.word("mode", "nearest");
  if (method.mode == "bilinear")
    method.mode = "linear";
  method.coordinates = "asymmetric";
  method.nearest = "floor";
  SmallVector<double> scales;
  if (node.has(1)) {
    auto numbers = node.knownReals(1);
    if (!numbers)
      return failure();
    scales = *numbers;
  } else if (node.given("scales")) {
    for (float scale : node.numbers("scales"))
      scales.push_back(scale);
  } else {
    scales = {1, 1, node.number("height_scale", 1), node.number("width_scale", 1)};
  }
  if (int64_t(scales.size()) != x.rank())
    return node.fail("it has a scale for every dimension");
  SmallVector<Dimension> dims;
  for (auto [d, scale] : llvm::enumerate(scales)) {
    if (!(scale > 0) || !std::isfinite(scale))
      return node.fail("a scale is not above 0");
    int64_t in = x.shape[d];
    dims.push_back({int64_t(d), in,
                    in == kOpen ? kOpen : int64_t(std::floor(scale * in)), scale});
  }
  return resize(node, x, method, dims);
}
static RegisterOperator upsample("Upsample", importUpsample);
