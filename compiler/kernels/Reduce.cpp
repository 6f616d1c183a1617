//===- Reduce.cpp - Sums over maps and batches ----------------------------===//
//
// Sums of several values in one pass over memory, with the elementwise
// operations before them: to a vector of the channels, or to one element a
// channel and image. Mean and variance of a batch are such sums, of differences
// from a channel's first element, so that little cancels.
//
// Every image is summed alone, then chunks of images, then chunks: an order that
// depends on the shape and the batch, never on the threads.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Tuple;
using Halide::Var;

namespace halcyon {
namespace {

class Reduce : public Kernel {
public:
  StringRef name() const override { return "reduce"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    Operation *op = group.anchor();
    if (!isa_and_nonnull<cnn::SumOp, cnn::BatchStatsOp>(op) ||
        group.outputs() != op->getResults())
      return false;
    auto ordinary = [](Value value) {
      Type element = cnn::tensorOf(value).getElementType();
      return element.isF32() || element.isBF16();
    };
    auto from = cnn::tensorOf(op->getOperand(0));
    if ((from.getRank() != 2 && from.getRank() != 4) || cnn::isFixed(from) ||
        !llvm::all_of(group.inputs(), ordinary) ||
        !llvm::all_of(group.outputs(), ordinary))
      return false;
    return llvm::all_of(op->getResultTypes(), [&](Type type) {
      auto to = cast<RankedTensorType>(type);
      if (to.getShape() != cnn::tensorOf(op->getResult(0)).getShape())
        return false;
      if (to.getRank() == 1)
        return to.getDimSize(0) == from.getDimSize(1);
      return to.getRank() == 4 && !cnn::isFixed(to) &&
             to.getDimSize(1) == from.getDimSize(1) && to.getDimSize(2) == 1 &&
             to.getDimSize(3) == 1;
    });
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &target) const override {
    Value x = group.anchor()->getOperand(0);
    if (cnn::tensorOf(x).getRank() != 4)
      return {uniformLayout(group, "nchw")};
    SmallVector<LayoutChoice> result;
    for (StringRef order : ordersFor(target, cnn::sizeOf(x, 1)))
      if (order != "nhwc")
        result.push_back(uniformLayout(group, order));
    return result;
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.2);
  }

