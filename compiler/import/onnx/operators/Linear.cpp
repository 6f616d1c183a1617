//===- Linear.cpp - Products of matrices ----------------------------------===//

#include "compiler/import/onnx/operators/Linear.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

//===----------------------------------------------------------------------===//
// Gemm
//===----------------------------------------------------------------------===//

static HostTensor scaled(const HostTensor &x, double factor) {
  if (factor == 1)
    return x;
  std::vector<Scalar> numbers;
  for (int64_t i = 0, n = x.count(); i < n; ++i)
    numbers.push_back(Scalar::real(x.real(i) * factor, kindOf(x.type())));
  return HostTensor::of(x.type(), x.shape(), numbers);
}

static LogicalResult importGemm(NodeContext &node) {
  Tensor a = node.in(0), b = node.in(1);
  double alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  bool transA = node.integer("transA"), transB = node.integer("transB");
  // The first version flattens its input.
  if (node.opset() < 7 && a.rank() > 2 && !transA) {
    auto features = elementCount(a.sizes().drop_front());
    a = node.reshape(a, {a.shape[0], features ? *features : 0});
  }
  if (a.rank() != 2 || b.rank() != 2)
    return node.fail("its operands are matrices");
  int64_t rows = a.shape[transA], inner = a.shape[!transA];
  int64_t columns = b.shape[!transB];
  if (b.shape[transB] != inner)
    return node.fail("it multiplies " + Twine(inner) + " columns with " +
                     Twine(b.shape[transB]) + " rows");
  Tensor c = node.in(2);
  bool vector = !node.has(2) ||
                (c.isKnown() && c.rank() >= 1 && c.shape.back() == columns &&
                 c.known.count() == columns);
  if (a.type == DataType::F32 && b.isKnown() && vector && !transA) {
    Tensor w = transB ? b : node.constant(b.known.transposed({1, 0}));
    if (alpha != 1)
      w = node.constant(scaled(w.known, alpha));
    Tensor bias;
    if (node.has(2)) {
      bias = node.reshape(c, {columns});
      if (beta != 1)
        bias = node.constant(scaled(bias.known, beta));
    }
    return node.set(timesKnown(node, a, w, bias));
  }
  auto shape = node.has(2) ? node.broadcast({c}) : Shape();
  if (!shape)
    return failure();
  Tensor product = node.compute(
      a.type, {rows, columns}, {a, b}, [&](Coords at, ArrayRef<Reader> in) {
        Expr total = sum({inner}, [&](Coords r) {
          Expr left = transA ? in[0](r[0], at[0]) : in[0](at[0], r[0]);
          Expr right = transB ? in[1](at[1], r[0]) : in[1](r[0], at[1]);
          return left * right;
        });
        return alpha == 1 ? total : total * convert(Expr(alpha), total.kind());
      });
  if (!node.has(2))
    return node.set(product);
  return node.set(node.map({product, c}, a.type, [&](ArrayRef<Expr> e) {
    return e[0] + (beta == 1 ? e[1] : e[1] * convert(Expr(beta), e[1].kind()));
  }));
}

static RegisterOperator gemm("Gemm", importGemm);

//===----------------------------------------------------------------------===//
// MatMul
//===----------------------------------------------------------------------===//

