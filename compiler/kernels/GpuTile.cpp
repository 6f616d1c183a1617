//===- GpuTile.cpp - Sums of products by tiles on a device ----------------===//

#include "compiler/kernels/GpuTile.h"
#include "compiler/kernels/ConvCommon.h"

using namespace mlir;
using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

/// More sums would leave a thread's registers.
static constexpr int kMostSums = 64;

GpuTile GpuTile::of(cnn::ScheduleAttr a) {
  return {(int)a.param("tile_co"),   (int)a.param("tile_x"),
          (int)a.param("tile_y"),    (int)a.param("threads_co"),
          (int)a.param("threads_x"), (int)a.param("threads_y")};
}

cnn::ScheduleAttr GpuTile::schedule(MLIRContext *context,
                                    StringRef kernel) const {
  return makeSchedule(context, kernel,
                      {{"tile_co", co},
                       {"tile_x", x},
                       {"tile_y", y},
                       {"threads_co", threadsCo},
                       {"threads_x", threadsX},
                       {"threads_y", threadsY}});
}

SmallVector<ScheduleParameter> GpuTile::parameters() {
  return {{"tile_co", 1, 8, {4, 8}},
          {"tile_x", 1, 8, {1, 2, 4, 8}},
          {"tile_y", 1, 8, {1, 2, 4}},
          {"threads_co", 1, 64, {8, 16, 32}},
          {"threads_x", 1, 64, {1, 2, 4, 8}},
          {"threads_y", 1, 64, {1, 2, 4, 8, 16}}};
}

SmallVector<ScheduleParameter> GpuTile::parametersOfRows() {
  SmallVector<ScheduleParameter> all = parameters();
  for (ScheduleParameter &parameter : all)
    if (parameter.name.ends_with("_y")) {
      parameter.most = 1;
      parameter.values = {1};
    }
  return all;
}

bool GpuTile::fits(const Target &target, int64_t sharedBytes,
                   std::string &why) const {
  if (threads() > target.device->threads)
    why = std::to_string(threads()) + " threads; a block has at most " +
          std::to_string(target.device->threads);
  else if (sums() > kMostSums)
    why = std::to_string(sums()) +
          " sums in a thread's registers; there is room for " +
          std::to_string(kMostSums);
  else if (sharedBytes > target.device->shared)
    why = "its tile needs " + std::to_string(sharedBytes) +
          " bytes of shared memory; a block has " +
          std::to_string(target.device->shared);
  return why.empty();
}

double GpuTile::efficiency(const Target &target, int channels, int width,
                           int height, int maps) const {
  auto useful = [](int size, int tile) {
    return double(size) / (ceilDiv(size, tile) * tile);
  };
  // A step reads one value a pixel and a vector of four channels at a time; a
  // multiprocessor starts four warps' multiply-adds in the time of a read.
  double reads = x * y + 2.0 * ceilDiv(co, 4);
  double balance = std::min(1.0, sums() / 4.0 / reads);
  double blocks = (double)maps * ceilDiv(channels, blockCo()) *
                  ceilDiv(width, blockX()) * ceilDiv(height, blockY());
  double busy = std::min(1.0, blocks * threads() / 32 / (8.0 * target.cores));
  return 0.85 * balance * (0.1 + 0.9 * busy) * useful(channels, blockCo()) *
         useful(width, blockX()) * useful(height, blockY());
}

GpuTile chooseGpuTile(const Target &target, int channels, int width, int height,
                      int maps,
                      llvm::function_ref<int64_t(const GpuTile &)> sharedBytes) {
  GpuTile best;
  double most = -1;
  for (int co : {4, 8})
    for (int x : {1, 2, 4, 8})
      for (int y : {1, 2, 4})
        for (int threadsCo : {1, 2, 4, 8, 16})
          for (int threadsX : {1, 2, 4, 8, 16})
            for (int threadsY : {1, 2, 4, 8, 16}) {
              GpuTile t = {co, x, y, threadsCo, threadsX, threadsY};
              std::string why;
              if (t.threads() < 64 || t.threads() > 256 ||
                  (height == 1 && t.blockY() > 1))
                continue;
              double e = t.efficiency(target, channels, width, height, maps);
              if (e > most * 1.001 && t.fits(target, sharedBytes(t), why)) {
                most = e;
                best = t;
              }
            }
  return best;
}