  void build(KernelBuilder &b) const override;
};

/// What is summed: a tuple of values at a point, and the results that the sums
/// give, of a channel.
struct Terms {
  std::function<Tuple(const Point &)> at;
  std::function<std::vector<Expr>(std::vector<Expr> sums, const Point &)> results;
};

Terms termsOf(KernelBuilder &b, RankedTensorType from) {
  Operation *op = b.group.anchor();
  if (auto sum = dyn_cast<cnn::SumOp>(op))
    return {[&b, sum](const Point &p) {
              std::vector<Expr> values;
              for (Value input : sum->getOperands())
                values.push_back(b.at(input, p));
              return Tuple(values);
            },
            [](std::vector<Expr> sums, const Point &) { return sums; }};
  Value x = op->getOperand(0);
  auto shift = [&b, x, maps = from.getRank() == 4](Point p) {
    p.n = 0;
    if (maps)
      p.x = p.y = 0;
    return b.at(x, p);
  };
  double each = 1;
  for (int64_t size : from.getShape().drop_front(2))
    each *= (double)size;
  Expr count = Halide::cast<float>(batchOf(b)) * (float)each;
  return {[&b, x, shift](const Point &p) {
            Expr d = b.at(x, p) - shift(p);
            return Tuple(d, d * d);
          },
          [shift, count](std::vector<Expr> sums, const Point &p) {
            Expr mean = sums[0] / count;
            return std::vector<Expr>{
                shift(p) + mean,
                Halide::max(sums[1] / count - mean * mean, 0.0f)};
          }};
}

std::vector<Expr> valuesOf(const Halide::FuncRef &call, size_t count) {
  if (count == 1)
    return {Expr(call)};
  std::vector<Expr> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(call[(int)i]);
  return values;
}

Tuple added(const std::vector<Expr> &a, const std::vector<Expr> &b) {
  std::vector<Expr> sums;
  for (auto [one, other] : llvm::zip(a, b))
    sums.push_back(one + other);
  return Tuple(sums);
}

void define(Func f, const std::vector<Expr> &at, const Tuple &value) {
  if (value.size() == 1)
    f(at) = value[0];
  else
    f(at) = value;
}

void Reduce::build(KernelBuilder &b) const {
  Operation *op = b.group.anchor();
  auto from = mapsBefore(b.group, op->getOperand(0));
  auto to = cnn::tensorOf(op->getResult(0));
  const bool maps = from.getRank() == 4;
  const bool blocked = maps && cnn::layoutOf(from).isBlocked();
  const bool perImage = to.getRank() == 4;
  const int lanes = b.target.lanes, channels = (int)from.getDimSize(1);
  const int width = maps ? (int)from.getDimSize(3) : 1;
  const int height = maps ? (int)from.getDimSize(2) : 1;
  const auto guard = TailStrategy::GuardWithIf;
  Terms terms = termsOf(b, from);
  const size_t count = op->getNumResults();
  Tuple zero(std::vector<Expr>(count, 0.0f));
  Var l("l"), c("c"), n("n"), k("k"), u("u");

  // A channel is (l, c): lane and block, or c alone.
  std::vector<Expr> channel = {c};
  if (blocked)
    channel = {l, c};
  auto point = [&](Expr column, Expr row, Expr image) {
    Point p = {image, blocked ? Expr(c) : Expr(), blocked ? Expr(l) : Expr(c),
               row, column};
    if (!maps)
      p.y = p.x = Expr();
    return p;
  };
  auto with = [](std::vector<Expr> at, std::initializer_list<Expr> more) {
    at.insert(at.end(), more);
    return at;
  };

  // Sums of an image, in several parts at a time so that additions overlap:
  // columns u, u + parts, ...; of dense maps these are the lanes.
  Func columns("columns"), image("image");
  const bool dense = maps && !blocked;
  const int parts =
      dense ? std::min(width, lanes)
            : divisorUpTo(width, 8, std::min(width, 4), std::min(width, 4));
  const int rest = width % parts;
  RDom r(0, parts, 0, width / parts, 0, height, "r");
  RDom tail(0, std::max(rest, 1), 0, height, "tail");
  auto inColumns = [&](Expr part) {
    std::vector<Expr> at = with(channel, {n});
    at.insert(at.begin() + (dense ? 0 : 1), part);
    return at;
  };
  if (maps) {
    define(columns, inColumns(u), zero);
    auto sum = [&](Expr part, Expr column, Expr row) {
      define(columns, inColumns(part),
             added(valuesOf(columns(inColumns(part)), count),
                   terms.at(point(column, row, n)).as_vector()));
    };
    sum(r.x, r.y * parts + r.x, r.z);
    if (rest)
      sum(tail.x, width - rest + tail.x, tail.y);
    std::vector<Expr> total(count, 0.0f);
    for (int i = 0; i < parts; ++i)
      total = added(total, valuesOf(columns(inColumns(i)), count)).as_vector();
    define(image, with(channel, {n}), Tuple(total));
  } else {
    define(image, with(channel, {n}), terms.at(point(Expr(), Expr(), n)));
  }
  auto scheduleColumns = [&](Func consumer, Var at) {
    if (!maps)
      return;
    columns.compute_at(consumer, at);
    if (dense) {
      columns.vectorize(u);
      columns.update().vectorize(r.x);
      if (rest)
        columns.update(1).vectorize(tail.x);
      return;
    }
    columns.vectorize(l).unroll(u);
    columns.update().reorder(l, r.x, r.y, r.z).vectorize(l).unroll(r.x);
    if (rest)
      columns.update(1).reorder(l, tail.x, tail.y).vectorize(l).unroll(tail.x);
  };
  Var task("task"), first("first");
  const int blocks = blocked ? (channels + lanes - 1) / lanes : channels;

  if (perImage) {
    image.compute_root().fuse(c, n, task);
    if (blocked)
      image.bound(l, 0, lanes).bound(c, 0, blocks).vectorize(l);
    else
      image.bound(c, 0, blocks);
    image.split(task, task, first, std::max(1, 16384 / (lanes * width * height)),
                guard)
        .parallel(task);
    scheduleColumns(image, first);
    for (auto [index, value] : llvm::enumerate(b.group.outputs())) {
      Type type = value.getType();
      bool lane = cnn::layoutOf(type).isBlocked();
      Expr number = lane ? Expr(b.cb * lanes + b.c) : Expr(b.c);
      Point p = b.point(type);
      std::vector<Expr> at = lane ? std::vector<Expr>{b.c, b.cb, b.n}
                                  : std::vector<Expr>{b.c, b.n};
      Expr result = terms.results(valuesOf(image(at), count), p)[index];
      if (lane && channels % lanes)
        result = Halide::select(number < channels, result, 0.0f);
      Func out = b.output(index, b.vars(type), result);
      if (lane)
        out.vectorize(b.c);
    }
    return;
  }

  // Chunks of the batch.
  Func part("part");
  const int tasks = maps ? blocks : (channels + 63) / 64;
  const int chunks = std::clamp((32 + tasks - 1) / tasks, 1, maps ? 16 : 4);
  Expr batch = batchOf(b), perChunk = (batch + chunks - 1) / chunks;
  RDom m(0, perChunk, "m");
  Expr number = k * perChunk + m;
  m.where(number < batch);
  // What Halide takes for the images that are read.
  number = Halide::clamp(number, 0, batch - 1);
  define(part, with(channel, {k}), zero);
  define(part, with(channel, {k}),
         added(valuesOf(part(with(channel, {k})), count),
               valuesOf(image(with(channel, {number})), count)));
  for (unsigned index = 0; index < count; ++index) {
    Var o("o");
    std::vector<Expr> at = {o};
    Point p = {0, Expr(), o, 0, 0};
    if (blocked) {
      at = {o % lanes, o / lanes};
      p.cb = o / lanes;
      p.c = o % lanes;
    }
    std::vector<Expr> sums(count, 0.0f);
    for (int i = 0; i < chunks; ++i)
      sums = added(sums, valuesOf(part(with(at, {i})), count)).as_vector();
    b.output(index, {o}, terms.results(sums, p)[index]);
  }
  part.compute_root().bound(k, 0, chunks);
  if (blocked) {
    part.bound(l, 0, lanes).bound(c, 0, blocks).vectorize(l);
    part.update().reorder(l, m, c, k).vectorize(l).fuse(c, k, task).parallel(task);
    image.compute_at(part, m).vectorize(l);
    scheduleColumns(image, c);
  } else if (dense) {
    part.bound(c, 0, channels);
    part.update().reorder(m, c, k).fuse(c, k, task).parallel(task);
    image.compute_at(part, m);
    scheduleColumns(image, c);
  } else {
    part.bound(c, 0, channels);
    auto update = part.update();
    update.split(c, c, first, 64, guard);
    if (channels >= lanes)
      update.vectorize(first, lanes, guard);
    update.reorder(first, m, c, k).fuse(c, k, task).parallel(task);
  }
}

RegisterKernel<Reduce> reduce;

} // namespace
} // namespace halcyon