/// numpy's matmul: `element` is given an element of each operand.
static Tensor matmul(NodeContext &node, Tensor a, Tensor b, DataType type,
                     ArrayRef<Tensor> more,
                     llvm::function_ref<Expr(Coords, Expr, Expr, Expr,
                                             ArrayRef<Reader>)>
                         element) {
  bool vectorA = a.rank() == 1, vectorB = b.rank() == 1;
  if (a.rank() < 1 || b.rank() < 1) {
    (void)node.fail("its operands are no matrices");
    return Tensor();
  }
  if (vectorA)
    a = node.reshape(a, {1, a.shape[0]});
  if (vectorB)
    b = node.reshape(b, {b.shape[0], 1});
  int64_t inner = a.shape.back();
  if (b.shape[b.rank() - 2] != inner) {
    (void)node.fail("it multiplies " + Twine(inner) + " columns with " +
                    Twine(b.shape[b.rank() - 2]) + " rows");
    return Tensor();
  }
  if (inner == kOpen) {
    (void)node.mixesBatch("it joins images");
    return Tensor();
  }
  Tensor outerA, outerB;
  outerA.shape.assign(a.shape.begin(), a.shape.end() - 2);
  outerB.shape.assign(b.shape.begin(), b.shape.end() - 2);
  auto outer = node.broadcast({outerA, outerB});
  if (!outer)
    return Tensor();
  Shape shape = *outer;
  shape.push_back(a.shape[a.rank() - 2]);
  shape.push_back(b.shape.back());
  SmallVector<Tensor> operands = {a, b};
  operands.append(more.begin(), more.end());
  Tensor result = node.compute(
      type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        auto source = [&](const Reader &x, Expr row, Expr column) {
          size_t rank = x.sizes().size();
          SmallVector<Expr> from(at.drop_back(2).take_back(rank - 2));
          for (auto [index, size] : llvm::zip(from, x.sizes()))
            if (size == 1)
              index = Expr(0);
          from.push_back(row);
          from.push_back(column);
          return x(from);
        };
        Expr row = at[at.size() - 2], column = at.back();
        return sum({inner}, [&](Coords r) {
          return element(at, source(in[0], row, r[0]),
                         source(in[1], r[0], column), r[0], in);
        });
      });
  Shape given = shape;
  if (vectorB)
    given.pop_back();
  if (vectorA)
    given.erase(given.end() - (vectorB ? 1 : 2));
  return node.reshape(result, given);
}

/// A tensor of N x rows x C, or N x H x W x C, times a matrix as cnn.linear has
/// it: vectors are pixels, for which there are the kernels of a convolution.
static Tensor pixelwise(NodeContext &node, const Tensor &a, const Tensor &w,
                        const Tensor &bias) {
  Shape order = {0, a.rank() - 1}, shape = a.shape;
  for (int64_t d = 1; d + 1 < a.rank(); ++d)
    order.push_back(d);
  Tensor pixels = node.ordered(a, order).held();
  Tensor filters = node.reshape(w, {w.shape[0], w.shape[1], 1, 1});
  mlir::Value x = node.value(pixels, asMaps(pixels.shape));
  mlir::Value weight = node.weight(filters, "weight");
  mlir::Value b = bias.isKnown() ? node.weight(bias, "bias") : mlir::Value();
  if (node.failed())
    return Tensor();
  mlir::Value conv = cnn::ConvOp::create(
      node.builder(), node.loc(), x, weight, b, ArrayRef<int64_t>{1, 1},
      ArrayRef<int64_t>{0, 0, 0, 0}, ArrayRef<int64_t>{1, 1}, 1,
      cnn::PadMode::zero, cnn::AutoPad::none);
  shape.back() = w.shape[0];
  Tensor result = node.made(conv, a.type, shape);
  result.order.assign(order.begin(), order.end());
  return result;
}

/// All rows of a tensor times a known matrix.
static Tensor rowwise(NodeContext &node, const Tensor &a, const Tensor &w,
                      const Tensor &bias) {
  if (a.hasBatch() && (a.rank() == 3 || a.rank() == 4))
    return pixelwise(node, a, w, bias);
  Shape shape = a.shape, rows = {1, 1, a.shape.back()};
  shape.back() = w.shape[0];
  // Held, the batch is outermost.
  Tensor all = a;
  all.shape = heldShape(a.shape);
  bool open = all.hasBatch();
  if (open)
    rows[0] = kOpen;
  for (int64_t size : ArrayRef(all.shape).slice(open, a.rank() - 1 - open))
    rows[1] *= size;
  all = node.reshape(all, rows);
  Importer &importer = node.importer();
  if (!open)
    all = importer.opened(all, node);
  Tensor product = pixelwise(node, all, w, bias);
  if (node.failed())
    return product;
  if (!open)
    product = importer.closed(product);
  Shape held = heldShape(shape);
  product = node.reshape(product, held);
  // What has its batch as an inner size is held in no other order.
  if (held != shape)
    product = node.ordered(product, {});
  product.shape = shape;
  return product;
}

/// The element of a plain product of matrices.
static Expr timesElement(Coords, Expr x, Expr y, Expr, ArrayRef<Reader>) {
  return x * y;
}