TileLoops splitByTile(Func user, const GpuTile &t, Var co, Var x,
                      std::optional<Var> y, bool vectorize) {
  TileLoops loops;
  auto guard = TailStrategy::GuardWithIf;
  Var ci("ci"), xi("xi"), yi("yi"), ct("ct"), xt("xt"), yt("yt"), cr("cr"),
      xr("xr"), yr("yr");
  user.split(co, loops.co, ci, t.blockCo(), guard)
      .split(ci, ct, cr, t.co, guard)
      .split(x, loops.x, xi, t.blockX(), guard)
      .split(xi, xt, xr, t.x, guard);
  std::vector<Halide::VarOrRVar> order = {cr, xr, ct, xt, loops.x, loops.co};
  if (y) {
    user.split(*y, loops.y, yi, t.blockY(), guard)
        .split(yi, yt, yr, t.y, guard);
    order = {cr, xr, yr, ct, xt, yt, loops.x, loops.y, loops.co};
  }
  user.reorder(order).unroll(xr);
  if (y)
    user.unroll(yr).gpu_threads(ct, xt, yt);
  else
    user.gpu_threads(ct, xt);
  // Devices have vectors of four.
  if (vectorize && t.co % 4 == 0)
    user.vectorize(cr, 4);
  user.unroll(cr);
  return loops;
}

void scheduleStagedSum(const StagedSum &s, const GpuTile &t) {
  Func sum = s.sum;
  sum.compute_at(s.user, s.at)
      .store_in(MemoryType::Register)
      .bound_extent(s.co, t.blockCo())
      .bound_extent(s.x, t.blockX());
  if (s.rows)
    sum.bound_extent(s.y, t.blockY());
  for (const Var &other : s.rest)
    sum.bound_extent(other, 1);
  Var ct("ct"), xt("xt"), yt("yt"), cr("cr"), xr("xr"), yr("yr");
  auto byThreads = [&](Halide::Stage stage, const std::vector<RVar> &inner,
                       const std::vector<RVar> &outer) {
    stage.split(s.co, ct, cr, t.co).split(s.x, xt, xr, t.x);
    std::vector<Halide::VarOrRVar> order = {cr, xr}, threads = {ct, xt};
    if (s.rows) {
      stage.split(s.y, yt, yr, t.y);
      order.push_back(yr);
      threads.push_back(yt);
    }
    order.insert(order.end(), inner.begin(), inner.end());
    order.insert(order.end(), threads.begin(), threads.end());
    order.insert(order.end(), s.rest.begin(), s.rest.end());
    order.insert(order.end(), outer.begin(), outer.end());
    stage.reorder(order).unroll(cr).unroll(xr);
    if (s.rows)
      stage.unroll(yr).gpu_threads(ct, xt, yt);
    else
      stage.gpu_threads(ct, xt);
  };
  byThreads(sum, {}, {});
  byThreads(sum.update(), s.inner, s.outer);
  sum.update().unroll(s.inner.front());

  // All threads copy, in the order in which values lie in memory.
  for (Func copy : s.copies) {
    std::vector<Var> args = copy.args();
    Var flat("flat"), round("round"), rest("rest");
    copy.compute_at(sum, s.outer.front()).store_in(MemoryType::GPUShared);
    copy.fuse(args[0], args[1], flat);
    for (size_t i = 2; i < args.size(); ++i)
      copy.fuse(flat, args[i], flat);
    copy.split(flat, round, flat, t.threads(), TailStrategy::GuardWithIf)
        .split(flat, rest, ct, t.threadsCo);
    if (s.rows)
      copy.split(rest, yt, xt, t.threadsX)
          .reorder(ct, xt, yt, round)
          .gpu_threads(ct, xt, yt);
    else
      copy.reorder(ct, rest, round).gpu_threads(ct, rest);
  }
}

} // namespace halcyon
