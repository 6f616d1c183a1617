//===- Sample.cpp - Elements between elements -----------------------------===//

#include "compiler/import/onnx/operators/Window.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static Expr whole(Expr x) { return convert(x, Kind::Int); }

/// The weighted sum of the 2^d elements around a position; `element` gives one
/// at whole places.
static Expr interpolated(ArrayRef<Expr> position,
                         llvm::function_ref<Expr(Coords)> element) {
  SmallVector<Expr> low, ratio;
  for (const Expr &x : position) {
    Expr below = floor(x);
    low.push_back(whole(below));
    ratio.push_back(x - below);
  }
  Expr total;
  for (unsigned corner = 0; corner < 1u << position.size(); ++corner) {
    SmallVector<Expr> at;
    Expr weight(1.0);
    for (unsigned d = 0; d < position.size(); ++d) {
      bool upper = corner >> d & 1;
      at.push_back(upper ? low[d] + Expr(1) : low[d]);
      weight = weight * (upper ? ratio[d] : Expr(1.0) - ratio[d]);
    }
    Expr part = weight * element(at);
    total = total ? total + part : part;
  }
  return total;
}

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

/// Keys' kernel with a = -0.75 for the four elements around a position.
static SmallVector<Expr> cubicWeights(Expr ratio) {
  const double a = -0.75;
  auto near = [&](Expr x) {
    return ((Expr(a + 2) * x - Expr(a + 3)) * x) * x + Expr(1.0);
  };
  auto far = [&](Expr x) {
    return ((Expr(a) * x - Expr(5 * a)) * x + Expr(8 * a)) * x - Expr(4 * a);
  };
  return {far(ratio + Expr(1.0)), near(ratio), near(Expr(1.0) - ratio),
          far(Expr(2.0) - ratio)};
}

/// A position outside mirrored to one inside, between low and high.
static Expr mirrored(Expr x, double low, double high) {
  double range = high - low;
  if (range <= 0)
    return Expr(low);
  Expr away = abs(x - Expr(low));
  Expr times = floor(away / Expr(range));
  Expr rest = away - times * Expr(range);
  Expr odd = times - Expr(2.0) * floor(times / Expr(2.0));
  return select(odd == Expr(0.0), rest + Expr(low), Expr(high) - rest);
}

