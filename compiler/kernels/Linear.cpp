//===- Linear.cpp - Dense layers ------------------------------------------===//

#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// Weights in panels of one vector of outputs. One image: each task streams
/// its panels once, several partial sums per output. More images: a tile of
/// images by panels stays in registers, and a panel is read once a tile.
///
/// params: `sums` partial sums of one image; `tile_o` panels and `tile_n`
/// images of a tile; `task_o` panels of a task of one image.
class Linear : public LayerKernel<cnn::LinearOp> {
public:
  Linear() : LayerKernel("linear", 0.6) {}

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  cnn::PackedAttr packing(const Group &group, unsigned input,
                          const LayoutChoice &,
                          const Target &target) const override {
    auto op = group.anchorAs<cnn::LinearOp>();
    if (op.getWeight() != group.inputs()[input])
      return {};
    return cnn::PackedAttr::get(op.getContext(),
                                "Oi" + std::to_string(target.lanes) + "o");
  }

  cnn::ScheduleAttr schedule(const Group &group,
                             const Target &target) const override {
    auto op = group.anchorAs<cnn::LinearOp>();
    int64_t panels = llvm::divideCeil(cnn::sizeOf(op.getWeight(), 0), target.lanes);
    int64_t features = cnn::sizeOf(op.getWeight(), 1);
    // Three quarters of the registers hold sums.
    int sums = target.registers * 3 / 4;
    int tileO = divisorUpTo(panels, 4, 2, panels == 1 ? 1 : 3);
    // Panels of 256 KiB a task, but a few tasks for every core.
    int64_t panelBytes = features * target.lanes * 4;
    int64_t taskO = std::clamp<int64_t>((256 << 10) / panelBytes, 1, 8);
    taskO = std::min(taskO, std::max<int64_t>(1, panels / (4 * target.cores)));
    return makeSchedule(op.getContext(), name(),
                        {{"sums", 4},
                         {"task_o", taskO},
                         {"tile_n", std::min(12, sums / tileO)},
                         {"tile_o", tileO}});
  }

  SmallVector<ScheduleParameter>
  parameters(const Group &group, const Target &target) const override {
    auto op = group.anchorAs<cnn::LinearOp>();
    int64_t panels = llvm::divideCeil(cnn::sizeOf(op.getWeight(), 0), target.lanes);
    return {{"tile_o", 1, std::min<int64_t>(panels, 6), {1, 2, 3, 4, 6}},
            {"tile_n", 1, 28, {1, 4, 6, 8, 12}},
            {"sums", 1, 16, {1, 2, 4, 8}},
            {"task_o", 1, panels, {1, 2, 4, 8, 16, 32}}};
  }

  bool holds(const Group &group, const Target &target,
             cnn::ScheduleAttr schedule, std::string &why) const override {
    return tileFits(target, (int)schedule.param("tile_o"),
                    (int)schedule.param("tile_n"), why);
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::LinearOp>();
    int lanes = b.target.lanes;
    int outputs = (int)cnn::sizeOf(op.getWeight(), 0);
    int features = (int)cnn::sizeOf(op.getWeight(), 1);
    auto guard = TailStrategy::GuardWithIf;

    // What comes before the layer is computed once, not once per output.
    Func x("x");
    bool staged = b.group.hasPrologue();
    x(b.c, b.n) = b.at(op.getX(), {b.n, Expr(), b.c, Expr(), Expr()});
    if (staged)
      x.compute_root().vectorize(b.c, lanes, guard).parallel(b.n);

    // One image: u counts the partial sums.
    int sums = (int)b.schedule.param("sums", 4);
    Var u("u");
    Func part("part");
    part(b.c, u, b.cb, b.n) = 0.0f;
    RDom k(0, sums, 0, std::max(1, features / sums), "k");
    RDom tail(0, std::max(1, features % sums), "tail");
    auto add = [&](RVar index, Expr feature) {
      part(b.c, index, b.cb, b.n) +=
          b.read(op.getWeight(), {b.c, feature, b.cb}) * x(feature, b.n);
    };
    bool whole = features >= sums, rest = features % sums != 0;
    if (whole)
      add(k.x, k.y * sums + k.x);
    if (rest)
      add(tail.x, features - features % sums + tail.x);

    // Tiles of images. Past the last image and the last panel, a tile repeats
    // them; what it adds up there is not stored.
    Func tile("tile");
    int panels = (outputs + lanes - 1) / lanes;
    Expr batch = batchOf(b);
    RDom r(0, features, "r");
    tile(b.c, b.cb, b.n) = 0.0f;
    tile(b.c, b.cb, b.n) +=
        b.read(op.getWeight(), {b.c, r, Halide::min(b.cb, panels - 1)}) *
        x(r, Halide::min(b.n, batch - 1));

    b.bind(op.getResult(), [&, op](const Point &p) mutable {
      Expr lane = p.c % lanes, panel = p.c / lanes, total;
      for (int i = 0; i < sums; ++i) {
        Expr v = part(lane, i, panel, p.n);
        total = total.defined() ? total + v : v;
      }
      Expr sum = Halide::select(batch == 1, total, tile(lane, panel, p.n));
      Value bias = op.getBias();
      return bias ? sum + b.load(bias, p, op.getType()) : sum;
    });

    int tileO = (int)b.schedule.param("tile_o", 1);
    int tileN = (int)b.schedule.param("tile_n", 8);
    int taskO = (int)b.schedule.param("task_o", 1);
    Var task("task"), panel("panel"), lane("lane"), image("image");
    Var tilesO("tiles_o"), tilesN("tiles_n"), tiles("tiles");
    Func out = b.output();
    out.specialize(batch == 1)
        .split(b.c, task, b.c, taskO * lanes, guard)
        .split(b.c, panel, lane, lanes, guard)
        .reorder(lane, panel, task, b.n)
        .vectorize(lane)
        .parallel(task);
    out.split(b.c, panel, lane, lanes, guard)
        .split(panel, tilesO, panel, tileO, guard)
        .split(b.n, tilesN, image, tileN, guard)
        .reorder(lane, panel, image, tilesN, tilesO)
        .vectorize(lane)
        .fuse(tilesN, tilesO, tiles)
        .parallel(tiles);
    part.compute_at(out, panel);
    tile.compute_at(out, tiles);
    part.vectorize(b.c, lanes).unroll(u);
    for (int stage = 0; stage < whole + rest; ++stage)
      part.update(stage).vectorize(b.c, lanes).unroll(
          whole && stage == 0 ? k.x : tail.x);
    tile.bound_extent(b.cb, tileO)
        .bound_extent(b.n, tileN)
        .vectorize(b.c, lanes)
        .unroll(b.cb)
        .unroll(b.n);
    tile.update()
        .reorder(b.c, b.cb, b.n, r)
        .vectorize(b.c, lanes)
        .unroll(b.cb)
        .unroll(b.n);
  }
};
} // namespace

static RegisterKernel<Linear> linear;

} // namespace halcyon
