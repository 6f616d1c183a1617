//===- Conv.cpp - Convolutions --------------------------------------------===//

#include "compiler/import/onnx/operators/Window.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// A batch of f32 maps with one or two dimensions and weights that are known have
/// operations, and kernels, of their own.
static bool hasOperation(NodeContext &node, const Tensor &x, const Tensor &w) {
  return x.type == DataType::F32 && x.hasBatch() && w.isKnown() && w.type == DataType::F32 &&
         (x.rank() == 3 || x.rank() == 4) &&
         (!node.has(2) || node.in(2).isKnown());
}

/// Maps, filters, and the bias or null, as operations take them.
static std::array<mlir::Value, 3> operandsOf(NodeContext &node, const Tensor &x,
                                             const Tensor &w) {
  Tensor filters = node.reshape(w, asMaps(w.shape));
  mlir::Value input = node.value(x, asMaps(x.shape));
  mlir::Value weight = node.weight(filters, "weight");
  return {input, weight,
          node.has(2) ? node.weight(node.in(2), "bias") : mlir::Value()};
}

static LogicalResult checkChannels(NodeContext &node, int64_t in, int64_t out,
                                   int64_t groups) {
  if (groups < 1 || in % groups || out % groups)
    return node.fail("groups must divide the channels, which are " +
                     Twine(in) + " in and " + Twine(out) + " out");
  if (node.has(2) && ArrayRef(node.in(2).shape) != ArrayRef(Shape{out}))
    return node.fail("the bias has another size than the output's channels");
  return success();
}

//===----------------------------------------------------------------------===//
// Conv
//===----------------------------------------------------------------------===//

static LogicalResult importConv(NodeContext &node) {
  Tensor x = node.in(0), w = node.in(1);
  if (x.rank() < 3 || w.rank() != x.rank())
    return node.fail("a convolution is of maps with weights of their rank");
  auto window = readWindow(node, x, w.sizes().drop_front(2));
  if (!window)
    return failure();
  int64_t groups = node.integer("group", 1), channels = w.shape[0];
  if (failed(checkChannels(node, x.shape[1], channels, groups)))
    return failure();
  if (x.shape[1] != w.shape[1] * groups)
    return node.fail("the weights are for " + Twine(w.shape[1] * groups) +
                     " channels, and there are " + Twine(x.shape[1]));
  Shape shape = {x.shape[0], channels};
  shape.append(window->outputs);
  bool negative = llvm::any_of(window->before, [](int64_t p) { return p < 0; }) ||
                  llvm::any_of(window->after, [](int64_t p) { return p < 0; });
  if (hasOperation(node, x, w) && !negative) {
    Window2d flat = twoDimensional(*window);
    auto [input, weight, bias] = operandsOf(node, x, w);
    if (node.failed())
      return failure();
    mlir::Value conv = cnn::ConvOp::create(
        node.builder(), node.loc(), input, weight, bias, flat.stride, flat.pad,
        flat.dilation, groups, cnn::PadMode::zero, cnn::AutoPad::none);
    return node.set(node.made(conv, x.type, shape));
  }
  Shape taps = {w.shape[1]};
  taps.append(window->kernel);
  int64_t perGroup = channels / groups;
  return node.set(node.compute(
      x.type, shape, node.all(), [&](Coords at, ArrayRef<Reader> in) {
        Expr first = floorDiv(at[1], Expr(perGroup)) * Expr(w.shape[1]);
        if (groups == 1)
          first = Expr(0);
        Expr total = sum(taps, [&](Coords r) {
          SmallVector<Expr> source = {at[0], first + r[0]}, tap = {at[1]};
          llvm::append_range(source,
                             window->places(at.drop_front(2), r.drop_front()));
          llvm::append_range(tap, r);
          return in[0](source) * in[1](tap);
        });
        return in.size() > 2 ? total + in[2](at[1]) : total;
      }));
}

static RegisterOperator conv("Conv", importConv);

//===----------------------------------------------------------------------===//
// ConvTranspose
//===----------------------------------------------------------------------===//

