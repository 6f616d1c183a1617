//===- Pack.cpp - Weights packed in every run -----------------------------===//
//
// Weights that train change with every step. What `cnn.pack` means is in
// dialects/cnn/Weights.cpp, which evaluates it where weights are constants.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/ConvCommon.h"
#include "compiler/kernels/Cost.h"
#include "compiler/kernels/GpuLoops.h"
#include "dialects/cnn/Support.h"
#include "dialects/cnn/Winograd.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
class Pack : public Kernel {
public:
  StringRef name() const override { return "pack"; }
  bool isGeneral() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    return group.anchorAs<cnn::PackOp>() != nullptr;
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 1);
  }

  void build(KernelBuilder &b) const override {
    auto pack = b.group.anchorAs<cnn::PackOp>();
    auto type = cnn::tensorOf(pack.getResult());
    auto packed = cast<cnn::PackedAttr>(type.getEncoding());
    ArrayRef<int64_t> shape = type.getShape();
    SmallVector<cnn::PackedDim> dims = packed.physicalDims(shape);
    std::vector<Var> vars = logicalVars(dims.size());
    // The weight's coordinates, outermost first, from the place in memory.
    SmallVector<Expr> at(shape.size(), Expr(0));
    for (auto [index, dim] : llvm::enumerate(dims))
      at[dim.dim] = at[dim.dim] + vars[dims.size() - 1 - index] * (int)dim.step;
    Func weight = logicalInput(b, b.group.inputs()[0]);
    if (std::optional<int64_t> groups = pack.getAdjoint())
      weight = turnedOver(weight, cnn::tensorOf(pack.getWeight()).getShape(), *groups);
    Expr inside = Halide::Internal::const_true();
    SmallVector<Expr> clamped;
    bool winograd = packed.getWinograd() != 0;
    for (auto [index, size] : llvm::enumerate(shape)) {
      Expr i = at[index];
      int64_t covered = 1;
      for (const cnn::PackedDim &dim : dims)
        if (dim.dim == (int)index)
          covered *= dim.count;
      if (covered > size && !(winograd && index >= 2)) {
        inside = inside && i < (int)size;
        i = Halide::min(i, (int)size - 1);
      }
      clamped.push_back(i);
    }
    auto read = [&](Expr row, Expr column) {
      std::vector<Expr> place(clamped.rbegin(), clamped.rend());
      if (place.size() > 2) {
        place[0] = column;
        place[1] = row;
      }
      return weight(place);
    };
    Expr value;
    Func taps("taps"), half("half");
    if (winograd) {
      // G g transpose(G): columns first, then rows.
      const int m = (int)packed.getWinograd();
      const cnn::WinogradAxis down(m, (int)shape[2]), across(m, (int)shape[3]);
      Var i("i"), j("j");
      std::vector<Var> place; // of a filter
      for (auto [index, dim] : llvm::enumerate(dims))
        if (dim.dim < 2)
          place.push_back(vars[dims.size() - 1 - index]);
      std::reverse(place.begin(), place.end());
      auto at = [&](Expr row, Expr column) {
        std::vector<Expr> all(place.begin(), place.end());
        all.insert(all.end(), {row, column});
        return all;
      };
      std::vector<Var> within = place;
      within.insert(within.end(), {j, i});
      taps(within) = read(j, i);
      half(within) = winogradTransform(
          across.filter, across.r, i, [&](int tap) { return taps(at(j, tap)); });
      value = winogradTransform(down.filter, down.r, clamped[2], [&](int tap) {
        return half(at(tap, clamped[3]));
      });
    } else if (shape.size() > 2) {
      value = read(clamped[2], clamped[3]);
    } else {
      value = weight(std::vector<Expr>(clamped.rbegin(), clamped.rend()));
    }
    Func out = b.output(
        0, vars, Halide::select(inside, value, Halide::Internal::make_zero(value.type())));
    if (winograd)
      arrange(out, vars, dims, {taps, half}, b.target);
    else
      arrange(out, vars, dims, {}, b.target);
  }

