//===- Pack.cpp - Weights packed in every run -----------------------------===//
//
// Weights that train change with every step. What `cnn.pack` means is in
// dialects/cnn/Weights.cpp, which evaluates it where weights are constants.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
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
    return rooflineSeconds(target, 0, groupBytes(group), 1);
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
    if (winograd) {
      const int m = (int)packed.getWinograd();
      value = transformed(cnn::WinogradAxis(m, (int)shape[2]),
                          cnn::WinogradAxis(m, (int)shape[3]), clamped[2],
                          clamped[3], read);
    } else if (shape.size() > 2) {
      value = read(clamped[2], clamped[3]);
    } else {
      value = weight(std::vector<Expr>(clamped.rbegin(), clamped.rend()));
    }
    Func out = b.output(
        0, vars, Halide::select(inside, value, Halide::Internal::make_zero(value.type())));
    int lanes = std::min<int>(b.target.lanes, (int)dims.back().count);
    if (lanes > 1)
      out.vectorize(vars[0], lanes, TailStrategy::GuardWithIf);
    // Taps of a transformed filter are written out: each has its own factors.
    SmallVector<Var> outer;
    for (size_t i = 1; i < vars.size(); ++i) {
      const cnn::PackedDim &dim = dims[dims.size() - 1 - i];
      if (winograd && dim.dim >= 2)
        out.unroll(vars[i]);
      else
        outer.push_back(vars[i]);
    }
    if (outer.empty())
      return;
    std::vector<Halide::VarOrRVar> order = {vars[0]};
    for (size_t i = 1; i < vars.size(); ++i)
      if (!llvm::is_contained(llvm::map_range(outer, [](const Var &v) { return v.name(); }),
                              vars[i].name()))
        order.push_back(vars[i]);
    for (const Var &v : outer)
      order.push_back(v);
    out.reorder(order);
    Var rows = outer[0];
    for (size_t i = 1; i < outer.size(); ++i) {
      Var fused("rows" + std::to_string(i));
      out.fuse(rows, outer[i], fused);
      rows = fused;
    }
    Var task("task");
    double each = 1;
    for (const cnn::PackedDim &dim : dims)
      each *= (double)dim.count;
    int count = (int)std::clamp(each / 16384, 1.0, 64.0);
    double total = 1;
    for (const cnn::PackedDim &dim : ArrayRef(dims).drop_back())
      if (!(winograd && dim.dim >= 2))
        total *= (double)dim.count;
    out.split(rows, task, rows, std::max(1, (int)(total / count)),
              TailStrategy::GuardWithIf)
        .parallel(task);
  }

private:
  /// Element (u, v) of G g transpose(G).
  static Expr transformed(const cnn::WinogradAxis &down,
                          const cnn::WinogradAxis &across, Expr u, Expr v,
                          llvm::function_ref<Expr(Expr, Expr)> filter) {
    auto factor = [](const cnn::WinogradAxis &axis, Expr row, int tap) -> Expr {
      std::vector<Expr> column;
      for (int i = 0; i < axis.n; ++i)
        column.push_back((float)axis.filter[i * axis.r + tap]);
      return column.size() == 1 ? column[0] : Halide::mux(row, column);
    };
    Expr sum = 0.0f;
    for (int a = 0; a < down.r; ++a)
      for (int b = 0; b < across.r; ++b)
        sum += factor(down, u, a) * factor(across, v, b) * filter(a, b);
    return sum;
  }
};
} // namespace

static RegisterKernel<Pack> pack;

} // namespace halcyon
