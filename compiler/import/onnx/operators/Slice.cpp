//===- Slice.cpp - Parts of tensors, borders and repetitions --------------===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

//===----------------------------------------------------------------------===//
// Slice, Split
//===----------------------------------------------------------------------===//

/// Exporters write "to the end" as a number that no size reaches; some take 10^9.
static constexpr int64_t kEnd = int64_t(1) << 29;

/// x[start + i * step] along dimensions.
static Tensor sliced(NodeContext &node, const Tensor &x, ArrayRef<int64_t> start,
                     ArrayRef<int64_t> step, ArrayRef<int64_t> shape) {
  if (ArrayRef(x.shape) == shape &&
      llvm::all_of(step, [](int64_t s) { return s == 1; }))
    return x;
  if (x.isCounted() && (shape[x.countedAxis] != x.shape[x.countedAxis] ||
                        start[x.countedAxis] || step[x.countedAxis] != 1)) {
    (void)node.fail("the data decide about the size that it cuts");
    return x;
  }
  Shape first(start), by(step);
  Tensor plain = x;
  plain.count = nullptr;
  Tensor result =
      node.compute(x.type, shape, {plain}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from;
        for (unsigned d = 0; d < at.size(); ++d)
          from.push_back(at[d] * Expr(by[d]) + Expr(first[d]));
        return in[0](from);
      });
  return x.isCounted() ? node.counted(result, x, x.countedAxis) : result;
}

static LogicalResult importSlice(NodeContext &node) {
  const Tensor &x = node.in(0);
  bool given, anyAxes, anySteps;
  auto starts = node.integersAt(1, "starts", given);
  auto ends = node.integersAt(2, "ends", given);
  auto axes = node.integersAt(3, "axes", anyAxes);
  auto steps = node.integersAt(4, "steps", anySteps);
  if (!starts || !ends || !axes || !steps)
    return failure();
  if (!anyAxes)
    for (int64_t d = 0; d < int64_t(starts->size()); ++d)
      axes->push_back(d);
  if (!anySteps)
    steps->assign(starts->size(), 1);
  auto dims = node.axes(*axes, x.rank());
  if (!dims)
    return failure();
  if (starts->size() != dims->size() || ends->size() != dims->size() ||
      steps->size() != dims->size())
    return node.fail("its ends, steps and axes differ in number");
  Shape first(x.rank(), 0), step(x.rank(), 1), shape = x.shape;
  for (auto [i, d] : llvm::enumerate(*dims)) {
    int64_t size = x.shape[d], from = (*starts)[i], to = (*ends)[i];
    int64_t by = (*steps)[i];
    if (by == 0)
      return node.fail("a step is 0");
    if (size == kOpen) {
      if (from == 0 && by == 1 && to >= kEnd)
        continue;
      return node.mixesBatch("it takes some of the images");
    }
    auto clamped = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp(at < 0 ? at + size : at, low, high);
    };
    from = by > 0 ? clamped(from, 0, size) : clamped(from, 0, size - 1);
    to = by > 0 ? clamped(to, 0, size) : clamped(to, -1, size);
    first[d] = from;
    step[d] = by;
    int64_t room = by > 0 ? to - from : from - to;
    int64_t stride = by > 0 ? by : by == INT64_MIN ? INT64_MAX : -by;
    shape[d] = room <= 0 ? 0 : (room - 1) / stride + 1;
  }
  return node.set(sliced(node, x, first, step, shape));
}
static RegisterOperator slice("Slice", importSlice);
static RegisterTakes takesSlice(slice);

