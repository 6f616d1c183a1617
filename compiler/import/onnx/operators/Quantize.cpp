//===- Quantize.cpp - Whole numbers that stand for real ones --------------===//

#include "compiler/import/onnx/operators/Axes.h"
#include "compiler/import/onnx/operators/Window.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// The least and the largest number of a type of whole numbers.
static std::pair<double, double> rangeOf(DataType type) {
  unsigned bits = bitsOf(type);
  bool natural = type == DataType::U8 || type == DataType::U16 ||
                 type == DataType::U4 || type == DataType::U2;
  return natural ? std::pair(0.0, double((1 << bits) - 1))
                 : std::pair(-double(1 << (bits - 1)),
                             double((1 << (bits - 1)) - 1));
}

static bool isWhole(DataType type) {
  return isNumeric(type) && !isFloat(kindOf(type)) && bitsOf(type) <= 16;
}

/// round(x / scale) + zero point, within the range of a type.
static Expr quantized(Expr x, Expr scale, Expr zero, DataType type) {
  auto [low, high] = rangeOf(type);
  Expr nearest = round(x / scale);
  if (zero)
    nearest = nearest + convert(zero, nearest.kind());
  return convert(clamp(nearest, Expr(low), Expr(high)), Kind::Int);
}

/// A scale or zero point for x: one number, one for every index along an axis,
/// or one for every block of them.
static Tensor spreadOver(NodeContext &node, const Tensor &t, const Tensor &x) {
  if (t.rank() == 0 || (t.rank() == 1 && t.shape[0] == 1 && x.rank() != 1))
    return node.reshape(t, Shape(x.rank(), 1));
  auto axis = node.axis(node.integer("axis", 1), x.rank());
  if (!axis)
    return t;
  if (t.rank() == 1) {
    Shape shape(x.rank(), 1);
    shape[*axis] = t.shape[0];
    return node.reshape(t, shape);
  }
  int64_t block = node.integer("block_size");
  if (block < 1 || t.rank() != x.rank()) {
    (void)node.fail("its scales do not fit its operand");
    return t;
  }
  return node.compute(t.type, x.shape, {t}, [&](Coords at, ArrayRef<Reader> in) {
    SmallVector<Expr> from(at);
    from[*axis] = floorDiv(at[*axis], Expr(block));
    return in[0](from);
  });
}

//===----------------------------------------------------------------------===//
// QuantizeLinear, DequantizeLinear
//===----------------------------------------------------------------------===//

static LogicalResult importQuantize(NodeContext &node) {
  const Tensor x = node.in(0);
  auto type = DataType(node.integer("output_dtype"));
  if (node.has(2))
    type = node.in(2).type;
  if (type == DataType::Undefined)
    type = DataType::U8;
  bool whole = isWhole(type);
  if (!whole && (!isNumeric(type) || bitsOf(type) > 8))
    return node.fail("it can't quantize to " + nameOf(type));
  SmallVector<Tensor> operands = {x, spreadOver(node, node.in(1), x)};
  if (node.has(2))
    operands.push_back(spreadOver(node, node.in(2), x));
  if (node.failed())
    return failure();
  return node.set(node.map(operands, type, [&](ArrayRef<Expr> e) {
    Expr value = convert(e[0], Kind::F32), scale = convert(e[1], Kind::F32);
    if (!whole)
      return e.size() > 2 ? value / scale + e[2] : value / scale;
    return quantized(value, scale, e.size() > 2 ? e[2] : Expr(), type);
  }));
}
static RegisterOperator quantizeLinear("QuantizeLinear", importQuantize);

static LogicalResult importDequantize(NodeContext &node) {
  const Tensor x = node.in(0), scale = node.in(1);
  auto type = DataType(node.integer("output_dtype"));
  if (type == DataType::Undefined)
    type = scale.type;
  SmallVector<Tensor> operands = {x, spreadOver(node, scale, x)};
  if (node.has(2))
    operands.push_back(spreadOver(node, node.in(2), x));
  if (node.failed())
    return failure();
  return node.set(node.map(operands, type, [&](ArrayRef<Expr> e) {
    Expr value = e.size() > 2 ? e[0] - e[2] : e[0];
    return convert(value, Kind::F32) * convert(e[1], Kind::F32);
  }));
}
static RegisterOperator dequantizeLinear("DequantizeLinear", importDequantize);