Tensor onnx::timesKnown(NodeContext &node, const Tensor &x, const Tensor &matrix,
                        const Tensor &bias) {
  // Where there is one image, vectors that are not of a batch are its pixels.
  if (openAxis(x.shape) >= 0 || node.importer().onlyBatch == 1) {
    if (x.rank() != 2 || !x.hasBatch())
      return rowwise(node, x, matrix, bias);
    mlir::Value input = node.value(x, x.shape);
    mlir::Value weight = node.weight(matrix, "weight");
    mlir::Value b = bias.isKnown() ? node.weight(bias, "bias") : mlir::Value();
    if (node.failed())
      return Tensor();
    return node.made(cnn::LinearOp::create(node.builder(), node.loc(), input,
                                           weight, b),
                     x.type);
  }
  Tensor product =
      matmul(node, x, node.constant(matrix.known.transposed({1, 0})), x.type, {},
             timesElement);
  if (!bias.isKnown())
    return product;
  return node.map({product, bias}, x.type,
                  [](ArrayRef<Expr> e) { return e[0] + e[1]; });
}

static LogicalResult importMatMul(NodeContext &node) {
  Tensor a = node.in(0), b = node.in(1);
  if (a.type == DataType::F32 && !a.isKnown() && b.isKnown() && b.rank() == 2 &&
      a.rank() > 1 && b.shape[0] == a.shape.back())
    return node.set(timesKnown(
        node, a, node.constant(b.known.transposed({1, 0})), Tensor()));
  return node.set(matmul(node, a, b, a.type, {}, timesElement));
}

static RegisterOperator matMul("MatMul", importMatMul);
static RegisterTakes takesMatMul(matMul, {Operand::Turned});

//===----------------------------------------------------------------------===//
// MatMulInteger, QLinearMatMul
//===----------------------------------------------------------------------===//

/// A zero point for the rows of the left operand, or the columns of the right.
static Expr zeroAt(const Reader &zero, Coords at, bool left) {
  size_t rank = zero.sizes().size();
  SmallVector<Expr> from(rank, Expr(0));
  if (rank == 1 && zero.sizes()[0] != 1)
    from[0] = left ? at[at.size() - 2] : at.back();
  else if (rank > 1)
    for (size_t d = 0; d < rank; ++d)
      if (zero.sizes()[d] != 1)
        from[d] = at[at.size() - rank + d];
  return zero(from);
}

/// The product of matrices of whole numbers, each less its zero point.
static Tensor wholeProduct(NodeContext &node, const Tensor &a, const Tensor &b,
                           std::optional<Tensor> zeroA,
                           std::optional<Tensor> zeroB) {
  SmallVector<Tensor> more;
  if (zeroA)
    more.push_back(*zeroA);
  if (zeroB)
    more.push_back(*zeroB);
  return matmul(node, a, b, DataType::I32, more,
                [&](Coords at, Expr x, Expr y, Expr, ArrayRef<Reader> in) {
                  if (zeroA)
                    x = x - zeroAt(in[2], at, /*left=*/true);
                  if (zeroB)
                    y = y - zeroAt(in.back(), at, /*left=*/false);
                  return x * y;
                });
}

static std::optional<Tensor> operand(NodeContext &node, unsigned i) {
  return node.has(i) ? std::optional(node.in(i)) : std::nullopt;
}

static LogicalResult importMatMulInteger(NodeContext &node) {
  return node.set(wholeProduct(node, node.in(0), node.in(1), operand(node, 2),
                               operand(node, 3)));
}
static RegisterOperator matMulInteger("MatMulInteger", importMatMulInteger);

static LogicalResult importQLinearMatMul(NodeContext &node) {
  if (node.size() < 8)
    return node.fail("it has eight operands");
  Tensor total = wholeProduct(node, node.in(0), node.in(3), operand(node, 2),
                              operand(node, 5));
  DataType type = node.in(7).type;
  bool natural = type == DataType::U8;
  return node.set(node.map(
      {total, node.in(1), node.in(4), node.in(6), node.in(7)}, type,
      [&](ArrayRef<Expr> e) {
        Expr scale = convert(e[1], Kind::F32) * convert(e[2], Kind::F32) /
                     convert(e[3], Kind::F32);
        Expr y = round(convert(e[0], Kind::F32) * scale) +
                 convert(e[4], Kind::F32);
        return convert(natural ? clamp(y, Expr(0.0), Expr(255.0))
                               : clamp(y, Expr(-128.0), Expr(127.0)),
                       Kind::Int);
      }));
}
static RegisterOperator qLinearMatMul("QLinearMatMul", importQLinearMatMul);

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

