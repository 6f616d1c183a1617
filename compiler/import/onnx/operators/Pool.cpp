//===- Pool.cpp - Pooling -------------------------------------------------===//

#include "compiler/import/onnx/operators/Window.h"

#include <cmath>

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// Whether a pooling has an operation, and kernels, of its own.
static bool hasOperation(const Tensor &x, const Window &window) {
  if (x.type != DataType::F32 || (x.rank() != 3 && x.rank() != 4))
    return false;
  for (unsigned d = 0; d < window.rank(); ++d) {
    int64_t reach = window.dilation[d] * (window.kernel[d] - 1) + 1;
    if (window.before[d] < 0 || window.after[d] < 0 ||
        std::max(window.before[d], window.after[d]) >= reach)
      return false;
  }
  return true;
}

/// The image and the channel of an output, and places in the map.
static SmallVector<Expr> source(Coords at, ArrayRef<Expr> places) {
  SmallVector<Expr> result = {at[0], at[1]};
  llvm::append_range(result, places);
  return result;
}

static Shape outputShape(const Tensor &x, const Window &window) {
  Shape shape = {x.shape[0], x.shape[1]};
  shape.append(window.outputs);
  return shape;
}

//===----------------------------------------------------------------------===//
// MaxPool
//===----------------------------------------------------------------------===//

/// Where in the whole tensor the maxima lie.
static Tensor maxIndices(NodeContext &node, const Tensor &x, const Tensor &y,
                         const Window &window) {
  bool byColumns = node.integer("storage_order");
  // The first tap that has the maximum.
  Tensor taps = node.compute(
      DataType::I64, y.shape, {x, y}, [&](Coords at, ArrayRef<Reader> in) {
        return minimum(window.kernel, [&](Coords u) {
          SmallVector<Expr> places = window.places(at.drop_front(2), u);
          Expr wins = window.inside(places) &&
                      in[0](source(at, window.nearest(places))) == in[1](at);
          return select(wins, ravel(u, window.kernel),
                        Expr(*elementCount(window.kernel)));
        });
      });
  return node.compute(
      DataType::I64, y.shape, {taps}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> places = window.places(
            at.drop_front(2), unravel(in[0](at), window.kernel));
        Shape sizes = window.inputs;
        if (byColumns) {
          std::reverse(places.begin(), places.end());
          std::reverse(sizes.begin(), sizes.end());
        }
        Expr map = at[0] * Expr(x.shape[1]) + at[1];
        return map * Expr(*elementCount(sizes)) + ravel(places, sizes);
      });
}

static LogicalResult importMaxPool(NodeContext &node) {
  Tensor x = node.in(0);
  auto window = readWindow(node, x);
  if (!window)
    return failure();
  Shape shape = outputShape(x, *window);
  if (hasOperation(x, *window) && !node.wants(1)) {
    Window2d flat = twoDimensional(*window);
    mlir::Value input = node.value(x, asMaps(x.shape));
    if (!input)
      return failure();
    mlir::Value pool = cnn::MaxPoolOp::create(
        node.builder(), node.loc(), input, flat.kernel, flat.stride, flat.pad,
        flat.dilation, window->ceil, cnn::AutoPad::none);
    return node.set(node.made(pool, x.type, shape));
  }
  Tensor y =
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        return maximum(window->kernel, [&](Coords u) {
          SmallVector<Expr> places = window->places(at.drop_front(2), u);
          if (!window->isPadded() && !window->ceil)
            return in[0](source(at, places));
          Expr element = in[0](source(at, window->nearest(places)));
          Scalar least = identityOf(ExprOp::Maximum, element.kind());
          Expr outside = isFloat(least.kind) ? Expr(least.f) : Expr(least.i);
          return select(window->inside(places), element, outside);
        });
      });
  if (node.failed() || failed(node.set(0, y)))
    return failure();
  return node.wants(1) ? node.set(1, maxIndices(node, x, y, *window))
                       : success();
}

static RegisterOperator maxPool("MaxPool", importMaxPool);

//===----------------------------------------------------------------------===//
// AveragePool, LpPool
//===----------------------------------------------------------------------===//

static LogicalResult importAveragePool(NodeContext &node) {
  Tensor x = node.in(0);
  auto window = readWindow(node, x);
  if (!window)
    return failure();
  bool countPad = node.integer("count_include_pad");
  Shape shape = outputShape(x, *window);
  bool dilated = llvm::any_of(window->dilation, [](int64_t d) { return d != 1; });
  if (hasOperation(x, *window) && !dilated) {
    Window2d flat = twoDimensional(*window);
    mlir::Value input = node.value(x, asMaps(x.shape));
    if (!input)
      return failure();
    mlir::Value pool = cnn::AvgPoolOp::create(
        node.builder(), node.loc(), input, flat.kernel, flat.stride, flat.pad,
        flat.dilation, window->ceil, cnn::AutoPad::none, countPad);
    return node.set(node.made(pool, x.type, shape));
  }
  return node.set(node.compute(
      x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Coords i = at.drop_front(2);
        Expr total = sum(window->kernel, [&](Coords u) {
          return in[0](source(at, window->places(i, u)));
        });
        // What ceil adds beyond the padding never counts.
        Expr count(1);
        for (unsigned d = 0; d < window->rank(); ++d) {
          int64_t first = countPad ? -window->before[d] : 0;
          int64_t end = window->inputs[d] + (countPad ? window->after[d] : 0);
          count = count * sum({window->kernel[d]}, [&](Coords u) {
                    Expr place = window->place(d, i[d], u[0]);
                    return select(Expr(first) <= place && place < Expr(end),
                                  Expr(1), Expr(0));
                  });
        }
        return total / convert(count, total.kind());
      }));
}

