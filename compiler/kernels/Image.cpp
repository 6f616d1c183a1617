//===- Image.cpp - A decoded picture as a tensor --------------------------===//
//
// Resizing as Pillow does it (Resample.c): a triangle filter as wide as the
// reduction, weights normalised at the borders and kept as whole numbers of
// 2^-22, across and then down, and 8 bits after each direction.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {

/// Pillow's PRECISION_BITS.
constexpr int kBits = 32 - 8 - 2;

/// Resampling along one axis: from `size` cells to `to`, the first output
/// being cell `offset` of the resized picture.
struct Resampling {
  Expr size, to, offset;
  Func first, weight; ///< (o), (k, o)
  RDom taps;

  Resampling(Expr size, Expr to, Expr offset, const std::string &name)
      : size(size), to(to), offset(offset), first(name + "_first"),
        weight(name + "_weight") {
    Expr scale = Halide::cast<double>(size) / Halide::cast<double>(to);
    Expr reach = Halide::max(scale, Expr(1.0));
    Var o("o"), k("k");
    Expr center = (Halide::cast<double>(o + offset) + Expr(0.5)) * scale;
    Expr begin = Halide::cast<int>(Halide::max(center - reach + Expr(0.5), Expr(0.0)));
    Expr end = Halide::min(Halide::cast<int>(center + reach + Expr(0.5)), size);
    taps = RDom(0, Halide::cast<int>(Halide::ceil(reach)) * 2 + 1, name + "_taps");

    Func raw(name + "_raw"), total(name + "_total");
    Expr distance =
        Halide::abs(Halide::cast<double>(k + begin) - center + Expr(0.5)) / reach;
    raw(k, o) = Halide::select(k + begin < end,
                               Halide::max(Expr(1.0) - distance, Expr(0.0)),
                               Expr(0.0));
    total(o) += raw(taps, o);
    Expr share = raw(k, o) * (Expr(1.0) / total(o));
    weight(k, o) = Halide::cast<int>(share * Expr(double(1 << kBits)) + Expr(0.5));
    first(o) = begin;
    raw.compute_root();
    total.compute_root();
    weight.compute_root();
    first.compute_root();
  }

  Expr cell(Expr o, Expr k) const {
    return Halide::clamp(first(o) + k, 0, size - 1);
  }
  /// Whether the output lies in the resized picture.
  Expr inside(Expr o) const { return o + offset >= 0 && o + offset < to; }
};

static Expr eightBits(Expr sum) {
  return Halide::cast<uint8_t>(Halide::clamp(sum >> kBits, 0, 255));
}

class Image : public LayerKernel<cnn::ImageOp> {
public:
  Image() : LayerKernel("image", 0.01) {}

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    LayoutChoice choice;
    choice.inputs.resize(group.inputs().size());
    choice.outputs.push_back(cnn::LayoutAttr::get(
        group.anchor()->getContext(), "nchw"));
    return {choice};
  }

  void build(KernelBuilder &b) const override {
    auto op = b.group.anchorAs<cnn::ImageOp>();
    Halide::ImageParam picture = b.input(op.getX());
    auto type = cnn::tensorOf(b.group.outputs().front());
    int channels = (int)type.getDimSize(1);
    int height = (int)type.getDimSize(2), width = (int)type.getDimSize(3);
    Expr pictureWidth = picture.dim(1).extent(), pictureHeight = picture.dim(2).extent();

    // The resized picture, and the window of it that is taken.
    Expr toWidth = width, toHeight = height, left = 0, top = 0;
    if (int side = (int)op.getResize()) {
      Expr shorter = Halide::min(pictureWidth, pictureHeight);
      auto resized = [&](Expr size) {
        return Halide::cast<int>(Halide::cast<int64_t>(size) * side / Halide::cast<int64_t>(shorter));
      };
      toWidth = resized(pictureWidth);
      toHeight = resized(pictureHeight);
      // Halves to even, as Python rounds; a smaller picture is padded.
      auto centred = [](Expr size, int crop) {
        Expr spare = size - crop;
        return Halide::select(spare >= 0,
                              Halide::cast<int>(Halide::round(Halide::cast<float>(spare) / 2.0f)),
                              -((crop - size) / 2));
      };
      left = centred(toWidth, width);
      top = centred(toHeight, height);
    }
    Resampling across(pictureWidth, toWidth, left, "across");
    Resampling down(pictureHeight, toHeight, top, "down");

    Func columns("columns"), narrow("narrow"), rows("rows");
    Var x = b.x, y = b.y, c = b.c;
    RDom &h = across.taps, &v = down.taps;
    columns(x, c, y) = 1 << (kBits - 1);
    columns(x, c, y) +=
        across.weight(h, x) * Halide::cast<int>(picture(c, across.cell(x, h), y));
    narrow(x, c, y) = eightBits(columns(x, c, y));
    rows(x, c, y) = 1 << (kBits - 1);
    rows(x, c, y) +=
        down.weight(v, y) * Halide::cast<int>(narrow(x, c, down.cell(y, v)));

    ArrayRef<double> mean, std;
    if (auto given = op.getMeanAttr())
      mean = given;
    if (auto given = op.getStdAttr())
      std = given;
    b.bind(op.getResult(), [&](const Point &p) {
      Expr channel = p.cb.defined()
                         ? Halide::min(p.cb * b.target.lanes + p.c, channels - 1)
                         : p.c;
      Expr value = Halide::cast<float>(eightBits(rows(p.x, channel, p.y)));
      value = Halide::select(across.inside(p.x) && down.inside(p.y), value, 0.0f);
      // (value * scale - mean) / std as one multiplication and addition.
      auto perChannel = [&](auto of) {
        Expr result = (float)of(channels - 1);
        for (int i = channels - 2; i >= 0; --i)
          result = Halide::select(channel == i, (float)of(i), result);
        return result;
      };
      double scale = op.getScale().convertToDouble();
      auto at = [](ArrayRef<double> list, int i, double otherwise) {
        return list.empty() ? otherwise : list[std::min<size_t>(i, list.size() - 1)];
      };
      return value * perChannel([&](int i) { return scale / at(std, i, 1); }) -
             perChannel([&](int i) { return at(mean, i, 0) / at(std, i, 1); });
    });

    Func out = b.output();
    auto guard = TailStrategy::GuardWithIf;
    std::vector<Var> vars = b.vars(type);
    std::vector<Halide::VarOrRVar> order;
    for (Var var : vars)
      if (!var.same_as(y))
        order.push_back(var);
    order.push_back(y);
    out.reorder(order).vectorize(vars[0], b.target.lanes, guard).parallel(y);
    rows.compute_at(out, y).vectorize(x, b.target.lanes, guard);
    rows.update().reorder(x, c, v).vectorize(x, b.target.lanes, guard);
    narrow.compute_root().parallel(y).vectorize(x, b.target.lanes, guard);
    columns.bound(c, 0, channels)
        .compute_at(narrow, y)
        .vectorize(x, b.target.lanes, guard);
    columns.update().reorder(c, h, x).unroll(c);
  }
};

} // namespace

static RegisterKernel<Image> image;

} // namespace halcyon
