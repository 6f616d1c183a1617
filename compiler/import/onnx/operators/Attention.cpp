//===- Attention.cpp - Scaled dot products of queries, keys and values ----===//
//
// softmax(Q K^T * scale + bias) V, with heads side by side or as a dimension of
// their own, several heads of queries for one of keys, masks, and keys and values
// that are remembered (Vaswani et al., 2017; Ainslie et al., 2023).
//
//===----------------------------------------------------------------------===//

#include "compiler/import/onnx/operators/Axes.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

namespace {
enum Operands { Q, K, V, Mask, PastKey, PastValue, KeyCounts };

class Attention {
public:
  explicit Attention(NodeContext &node) : node(node) {}
  LogicalResult import();

private:
  /// An operand with heads as the second of four dimensions.
  std::optional<Tensor> withHeads(unsigned operand, StringRef heads);
  /// What is remembered and what is new, one after the other.
  Tensor remembered(unsigned past, const Tensor &now);
  bool check();
  /// The operands that `biasAt` reads, and what it adds to a score.
  SmallVector<Tensor> biasOperands() const;
  Expr biasAt(Coords at, ArrayRef<Reader> in) const;
  bool hasBias() const {
    return node.has(Mask) || node.has(KeyCounts) || causal || left >= 0 ||
           right >= 0;
  }
  /// The products of queries and keys, scaled and capped.
  Tensor products(bool capped);
  Tensor withBias(const Tensor &scores);
  /// The shares that values have, and 0 for queries that all keys are hidden from.
  Tensor shares(const Tensor &scores);
  /// What is between operands and results is not rounded to half of an f32.
  DataType inner() const {
    return bitsOf(queries.type) < 32 ? DataType::F32 : queries.type;
  }
  Expr number(double value) const {
    return convert(Expr(value), kindOf(queries.type));
  }
  Expr never() const { return number(-std::numeric_limits<double>::infinity()); }

  NodeContext &node;
  Tensor queries, keys, values;
  bool causal = false, flat = false;
  int64_t left = -1, right = -1, repeats = 1;
  double cap = 0, scale = 1;
};
} // namespace

std::optional<Tensor> Attention::withHeads(unsigned operand, StringRef heads) {
  const Tensor &x = node.in(operand);
  if (x.rank() == 4)
    return x;
  int64_t count = node.integer(heads);
  if (x.rank() != 3 || count < 1 || x.shape[2] % count) {
    (void)node.fail("its operands have four dimensions, or three and " + heads +
                    " that divides the last");
    return std::nullopt;
  }
  Tensor parts =
      node.reshape(x, {x.shape[0], x.shape[1], count, x.shape[2] / count});
  return node.transpose(parts, {0, 2, 1, 3});
}

Tensor Attention::remembered(unsigned past, const Tensor &now) {
  if (!node.has(past))
    return now;
  const Tensor &before = node.in(past);
  if (before.rank() != 4 || before.shape[0] != now.shape[0] ||
      before.shape[1] != now.shape[1] || before.shape[3] != now.shape[3]) {
    (void)(openAxis(before.shape) != openAxis(now.shape)
               ? node.mixesBatch("its past differs in the batch")
               : node.fail("its past has other sizes than its keys and values"));
    return now;
  }
  return concatenated(node, {before, now}, /*axis=*/2);
}

