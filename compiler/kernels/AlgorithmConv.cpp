//===- AlgorithmConv.cpp - What sums of products compute ------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Windows.h"

using namespace mlir;
using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace halcyon {

static Expr zeroLike(const LogicalTensor &tensor) {
  return Halide::Internal::make_zero(tensor.func.types()[0]);
}

/// The element, or what padding puts there outside the map.
static Expr padded(const LogicalTensor &x, Expr at, Expr row, Expr channel,
                   Expr n, cnn::PadMode mode = cnn::PadMode::zero) {
  Expr width = x.sizes[0], height = x.sizes[1];
  Expr value = x.func(standIn(at, width, mode), standIn(row, height, mode),
                      channel, n);
  if (mode != cnn::PadMode::zero)
    return value;
  return Halide::select(at >= 0 && at < width && row >= 0 && row < height, value,
                        zeroLike(x));
}

/// The cell of the input that a tap of output `out` reads, along an axis.
template <typename Op> static Expr tapCell(Op op, int axis, Expr out, Expr tap) {
  return out * (int)op.getStride()[axis] + tap * (int)op.getDilation()[axis] -
         (int)op.getPad()[axis];
}

static Func defineConv(Operation *op, ArrayRef<LogicalTensor> in,
                       ArrayRef<Expr> sizes) {
  auto conv = mlir::cast<cnn::ConvOp>(op);
  Func f("conv");
  Var x("x"), y("y"), o("o"), n("n");
  auto w = cnn::tensorOf(conv.getWeight());
  RDom r(0, (int)w.getDimSize(3), 0, (int)w.getDimSize(2), 0,
         (int)w.getDimSize(1), "r");
  int perGroup = (int)(w.getDimSize(0) / conv.getGroups());
  Expr channel = o / perGroup * (int)w.getDimSize(1) + r.z;
  f(x, y, o, n) = in.size() > 2 ? in[2].func(o) : zeroLike(in[0]);
  f(x, y, o, n) += in[1].func(r.x, r.y, r.z, o) *
                   padded(in[0], tapCell(conv, 1, x, r.x),
                          tapCell(conv, 0, y, r.y), channel, n,
                          conv.getPadMode());
  return f;
}

static Func defineConvTranspose(Operation *op, ArrayRef<LogicalTensor> in,
                                ArrayRef<Expr> sizes) {
  auto conv = mlir::cast<cnn::ConvTransposeOp>(op);
  Func f("conv_transpose");
  Var x("x"), y("y"), o("o"), n("n");
  auto w = cnn::tensorOf(conv.getWeight());
  int perGroup = (int)w.getDimSize(1);
  int inputs = (int)(w.getDimSize(0) / conv.getGroups());
  RDom r(0, (int)w.getDimSize(3), 0, (int)w.getDimSize(2), 0, inputs, "r");
  Expr channel = o / perGroup * inputs + r.z;
  // The input's cell from which a tap reaches here, if it is a whole one.
  auto reach = [&](Expr v, Expr tap, int axis) {
    return v + (int)conv.getPad()[axis] - tap * (int)conv.getDilation()[axis];
  };
  Expr fromX = reach(x, r.x, 1), fromY = reach(y, r.y, 0);
  int strideX = (int)conv.getStride()[1], strideY = (int)conv.getStride()[0];
  Expr whole = fromX % strideX == 0 && fromY % strideY == 0;
  f(x, y, o, n) = in.size() > 2 ? in[2].func(o) : zeroLike(in[0]);
  f(x, y, o, n) += Halide::select(
      whole,
      in[1].func(r.x, r.y, o % perGroup, channel) *
          padded(in[0], fromX / strideX, fromY / strideY, channel, n),
      zeroLike(in[0]));
  return f;
}

static Func defineConvWeightGrad(Operation *op, ArrayRef<LogicalTensor> in,
                                 ArrayRef<Expr> sizes) {
  auto grad = mlir::cast<cnn::ConvWeightGradOp>(op);
  Func f("conv_weight_grad");
  Var u("u"), v("v"), c("c"), o("o");
  auto w = cnn::tensorOf(grad.getResult());
  RDom r({{0, in[1].sizes[0]}, {0, in[1].sizes[1]}, {0, in[1].sizes[3]}}, "r");
  int perGroup = (int)(w.getDimSize(0) / grad.getGroups());
  f(u, v, c, o) = zeroLike(in[0]);
  f(u, v, c, o) += in[1].func(r.x, r.y, o, r.z) *
                   padded(in[0], tapCell(grad, 1, r.x, u),
                          tapCell(grad, 0, r.y, v),
                          o / perGroup * (int)w.getDimSize(1) + c, r.z);
  return f;
}

static Func defineLinear(Operation *op, ArrayRef<LogicalTensor> in,
                         ArrayRef<Expr> sizes) {
  Func f("linear");
  Var o("o"), n("n");
  RDom r({{0, in[0].sizes[0]}}, "r");
  f(o, n) = in.size() > 2 ? in[2].func(o) : zeroLike(in[0]);
  f(o, n) += in[1].func(r, o) * in[0].func(r, n);
  return f;
}

static Func defineLinearWeightGrad(Operation *op, ArrayRef<LogicalTensor> in,
                                   ArrayRef<Expr> sizes) {
  Func f("linear_weight_grad");
  Var c("c"), o("o");
  RDom r({{0, in[0].sizes[1]}}, "r");
  f(c, o) = zeroLike(in[0]);
  f(c, o) += in[0].func(c, r) * in[1].func(o, r);
  return f;
}

Func turnedOver(Func weight, ArrayRef<int64_t> shape, int64_t groups) {
  Func f("turned_over");
  Var u("u"), v("v"), c("c"), o("o");
  // Within a group, output o of input c was output c of input o.
  const int ins = (int)shape[1], outs = (int)(shape[0] / groups);
  Expr in = groups > 1 ? o % ins : Expr(o), out = groups > 1 ? o / ins * outs + c : Expr(c);
  if (shape.size() == 2)
    f(c, o) = weight(in, out);
  else
    f(u, v, c, o) = weight((int)shape[3] - 1 - u, (int)shape[2] - 1 - v, in, out);
  return f;
}

static Func defineAdjointFilter(Operation *op, ArrayRef<LogicalTensor> in,
                                ArrayRef<Expr> sizes) {
  auto filter = mlir::cast<cnn::AdjointFilterOp>(op);
  return turnedOver(in[0].func, cnn::tensorOf(filter.getWeight()).getShape(),
                    filter.getGroups());
}

static RegisterAlgorithm conv("cnn.conv", defineConv);
static RegisterAlgorithm convTranspose("cnn.conv_transpose", defineConvTranspose);
static RegisterAlgorithm convWeightGrad("cnn.conv_weight_grad",
                                        defineConvWeightGrad);
static RegisterAlgorithm linear("cnn.linear", defineLinear);
static RegisterAlgorithm linearWeightGrad("cnn.linear_weight_grad",
                                          defineLinearWeightGrad);
static RegisterAlgorithm adjointFilter("cnn.adjoint_filter", defineAdjointFilter);

} // namespace halcyon