static LogicalResult importGridSample(NodeContext &node) {
  const Tensor x = node.in(0), grid = node.in(1);
  int64_t rank = x.rank() - 2;
  if (rank < 1 || grid.rank() != x.rank() || grid.shape.back() != rank)
    return node.fail("its grid has a position for every element of its result");
  std::string mode = node.word("mode", "linear");
  std::string border = node.word("padding_mode", "zeros");
  bool corners = node.integer("align_corners");
  Shape shape = {x.shape[0], x.shape[1]};
  shape.append(grid.shape.begin() + 1, grid.shape.end() - 1);
  return node.set(node.compute(
      x.type, shape, {x, grid}, [&](Coords at, ArrayRef<Reader> in) {
        // Positions are from -1 to 1, the innermost dimension first.
        SmallVector<Expr> position;
        for (int64_t d = 0; d < rank; ++d) {
          SmallVector<Expr> from = {at[0]};
          llvm::append_range(from, at.drop_front(2));
          from.push_back(Expr(rank - 1 - d));
          double size = double(x.shape[d + 2]);
          Expr g = in[1](from);
          Expr place = corners ? (g + Expr(1.0)) / Expr(2.0) * Expr(size - 1)
                               : ((g + Expr(1.0)) * Expr(size) - Expr(1.0)) /
                                     Expr(2.0);
          double low = corners ? 0 : -0.5, high = corners ? size - 1 : size - 0.5;
          if (border == "border")
            place = mode == "cubic" || mode == "bicubic"
                        ? place
                        : clamp(place, Expr(0.0), Expr(size - 1));
          else if (border == "reflection" && mode != "cubic" && mode != "bicubic")
            place = clamp(mirrored(place, low, high), Expr(0.0), Expr(size - 1));
          position.push_back(place);
        }
        auto element = [&](Coords places) {
          SmallVector<Expr> from = {at[0], at[1]};
          for (int64_t d = 0; d < rank; ++d) {
            int64_t size = x.shape[d + 2];
            Expr place = places[d];
            double low = corners ? 0 : -0.5;
            double high = corners ? size - 1 : size - 0.5;
            if (border == "border")
              place = clamp(place, Expr(0), Expr(size - 1));
            else if (border == "reflection")
              place = clamp(whole(mirrored(convert(place, Kind::F32), low, high)),
                            Expr(0), Expr(size - 1));
            from.push_back(place);
          }
          return in[0](from);
        };
        if (mode == "nearest") {
          SmallVector<Expr> nearest;
          for (const Expr &place : position)
            nearest.push_back(whole(round(place)));
          return element(nearest);
        }
        if (mode != "cubic" && mode != "bicubic")
          return interpolated(position, element);
        SmallVector<SmallVector<Expr>> weights;
        SmallVector<Expr> low;
        for (const Expr &place : position) {
          Expr below = floor(place);
          weights.push_back(cubicWeights(place - below));
          low.push_back(whole(below));
        }
        Expr total;
        for (unsigned corner = 0; corner < 1u << (2 * rank); ++corner) {
          SmallVector<Expr> places;
          Expr weight(1.0);
          for (int64_t d = 0; d < rank; ++d) {
            unsigned k = corner >> (2 * d) & 3;
            places.push_back(low[d] + Expr(int64_t(k) - 1));
            weight = weight * weights[d][k];
          }
          Expr part = weight * element(places);
          total = total ? total + part : part;
        }
        return total;
      }));
}
static RegisterOperator gridSample("GridSample", importGridSample);

//===----------------------------------------------------------------------===//
// AffineGrid
//===----------------------------------------------------------------------===//

static LogicalResult importAffineGrid(NodeContext &node) {
  const Tensor theta = node.in(0);
  auto size = node.knownIntegers(1);
  if (!size)
    return failure();
  bool corners = node.integer("align_corners");
  int64_t rank = int64_t(size->size()) - 2;
  if (rank < 2 || theta.rank() != 3 || theta.shape[2] != rank + 1)
    return node.fail("its matrices do not fit its size");
  Shape shape = {theta.shape[0]};
  shape.append(size->begin() + 2, size->end());
  shape.push_back(rank);
  return node.set(node.compute(
      theta.type, shape, {theta}, [&](Coords at, ArrayRef<Reader> in) {
        Expr row = at.back();
        Expr total = in[0](at[0], row, Expr(rank));
        for (int64_t d = 0; d < rank; ++d) {
          // The innermost dimension comes first.
          int64_t n = (*size)[size->size() - 1 - d];
          Expr i = convert(at[rank - d], Kind::F32);
          Expr place = corners ? (n == 1 ? Expr(0.0)
                                         : i * Expr(2.0 / double(n - 1)) -
                                               Expr(1.0))
                               : (i * Expr(2.0) + Expr(1.0)) / Expr(double(n)) -
                                     Expr(1.0);
          total = total + in[0](at[0], row, Expr(d)) * place;
        }
        return total;
      }));
}
static RegisterOperator affineGrid("AffineGrid", importAffineGrid);

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

