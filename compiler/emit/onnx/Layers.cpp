//===- Layers.cpp - Layers as nodes of ONNX -------------------------------===//

#include "compiler/emit/onnx/Export.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using namespace halcyon;

/// Numbers for padding that depends on the sizes.
static std::vector<int64_t> padsOf(cnn::PaddedOpInterface op) {
  SmallVector<int64_t> taps = op.getTaps();
  return cnn::padNumbers(op.getAutoPad(), op.getPad(),
                         cnn::tensorOf(op->getOperand(0)).getShape().drop_front(2),
                         taps, op.getStride(), op.getDilation());
}

static std::string padded(OnnxWriter &w, const std::string &x,
                          ArrayRef<int64_t> pad, cnn::PadMode mode) {
  SmallVector<int64_t> pads = {0, 0, pad[0], pad[1], 0, 0, pad[2], pad[3]};
  std::string result = w.node("Pad", {x, w.constant(pads)});
  const char *names[] = {"constant", "reflect", "edge", "wrap"};
  w.attribute("mode", StringRef(names[int(mode)]));
  return result;
}

static void window(OnnxWriter &w, ArrayRef<int64_t> kernel,
                   ArrayRef<int64_t> stride, ArrayRef<int64_t> pad,
                   ArrayRef<int64_t> dilation) {
  w.attribute("kernel_shape", kernel);
  w.attribute("strides", stride);
  w.attribute("pads", pad);
  w.attribute("dilations", dilation);
}

//===----------------------------------------------------------------------===//
// Convolutions, products
//===----------------------------------------------------------------------===//