protected:
  /// Schedules what is written, and the stages of a transformed filter before it.
  virtual void arrange(Func out, const std::vector<Var> &vars, ArrayRef<cnn::PackedDim> dims,
                       ArrayRef<Func> stages, const Target &target) const {
    Var filter = schedule(out, vars, dims, !stages.empty(), target);
    // A filter's taps are read once for all that is made of them.
    for (Func stage : stages) {
      std::vector<Var> order = stage.args();
      Var lane = order[0], j = order[order.size() - 2], i = order.back();
      stage.compute_at(out, filter).bound_extent(lane, (int)dims.back().count);
      if (dims.back().count < target.lanes) {
        stage.bound_extent(order[1], (int)dims[dims.size() - 2].count);
        stage.fuse(order[0], order[1], lane);
      }
      stage.reorder(lane, j, i).vectorize(lane).unroll(j).unroll(i);
    }
  }

private:
  /// Vectors of the innermost places, loops over a block of some hundreds, and
  /// tasks of what is outside of it. Pairs of bf16 lie innermost: with vectors of
  /// those alone a 3x3 filter of 512 channels took 6 ms instead of 1. Returns the
  /// innermost loop around the vectors of all taps.
  static Var schedule(Func out, std::vector<Var> vars,
                      ArrayRef<cnn::PackedDim> dims, bool winograd,
                      const Target &target) {
    auto count = [&](size_t i) { return dims[dims.size() - 1 - i].count; };
    // Taps of a transformed filter are written out: each has its own factors.
    auto isTap = [&](size_t i) {
      return winograd && dims[dims.size() - 1 - i].dim >= 2;
    };
    Var lane = vars[0];
    size_t next = 1;
    int64_t inner = count(0);
    if (inner < target.lanes && vars.size() > 1 && !isTap(1)) {
      lane = Var("lane");
      out.fuse(vars[0], vars[1], lane);
      inner *= count(1);
      next = 2;
    }
    std::vector<Halide::VarOrRVar> order = {lane};
    SmallVector<Var> outer;
    int64_t rows = 1;
    for (size_t i = next; i < vars.size(); ++i)
      if (isTap(i))
        order.push_back(vars[i]);
    for (size_t i = next; i < vars.size(); ++i) {
      if (isTap(i))
        continue;
      order.push_back(vars[i]);
      if (inner < 256 && count(i) <= 64 && i + 1 < vars.size()) {
        inner *= count(i);
        continue;
      }
      outer.push_back(vars[i]);
      rows *= count(i);
    }
    out.reorder(order);
    auto innermost = llvm::find_if(llvm::drop_begin(order), [&](const auto &loop) {
      return llvm::none_of(llvm::seq(next, vars.size()), [&](size_t i) {
        return isTap(i) && vars[i].name() == loop.name();
      });
    });
    Var filter = innermost == order.end() ? lane : innermost->var;
    for (size_t i = next; i < vars.size(); ++i)
      if (isTap(i))
        out.unroll(vars[i]);
    int64_t width = count(0) * (next == 2 ? count(1) : 1);
    int lanes = (int)std::min<int64_t>(width, 2 * target.lanes);
    if (next == 1)
      lanes = std::min(lanes, target.lanes);
    if (lanes > 1)
      out.vectorize(lane, lanes, TailStrategy::GuardWithIf);
    if (outer.empty())
      return filter;
    Var row = outer[0];
    for (size_t i = 1; i < outer.size(); ++i) {
      Var fused("rows" + std::to_string(i));
      out.fuse(row, outer[i], fused);
      row = fused;
    }
    Var task("task");
    double each = 1;
    for (const cnn::PackedDim &dim : dims)
      each *= (double)dim.count;
    int tasks = (int)std::clamp(each / 16384, 1.0, 64.0);
    out.split(row, task, row, (int)std::max<int64_t>(1, rows / tasks),
              TailStrategy::GuardWithIf)
        .parallel(task);
    return filter;
  }
};

/// A thread for each place; each transforms what it writes.
class GpuPack : public Pack {
public:
  StringRef name() const override { return "gpu_pack"; }
  bool isForDevice() const override { return true; }

protected:
  void arrange(Func out, const std::vector<Var> &vars, ArrayRef<cnn::PackedDim> dims,
               ArrayRef<Func>, const Target &) const override {
    std::vector<int64_t> extents;
    for (const cnn::PackedDim &dim : llvm::reverse(dims))
      extents.push_back(dim.count);
    scheduleThreads(out, vars, extents);
  }
};
} // namespace

static RegisterKernel<Pack> pack;
static RegisterKernel<GpuPack> gpuPack;

} // namespace halcyon