static LogicalResult importSplit(NodeContext &node) {
  const Tensor x = node.in(0);
  auto axis = node.axis(node.integer("axis"), x.rank());
  if (!axis)
    return failure();
  int64_t size = x.shape[*axis];
  if (size == kOpen)
    return node.mixesBatch("it parts the images");
  bool given;
  auto sizes = node.integersAt(1, "split", given);
  if (!sizes)
    return failure();
  if (!given) {
    int64_t parts = node.integer("num_outputs", node.node.outputs.size());
    if (parts < 1 || parts > size + int64_t(node.node.outputs.size()))
      return node.fail("it parts " + Twine(size) + " in " + Twine(parts));
    int64_t each = (size + parts - 1) / parts;
    for (int64_t i = 0, left = size; i < parts; ++i, left -= each)
      sizes->push_back(std::clamp<int64_t>(left, 0, each));
  }
  if (sizes->size() != node.node.outputs.size())
    return node.fail("it has another number of results than of parts");
  Shape first(x.rank(), 0), step(x.rank(), 1), shape = x.shape;
  for (auto [i, part] : llvm::enumerate(*sizes)) {
    shape[*axis] = part;
    if (part < 0 || first[*axis] + part > size)
      return node.fail("its parts are larger than its operand");
    if (node.wants(i) &&
        failed(node.set(i, sliced(node, x, first, step, shape))))
      return failure();
    first[*axis] += part;
  }
  return success();
}
static RegisterOperator split("Split", importSplit);
static RegisterTakes takesSplit(split);

static LogicalResult importCenterCropPad(NodeContext &node) {
  const Tensor x = node.in(0);
  auto sizes = node.knownIntegers(1);
  if (!sizes)
    return failure();
  std::vector<int64_t> given = node.integers("axes");
  if (given.empty())
    for (int64_t d = 0; d < x.rank(); ++d)
      given.push_back(d);
  auto axes = node.axes(given, x.rank());
  if (!axes || axes->size() != sizes->size())
    return node.fail("it has a size for every axis");
  Shape first(x.rank(), 0), step(x.rank(), 1), shape = x.shape;
  for (auto [axis, size] : llvm::zip(*axes, *sizes)) {
    if (x.shape[axis] == kOpen)
      return node.mixesBatch("it takes some of the images");
    int64_t cut = x.shape[axis] - size;
    first[axis] = cut >= 0 ? cut / 2 : -(-cut / 2);
    shape[axis] = size;
  }
  return node.set(sliced(node, x, first, step, shape));
}
static RegisterOperator centerCropPad("CenterCropPad", importCenterCropPad);

//===----------------------------------------------------------------------===//
// Expand, Tile
//===----------------------------------------------------------------------===//

static LogicalResult importExpand(NodeContext &node) {
  const Tensor x = node.in(0);
  auto sizes = node.knownIntegers(1);
  if (!sizes)
    return failure();
  Tensor like;
  for (int64_t size : *sizes)
    like.shape.push_back(size == kBatchNumber ? kOpen : size);
  auto shape = node.broadcast({x, like});
  if (!shape)
    return failure();
  if (*shape == x.shape)
    return node.set(x);
  return node.set(
      node.compute(x.type, *shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at.take_back(x.rank()));
        for (auto [index, size] : llvm::zip(from, x.shape))
          if (size == 1)
            index = Expr(0);
        return in[0](from);
      }));
}
static RegisterOperator expand("Expand", importExpand);

static LogicalResult importTile(NodeContext &node) {
  const Tensor x = node.in(0);
  auto repeats = node.knownIntegers(1);
  if (!repeats)
    return failure();
  // The first version repeats one axis.
  if (node.opset() < 6) {
    auto axis = node.knownIntegers(2);
    if (!axis || axis->size() != 1 || repeats->size() != 1)
      return failure();
    auto d = node.axis((*axis)[0], x.rank());
    if (!d)
      return failure();
    int64_t count = (*repeats)[0];
    repeats->assign(x.rank(), 1);
    (*repeats)[*d] = count;
  }
  if (int64_t(repeats->size()) != x.rank())
    return node.fail("it has a number for every dimension");
  Shape shape = x.shape;
  for (auto [size, count] : llvm::zip(shape, *repeats)) {
    if (count < 0 || count > (1 << 30))
      return node.fail("it repeats " + Twine(count) + " times");
    if (size == kOpen && count != 1)
      return node.mixesBatch("it repeats images");
    size = size == kOpen ? kOpen : size * count;
  }
  return node.set(
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at);
        for (unsigned d = 0; d < from.size(); ++d)
          if ((*repeats)[d] != 1)
            from[d] = x.shape[d] == 1 ? Expr(0)
                                      : floorMod(at[d], Expr(x.shape[d]));
        return in[0](from);
      }));
}
static RegisterOperator tile("Tile", importTile);

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