static LogicalResult writeConv(Operation *op, OnnxWriter &w) {
  auto conv = cast<cnn::ConvOp>(op);
  std::string x = w.name(conv.getX());
  std::vector<int64_t> pad = padsOf(conv);
  if (conv.getPadMode() != cnn::PadMode::zero) {
    x = padded(w, x, pad, conv.getPadMode());
    pad.assign(4, 0);
  }
  SmallVector<std::string> inputs = {x, w.name(conv.getWeight())};
  if (conv.getBias())
    inputs.push_back(w.name(conv.getBias()));
  std::string y = w.node("Conv", inputs);
  SmallVector<int64_t, 2> kernel = conv.getKernel();
  window(w, kernel, conv.getStride(), pad, conv.getDilation());
  w.attribute("group", int64_t(conv.getGroups()));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter conv("cnn.conv", writeConv);

static LogicalResult writeConvTranspose(Operation *op, OnnxWriter &w) {
  auto conv = cast<cnn::ConvTransposeOp>(op);
  SmallVector<std::string> inputs = {w.name(conv.getX()),
                                     w.name(conv.getWeight())};
  if (conv.getBias())
    inputs.push_back(w.name(conv.getBias()));
  std::string y = w.node("ConvTranspose", inputs);
  window(w, cnn::tensorOf(conv.getWeight()).getShape().drop_front(2),
         conv.getStride(), conv.getPad(), conv.getDilation());
  w.attribute("output_padding", conv.getOutputPad());
  w.attribute("group", int64_t(conv.getGroups()));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter convTranspose("cnn.conv_transpose",
                                        writeConvTranspose);

static LogicalResult writeLinear(Operation *op, OnnxWriter &w) {
  auto linear = cast<cnn::LinearOp>(op);
  SmallVector<std::string> inputs = {w.name(linear.getX()),
                                     w.name(linear.getWeight())};
  if (linear.getBias())
    inputs.push_back(w.name(linear.getBias()));
  std::string y = w.node("Gemm", inputs);
  w.attribute("transB", int64_t(1));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter linear("cnn.linear", writeLinear);

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

static LogicalResult writeBatchNorm(Operation *op, OnnxWriter &w) {
  auto norm = cast<cnn::BatchNormOp>(op);
  std::string y = w.node(
      "BatchNormalization",
      {w.name(norm.getX()), w.name(norm.getWeight()), w.name(norm.getBias()),
       w.name(norm.getRunningMean()), w.name(norm.getRunningVar())});
  w.attribute("epsilon", norm.getEps().convertToDouble());
  w.attribute("momentum", 1 - norm.getMomentum().convertToDouble());
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter batchNorm("cnn.batchnorm", writeBatchNorm);

static LogicalResult writeSoftmax(Operation *op, OnnxWriter &w) {
  std::string y = w.node("Softmax", {w.name(op->getOperand(0))});
  w.attribute("axis", int64_t(1));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter softmax("cnn.softmax", writeSoftmax);

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

template <typename Op>
static std::string writePool(Op pool, OnnxWriter &w, StringRef name) {
  std::string y = w.node(name, {w.name(pool.getX())});
  window(w, pool.getKernel(), pool.getStride(), padsOf(pool),
         pool.getDilation());
  w.attribute("ceil_mode", int64_t(pool.getCeil()));
  return y;
}

static LogicalResult writeMaxPool(Operation *op, OnnxWriter &w) {
  w.result(op, writePool(cast<cnn::MaxPoolOp>(op), w, "MaxPool"));
  return success();
}
static LogicalResult writeAvgPool(Operation *op, OnnxWriter &w) {
  auto pool = cast<cnn::AvgPoolOp>(op);
  std::string y = writePool(pool, w, "AveragePool");
  w.attribute("count_include_pad", int64_t(pool.getCountPad()));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter maxPool("cnn.maxpool", writeMaxPool);
static RegisterOnnxWriter avgPool("cnn.avgpool", writeAvgPool);

static LogicalResult writeGlobalAvg(Operation *op, OnnxWriter &w) {
  w.result(op, w.node("GlobalAveragePool", {w.name(op->getOperand(0))}));
  return success();
}
static LogicalResult writeGlobalMax(Operation *op, OnnxWriter &w) {
  w.result(op, w.node("GlobalMaxPool", {w.name(op->getOperand(0))}));
  return success();
}
static RegisterOnnxWriter globalAvg("cnn.global_avgpool", writeGlobalAvg);
static RegisterOnnxWriter globalMax("cnn.global_maxpool", writeGlobalMax);

/// The matrix whose rows are the means of the cells along a dimension.
static std::string cellMeans(OnnxWriter &w, int64_t n, int64_t cells,
                             bool transposed) {
  std::vector<float> matrix(n * cells, 0.0f);
  for (int64_t cell = 0; cell < cells; ++cell) {
    int64_t begin = cell * n / cells, end = ((cell + 1) * n + cells - 1) / cells;
    for (int64_t i = begin; i < end; ++i)
      matrix[transposed ? i * cells + cell : cell * n + i] =
          1.0f / float(end - begin);
  }
  if (transposed)
    return w.constant(matrix, {n, cells});
  return w.constant(matrix, {cells, n});
}

/// rows * x * columns: ONNX has no cells of different sizes.
static LogicalResult writeAdaptive(Operation *op, OnnxWriter &w) {
  auto pool = cast<cnn::AdaptiveAvgPoolOp>(op);
  ArrayRef<int64_t> in = cnn::tensorOf(pool.getX()).getShape().drop_front(2);
  std::string rows = w.node("MatMul", {cellMeans(w, in[0], pool.getSize()[0],
                                                 /*transposed=*/false),
                                       w.name(pool.getX())});
  w.result(op, w.node("MatMul", {rows, cellMeans(w, in[1], pool.getSize()[1],
                                                 /*transposed=*/true)}));
  return success();
}
static RegisterOnnxWriter adaptive("cnn.adaptive_avgpool", writeAdaptive);

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static LogicalResult writeFlatten(Operation *op, OnnxWriter &w) {
  std::string y = w.node("Flatten", {w.name(op->getOperand(0))});
  w.attribute("axis", int64_t(1));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter flatten("cnn.flatten", writeFlatten);

static LogicalResult writeConcat(Operation *op, OnnxWriter &w) {
  SmallVector<std::string> inputs;
  for (Value input : op->getOperands())
    inputs.push_back(w.name(input));
  std::string y = w.node("Concat", inputs);
  w.attribute("axis", int64_t(1));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter concat("cnn.concat", writeConcat);

static LogicalResult writeUpsample(Operation *op, OnnxWriter &w) {
  auto up = cast<cnn::UpsampleOp>(op);
  std::vector<float> scales = {1, 1, float(up.getScale()[0]),
                               float(up.getScale()[1])};
  std::string y =
      w.node("Resize", {w.name(up.getX()), "", w.constant(scales, {4})});
  bool nearest = up.getMode() == cnn::Resample::nearest;
  w.attribute("mode", StringRef(nearest ? "nearest" : "linear"));
  w.attribute("coordinate_transformation_mode",
              StringRef(nearest                ? "asymmetric"
                        : up.getAlignCorners() ? "align_corners"
                                               : "half_pixel"));
  if (nearest)
    w.attribute("nearest_mode", StringRef("floor"));
  w.result(op, y);
  return success();
}
static RegisterOnnxWriter upsample("cnn.upsample", writeUpsample);

static LogicalResult writeDropout(Operation *op, OnnxWriter &w) {
  w.result(op, w.node("Dropout", {w.name(op->getOperand(0))}));
  return success();
}
static RegisterOnnxWriter dropout("cnn.dropout", writeDropout);

static LogicalResult writePad(Operation *op, OnnxWriter &w) {
  auto pad = cast<cnn::PadOp>(op);
  w.result(op, padded(w, w.name(pad.getX()), pad.getPad(), pad.getMode()));
  return success();
}
static RegisterOnnxWriter pad("cnn.pad", writePad);