/// The padding of a transposed convolution, where it follows from the output.
static LogicalResult transposedPads(NodeContext &node, Window &window,
                                    const Shape &extra) {
  std::vector<int64_t> wanted = node.integers("output_shape");
  std::string automatic = node.word("auto_pad", "NOTSET");
  bool same = StringRef(automatic).starts_with("SAME");
  // Some files give the batch and the channels, too.
  if (wanted.size() == window.rank() + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && wanted.size() != window.rank())
    return node.fail("output_shape has another number of dimensions");
  window.outputs.clear();
  for (unsigned d = 0; d < window.rank(); ++d) {
    int64_t n = window.inputs[d], stride = window.stride[d];
    int64_t reach = window.dilation[d] * (window.kernel[d] - 1) + 1;
    int64_t full = (n - 1) * stride + reach + extra[d];
    if (!wanted.empty() || same) {
      int64_t output = wanted.empty() ? n * stride : wanted[d];
      int64_t total = full - output;
      window.before[d] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      if (total < 0)
        window.before[d] = 0;
      window.after[d] = total - window.before[d];
    }
    window.outputs.push_back(full - window.before[d] - window.after[d]);
    if (window.outputs.back() < 1)
      return node.fail("padding removes the whole output");
  }
  return success();
}

static LogicalResult importConvTranspose(NodeContext &node) {
  Tensor x = node.in(0), w = node.in(1);
  if (x.rank() < 3 || w.rank() != x.rank())
    return node.fail("a convolution is of maps with weights of their rank");
  // Output sizes are not those of a convolution: any map is large enough.
  Tensor large = x;
  for (int64_t &size : MutableArrayRef(large.shape).drop_front(2))
    size = int64_t(1) << 29;
  auto window = readWindow(node, large, w.sizes().drop_front(2));
  if (!window)
    return failure();
  window->inputs.assign(x.shape.begin() + 2, x.shape.end());
  std::vector<int64_t> given =
      node.integers("output_padding", std::vector<int64_t>(window->rank(), 0));
  Shape extra(given.begin(), given.end());
  if (extra.size() != window->rank())
    return node.fail("output_padding has another number of dimensions");
  int64_t groups = node.integer("group", 1), perGroup = w.shape[1];
  if (failed(transposedPads(node, *window, extra)) ||
      failed(checkChannels(node, x.shape[1], perGroup * groups, groups)))
    return failure();
  if (w.shape[0] != x.shape[1])
    return node.fail("the weights are for " + Twine(w.shape[0]) +
                     " channels, and there are " + Twine(x.shape[1]));
  Shape shape = {x.shape[0], perGroup * groups};
  shape.append(window->outputs);
  auto natural = [](const Shape &numbers) {
    return llvm::all_of(numbers, [](int64_t n) { return n >= 0; });
  };
  // What lies behind the last window is output padding there.
  for (unsigned d = 0; d < window->rank(); ++d)
    if (window->after[d] < 0) {
      extra[d] -= window->after[d];
      window->after[d] = 0;
    }
  if (hasOperation(node, x, w) && natural(window->before) && natural(extra)) {
    Window2d flat = twoDimensional(*window);
    if (extra.size() == 1)
      extra.insert(extra.begin(), 0);
    auto [input, weight, bias] = operandsOf(node, x, w);
    if (node.failed())
      return failure();
    mlir::Value conv = cnn::ConvTransposeOp::create(
        node.builder(), node.loc(), input, weight, bias, flat.stride, flat.pad,
        extra, flat.dilation, groups);
    return node.set(node.made(conv, x.type, shape));
  }
  int64_t channels = x.shape[1] / groups;
  Shape taps = {channels};
  taps.append(window->kernel);
  return node.set(node.compute(
      x.type, shape, node.all(), [&](Coords at, ArrayRef<Reader> in) {
        Expr group = groups == 1 ? Expr(0) : floorDiv(at[1], Expr(perGroup));
        Expr own = groups == 1 ? at[1] : floorMod(at[1], Expr(perGroup));
        Expr total = sum(taps, [&](Coords r) {
          Expr channel = group * Expr(channels) + r[0];
          SmallVector<Expr> source = {at[0], channel}, tap = {channel, own};
          Expr meets(true);
          for (unsigned d = 0; d < window->rank(); ++d) {
            Expr place = at[d + 2] + Expr(window->before[d]) -
                         r[d + 1] * Expr(window->dilation[d]);
            Expr stride(window->stride[d]);
            if (window->stride[d] != 1)
              meets = meets && floorMod(place, stride) == Expr(0);
            source.push_back(floorDiv(place, stride));
          }
          llvm::append_range(tap, r.drop_front());
          Expr product = in[0](source) * in[1](tap);
          return select(meets, product, convert(Expr(0), product.kind()));
        });
        return in.size() > 2 ? total + in[2](at[1]) : total;
      }));
}

static RegisterOperator convTranspose("ConvTranspose", importConvTranspose);
