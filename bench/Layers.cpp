//===- Layers.cpp - The layers that kernels are timed on -------------------===//

#include "bench/Layers.h"

#include "test/kernels/ConvCase.h"

#include "llvm/Support/FormatVariadic.h"

using namespace halcyon::test;
using llvm::StringRef;

namespace halcyon::bench {

static Layer layerOf(const std::string &name, const ConvCase &conv,
                     int batch = 1) {
  Layer layer;
  layer.name = name;
  layer.text = conv.text();
  layer.inputs = [=] { return conv.inputs(batch); };
  layer.batch = batch;
  layer.flops = conv.flops() * batch;
  layer.weights = 4.0 * conv.o * (conv.c / conv.groups) * conv.kh * conv.kw;
  bool residual = conv.epilogue == Epilogue::ResidualRelu;
  layer.bytes = layer.weights +
                4.0 * batch *
                    (conv.c * conv.h * conv.w +
                     conv.o * conv.outH() * conv.outW() * (residual ? 2 : 1));
  return layer;
}

/// y = relu(x w' + b).
static Layer linear(int batch, int features, int outputs) {
  Layer layer;
  layer.name = llvm::formatv("linear/{0}x{1}-{2}", batch, features, outputs);
  layer.text = llvm::formatv(
      R"(exec.kernel @k <"none", {{}> {{
^bb0(%x: tensor<?x{0}xf32>, %w: tensor<{1}x{0}xf32>, %b: tensor<{1}xf32>):
  %p = cnn.linear %x, %w, %b {{} : (tensor<?x{0}xf32>, tensor<{1}x{0}xf32>, tensor<{1}xf32>) -> tensor<?x{1}xf32>
  %y = cnn.map "relu" %p : (tensor<?x{1}xf32>) -> tensor<?x{1}xf32> {{
    ^bb0(%a: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %a, %zero : f32
      cnn.yield %m : f32
    }
  cnn.yield %y : tensor<?x{1}xf32>
}
)",
      features, outputs);
  layer.inputs = [=] {
    return std::vector<Tensor>{Tensor::random({batch, features}, 1),
                               Tensor::random({outputs, features}, 2),
                               Tensor::random({outputs}, 3)};
  };
  layer.batch = batch;
  layer.flops = 2.0 * batch * features * outputs;
  layer.weights = 4.0 * features * outputs;
  layer.bytes = layer.weights + 4.0 * batch * (features + outputs);
  return layer;
}

std::vector<Layer> layers() {
  std::vector<std::pair<std::string, ConvCase>> all;
  auto add = [&](std::string network, int size, int c, int o, int kh, int kw,
                 int s = 1, int groups = 1, Epilogue e = Epilogue::Relu) {
    ConvCase conv = ConvCase::square(size, c, o, 1, s);
    conv.kh = kh, conv.kw = kw, conv.groups = groups, conv.epilogue = e;
    conv.pad[0] = conv.pad[2] = (kh - 1) / 2;
    conv.pad[1] = conv.pad[3] = (kw - 1) / 2;
    std::string shape =
        std::to_string(kh) + "x" + std::to_string(kw) + "/" + std::to_string(s) +
        "_" + std::to_string(size) + "_" + std::to_string(c) + "-" +
        std::to_string(o) + (groups > 1 ? "_dw" : "");
    all.push_back({network + "/" + shape, conv});
    return &all.back().second;
  };
  // ResNet-50 and ResNet-18.
  add("resnet", 224, 3, 64, 7, 7, 2);
  add("resnet", 56, 64, 64, 1, 1);
  add("resnet", 56, 64, 64, 3, 3);
  add("resnet", 56, 64, 256, 1, 1, 1, 1, Epilogue::ResidualRelu);
  add("resnet", 56, 256, 64, 1, 1);
  add("resnet", 56, 256, 128, 1, 1);
  add("resnet", 56, 128, 128, 3, 3, 2);
  add("resnet", 56, 256, 512, 1, 1, 2);
  add("resnet", 28, 128, 128, 3, 3);
  add("resnet", 28, 128, 512, 1, 1, 1, 1, Epilogue::ResidualRelu);
  add("resnet", 28, 512, 128, 1, 1);
  add("resnet", 28, 256, 256, 3, 3, 2);
  add("resnet", 14, 256, 256, 3, 3);
  add("resnet", 14, 256, 1024, 1, 1, 1, 1, Epilogue::ResidualRelu);
  add("resnet", 14, 1024, 256, 1, 1);
  add("resnet", 14, 1024, 2048, 1, 1, 2);
  add("resnet", 14, 512, 512, 3, 3, 2);
  add("resnet", 7, 512, 512, 3, 3);
  add("resnet", 7, 512, 2048, 1, 1, 1, 1, Epilogue::ResidualRelu);
  add("resnet", 7, 2048, 512, 1, 1);
  // VGG-16.
  add("vgg", 224, 3, 64, 3, 3);
  add("vgg", 224, 64, 64, 3, 3);
  add("vgg", 112, 64, 128, 3, 3);
  add("vgg", 112, 128, 128, 3, 3);
  add("vgg", 56, 256, 256, 3, 3);
  add("vgg", 28, 512, 512, 3, 3);
  add("vgg", 14, 512, 512, 3, 3);
  // MobileNetV2 and EfficientNet-B0.
  add("mobile", 224, 3, 32, 3, 3, 2);
  add("mobile", 112, 32, 32, 3, 3, 1, 32);
  add("mobile", 112, 32, 16, 1, 1, 1, 1, Epilogue::None);
  add("mobile", 112, 16, 96, 1, 1);
  add("mobile", 112, 96, 96, 3, 3, 2, 96);
  add("mobile", 56, 24, 144, 1, 1);
  add("mobile", 56, 144, 144, 3, 3, 1, 144);
  add("mobile", 56, 144, 24, 1, 1, 1, 1, Epilogue::None);
  add("mobile", 28, 32, 192, 1, 1);
  add("mobile", 28, 192, 192, 3, 3, 1, 192);
  add("mobile", 14, 384, 384, 3, 3, 1, 384);
  add("mobile", 14, 96, 576, 1, 1);
  add("mobile", 14, 576, 96, 1, 1, 1, 1, Epilogue::None);
  add("mobile", 7, 960, 960, 3, 3, 1, 960);
  add("mobile", 7, 320, 1280, 1, 1);
  add("efficient", 28, 240, 240, 5, 5, 1, 240, Epilogue::ScaleSilu);
  add("efficient", 14, 672, 672, 5, 5, 1, 672, Epilogue::ScaleSilu);
  add("efficient", 7, 1152, 1152, 5, 5, 1, 1152, Epilogue::ScaleSilu);
  // U-Net of base 32 at 256x256.
  add("unet", 256, 3, 32, 3, 3);
  add("unet", 256, 32, 32, 3, 3);
  add("unet", 256, 64, 32, 3, 3);
  add("unet", 128, 64, 64, 3, 3);
  add("unet", 64, 128, 128, 3, 3);
  add("unet", 32, 256, 256, 3, 3);
  add("unet", 16, 512, 512, 3, 3);
  add("unet", 256, 32, 2, 1, 1, 1, 1, Epilogue::None);
  // DenseNet-121.
  add("densenet", 56, 64, 128, 1, 1)->prologue = true;
  add("densenet", 28, 256, 128, 1, 1)->prologue = true;
  add("densenet", 14, 768, 128, 1, 1)->prologue = true;
  add("densenet", 7, 1008, 128, 1, 1)->prologue = true;
  add("densenet", 56, 128, 32, 3, 3);
  add("densenet", 28, 128, 32, 3, 3);
  add("densenet", 14, 128, 32, 3, 3);
  add("densenet", 7, 128, 32, 3, 3);
  // Inception v3 at 299.
  add("inception", 147, 32, 64, 3, 3);
  add("inception", 73, 80, 192, 3, 3);
  add("inception", 35, 288, 64, 1, 1);
  add("inception", 35, 48, 64, 5, 5);
  add("inception", 35, 96, 96, 3, 3);
  add("inception", 17, 768, 192, 1, 1);
  add("inception", 17, 160, 160, 1, 7);
  add("inception", 17, 192, 192, 7, 1);
  add("inception", 8, 1280, 320, 1, 1);
  add("inception", 8, 384, 384, 1, 3);
  // SqueezeNet, LeNet.
  add("squeeze", 224, 3, 64, 3, 3, 2);
  add("squeeze", 55, 64, 16, 1, 1);
  add("squeeze", 55, 16, 64, 3, 3);
  add("squeeze", 27, 32, 128, 3, 3);
  add("squeeze", 13, 64, 256, 3, 3);
  add("squeeze", 13, 512, 1000, 1, 1);
  add("lenet", 28, 1, 6, 5, 5);
  add("lenet", 14, 6, 16, 5, 5);
  // Transposed convolutions of U-Net.
  for (auto [size, c, k] : {std::tuple{16, 512, 2}, {32, 256, 2}, {64, 128, 2},
                            {128, 64, 2}, {64, 128, 4}}) {
    ConvCase conv;
    conv.transposed = true;
    conv.h = conv.w = size;
    conv.c = c, conv.o = c / 2, conv.kh = conv.kw = k, conv.sh = conv.sw = 2;
    if (k == 4)
      for (int &p : conv.pad)
        p = 1;
    all.push_back({"unet/transposed" + std::to_string(k) + "x" +
                       std::to_string(k) + "/2_" + std::to_string(size) + "_" +
                       std::to_string(c) + "-" + std::to_string(c / 2),
                   conv});
  }

  std::vector<Layer> result;
  for (const auto &[name, conv] : all)
    result.push_back(layerOf(name, conv));
  // ResNet-18's on pictures of 32x32 and ResNet-50's, in training.
  for (auto [batch, size, c, k, stride] :
       {std::tuple{32, 32, 64, 3, 1}, {32, 16, 128, 3, 1}, {32, 8, 256, 3, 1},
        {32, 4, 512, 3, 1}, {32, 32, 64, 3, 2}, {32, 8, 256, 3, 2},
        {8, 56, 64, 3, 1}, {8, 28, 128, 3, 1}, {8, 14, 256, 3, 1},
        {8, 7, 512, 3, 1}}) {
    ConvCase conv = ConvCase::square(size, c, c * stride, k, stride);
    conv.bias = false;
    auto add = [&](StringRef kind) {
      std::string name = llvm::formatv("train/{0}{1}x{1}/{2}_{3}x{4}_{5}", kind, k,
                                       stride, batch, size, c);
      result.push_back(layerOf(name, conv, batch));
    };
    add("");
    if (stride == 1)
      continue;
    // The gradient of its input.
    conv.transposed = true;
    conv.h = conv.w = size / stride;
    std::swap(conv.c, conv.o);
    conv.outputPad[0] = conv.outputPad[1] = 1;
    add("transposed");
  }
  // VGG-16's, which read memory; ResNet's; a batch that computes.
  result.push_back(linear(1, 25088, 4096));
  result.push_back(linear(1, 4096, 4096));
  result.push_back(linear(1, 2048, 1000));
  result.push_back(linear(64, 784, 256));
  return result;
}

} // namespace halcyon::bench