static LogicalResult importRoiAlign(NodeContext &node) {
  const Tensor x = node.in(0), rois = node.in(1), images = node.in(2);
  if (x.hasBatch())
    return node.mixesBatch("each region says of which image it is");
  if (x.rank() != 4 || rois.rank() != 2 || images.rank() != 1)
    return node.fail("it has maps, regions and the number of an image for each");
  int64_t height = node.integer("output_height", 1);
  int64_t width = node.integer("output_width", 1);
  int64_t ratio = node.integer("sampling_ratio");
  double scale = node.number("spatial_scale", 1);
  bool most = node.word("mode", "avg") == "max";
  bool half = node.opset() >= 16 && node.word("coordinate_transformation_mode",
                                              "half_pixel") == "half_pixel";
  // Where the samples of a cell are as many as it is large, up to the map's.
  Shape samples = {ratio > 0 ? ratio : (x.shape[2] + height - 1) / height + 1,
                   ratio > 0 ? ratio : (x.shape[3] + width - 1) / width + 1};
  Shape shape = {rois.shape[0], x.shape[1], height, width};
  return node.set(node.compute(
      x.type, shape, {x, rois, images}, [&](Coords at, ArrayRef<Reader> in) {
        auto corner = [&](int64_t k) {
          return in[1](at[0], Expr(k)) * Expr(scale) - Expr(half ? 0.5 : 0.0);
        };
        Expr begin[2] = {corner(1), corner(0)};
        Expr extent[2] = {corner(3) - begin[0], corner(2) - begin[1]};
        int64_t cells[2] = {height, width};
        Expr cell[2], count[2];
        for (int d : {0, 1}) {
          if (!half)
            extent[d] = max(extent[d], Expr(1.0));
          cell[d] = extent[d] / Expr(double(cells[d]));
          count[d] = ratio > 0 ? Expr(double(ratio)) : ceil(cell[d]);
        }
        auto sample = [&](Coords r) {
          SmallVector<Expr> place;
          Expr inside(true);
          for (int d : {0, 1}) {
            Expr step = convert(r[d], Kind::F32) + Expr(0.5);
            Expr y = begin[d] + convert(at[d + 2], Kind::F32) * cell[d] +
                     step * cell[d] / count[d];
            double size = double(x.shape[d + 2]);
            inside = inside && Expr(-1.0) <= y && y <= Expr(size) &&
                     convert(r[d], Kind::F32) < count[d];
            place.push_back(clamp(y, Expr(0.0), Expr(size - 1)));
          }
          Expr image = in[2](at[0]);
          auto element = [&](Coords p) {
            return in[0](image, at[1],
                         clamp(p[0], Expr(0), Expr(x.shape[2] - 1)),
                         clamp(p[1], Expr(0), Expr(x.shape[3] - 1)));
          };
          if (!most)
            return select(inside, interpolated(place, element), Expr(0.0));
          // The largest of the weighted corners.
          Expr best;
          for (unsigned c = 0; c < 4; ++c) {
            SmallVector<Expr> p;
            Expr weight(1.0);
            for (int d : {0, 1}) {
              Expr below = floor(place[d]), rest = place[d] - below;
              bool upper = c >> d & 1;
              p.push_back(whole(below) + Expr(upper ? 1 : 0));
              weight = weight * (upper ? rest : Expr(1.0) - rest);
            }
            Expr part = weight * element(p);
            best = best ? max(best, part) : part;
          }
          return select(inside, best,
                        Expr(identityOf(ExprOp::Maximum, Kind::F32).f));
        };
        if (most)
          return maximum(samples, sample);
        return sum(samples, sample) / max(count[0] * count[1], Expr(1.0));
      }));
}
static RegisterOperator roiAlign("RoiAlign", importRoiAlign);

//===----------------------------------------------------------------------===//
// Col2Im, DeformConv
//===----------------------------------------------------------------------===//