namespace {
/// Labels of dimensions; those of an ellipsis are capitals from 'A' on, the
/// last one being the innermost.
struct Labels {
  std::vector<std::string> operands;
  std::string result;
  std::map<char, int64_t> sizes;
};
} // namespace

/// The labels of one term, an ellipsis written out for `rank` dimensions.
static std::optional<std::string> labelsOf(StringRef term, int64_t rank) {
  std::string result;
  size_t dots = term.find("...");
  int64_t named = term.size() - (dots == StringRef::npos ? 0 : 3);
  if (rank >= 0 && (dots == StringRef::npos ? named != rank : named > rank))
    return std::nullopt;
  for (size_t i = 0; i < term.size(); ++i) {
    if (i != dots) {
      if (!llvm::isAlpha(term[i]))
        return std::nullopt;
      result += term[i];
      continue;
    }
    for (int64_t k = rank - named; k > 0; --k)
      result += char(128 + k); // beyond all letters
    i += 2;
  }
  return result;
}

static LogicalResult importEinsum(NodeContext &node) {
  std::string equation = node.word("equation");
  llvm::erase(equation, ' ');
  auto [left, right] = StringRef(equation).split("->");
  bool explicitResult = StringRef(equation).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  SmallVector<Tensor> operands = node.all();
  if (terms.size() != operands.size())
    return node.fail("its equation has another number of operands");
  Labels labels;
  int64_t dots = 0;
  for (auto [term, operand] : llvm::zip(terms, operands)) {
    if (operand.hasBatch())
      return node.mixesBatch("what it sums may be images");
    auto own = labelsOf(term, operand.rank());
    if (!own)
      return node.fail("its equation does not fit its operands");
    for (auto [label, size] : llvm::zip(*own, operand.shape)) {
      int64_t &known = labels.sizes.try_emplace(label, 1).first->second;
      if (known != 1 && size != 1 && known != size)
        return node.fail("a label of its equation has two sizes");
      known = std::max(known, size);
    }
    if (term.contains("..."))
      dots = std::max<int64_t>(dots, operand.rank() - int64_t(term.size() - 3));
    labels.operands.push_back(*own);
  }
  if (explicitResult) {
    int64_t named = right.size() - (right.contains("...") ? 3 : 0);
    auto own = labelsOf(right, right.contains("...") ? named + dots : named);
    if (!own)
      return node.fail("its equation is not understood");
    labels.result = *own;
  } else {
    // Those that occur once, in the order of the alphabet.
    std::map<char, unsigned> times;
    for (const std::string &own : labels.operands)
      for (char label : own)
        ++times[label];
    for (int64_t k = dots; k > 0; --k)
      labels.result += char(128 + k);
    for (auto [label, count] : times)
      if (llvm::isAlpha(label) && count == 1)
        labels.result += label;
  }
  Shape shape, extents;
  std::string summed;
  for (char label : labels.result) {
    if (!labels.sizes.count(label))
      return node.fail("its result has a label that no operand has");
    shape.push_back(labels.sizes[label]);
  }
  for (auto [label, size] : labels.sizes)
    if (labels.result.find(label) == std::string::npos) {
      summed += label;
      extents.push_back(size);
    }
  return node.set(node.compute(
      operands[0].type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        auto product = [&](Coords r) {
          Expr total;
          for (auto [reader, own] : llvm::zip(in, labels.operands)) {
            SmallVector<Expr> from;
            for (auto [label, size] : llvm::zip(own, reader.sizes())) {
              size_t outer = labels.result.find(label);
              from.push_back(size == 1 ? Expr(0)
                             : outer != std::string::npos
                                 ? at[outer]
                                 : r[summed.find(label)]);
            }
            Expr element = reader(from);
            total = total ? total * element : element;
          }
          return total;
        };
        return extents.empty() ? product({}) : sum(extents, product);
      }));
}
static RegisterOperator einsum("Einsum", importEinsum);