static LogicalResult importDynamicQuantize(NodeContext &node) {
  const Tensor x = node.in(0);
  if (x.hasBatch())
    return node.mixesBatch("its scale is of the whole batch");
  auto range = [&](ExprOp op) {
    return node.compute(DataType::F32, {}, {x}, [&](Coords, ArrayRef<Reader> in) {
      Expr end = reduce(op, x.shape, [&](Coords r) { return in[0](r); });
      return op == ExprOp::Maximum ? max(end, Expr(0.0)) : min(end, Expr(0.0));
    });
  };
  Tensor low = range(ExprOp::Minimum), high = range(ExprOp::Maximum);
  Tensor scale = node.map({low, high}, DataType::F32, [](ArrayRef<Expr> e) {
    return (e[1] - e[0]) / Expr(255.0);
  });
  Tensor zero = node.map({low, scale}, DataType::U8, [](ArrayRef<Expr> e) {
    Expr point = round(clamp(-e[0] / e[1], Expr(0.0), Expr(255.0)));
    return convert(select(e[1] == Expr(0.0), Expr(0.0), point), Kind::Int);
  });
  Shape ones(x.rank(), 1);
  Tensor y = node.map(
      {x, node.reshape(scale, ones), node.reshape(zero, ones)}, DataType::U8,
      [](ArrayRef<Expr> e) {
        return quantized(e[0], e[1], e[2], DataType::U8);
      });
  return failure(failed(node.set(0, y)) || failed(node.set(1, scale)) ||
                 failed(node.set(2, zero)));
}
static RegisterOperator dynamicQuantize("DynamicQuantizeLinear",
                                        importDynamicQuantize);

//===----------------------------------------------------------------------===//
// ConvInteger, QLinearConv
//===----------------------------------------------------------------------===//

/// The sum of a convolution of whole numbers, each less its zero point.
static std::optional<Tensor> wholeConv(NodeContext &node, const Tensor &x,
                                       const Tensor &w, const Tensor *zeroX,
                                       const Tensor *zeroW,
                                       std::optional<Window> &window) {
  if (x.rank() < 3 || w.rank() != x.rank()) {
    (void)node.fail("a convolution is of maps with weights of their rank");
    return std::nullopt;
  }
  window = readWindow(node, x, w.sizes().drop_front(2));
  if (!window)
    return std::nullopt;
  int64_t groups = node.integer("group", 1), channels = w.shape[0];
  if (groups < 1 || channels % groups || x.shape[1] != w.shape[1] * groups) {
    (void)node.fail("the weights' channels do not fit its input's");
    return std::nullopt;
  }
  SmallVector<Tensor> operands = {x, w};
  unsigned atX = 0, atW = 0;
  if (zeroX) {
    atX = operands.size();
    operands.push_back(node.reshape(*zeroX, {1}));
  }
  if (zeroW) {
    atW = operands.size();
    operands.push_back(zeroW->rank() == 0 ? node.reshape(*zeroW, {1}) : *zeroW);
  }
  bool perChannel = zeroW && zeroW->rank() == 1 && zeroW->shape[0] != 1;
  Shape shape = {x.shape[0], channels}, taps = {w.shape[1]};
  shape.append(window->outputs);
  taps.append(window->kernel);
  return node.compute(
      DataType::I32, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        Expr first = groups == 1 ? Expr(0)
                                 : floorDiv(at[1], Expr(channels / groups)) *
                                       Expr(w.shape[1]);
        return sum(taps, [&](Coords r) {
          SmallVector<Expr> places =
              window->places(at.drop_front(2), r.drop_front());
          SmallVector<Expr> from = {at[0], first + r[0]}, tap = {at[1]};
          from.append(places);
          llvm::append_range(tap, r);
          Expr a = in[0](from), b = in[1](tap);
          // The border stands for zero, whatever the zero point.
          if (zeroX)
            a = select(window->inside(places), a - in[atX](Expr(0)), Expr(0));
          if (zeroW)
            b = b - in[atW](perChannel ? at[1] : Expr(0));
          return a * b;
        });
      });
}

static LogicalResult importConvInteger(NodeContext &node) {
  std::optional<Window> window;
  auto y = wholeConv(node, node.in(0), node.in(1),
                     node.has(2) ? &node.in(2) : nullptr,
                     node.has(3) ? &node.in(3) : nullptr, window);
  return y ? node.set(*y) : failure();
}
static RegisterOperator convInteger("ConvInteger", importConvInteger);

/// One number for each channel, or one for all.
static Tensor perChannel(NodeContext &node, const Tensor &t, int64_t rank,
                         int64_t channel) {
  Shape shape(rank, 1);
  shape[channel] = t.shape.empty() ? 1 : t.shape[0];
  return node.reshape(t, shape);
}

static LogicalResult importQLinearConv(NodeContext &node) {
  if (node.size() < 8)
    return node.fail("it has eight operands");
  std::optional<Window> window;
  auto total = wholeConv(node, node.in(0), node.in(3), &node.in(2), &node.in(5),
                         window);
  if (!total)
    return failure();
  int64_t rank = total->rank();
  auto spread = [&](unsigned i) { return perChannel(node, node.in(i), rank, 1); };
  SmallVector<Tensor> operands = {*total, spread(1), spread(4), spread(6),
                                  spread(7)};
  if (node.has(8))
    operands.push_back(spread(8));
  DataType type = node.in(7).type;
  return node.set(node.map(operands, type, [&](ArrayRef<Expr> e) {
    Expr whole = e.size() > 5 ? e[0] + e[5] : e[0];
    Expr real = convert(whole, Kind::F32) * (e[1] * e[2]);
    return quantized(real, e[3], e[4], type);
  }));
}
static RegisterOperator qLinearConv("QLinearConv", importQLinearConv);