static LogicalResult importCol2Im(NodeContext &node) {
  const Tensor x = node.in(0);
  auto image = node.knownIntegers(1), block = node.knownIntegers(2);
  if (!image || !block)
    return failure();
  size_t rank = image->size();
  auto ones = std::vector<int64_t>(rank, 1);
  auto strides = node.integers("strides", ones);
  auto dilations = node.integers("dilations", ones);
  auto pads = node.integers("pads", std::vector<int64_t>(2 * rank, 0));
  auto taps = elementCount(*block);
  if (x.rank() != 3 || block->size() != rank || strides.size() != rank ||
      dilations.size() != rank || pads.size() != 2 * rank || !taps || !*taps ||
      x.shape[1] % *taps)
    return node.fail("its blocks do not fit its operand");
  Shape shape = {x.shape[0], x.shape[1] / *taps}, counts;
  for (size_t d = 0; d < rank; ++d) {
    shape.push_back((*image)[d]);
    int64_t room = (*image)[d] + pads[d] + pads[d + rank] -
                   dilations[d] * ((*block)[d] - 1) - 1;
    counts.push_back(room / std::max<int64_t>(1, strides[d]) + 1);
  }
  if (elementCount(counts) != x.shape[2])
    return node.fail("its blocks do not fit its operand");
  return node.set(
      node.compute(x.type, shape, {x}, [&](Coords at, ArrayRef<Reader> in) {
        return sum(*block, [&](Coords u) {
          SmallVector<Expr> position;
          Expr meets(true);
          for (size_t d = 0; d < rank; ++d) {
            Expr place = at[d + 2] + Expr(pads[d]) - u[d] * Expr(dilations[d]);
            Expr index = floorDiv(place, Expr(strides[d]));
            meets = meets && floorMod(place, Expr(strides[d])) == Expr(0) &&
                    Expr(0) <= index && index < Expr(counts[d]);
            position.push_back(index);
          }
          Expr channel = at[1] * Expr(*taps) + ravel(u, *block);
          Expr element = in[0](at[0], channel, ravel(position, counts));
          return select(meets, element, convert(Expr(0), element.kind()));
        });
      }));
}
static RegisterOperator col2Im("Col2Im", importCol2Im);

static LogicalResult importDeformConv(NodeContext &node) {
  const Tensor x = node.in(0), w = node.in(1), offset = node.in(2);
  if (x.rank() != 4 || w.rank() != 4)
    return node.fail("it is of maps in two dimensions");
  auto window = readWindow(node, x, w.sizes().drop_front(2));
  if (!window)
    return failure();
  int64_t groups = node.integer("group", 1);
  int64_t offsets = node.integer("offset_group", 1);
  int64_t taps = w.shape[2] * w.shape[3], channels = w.shape[0];
  if (groups < 1 || offsets < 1 || x.shape[1] % offsets || channels % groups ||
      x.shape[1] != w.shape[1] * groups || offset.rank() != 4 ||
      offset.shape[1] != 2 * offsets * taps)
    return node.fail("its offsets or weights do not fit its input");
  SmallVector<Tensor> operands = {x, w, offset};
  unsigned bias = 0, mask = 0;
  for (auto [i, at] : {std::pair(3u, &bias), std::pair(4u, &mask)})
    if (node.has(i)) {
      *at = operands.size();
      operands.push_back(node.in(i));
    }
  Shape shape = {x.shape[0], channels};
  shape.append(window->outputs);
  return node.set(node.compute(
      x.type, shape, operands, [&](Coords at, ArrayRef<Reader> in) {
        Expr group = groups == 1 ? Expr(0)
                                 : floorDiv(at[1], Expr(channels / groups));
        Expr total = sum(w.sizes().drop_front(), [&](Coords r) {
          Expr channel = group * Expr(w.shape[1]) + r[0];
          Expr own = floorDiv(channel, Expr(x.shape[1] / offsets));
          Expr tap = r[1] * Expr(w.shape[3]) + r[2];
          Expr number = own * Expr(taps) + tap;
          SmallVector<Expr> place;
          for (unsigned d : {0, 1}) {
            Expr shift = in[2](at[0], number * Expr(2) + Expr(int64_t(d)), at[2],
                               at[3]);
            place.push_back(
                convert(window->place(d, at[d + 2], r[d + 1]), Kind::F32) + shift);
          }
          Expr element = interpolated(place, [&](Coords p) {
            return in[0](at[0], channel, p[0], p[1]);
          });
          if (mask)
            element = element * in[mask](at[0], number, at[2], at[3]);
          return element * in[1](at[1], r[0], r[1], r[2]);
        });
        return bias ? total + in[bias](at[1]) : total;
      }));
}
static RegisterOperator deformConv("DeformConv", importDeformConv);