/// Where the border takes its numbers from, along a dimension of `size`.
static Expr bordered(StringRef mode, Expr place, int64_t size) {
  if (mode == "edge")
    return clamp(place, Expr(0), Expr(size - 1));
  if (mode == "wrap")
    return floorMod(place, Expr(size));
  if (mode != "reflect")
    return place;
  if (size == 1)
    return Expr(0);
  Expr folded = floorMod(place, Expr(2 * (size - 1)));
  return min(folded, Expr(2 * (size - 1)) - folded);
}

static LogicalResult importPad(NodeContext &node) {
  const Tensor x = node.in(0);
  bool given;
  auto pads = node.integersAt(1, node.opset() < 2 ? "paddings" : "pads", given);
  if (!pads)
    return failure();
  std::vector<int64_t> named;
  if (node.has(3)) {
    auto numbers = node.knownIntegers(3);
    if (!numbers)
      return failure();
    named.assign(numbers->begin(), numbers->end());
  } else {
    for (int64_t d = 0; d < x.rank(); ++d)
      named.push_back(d);
  }
  auto axes = node.axes(named, x.rank());
  if (!axes)
    return failure();
  if (pads->size() != 2 * axes->size())
    return node.fail("it has two numbers for every axis");
  Shape before(x.rank(), 0), shape = x.shape;
  for (auto [i, d] : llvm::enumerate(*axes)) {
    int64_t first = (*pads)[i], last = (*pads)[i + axes->size()];
    if (x.shape[d] == kOpen) {
      if (first || last)
        return node.mixesBatch("it adds images");
      continue;
    }
    if (first > kEnd || last > kEnd || first < -kEnd || last < -kEnd)
      return node.fail("a size of its result is out of range");
    before[d] = first;
    shape[d] += first + last;
    if (shape[d] < 0)
      return node.fail("a size of its result is negative");
  }
  std::string mode = node.word("mode", "constant");
  Tensor value;
  bool zero = mode != "constant" || node.number("value") == 0;
  if (mode == "constant" && node.has(2)) {
    value = node.in(2);
    auto number = value.isKnown() ? value.known.uniform() : std::nullopt;
    zero = number && number->asReal() == 0;
  }
  // Zeros around maps may be part of what reads them.
  bool natural = llvm::all_of(*pads, [](int64_t pad) { return pad >= 0; });
  if (mode == "constant" && zero && natural && x.rank() == 4 && x.hasBatch() &&
      x.type == DataType::F32 && shape[1] == x.shape[1]) {
    mlir::Value input = node.value(x, x.shape);
    if (!input)
      return failure();
    SmallVector<int64_t> around = {before[2], before[3],
                                   shape[2] - x.shape[2] - before[2],
                                   shape[3] - x.shape[3] - before[3]};
    mlir::Value pad = cnn::PadOp::create(node.builder(), node.loc(), input,
                                         around, cnn::PadMode::zero);
    return node.set(node.made(pad, x.type, shape));
  }
  SmallVector<Tensor> operands = {x};
  if (value.isKnown() || value.value)
    operands.push_back(value);
  return node.set(node.compute(
      x.type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at);
        Expr inside(true);
        for (unsigned d = 0; d < from.size(); ++d) {
          if (before[d] == 0 && shape[d] == x.shape[d])
            continue;
          from[d] = bordered(mode, at[d] - Expr(before[d]), x.shape[d]);
          inside = inside && Expr(0) <= from[d] && from[d] < Expr(x.shape[d]);
        }
        Expr element = in[0](from);
        if (zero)
          return element;
        Expr outside = in.size() > 1
                           ? in[1](SmallVector<Expr>(in[1].sizes().size(), Expr(0)))
                           : Expr(node.number("value"));
        return select(inside, element, convert(outside, element.kind()));
      }));
}
static RegisterOperator pad("Pad", importPad);

