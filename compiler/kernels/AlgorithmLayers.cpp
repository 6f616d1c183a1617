//===- AlgorithmLayers.cpp - What pools, norms and shapes compute ---------===//
//
// Written so that Halide differentiates them: maxima choose, rather than take a
// maximum as a reduction.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Windows.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Tuple;
using Halide::Var;

namespace halcyon {

static Halide::Type typeOf(const LogicalTensor &tensor) {
  return tensor.func.types()[0];
}
static Expr number(const LogicalTensor &like, double value) {
  return Halide::Internal::make_const(typeOf(like), value);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

static Func defineMaxPool(Operation *op, ArrayRef<LogicalTensor> in,
                          ArrayRef<Expr> sizes) {
  auto pool = cast<cnn::MaxPoolOp>(op);
  Windows ty = Windows::of(pool, 0), tx = Windows::of(pool, 1);
  Func f("maxpool");
  Var x("x"), y("y"), c("c"), n("n");
  Expr most = number(in[0], 0) + typeOf(in[0]).min();
  for (int v = 0; v < ty.kernel; ++v)
    for (int u = 0; u < tx.kernel; ++u) {
      Expr row = ty.at(y, v), column = tx.at(x, u);
      Expr value = in[0].func(tx.clamped(column), ty.clamped(row), c, n);
      // The first of equal values is the maximum.
      most = Halide::select(tx.isInside(column) && ty.isInside(row) && value > most,
                            value, most);
    }
  f(x, y, c, n) = most;
  return f;
}

static Func defineAvgPool(Operation *op, ArrayRef<LogicalTensor> in,
                          ArrayRef<Expr> sizes) {
  auto pool = cast<cnn::AvgPoolOp>(op);
  Windows ty = Windows::of(pool, 0), tx = Windows::of(pool, 1);
  Func f("avgpool");
  Var x("x"), y("y"), c("c"), n("n");
  Expr sum = number(in[0], 0);
  for (int v = 0; v < ty.kernel; ++v)
    for (int u = 0; u < tx.kernel; ++u) {
      Expr row = ty.at(y, v), column = tx.at(x, u);
      sum += Halide::select(
          tx.isInside(column) && ty.isInside(row),
          in[0].func(tx.clamped(column), ty.clamped(row), c, n), number(in[0], 0));
    }
  bool pad = pool.getCountPad();
  Expr cells = ty.count(y, pad) * tx.count(x, pad);
  f(x, y, c, n) = sum / Halide::cast(typeOf(in[0]), cells);
  return f;
}

static Func defineGlobalAvgPool(Operation *op, ArrayRef<LogicalTensor> in,
                                ArrayRef<Expr> sizes) {
  Func f("global_avgpool"), sum("sum");
  Var x("x"), y("y"), c("c"), n("n");
  RDom r({{0, in[0].sizes[0]}, {0, in[0].sizes[1]}}, "r");
  sum(c, n) = number(in[0], 0);
  sum(c, n) += in[0].func(r.x, r.y, c, n);
  f(x, y, c, n) = sum(c, n) / Halide::cast(typeOf(in[0]),
                                           in[0].sizes[0] * in[0].sizes[1]);
  return f;
}

static Func defineGlobalMaxPool(Operation *op, ArrayRef<LogicalTensor> in,
                                ArrayRef<Expr> sizes) {
  Func f("global_maxpool"), place("place");
  Var x("x"), y("y"), c("c"), n("n");
  RDom r({{0, in[0].sizes[0]}, {0, in[0].sizes[1]}}, "r");
  // Where the first maximum stands: a whole number has no derivative.
  Expr width = in[0].sizes[0], height = in[0].sizes[1];
  auto at = [&](Expr index) {
    return in[0].func(Halide::clamp(index % width, 0, width - 1),
                      Halide::clamp(index / width, 0, height - 1), c, n);
  };
  place(c, n) = 0;
  place(c, n) = Halide::select(in[0].func(r.x, r.y, c, n) > at(place(c, n)),
                               r.y * width + r.x, place(c, n));
  f(x, y, c, n) = at(place(c, n));
  return f;
}

static Func defineAdaptiveAvgPool(Operation *op, ArrayRef<LogicalTensor> in,
                                  ArrayRef<Expr> sizes) {
  auto pool = cast<cnn::AdaptiveAvgPoolOp>(op);
  Func f("adaptive_avgpool"), sum("sum");
  Var x("x"), y("y"), c("c"), n("n");
  int height = (int)cnn::sizeOf(pool.getX(), 2), rows = (int)pool.getSize()[0];
  int width = (int)cnn::sizeOf(pool.getX(), 3), columns = (int)pool.getSize()[1];
  auto first = [](Expr i, int size, int cells) { return i * size / cells; };
  auto past = [](Expr i, int size, int cells) {
    return ((i + 1) * size + cells - 1) / cells;
  };
  auto most = [](int size, int cells) { return (size + cells - 1) / cells + 1; };
  RDom r(0, most(width, columns), 0, most(height, rows), "r");
  Expr column = first(x, width, columns) + r.x, row = first(y, height, rows) + r.y;
  sum(x, y, c, n) = number(in[0], 0);
  sum(x, y, c, n) += Halide::select(
      column < past(x, width, columns) && row < past(y, height, rows),
      in[0].func(Halide::min(column, width - 1), Halide::min(row, height - 1), c,
                 n),
      number(in[0], 0));
  Expr cells = (past(x, width, columns) - first(x, width, columns)) *
               (past(y, height, rows) - first(y, height, rows));
  f(x, y, c, n) = sum(x, y, c, n) / Halide::cast(typeOf(in[0]), cells);
  return f;
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

static Func defineSoftmax(Operation *op, ArrayRef<LogicalTensor> in,
                          ArrayRef<Expr> sizes) {
  Func f("softmax"), shift("shift"), sum("sum"), power("power");
  std::vector<Var> vars = logicalVars(in[0].sizes.size());
  size_t channel = in[0].sizes.size() - 2;
  auto with = [&](Expr c) {
    std::vector<Expr> at(vars.begin(), vars.end());
    at[channel] = c;
    return at;
  };
  std::vector<Expr> rest(vars.begin(), vars.end());
  rest.erase(rest.begin() + channel);
  std::vector<Var> restVars(vars.begin(), vars.end());
  restVars.erase(restVars.begin() + channel);
  RDom r({{0, in[0].sizes[channel]}}, "r");
  // A whole number near the maximum: it only shifts, and has no derivative.
  shift(restVars) = Halide::Internal::make_const(Halide::Int(32), -1 << 20);
  shift(restVars) = Halide::max(
      shift(rest), Halide::cast<int>(Halide::clamp(in[0].func(with(r)), -1e6f, 1e6f)));
  power(vars) = Halide::exp(in[0].func(with(vars[channel])) -
                            Halide::cast(typeOf(in[0]), shift(rest)));
  sum(restVars) = number(in[0], 0);
  sum(restVars) += power(with(r));
  f(vars) = power(with(vars[channel])) / sum(rest);
  return f;
}

static Func defineBatchNorm(Operation *op, ArrayRef<LogicalTensor> in,
                            ArrayRef<Expr> sizes) {
  auto norm = cast<cnn::BatchNormOp>(op);
  Func f("batchnorm");
  std::vector<Var> vars = logicalVars(in[0].sizes.size());
  Expr c = vars[in[0].sizes.size() - 2];
  std::vector<Expr> at(vars.begin(), vars.end());
  Expr eps = number(in[0], norm.getEps().convertToDouble());
  f(vars) = (in[0].func(at) - in[3].func(c)) / Halide::sqrt(in[4].func(c) + eps) *
                in[1].func(c) +
            in[2].func(c);
  return f;
}

/// The domain of all elements of a channel, and a tensor's element there.
static std::pair<RDom, Expr> overChannel(const LogicalTensor &x, Expr c) {
  Halide::Region ranges;
  size_t channel = x.sizes.size() - 2;
  for (size_t i = 0; i < x.sizes.size(); ++i)
    if (i != channel)
      ranges.emplace_back(0, x.sizes[i]);
  RDom r(ranges, "r");
  std::vector<Expr> at;
  for (size_t i = 0, k = 0; i < x.sizes.size(); ++i)
    at.push_back(i == channel ? c : Expr(r[k++]));
  return {r, x.func(at)};
}

static Expr countOf(const LogicalTensor &x) {
  Expr count = 1;
  for (size_t i = 0; i < x.sizes.size(); ++i)
    if (i != x.sizes.size() - 2)
      count = count * x.sizes[i];
  return Halide::cast(typeOf(x), count);
}

static Func defineBatchStats(Operation *op, ArrayRef<LogicalTensor> in,
                             ArrayRef<Expr> sizes) {
  Func f("batch_stats"), sum("sum"), squares("squares");
  Var c("c");
  Expr count = countOf(in[0]);
  sum(c) = number(in[0], 0);
  sum(c) += overChannel(in[0], c).second;
  Expr difference = overChannel(in[0], c).second - sum(c) / count;
  squares(c) = number(in[0], 0);
  squares(c) += difference * difference;
  f(c) = Tuple(sum(c) / count, squares(c) / count);
  return f;
}

static Func defineCount(Operation *op, ArrayRef<LogicalTensor> in,
                        ArrayRef<Expr> sizes) {
  Func f("count");
  Var c("c");
  f(c) = countOf(in[0]);
  return f;
}

static Func defineSum(Operation *op, ArrayRef<LogicalTensor> in,
                      ArrayRef<Expr> sizes) {
  auto sum = cast<cnn::SumOp>(op);
  Func f("sum");
  std::vector<Expr> values;
  auto from = cnn::tensorOf(sum.getInputs().front());
  std::vector<Var> vars;
  SmallVector<Func> parts;
  for (auto [input, result, tensor] :
       llvm::zip(sum.getInputs(), sum.getResults(), in)) {
    auto to = cnn::tensorOf(result);
    bool vector = to.getRank() == 1 && from.getRank() > 1;
    vars = logicalVars(to.getRank());
    // Innermost first, as the tensor's dimensions are.
    Halide::Region ranges;
    std::vector<int> kept; // the variable of a dimension, or -1
    for (int i = (int)from.getRank() - 1; i >= 0; --i) {
      bool keep = vector ? i == 1 && to.getDimSize(0) != 1
                         : to.getDimSize(i) != 1 || from.getDimSize(i) == 1;
      kept.push_back(!keep ? -1 : vector ? 0 : (int)from.getRank() - 1 - i);
      if (!keep)
        ranges.emplace_back(0, tensor.sizes[from.getRank() - 1 - i]);
    }
    RDom r;
    if (!ranges.empty())
      r = RDom(ranges, "r");
    std::vector<Expr> at;
    for (size_t i = 0, k = 0; i < kept.size(); ++i)
      at.push_back(kept[i] < 0 ? Expr(r[k++]) : Expr(vars[kept[i]]));
    Func part("part");
    part(vars) = number(tensor, 0);
    part(vars) += tensor.func(at);
    parts.push_back(part);
    values.push_back(part(std::vector<Expr>(vars.begin(), vars.end())));
  }
  if (parts.size() == 1)
    return parts.front();
  f(vars) = Tuple(values);
  return f;
}

/// Bits of the counter-based kind: the mixing of MurmurHash3.
static Expr mix(Expr h) {
  h = (h ^ (h >> 16)) * Expr(0x85ebca6bu);
  h = (h ^ (h >> 13)) * Expr(0xc2b2ae35u);
  return h ^ (h >> 16);
}

static Func defineUniform(Operation *op, ArrayRef<LogicalTensor> in,
                          ArrayRef<Expr> sizes) {
  Func f("uniform");
  std::vector<Var> vars = logicalVars(sizes.size());
  Expr place = 0;
  for (int i = (int)sizes.size() - 1; i >= 0; --i)
    place = place * sizes[i] + vars[i];
  Expr seed = mix(Halide::cast<uint32_t>(in[1].func(0)) +
                  Expr((uint32_t)(cast<cnn::UniformOp>(op).getLayer() * 0x9e3779b9u)));
  seed = mix(seed + Halide::cast<uint32_t>(in[2].func(0)));
  Expr bits = mix(Halide::cast<uint32_t>(place) * Expr(0x9e3779b1u) + seed);
  // 24 bits, as a float has.
  f(vars) = Halide::cast(typeOf(in[0]),
                         Halide::cast<float>(bits >> 8) * Expr(1.0f / (1 << 24)));
  return f;
}

/// As it is outside of training.
static Func defineRandom(Operation *op, ArrayRef<LogicalTensor> in,
                         ArrayRef<Expr> sizes) {
  Func f("random");
  f(logicalVars(sizes.size())) = number(in[0], 0.5);
  return f;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static Func defineFlatten(Operation *op, ArrayRef<LogicalTensor> in,
                          ArrayRef<Expr> sizes) {
  Func f("flatten");
  Var c("c"), n("n");
  if (in[0].sizes.size() == 2) {
    f(c, n) = in[0].func(c, n);
    return f;
  }
  Expr width = in[0].sizes[0], height = in[0].sizes[1];
  f(c, n) = in[0].func(c % width, c / width % height, c / (width * height), n);
  return f;
}

static Func defineUnflatten(Operation *op, ArrayRef<LogicalTensor> in,
                            ArrayRef<Expr> sizes) {
  Func f("unflatten");
  std::vector<Var> vars = logicalVars(sizes.size());
  // Row-major within an image.
  Expr at = 0;
  for (int i = (int)sizes.size() - 2; i >= 0; --i)
    at = at * sizes[i] + vars[i];
  f(vars) = in[0].func(at, vars.back());
  return f;
}

static Func defineConcat(Operation *op, ArrayRef<LogicalTensor> in,
                         ArrayRef<Expr> sizes) {
  Func f("concat");
  std::vector<Var> vars = logicalVars(sizes.size());
  size_t channel = sizes.size() - 2;
  Expr value, first = sizes[channel];
  for (const LogicalTensor &tensor : llvm::reverse(in)) {
    first = first - tensor.sizes[channel];
    std::vector<Expr> at(vars.begin(), vars.end());
    at[channel] = Halide::clamp(vars[channel] - first, 0, tensor.sizes[channel] - 1);
    Expr own = tensor.func(at);
    value = value.defined() ? Halide::select(vars[channel] >= first + tensor.sizes[channel], value, own) : own;
  }
  f(vars) = value;
  return f;
}

static Func defineUpsample(Operation *op, ArrayRef<LogicalTensor> in,
                           ArrayRef<Expr> sizes) {
  auto up = cast<cnn::UpsampleOp>(op);
  Func f("upsample");
  Var x("x"), y("y"), c("c"), n("n");
  if (up.getMode() == cnn::Resample::nearest) {
    f(x, y, c, n) = in[0].func(x / (int)up.getScale()[1],
                               y / (int)up.getScale()[0], c, n);
    return f;
  }
  // The two cells that a position lies between, and its distance from one.
  auto between = [&](Expr i, int axis, int size) {
    int scale = (int)up.getScale()[axis];
    // The position is a fraction of whole numbers: exact in any type, and on
    // devices that have no double.
    Expr above = up.getAlignCorners() ? i * (size - 1) : 2 * i + 1 - scale;
    int below = up.getAlignCorners() ? std::max(1, size * scale - 1) : 2 * scale;
    above = Halide::clamp(above, 0, (size - 1) * below);
    Expr low = above / below;
    return std::array<Expr, 3>{
        low, Halide::min(low + 1, size - 1),
        Halide::cast(typeOf(in[0]), above % below) / number(in[0], below)};
  };
  auto bx = between(x, 1, (int)cnn::sizeOf(up.getX(), 3));
  auto by = between(y, 0, (int)cnn::sizeOf(up.getX(), 2));
  auto row = [&](Expr at) {
    return in[0].func(bx[0], at, c, n) * (number(in[0], 1) - bx[2]) +
           in[0].func(bx[1], at, c, n) * bx[2];
  };
  f(x, y, c, n) = row(by[0]) * (number(in[0], 1) - by[2]) + row(by[1]) * by[2];
  return f;
}

static Func definePad(Operation *op, ArrayRef<LogicalTensor> in,
                      ArrayRef<Expr> sizes) {
  auto pad = cast<cnn::PadOp>(op);
  Func f("pad");
  Var x("x"), y("y"), c("c"), n("n");
  int height = (int)cnn::sizeOf(pad.getX(), 2), width = (int)cnn::sizeOf(pad.getX(), 3);
  Expr column = x - (int)pad.getPad()[1], row = y - (int)pad.getPad()[0];
  Expr value = in[0].func(standIn(column, width, pad.getMode()),
                          standIn(row, height, pad.getMode()), c, n);
  if (pad.getMode() == cnn::PadMode::zero)
    value = Halide::select(column >= 0 && column < width && row >= 0 && row < height,
                           value, number(in[0], 0));
  f(x, y, c, n) = value;
  return f;
}

static const RegisterAlgorithm registered[] = {
    {"cnn.maxpool", defineMaxPool},
    {"cnn.avgpool", defineAvgPool},
    {"cnn.global_avgpool", defineGlobalAvgPool},
    {"cnn.global_maxpool", defineGlobalMaxPool},
    {"cnn.adaptive_avgpool", defineAdaptiveAvgPool},
    {"cnn.softmax", defineSoftmax},
    {"cnn.batchnorm", defineBatchNorm},
    {"cnn.batch_stats", defineBatchStats},
    {"cnn.count", defineCount},
    {"cnn.sum", defineSum},
    {"cnn.uniform", defineUniform},
    {"cnn.random", defineRandom},
    {"cnn.flatten", defineFlatten},
    {"cnn.unflatten", defineUnflatten},
    {"cnn.concat", defineConcat},
    {"cnn.upsample", defineUpsample},
    {"cnn.pad", definePad},
};

} // namespace halcyon
