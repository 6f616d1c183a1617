//===- Detect.cpp - NonMaxSuppression -------------------------------------===//

#include "compiler/import/onnx/OwnOperators.h"
#include "compiler/import/onnx/operators/Choose.h"
#include "dialects/cnn/Detect.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// The place of each score among those of its class, the largest first, and
/// equal ones in their order; then the box at every place.
static Tensor ordered(NodeContext &node, const Tensor &scores) {
  int64_t size = scores.shape[2];
  Tensor place = node.compute(
      DataType::I64, scores.shape, {scores}, [&](Coords at, ArrayRef<Reader> in) {
        Expr own = in[0](at);
        return sum({size}, [&](Coords r) {
          Expr other = in[0](at[0], at[1], r[0]);
          return select(own < other || (own == other && r[0] < at[2]), Expr(1),
                        Expr(0));
        });
      });
  return node.compute(
      DataType::I64, scores.shape, {place}, [&](Coords at, ArrayRef<Reader> in) {
        return sum({size}, [&](Coords r) {
          return select(in[0](at[0], at[1], r[0]) == convert(at[2], Kind::Int),
                        convert(r[0], Kind::Int), Expr(0));
        });
      });
}

static LogicalResult importNonMaxSuppression(NodeContext &node) {
  const Tensor boxes = node.in(0), scores = node.in(1);
  if (failed(refuseBatch(node)))
    return failure();
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.shape[2] != 4 ||
      boxes.shape[0] != scores.shape[0] || boxes.shape[1] != scores.shape[2] ||
      boxes.type != DataType::F32 || scores.type != DataType::F32)
    return node.fail("it has four numbers for every box, and scores of every "
                     "class and box, in f32");
  int64_t classes = scores.shape[1], size = boxes.shape[1];
  int64_t groups = boxes.shape[0] * classes;
  // How many of a class: known, or a number that is data.
  Tensor limit = node.has(2) ? node.in(2)
                             : node.constant(HostTensor::integers({0}));
  int64_t most = size;
  if (limit.isKnown() && limit.known.count() == 1)
    most = std::clamp<int64_t>(limit.known.integer(0), 0, size);
  if (most == 0 || groups == 0)
    return node.set(node.constant(HostTensor::of(DataType::I64, {0, 3}, {})));
  Tensor order = ordered(node, scores);
  bool centers = node.integer("center_point_box");
  Tensor corners = node.compute(
      DataType::F32, {groups, size, 4}, {boxes, order},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr image = floorDiv(at[0], Expr(classes));
        Expr box = in[1](image, floorMod(at[0], Expr(classes)), at[1]);
        auto number = [&](int64_t k) { return in[0](image, box, Expr(k)); };
        auto corner = [&](int64_t k) {
          // From (x, y, width, height), or from any two corners (y, x).
          int64_t low = k % 2;
          Expr half = number(3 - low) / Expr(2.0), middle = number(1 - low);
          if (centers)
            return k < 2 ? middle - half : middle + half;
          return k < 2 ? min(number(low), number(low + 2))
                       : max(number(low), number(low + 2));
        };
        Expr result = corner(3);
        for (int64_t k : {2, 1, 0})
          result = select(at[2] <= Expr(k), corner(k), result);
        return result;
      });
  SmallVector<Tensor> judged = {scores, order};
  if (node.has(4))
    judged.push_back(node.in(4));
  Tensor candidates = node.compute(
      DataType::F32, {groups, size}, judged, [&](Coords at, ArrayRef<Reader> in) {
        if (in.size() < 3)
          return Expr(1.0);
        Expr image = floorDiv(at[0], Expr(classes));
        Expr label = floorMod(at[0], Expr(classes));
        Expr score = in[0](image, label, in[1](image, label, at[1]));
        Expr least = in[2](SmallVector<Expr>(in[2].sizes().size(), Expr(0)));
        return select(least < score, Expr(1.0), Expr(0.0));
      });
  Tensor threshold = node.has(3) ? node.in(3)
                                 : node.constant(HostTensor::splat(
                                       DataType::F32, {1}, Scalar::real(0)));
  mlir::Value b = node.value(corners, {groups, size, 4});
  mlir::Value c = node.value(candidates, {groups, size});
  mlir::Value t = node.value(threshold, {1});
  if (node.failed() || !b || !c || !t)
    return failure();
  mlir::Value kept = cnn::SuppressOp::create(
      node.builder(), node.loc(), b, c, t);
  // Of those the first so many of a class.
  Tensor mask = node.compute(
      DataType::Bool, {groups, size},
      {node.made(kept, DataType::F32, {groups, size}), limit},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr before = sum({size}, [&](Coords r) {
          return select(r[0] < at[1] && in[0](at[0], r[0]) != Expr(0.0), Expr(1),
                        Expr(0));
        });
        Expr room = in[1](SmallVector<Expr>(in[1].sizes().size(), Expr(0)));
        return in[0](at) != Expr(0.0) && before < room;
      });
  Chosen chosen = choose(node, node.reshape(mask, {groups * size}), groups * most);
  Tensor places = chosen.places;
  places.count = nullptr;
  Tensor rows = node.compute(
      DataType::I64, {chosen.most, 3}, {places, order},
      [&](Coords at, ArrayRef<Reader> in) {
        Expr place = in[0](at[0]), group = floorDiv(place, Expr(size));
        Expr image = floorDiv(group, Expr(classes));
        Expr label = floorMod(group, Expr(classes));
        Expr box = in[1](image, label, floorMod(place, Expr(size)));
        return select(at[1] < Expr(1), image,
                      select(at[1] < Expr(2), label, box));
      });
  return node.set(node.counted(rows, chosen.places, 0));
}
static RegisterOperator nonMaxSuppression("NonMaxSuppression",
                                          importNonMaxSuppression, 10);

static LogicalResult importSuppress(NodeContext &node) {
  const Tensor boxes = node.in(0), candidates = node.in(1), threshold = node.in(2);
  Shape each = candidates.shape;
  each.push_back(4);
  if (candidates.rank() != 2 || boxes.shape != each ||
      elementCount(threshold.sizes()) != 1 || boxes.type != DataType::F32 ||
      candidates.type != DataType::F32 || threshold.type != DataType::F32)
    return node.fail("it has boxes G x n x 4, candidates G x n and one threshold, "
                     "in f32");
  mlir::Value b = node.value(boxes, boxes.shape);
  mlir::Value c = node.value(candidates, candidates.shape);
  mlir::Value t = node.value(threshold, {1});
  if (!b || !c || !t)
    return failure();
  return node.set(node.made(
      cnn::SuppressOp::create(node.builder(), node.loc(), b, c, t), DataType::F32,
      candidates.shape));
}
static RegisterOperator suppress(kSuppress, importSuppress, 1, kOwnDomain);
