//===- ConvCommon.cpp - What the convolution kernels share ----------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Algorithm.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Train.h"

#include <cmath>
#include <set>

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// The numbers
//===----------------------------------------------------------------------===//

template <typename Op> static ConvShape commonShape(Op conv) {
  ConvShape s;
  s.c = (int)cnn::sizeOf(conv.getX(), 1);
  s.h = (int)cnn::sizeOf(conv.getX(), 2);
  s.w = (int)cnn::sizeOf(conv.getX(), 3);
  s.o = (int)cnn::sizeOf(conv.getResult(), 1);
  s.oh = (int)cnn::sizeOf(conv.getResult(), 2);
  s.ow = (int)cnn::sizeOf(conv.getResult(), 3);
  s.kh = (int)cnn::sizeOf(conv.getWeight(), 2);
  s.kw = (int)cnn::sizeOf(conv.getWeight(), 3);
  s.sh = (int)conv.getStride()[0];
  s.sw = (int)conv.getStride()[1];
  s.dh = (int)conv.getDilation()[0];
  s.dw = (int)conv.getDilation()[1];
  s.top = (int)conv.getPad()[0];
  s.left = (int)conv.getPad()[1];
  s.groups = (int)conv.getGroups();
  s.cig = s.c / s.groups;
  s.cog = s.o / s.groups;
  return s;
}

ConvShape ConvShape::of(cnn::ConvOp conv) { return commonShape(conv); }
ConvShape ConvShape::of(cnn::ConvTransposeOp conv) { return commonShape(conv); }

SmallVector<int64_t> transposedHalo(const ConvShape &s) {
  auto before = [](int kernel, int stride, int dilation, int pad) {
    // Rows before the first one's own that the taps reach.
    int reach = isPhased(kernel, stride, dilation)
                    ? (kernel - 1) / stride
                    : ceilDiv((kernel - 1) * dilation, stride);
    return std::max(0, reach - pad / stride);
  };
  auto after = [](int size, int out, int stride, int pad) {
    int cells = ceilDiv(out, stride) * stride;
    return std::max(0, (cells - 1 + pad) / stride - (size - 1));
  };
  return {before(s.kh, s.sh, s.dh, s.top), before(s.kw, s.sw, s.dw, s.left),
          after(s.h, s.oh, s.sh, s.top), after(s.w, s.ow, s.sw, s.left)};
}

ConvShape ConvShape::of(cnn::ConvWeightGradOp grad) {
  ConvShape s;
  s.c = (int)cnn::sizeOf(grad.getX(), 1);
  s.h = (int)cnn::sizeOf(grad.getX(), 2);
  s.w = (int)cnn::sizeOf(grad.getX(), 3);
  s.o = (int)cnn::sizeOf(grad.getDy(), 1);
  s.oh = (int)cnn::sizeOf(grad.getDy(), 2);
  s.ow = (int)cnn::sizeOf(grad.getDy(), 3);
  s.kh = (int)cnn::sizeOf(grad.getResult(), 2);
  s.kw = (int)cnn::sizeOf(grad.getResult(), 3);
  s.sh = (int)grad.getStride()[0];
  s.sw = (int)grad.getStride()[1];
  s.dh = (int)grad.getDilation()[0];
  s.dw = (int)grad.getDilation()[1];
  s.top = (int)grad.getPad()[0];
  s.left = (int)grad.getPad()[1];
  s.groups = (int)grad.getGroups();
  s.cig = s.c / s.groups;
  s.cog = s.o / s.groups;
  return s;
}

SmallVector<int64_t> ConvShape::halo(int oh, int ow) const {
  int bottom = (oh - 1) * sh + (kh - 1) * dh + 1 - top - h;
  int right = (ow - 1) * sw + (kw - 1) * dw + 1 - left - w;
  return {top, left, std::max(0, bottom), std::max(0, right)};
}

//===----------------------------------------------------------------------===//
// Winograd's transforms
//===----------------------------------------------------------------------===//