//===----------------------------------------------------------------------===//
// Trilu, DepthToSpace, SpaceToDepth, ReverseSequence
//===----------------------------------------------------------------------===//

static LogicalResult importTrilu(NodeContext &node) {
  const Tensor x = node.in(0);
  if (x.rank() < 2)
    return node.fail("its operand is no matrix");
  int64_t k = 0;
  if (node.has(1)) {
    auto number = node.knownIntegers(1);
    if (!number || number->size() != 1)
      return node.fail("k is one number");
    k = (*number)[0];
  }
  bool upper = node.integer("upper", 1);
  return node.set(
      node.compute(x.type, x.shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Expr row = at[at.size() - 2], column = at.back();
        Expr kept = upper ? row + Expr(k) <= column : column <= row + Expr(k);
        Expr element = in[0](at);
        return select(kept, element, convert(Expr(0), element.kind()));
      }));
}
static RegisterOperator trilu("Trilu", importTrilu);

static LogicalResult importDepthToSpace(NodeContext &node) {
  const Tensor x = node.in(0);
  int64_t block = node.integer("blocksize");
  if (x.rank() != 4 || block < 1 || x.shape[1] % (block * block))
    return node.fail("its blocks do not fit its channels");
  bool channelFirst = node.word("mode", "DCR") == "CRD";
  int64_t channels = x.shape[1] / (block * block);
  Shape shape = {x.shape[0], channels, x.shape[2] * block, x.shape[3] * block};
  return node.set(
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Expr b(block);
        Expr part = floorMod(at[2], b) * b + floorMod(at[3], b);
        Expr channel = channelFirst ? at[1] * (b * b) + part
                                    : part * Expr(channels) + at[1];
        return in[0](at[0], channel, floorDiv(at[2], b), floorDiv(at[3], b));
      }));
}
static RegisterOperator depthToSpace("DepthToSpace", importDepthToSpace);

static LogicalResult importSpaceToDepth(NodeContext &node) {
  const Tensor x = node.in(0);
  int64_t block = node.integer("blocksize");
  if (x.rank() != 4 || block < 1 || x.shape[2] % block || x.shape[3] % block)
    return node.fail("its blocks do not fit its operand");
  Shape shape = {x.shape[0], x.shape[1] * block * block, x.shape[2] / block,
                 x.shape[3] / block};
  bool channelFirst = node.word("mode", "DCR") == "CRD";
  return node.set(
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        Expr b(block), channels(x.shape[1]);
        Expr part = channelFirst ? floorMod(at[1], b * b)
                                 : floorDiv(at[1], channels);
        Expr channel = channelFirst ? floorDiv(at[1], b * b)
                                    : floorMod(at[1], channels);
        return in[0](at[0], channel,
                     at[2] * b + floorDiv(part, b),
                     at[3] * b + floorMod(part, b));
      }));
}
static RegisterOperator spaceToDepth("SpaceToDepth", importSpaceToDepth);

static LogicalResult importReverseSequence(NodeContext &node) {
  const Tensor x = node.in(0), lengths = node.in(1);
  int64_t time = node.integer("time_axis"), batch = node.integer("batch_axis", 1);
  if (x.rank() < 2 || time + batch != 1 || lengths.rank() != 1)
    return node.fail("its axes are 0 and 1");
  return node.set(node.compute(
      x.type, x.shape, {x, lengths}, [&](Coords at, ArrayRef<Reader> in) {
        SmallVector<Expr> from(at);
        Expr length = in[1](at[batch]);
        from[time] = select(at[time] < length, length - Expr(1) - at[time],
                            at[time]);
        return in[0](from);
      }));
}
static RegisterOperator reverseSequence("ReverseSequence", importReverseSequence);