bool Attention::check() {
  auto fail = [&](const Twine &why) {
    (void)node.fail(why);
    return false;
  };
  if (!isFloat(queries.type) || keys.type != queries.type ||
      values.type != queries.type)
    return fail("its operands are not of real numbers of one type");
  for (const Tensor *x : {&queries, &keys, &values})
    if (llvm::is_contained(x->shape, 0))
      return fail("one of its operands has no elements");
  if (queries.shape[0] != keys.shape[0] || keys.shape[0] != values.shape[0])
    return openAxis(queries.shape) < 0
               ? fail("its operands differ in the batch")
               : succeeded(node.mixesBatch("its operands differ in the batch"));
  if (queries.shape[3] != keys.shape[3] || keys.shape[1] != values.shape[1] ||
      keys.shape[2] != values.shape[2] || queries.shape[1] % keys.shape[1])
    return fail("its queries, keys and values do not fit together");
  if (node.has(Mask)) {
    const Tensor &mask = node.in(Mask);
    int64_t sizes[] = {queries.shape[0], queries.shape[1], queries.shape[2]};
    if (mask.rank() < 1 || mask.rank() > 4 || mask.shape.back() > keys.shape[2])
      return fail("its mask does not fit its queries and keys");
    for (int64_t d = 1; d < mask.rank(); ++d) {
      int64_t size = mask.shape[mask.rank() - 1 - d], wanted = sizes[3 - d];
      if (size != 1 && size != wanted)
        return size == kOpen || wanted == kOpen
                   ? succeeded(node.mixesBatch("its mask differs in the batch"))
                   : fail("its mask does not fit its queries and keys");
    }
  }
  if (node.has(KeyCounts)) {
    const Tensor &counts = node.in(KeyCounts);
    if (openAxis(queries.shape) >= 0 && openAxis(counts.shape) < 0)
      return succeeded(node.mixesBatch("its keys are counted for each image"));
    if (counts.rank() != 1 || counts.shape[0] != queries.shape[0])
      return fail("its keys are not counted for each image");
  }
  return true;
}

SmallVector<Tensor> Attention::biasOperands() const {
  SmallVector<Tensor> result;
  for (unsigned operand : {Mask, KeyCounts})
    if (node.has(operand))
      result.push_back(node.in(operand));
  return result;
}

Expr Attention::biasAt(Coords at, ArrayRef<Reader> in) const {
  Expr total = number(0), i = at[2], j = at[3];
  if (node.has(Mask)) {
    const Reader &mask = in.front();
    int64_t length = mask.sizes().back();
    SmallVector<Expr> from(at.take_back(mask.sizes().size()));
    for (auto [index, size] : llvm::zip(from, mask.sizes()))
      if (size == 1)
        index = Expr(0);
    if (length > 1 && length < keys.shape[2])
      from.back() = min(j, Expr(length - 1));
    Expr element = mask(from);
    total = mask.kind() == Kind::Bool ? select(element, total, never())
                                      : convert(element, total.kind());
    if (length < keys.shape[2])
      total = select(j < Expr(length), total, never());
  }
  // How many keys there are before the first query.
  Expr before = node.has(PastKey) ? Expr(node.in(PastKey).shape[2]) : Expr(0);
  Expr there(true);
  if (node.has(KeyCounts)) {
    Expr count = convert(in.back()(at[0]), Kind::Index);
    if (!node.has(PastKey))
      before = count - Expr(queries.shape[2]);
    there = j < count;
  }
  if (causal)
    there = there && j <= i + before;
  if (left >= 0)
    there = there && i + before - j <= Expr(left);
  if (right >= 0)
    there = there && j - (i + before) <= Expr(right);
  return select(there, total, never());
}

Tensor Attention::products(bool capped) {
  Shape shape = {queries.shape[0], queries.shape[1], queries.shape[2],
                 keys.shape[2]};
  return node.compute(
      inner(), shape, {queries, keys}, [&](Coords at, ArrayRef<Reader> in) {
        Expr head = repeats == 1 ? at[1] : floorDiv(at[1], Expr(repeats));
        Expr total = sum({queries.shape[3]}, [&](Coords r) {
          return in[0](at[0], at[1], at[2], r[0]) *
                 in[1](at[0], head, at[3], r[0]);
        });
        total = total * number(scale);
        return capped && cap > 0 ? tanh(total / number(cap)) * number(cap)
                                 : total;
      });
}

Tensor Attention::withBias(const Tensor &scores) {
  if (!hasBias())
    return scores;
  SmallVector<Tensor> operands = biasOperands();
  operands.insert(operands.begin(), scores);
  return node.compute(scores.type, scores.shape, operands,
                      [&](Coords at, ArrayRef<Reader> in) {
                        return in[0](at) + biasAt(at, in.drop_front());
                      });
}