/// Whether two rows, or columns, have the same factors but for signs, as those of
/// points p and -p: some agree, and some don't.
template <typename One, typename Other>
static bool areTwins(int count, One one, Other other) {
  bool agree = false, differ = false;
  for (int i = 0; i < count; ++i) {
    if (std::abs(one(i)) != std::abs(other(i)))
      return false;
    if (one(i) != 0)
      (one(i) == other(i) ? agree : differ) = true;
  }
  return agree && differ;
}

/// The sum of factor * term; undefined where all factors are zero.
static Halide::Expr weightedSum(ArrayRef<std::pair<double, Halide::Expr>> terms) {
  Halide::Expr sum;
  for (const auto &[factor, term] : terms) {
    float f = (float)factor;
    if (f == 0)
      continue;
    if (!sum.defined())
      sum = f == 1 ? term : f == -1 ? -term : term * f;
    else if (f == 1)
      sum = sum + term;
    else if (f == -1)
      sum = sum - term;
    else
      sum = sum + term * f;
  }
  return sum;
}

Halide::Expr winogradTransform(ArrayRef<double> matrix, int n,
                               Halide::Expr index,
                               llvm::function_ref<Halide::Expr(int)> term) {
  const int rows = (int)matrix.size() / n;
  auto at = [&](int row, int column) { return matrix[row * n + column]; };
  using Terms = SmallVector<std::pair<double, Halide::Expr>>;

  // Columns that are twins, as transpose(A) has them: their terms' sum and
  // difference stand for them, in all rows.
  SmallVector<Halide::Expr> terms;
  SmallVector<bool> isTwin(n, false);
  for (int i = 0; i < n; ++i)
    terms.push_back(term(i));
  for (int i = 0; i + 1 < n; ++i)
    if (!isTwin[i] &&
        areTwins(rows, [&](int k) { return at(k, i); },
                 [&](int k) { return at(k, i + 1); })) {
      Halide::Expr sum = terms[i] + terms[i + 1], difference = terms[i] - terms[i + 1];
      terms[i] = sum;
      terms[i + 1] = difference;
      isTwin[i] = isTwin[i + 1] = true;
    }

  std::vector<Halide::Expr> values;
  for (int row = 0; row < rows; ++row) {
    Terms even, odd;
    bool pair = !llvm::is_contained(isTwin, true) && row + 1 < rows &&
                areTwins(n, [&](int k) { return at(row, k); },
                         [&](int k) { return at(row + 1, k); });
    for (int i = 0; i < n; ++i) {
      // Of twin columns the sum has the factor where they agree, the difference
      // where they don't.
      if (isTwin[i]) {
        bool agree = at(row, i) == at(row, i + 1);
        even.push_back({at(row, i), terms[i + !agree]});
        ++i;
      } else {
        (pair && at(row, i) != at(row + 1, i) ? odd : even).push_back({at(row, i), terms[i]});
      }
    }
    if (!pair) {
      values.push_back(weightedSum(even));
      continue;
    }
    // Rows that are twins, as transpose(B) and G have them, share both parts.
    Halide::Expr e = weightedSum(even), o = weightedSum(odd);
    values.push_back(e + o);
    values.push_back(e - o);
    ++row;
  }
  return values.size() == 1 ? values[0] : Halide::mux(index, values);
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

int argumentNumber(Value value) {
  auto argument = dyn_cast_or_null<BlockArgument>(value);
  return argument ? (int)argument.getArgNumber() : -1;
}

int usualBatch(const Group &group) {
  auto model = group.block().getParentOp()->getParentOfType<cnn::ModelOp>();
  auto train = model ? model->getAttrOfType<DictionaryAttr>(cnn::kTrainAttr)
                     : DictionaryAttr();
  auto batch = train ? train.getAs<IntegerAttr>("batch") : IntegerAttr();
  return batch ? (int)std::clamp<int64_t>(batch.getInt(), 1, 4096) : 1;
}

cnn::ConvWeightGradOp weightGradOf(const Group &group) {
  auto grad = group.anchorAs<cnn::ConvWeightGradOp>();
  auto isMap = [](Value value) {
    Type element = cnn::tensorOf(value).getElementType();
    return (element.isF32() || element.isBF16()) && !Group::isWeight(value);
  };
  if (!grad || !llvm::hasSingleElement(group.block().without_terminator()) ||
      !isMap(grad.getX()) || !isMap(grad.getDy()))
    return {};
  return grad;
}

bool hasZeroPadding(cnn::ConvOp conv, std::string &why) {
  if (conv.getPadMode() == cnn::PadMode::zero &&
      conv.getAutoPad() == cnn::AutoPad::none)
    return true;
  why = "the padding is not of zeros";
  return false;
}

bool isDepthwise(cnn::ConvOp conv, std::string &why) {
  ConvShape s = ConvShape::of(conv);
  if (s.cig == 1 && s.cog == 1)
    return true;
  why = "not one filter for each channel";
  return false;
}

template <typename Op>
bool isPlainGroup(const Group &group, bool prologue, std::string &why) {
  auto conv = group.anchorAs<Op>();
  if (!conv)
    return false;
  if (!prologue && group.hasPrologue()) {
    why = "its input is computed in the same kernel";
    return false;
  }
  if (prologue && !sourceOf(conv.getX())) {
    why = "its input is broadcast in the same kernel";
    return false;
  }
  if (argumentNumber(conv.getWeight()) < 0 ||
      (conv.getBias() && argumentNumber(conv.getBias()) < 0)) {
    why = "its weights are computed in the same kernel";
    return false;
  }
  if (group.outputs().size() != 1 ||
      !cnn::differInStorageOnly(group.outputs()[0].getType(),
                                conv.getResult().getType())) {
    why = "the output has another shape than the convolution";
    return false;
  }
  return true;
}
template bool isPlainGroup<cnn::ConvOp>(const Group &, bool, std::string &);
template bool isPlainGroup<cnn::ConvTransposeOp>(const Group &, bool,
                                                 std::string &);

Value sourceOf(Value x) {
  if (isa<BlockArgument>(x))
    return x;
  auto map = x.getDefiningOp<cnn::MapOp>();
  if (!map)
    return {};
  for (Value input : map.getInputs())
    if (cnn::differInStorageOnly(input.getType(), x.getType()))
      if (Value source = sourceOf(input))
        return source;
  return {};
}

LayoutChoice blockedChoice(const Group &group, const Target &target, Value x,
                           ArrayRef<int64_t> halo) {
  LayoutChoice choice =
      uniformLayout(group, cnn::LayoutAttr::blocked(target.lanes));
  int number = argumentNumber(x);
  choice.inputs[number] = choice.inputs[number].withHalo(halo);
  return choice;
}

//===----------------------------------------------------------------------===//
// Products in bf16
//===----------------------------------------------------------------------===//

bool usesPairs(const Group &group, const Target &target) {
  return target.bf16Flops > 0 &&
         llvm::all_of(group.anchor()->getOperands().take_front(2),
                      [](Value v) { return cnn::isBf16(v.getType()); });
}

double productFlops(const Group &group, const Target &target) {
  return usesPairs(group, target) ? target.bf16Flops : target.flops;
}

std::string blockTag(const Group &group, const Target &target) {
  std::string out = std::to_string(target.lanes) + "o";
  return usesPairs(group, target)
             ? std::to_string(target.lanes / 2) + "i" + out + "2i"
             : std::to_string(target.lanes) + "i" + out;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

double tileEfficiency(const Target &target, const Tile &tile, int width,
                      int height, int blocks) {
  double pixels = tile.x * tile.y, accumulators = tile.co * pixels;
  // A step of the reduction loads `co` vectors of weights and `pixels`
  // broadcasts, as many a cycle as multiply-adds: Zen 4 has units for two loads
  // beside one of these, but 56x56x144 -> 24 took 67 % with 2x14, 33 % with 1x28,
  // whose broadcasts are of one channel of lines that follow each other. Its
  // weights come from L2 at about 32 bytes a cycle; a multiply-add takes four or
  // five cycles. Measured on Zen 5, which starts two of them a cycle, with
  // 14x14x256: 2x14 99 %, 1x14 92 %, 4x5 99 %, 2x4 86 %, 2x3 70 %, 8x2 47 %.
  double loads = std::min(1.0, target.loads * accumulators / (tile.co + pixels));
  double stream = std::min(1.0, pixels / (2 * target.fmas));
  double latency = std::min(1.0, accumulators / (5 * target.fmas));
  auto useful = [](int size, int step) {
    return double(size) / (ceilDiv(size, step) * step);
  };
  return loads * stream * latency * useful(width, tile.x) *
         useful(height, tile.y) * useful(blocks, tile.co);
}

/// Vectors that a tile keeps at once.
static int registersOf(int co, int pixels) { return co * pixels + co + 1; }

/// All tiles of a map that fit, with their efficiency.
static void eachTile(const Target &target, int width, int height, int blocks,
                     bool coDivides, int maxPixels,
                     llvm::function_ref<void(const Tile &)> take) {
  for (int co = 1; co <= std::min(blocks, 6); ++co) {
    if (coDivides && blocks % co)
      continue;
    for (int x = 1; x <= std::min(width, 28); ++x)
      for (int y = 1; y <= std::min(height, 4); ++y) {
        if (registersOf(co, x * y) >= target.registers || x * y > maxPixels)
          continue;
        Tile tile = {co, x, y};
        tile.efficiency = tileEfficiency(target, tile, width, height, blocks);
        take(tile);
      }
  }
}

/// Among equals more accumulators, then the wider tile. Rows that lie a power
/// of two apart share their sets of the cache: 1x1 256x256x32 -> 2 took 1090 us
/// with 7x4 pixels, 900 us with 26x1.
static double worthOf(const Tile &t) {
  return t.efficiency + 0.0005 * t.co * t.x * t.y + 0.0001 * t.x -
         0.01 * (t.y - 1);
}

Tile chooseTile(const Target &target, int width, int height, int blocks,
                bool coDivides, int maxPixels) {
  Tile best;
  eachTile(target, width, height, blocks, coDivides, maxPixels,
           [&](const Tile &tile) {
             if (worthOf(tile) > worthOf(best))
               best = tile;
           });
  return best;
}

SmallVector<Tile> tilesToTry(const Target &target, int width, int height,
                             int blocks, bool coDivides, int maxPixels) {
  const size_t most = 24;
  SmallVector<Tile> tiles;
  eachTile(target, width, height, blocks, coDivides, maxPixels,
           [&](const Tile &tile) { tiles.push_back(tile); });
  llvm::stable_sort(tiles, [](const Tile &a, const Tile &b) {
    return worthOf(a) > worthOf(b);
  });
  llvm::erase_if(tiles, [least = 0.7 * tiles.front().efficiency](const Tile &t) {
    return t.efficiency < least;
  });
  if (tiles.size() > most)
    tiles.truncate(most);
  return tiles;
}

bool tileFits(const Target &target, int co, int pixels, std::string &why) {
  if (registersOf(co, pixels) <= target.registers)
    return true;
  why = "a tile of " + std::to_string(co) + " vectors of channels by " +
        std::to_string(pixels) + " pixels takes " +
        std::to_string(registersOf(co, pixels)) + " vector registers of " +
        std::to_string(target.registers);
  return false;
}

SmallVector<int64_t, 8> taskSizes(int units) {
  SmallVector<int64_t, 8> sizes;
  for (int parts = 1; parts < 2 * units; parts *= 2)
    if (int64_t size = ceilDiv(units, parts); !llvm::is_contained(sizes, size))
      sizes.push_back(size);
  return sizes;
}

ScheduleParameter unrollParameter(StringRef name, const Target &target) {
  return {name, 0, target.lanes, {0}};
}

bool unrollDivides(const Target &target, int64_t unroll, std::string &why) {
  if (unroll == 0 || target.lanes % unroll == 0)
    return true;
  why = "an unrolling of " + std::to_string(unroll) +
        " does not divide a vector's " + std::to_string(target.lanes) +
        " channels";
  return false;
}

int tilesPerTask(int size, int tile, int perTask) {
  int tiles = ceilDiv(size, tile);
  if (size % tile)
    while (perTask < tiles && (tiles - 1) % perTask == 0)
      ++perTask;
  return perTask;
}

int busiestUnits(int cores, int units, int others, int per) {
  SmallVector<int> busy(cores, 0);
  for (int other = 0; other < others; ++other)
    for (int begin = 0; begin < units; begin += per)
      *std::min_element(busy.begin(), busy.end()) += std::min(per, units - begin);
  return *std::max_element(busy.begin(), busy.end());
}

int unitsPerTask(const Target &target, int units, int others, double seconds) {
  // A task shorter than this is dominated by the queue.
  const double shortest = 10 * target.callSeconds;
  int best = units;
  double least = 1e30;
  for (int tasks = 1; tasks <= std::min(units, 8 * target.cores); ++tasks) {
    int per = ceilDiv(units, tasks);
    int count = ceilDiv(units, per) * others;
    double each = seconds * per / (double(units) * others);
    // A few tasks a core even out what else the machine does.
    double few = count < 4 * target.cores && each > 2 * shortest ? 1.02 : 1.0;
    double time = busiestUnits(target.cores, units, others, per) *
                      (each / per) * few +
                  count * 0.05 * target.callSeconds +
                  (each < shortest ? ceilDiv(count, target.cores) *
                                         (shortest - each) * 0.1
                                   : 0);
    if (time < least * 0.999) {
      least = time;
      best = per;
    }
  }
  return best;
}

int divisorUpTo(int n, int limit) {
  for (int d = std::min(n, limit); d > 1; --d)
    if (n % d == 0)
      return d;
  return 1;
}

int unrollOf(KernelBuilder &builder, StringRef name, int lanes,
             int accumulators) {
  if (int given = (int)builder.schedule.param(name, 0))
    return lanes % given ? unrollFactor(lanes, accumulators) : given;
  SmallVector<int> candidates;
  for (int n : accumulators > 16 ? std::array{2, 4, 8, 1} : std::array{8, 4, 2, 1})
    if (lanes % n == 0)
      candidates.push_back(n);
  if (candidates.size() == 1)
    candidates.insert(candidates.begin(), unrollFactor(lanes, accumulators));
  return builder.choose(candidates);
}

Halide::Func sumOfChunks(KernelBuilder &b, const std::vector<Halide::Var> &at,
                         Halide::Var k, int chunks,
                         llvm::function_ref<Halide::Expr(Halide::Expr)> inChunk) {
  if (chunks == 1)
    return b.output(0, at, inChunk(0));
  Halide::Func whole("whole");
  std::vector<Halide::Expr> place(at.begin(), at.end());
  place.push_back(k);
  whole(place) = inChunk(k);
  Halide::Expr sum;
  for (int i = 0; i < chunks; ++i) {
    place.back() = i;
    sum = sum.defined() ? sum + whole(place) : whole(place);
  }
  auto shape = cnn::tensorOf(b.group.outputs().front()).getShape();
  scheduleLogical(b, b.output(0, at, sum), shape);
  whole.compute_root().store_in(Halide::MemoryType::Heap).bound(k, 0, chunks);
  for (auto [var, size] : llvm::zip_equal(at, llvm::reverse(shape)))
    whole.bound(var, 0, (int)size);
  return whole;
}

/// Of an axis, the elements to come and those of the windows before them.
static std::pair<std::set<int>, std::set<int>> cellsOf(const CellsAhead &axis) {
  std::set<int> ahead, before;
  for (int output = 0; output < axis.outputs; ++output)
    for (int tap = 0; tap < axis.taps; ++tap) {
      int cell = output * axis.stride + tap * axis.dilation;
      ahead.insert(cell + axis.apart * axis.stride);
      if (axis.apart)
        before.insert(cell + (axis.apart - axis.outputs) * axis.stride);
    }
  return {ahead, axis.apart ? before : ahead};
}

void fetchCells(KernelBuilder &b, const StreamLoop &loop, Value argument,
                CellsAhead columns, CellsAhead rows, int blocks, int images) {
  const Type type = argument.getType();
  if (!cnn::layoutOf(type).isBlocked())
    return;
  const cnn::BufferGeometry geometry = cnn::geometryOf(type);
  auto stride = [&](int dim) { return (int)geometry.dims[dim].stride; };
  const int line = 64 / (int)cnn::elementBytes(type);
  auto [aheadX, beforeX] = cellsOf(columns);
  auto [aheadY, beforeY] = cellsOf(rows);
  const bool moves = columns.apart || rows.apart;
  TileAhead tile{loop, b.input(argument), {}};
  for (int block = 0; block < blocks; ++block)
    for (int y : aheadY) {
      std::optional<int> last;
      for (int x : aheadX) {
        int cell = block * stride(3) + y * stride(2) + x * stride(1);
        // Narrow cells share a line.
        if ((moves && beforeX.count(x) && beforeY.count(y)) ||
            (last && cell - *last < line))
          continue;
        tile.lines.push_back(images * stride(4) + cell);
        last = cell;
      }
    }
  b.fetchAhead(std::move(tile));
}

void fetchAdded(KernelBuilder &b, const StreamLoop &loop, Value source,
                CellsAhead columns, CellsAhead rows, int blocks) {
  for (BlockArgument argument : b.group.inputs())
    if (argument != source && !Group::isWeight(argument) &&
        argument.getType() == b.group.outputs().front().getType())
      fetchCells(b, loop, argument, columns, rows, blocks);
}

int unrollFactor(int extent, int accumulators) {
  int wanted = accumulators > 16 ? 4 : 8;
  if (extent <= wanted)
    return extent;
  int factor = divisorUpTo(extent, wanted);
  return factor > 1 ? factor : extent <= 13 ? extent : 1;
}

double bytesPerTile(const ConvShape &s, const Tile &tile, const Target &target) {
  double weights = 4.0 * tile.co * target.lanes * s.cig * s.kh * s.kw;
  if (weights <= target.l2)
    return 0;
  return weights * ceilDiv(ceilDiv(s.o, target.lanes), tile.co) *
         ceilDiv(s.ow, tile.x) * ceilDiv(s.oh, tile.y);
}

double convSeconds(const Group &group, const Target &target, double flops,
                   double efficiency, double extraBytes, double again) {
  double rest = groupFlops(group);
  for (Operation *anchor : group.anchors())
    rest -= cast<cnn::ComputeOpInterface>(anchor).getFlops();
  double arithmetic = flops / efficiency / (target.flops * target.cores) +
                      epilogueSeconds(target, rest);
  // Weights come from memory; activations, written just before, from the
  // caches where they fit.
  double weights = 0;
  for (Value input : group.inputs())
    if (Group::isWeight(input))
      weights += cnn::bytesOf(input.getType());
  double bytes = groupBytes(group) - weights + extraBytes;
  // The weights of several images come from memory once, and again for each of
  // them from L3 where they are too many for L2.
  const int batch = usualBatch(group);
  if (batch > 1 && weights > target.l2 / 2)
    again += weights;
  double held = target.l2 * target.cores;
  double slow = std::max(0.0, bytes - held), fast = bytes - slow;
  double rate = bytes > target.l3 ? target.totalBandwidth
                                  : 2 * target.totalBandwidth;
  double memory = slow / rate + fast / (target.l2Bandwidth * target.cores) +
                  weights / target.totalBandwidth / batch +
                  again / (2 * target.totalBandwidth);
  // Most of the memory time hides behind arithmetic.
  return std::max(arithmetic, memory) + 0.25 * std::min(arithmetic, memory) +
         target.callSeconds;
}

} // namespace halcyon