static RegisterOperator averagePool("AveragePool", importAveragePool);

/// (sum of |x|^p)^(1/p)
static Expr norm(double p, ArrayRef<int64_t> extents,
                 llvm::function_ref<Expr(Coords)> element) {
  Expr total = sum(extents, [&](Coords u) {
    Expr x = abs(element(u));
    return p == 1 ? x : p == 2 ? x * x : pow(x, Expr(p));
  });
  return p == 1 ? total : p == 2 ? sqrt(total) : pow(total, Expr(1 / p));
}

static double powerOf(NodeContext &node) {
  return node.given("p") ? node.number("p", double(node.integer("p", 2))) : 2;
}

static LogicalResult importLpPool(NodeContext &node) {
  Tensor x = node.in(0);
  auto window = readWindow(node, x);
  if (!window)
    return failure();
  return node.set(node.compute(
      x.type, outputShape(x, *window), {x}, [&](Coords at, ArrayRef<Reader> in) {
        return norm(powerOf(node), window->kernel, [&](Coords u) {
          return in[0](source(at, window->places(at.drop_front(2), u)));
        });
      }));
}

static RegisterOperator lpPool("LpPool", importLpPool);

//===----------------------------------------------------------------------===//
// Global pooling
//===----------------------------------------------------------------------===//

using Whole = Expr (*)(NodeContext &, ArrayRef<int64_t>,
                       llvm::function_ref<Expr(Coords)>);

template <typename Op>
static LogicalResult importGlobal(NodeContext &node, Whole formula) {
  Tensor x = node.in(0);
  if (x.rank() < 3)
    return node.fail("its input has no spatial dimensions");
  Shape shape(x.rank(), 1);
  shape[0] = x.shape[0];
  shape[1] = x.shape[1];
  if constexpr (!std::is_void_v<Op>) {
    if (x.type == DataType::F32 && x.rank() <= 4) {
      mlir::Value input = node.value(x, asMaps(x.shape));
      if (!input)
        return failure();
      mlir::Value pool = Op::create(node.builder(), node.loc(), input);
      return node.set(node.made(pool, x.type, shape));
    }
  }
  return node.set(
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        return formula(node, x.sizes().drop_front(2), [&](Coords u) {
          return in[0](source(at, u));
        });
      }));
}

static LogicalResult importGlobalAverage(NodeContext &node) {
  return importGlobal<cnn::GlobalAvgPoolOp>(
      node, [](NodeContext &, ArrayRef<int64_t> sizes,
               llvm::function_ref<Expr(Coords)> element) {
        return sum(sizes, element) / Expr(double(*elementCount(sizes)));
      });
}
static LogicalResult importGlobalMax(NodeContext &node) {
  return importGlobal<cnn::GlobalMaxPoolOp>(
      node, [](NodeContext &, ArrayRef<int64_t> sizes,
               llvm::function_ref<Expr(Coords)> element) {
        return maximum(sizes, element);
      });
}
static LogicalResult importGlobalLp(NodeContext &node) {
  return importGlobal<void>(node, [](NodeContext &node, ArrayRef<int64_t> sizes,
                                     llvm::function_ref<Expr(Coords)> element) {
    return norm(powerOf(node), sizes, element);
  });
}

static RegisterOperator globalAverage("GlobalAveragePool", importGlobalAverage);
static RegisterOperator globalMax("GlobalMaxPool", importGlobalMax);
static RegisterOperator globalLp("GlobalLpPool", importGlobalLp);

//===----------------------------------------------------------------------===//
// MaxUnpool
//===----------------------------------------------------------------------===//

static LogicalResult importMaxUnpool(NodeContext &node) {
  Tensor x = node.in(0), indices = node.in(1);
  auto kernel = node.integers("kernel_shape");
  size_t rank = kernel.size();
  if (int64_t(rank) + 2 != x.rank() || indices.shape != x.shape)
    return node.fail("its window or its indices do not fit its input");
  auto strides = node.integers("strides", std::vector<int64_t>(rank, 1));
  auto pads = node.integers("pads", std::vector<int64_t>(2 * rank, 0));
  Shape shape = {x.shape[0], x.shape[1]};
  for (unsigned d = 0; d < rank; ++d)
    shape.push_back((x.shape[d + 2] - 1) * strides[d] - pads[d] -
                    pads[d + rank] + kernel[d]);
  // Indices are places in the shape that follows from the window.
  Shape natural = shape;
  if (node.has(2)) {
    auto given = node.knownIntegers(2);
    if (!given || given->size() != shape.size())
      return node.fail("output_shape has another number of dimensions");
    for (unsigned d = 2; d < shape.size(); ++d)
      shape[d] = (*given)[d];
  }
  return node.set(node.compute(
      x.type, shape, {x, indices}, [&](Coords at, ArrayRef<Reader> in) {
        Expr place = ravel(at, natural), inside(true);
        for (unsigned d = 2; d < shape.size(); ++d)
          if (shape[d] > natural[d])
            inside = inside && at[d] < Expr(natural[d]);
        return sum(x.sizes().drop_front(2), [&](Coords r) {
          SmallVector<Expr> from = source(at, r);
          Expr element = in[0](from);
          return select(inside && in[1](from) == place, element,
                        convert(Expr(0), element.kind()));
        });
      }));
}

static RegisterOperator maxUnpool("MaxUnpool", importMaxUnpool);