Tensor Attention::shares(const Tensor &scores) {
  Shape row = scores.shape;
  row[3] = 1;
  int64_t count = keys.shape[2];
  auto along = [](Coords at, Expr j) {
    return SmallVector<Expr>{at[0], at[1], at[2], j};
  };
  Tensor most = node.compute(
      scores.type, row, {scores}, [&](Coords at, ArrayRef<Reader> in) {
        Expr largest = maximum({count}, [&](Coords r) {
          return in[0](along(at, r[0]));
        });
        // Of nothing but -inf, so that no difference of two is taken.
        return hasBias() ? select(largest == never(), number(0), largest) : largest;
      });
  Tensor total = node.compute(
      scores.type, row, {scores, most}, [&](Coords at, ArrayRef<Reader> in) {
        return sum({count}, [&](Coords r) {
          return exp(in[0](along(at, r[0])) - in[1](along(at, Expr(0))));
        });
      });
  SmallVector<Tensor> operands = {scores, most, total};
  // What follows from places alone is the same for all images and heads.
  SmallVector<Tensor> deciding = biasOperands();
  if (deciding.empty())
    row[0] = row[1] = 1;
  if (hasBias())
    operands.push_back(node.compute(
        scores.type, row, deciding, [&](Coords at, ArrayRef<Reader> in) {
          return maximum({count}, [&](Coords r) {
            return biasAt(along(at, r[0]), in);
          });
        }));
  return node.compute(
      scores.type, scores.shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> first = along(at, Expr(0));
        Expr share = exp(in[0](at) - in[1](first)) / in[2](first);
        if (!hasBias())
          return share;
        Expr zero(0);
        Expr bias = deciding.empty() ? in[3](zero, zero, at[2], zero) : in[3](first);
        return select(bias == never(), number(0), share);
      });
}

LogicalResult Attention::import() {
  for (unsigned operand : {Q, K, V})
    if (!node.has(operand))
      return node.fail("it has queries, keys and values");
  if (node.has(PastKey) != node.has(PastValue))
    return node.fail("it has past keys and values together");
  flat = node.in(Q).rank() == 3;
  auto q = withHeads(Q, "q_num_heads"), k = withHeads(K, "kv_num_heads"),
       v = withHeads(V, "kv_num_heads");
  if (!q || !k || !v)
    return failure();
  queries = *q, keys = remembered(PastKey, *k), values = remembered(PastValue, *v);
  causal = node.integer("is_causal");
  left = node.integer("left_window_size", -1);
  right = node.integer("right_window_size", -1);
  if (node.failed() || !check())
    return failure();
  repeats = queries.shape[1] / keys.shape[1];
  cap = node.number("softcap");
  scale = node.number("scale", 1 / std::sqrt(double(queries.shape[3])));

  Tensor products = this->products(/*capped=*/true);
  Tensor scores = withBias(products), shares = this->shares(scores);
  Shape shape = {queries.shape[0], queries.shape[1], queries.shape[2],
                 values.shape[3]};
  int64_t size = values.shape[3], count = keys.shape[2];
  auto mixed = [&](Expr b, Expr head, Expr i, Expr d, ArrayRef<Reader> in) {
    Expr from = repeats == 1 ? head : floorDiv(head, Expr(repeats));
    return sum({count}, [&](Coords r) {
      return in[0](b, head, i, r[0]) * in[1](b, from, r[0], d);
    });
  };
  if (flat)
    shape = {queries.shape[0], queries.shape[2], queries.shape[1] * size};
  Tensor result = node.compute(
      queries.type, shape, {shares, values}, [&](Coords at, ArrayRef<Reader> in) {
        if (!flat)
          return mixed(at[0], at[1], at[2], at[3], in);
        return mixed(at[0], floorDiv(at[2], Expr(size)), at[1],
                     floorMod(at[2], Expr(size)), in);
      });
  if (failed(node.set(0, result)) || (node.wants(1) && failed(node.set(1, keys))) ||
      (node.wants(2) && failed(node.set(2, values))))
    return failure();
  if (!node.wants(3))
    return success();
  auto give = [&](const Tensor &x) { return node.set(3, node.cast(x, queries.type)); };
  switch (node.integer("qk_matmul_output_mode")) {
  case 0:
    return give(cap > 0 ? this->products(/*capped=*/false) : products);
  case 1:
    return give(products);
  case 2:
    return give(scores);
  case 3:
    return give(shares);
  default:
    return node.fail("its qk_matmul_output_mode is not 0, 1, 2 or 3");
  }
}

static LogicalResult importAttention(NodeContext &node) {
  return Attention(node).import();
}
static RegisterOperator attention("Attention", importAttention, 23);
