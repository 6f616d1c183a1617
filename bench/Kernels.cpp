//===- Kernels.cpp - Convolution kernels on the layers of real networks ----===//
//
//   halcyon-bench-kernels [--threads=1] [--kernel=NAME] [--layer=TEXT]
//                         [--rank] [--cold] [--schedule=key=value,...] [--asm=FILE]
//                         [Google Benchmark's options]
//
// Every kernel that handles a layer, as time, GFLOP/s by the layer's
// definition and part of the measured peak. `--rank` instead prints, for each
// layer, the kernels' measured and estimated times, and where the cheapest by
// estimate is not the fastest. With `--cold` weights come from memory, as in
// a network's run. One process measures one count of threads.
//
//===----------------------------------------------------------------------===//

#include "test/kernels/ConvCase.h"

#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cmath>

using namespace halcyon;
using namespace halcyon::test;

namespace {

struct Layer {
  std::string name;
  ConvCase conv;
};

std::vector<Layer> layers() {
  std::vector<Layer> all;
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
    return &all.back().conv;
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
  return all;
}

const char *const kKernels[] = {"direct",    "pointwise", "depthwise",
                                "general",   "im2col",    "winograd2",
                                "winograd4", "conv_transpose"};

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// GFLOP/s of independent multiply-adds from registers, on `threads` cores.
double measurePeak() {
  const int lanes = 16, chains = 20, steps = 1 << 14, tasks = 64;
  Halide::Func f("peak"), out("out");
  Halide::Var x("x"), u("u"), t("t");
  Halide::RDom r(0, steps);
  Halide::Param<float> a, b;
  f(x, u, t) = Halide::cast<float>(x + u);
  f(x, u, t) = f(x, u, t) * a + b + 0 * r;
  Halide::Expr sum = 0.0f;
  for (int i = 0; i < chains; ++i)
    sum += f(x, i, t);
  out(x, t) = sum;
  out.bound(x, 0, lanes).vectorize(x).parallel(t);
  f.compute_at(out, t).vectorize(x).unroll(u).update().reorder(x, u, r)
      .vectorize(x).unroll(u);
  a.set(0.999f);
  b.set(0.001f);
  Halide::Buffer<float> result(lanes, tasks);
  out.compile_jit();
  double best = 1e30;
  for (int i = 0; i < 30; ++i) {
    double start = now();
    out.realize(result);
    best = std::min(best, now() - start);
    if (i == 3)
      pinThreads();
  }
  return 2.0 * lanes * chains * steps * tasks / best / 1e9;
}

/// The least seconds of a run, over about `budget` seconds.
double measure(CompiledKernel &kernel, double budget, bool cold) {
  kernel.run();
  if (cold)
    kernel.runCold();
  double best = 1e30, end = now() + budget;
  for (int i = 0; i < 5 || (now() < end && i < 5000); ++i) {
    double start = now();
    cold ? kernel.runCold() : kernel.run();
    best = std::min(best, now() - start);
  }
  return best;
}

struct Options {
  int threads = 1;
  bool rank = false, cold = false;
  std::string kernel, layer, assembly;
  HarnessOptions harness;
};

Options parse(int &argc, char **argv) {
  Options options;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto value = [&](const char *name) -> const char * {
      std::string prefix = std::string("--") + name + "=";
      return argument.rfind(prefix, 0) == 0 ? argv[i] + prefix.size() : nullptr;
    };
    if (const char *text = value("threads"))
      options.threads = std::max(1, atoi(text));
    else if (const char *text = value("kernel"))
      options.kernel = text;
    else if (const char *text = value("layer"))
      options.layer = text;
    else if (const char *text = value("asm"))
      options.assembly = text;
    else if (argument == "--rank")
      options.rank = true;
    else if (argument == "--cold")
      options.cold = true;
    else if (const char *text = value("schedule")) {
      llvm::SmallVector<llvm::StringRef> parts;
      llvm::StringRef(text).split(parts, ',', -1, false);
      for (llvm::StringRef part : parts) {
        auto [key, number] = part.split('=');
        options.harness.schedule.push_back({key.str(), atoi(number.data())});
      }
    } else
      argv[kept++] = argv[i];
  }
  argc = kept;
  options.harness.asserts = false;
  return options;
}

std::unique_ptr<CompiledKernel> prepare(mlir::MLIRContext &context,
                                        const Target &target, const Layer &layer,
                                        const std::string &kernel,
                                        HarnessOptions options) {
  options.kernel = kernel;
  std::string error;
  auto result = CompiledKernel::make(context, layer.conv.text(), target,
                                     options, error);
  if (!result && error.rfind("refused", 0) != 0)
    fprintf(stderr, "%s %s: %s\n", kernel.c_str(), layer.name.c_str(),
            error.c_str());
  if (result)
    result->setInputs(layer.conv.inputs(1));
  return result;
}

std::string scheduleText(const CompiledKernel &kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (mlir::NamedAttribute param : kernel.schedule().getParams())
    stream << " " << param.getName().getValue() << "="
           << mlir::cast<mlir::IntegerAttr>(param.getValue()).getInt();
  return text;
}

void rank(mlir::MLIRContext &context, const Target &target,
          const Options &options, double peak) {
  double chosenTotal = 0, bestTotal = 0;
  for (const Layer &layer : layers()) {
    if (layer.name.find(options.layer) == std::string::npos)
      continue;
    std::vector<std::tuple<double, double, std::string, double, std::string>>
        times;
    for (const char *name : kKernels) {
      if (!options.kernel.empty() && options.kernel != name)
        continue;
      if (std::string(name) == "general" && options.kernel.empty() &&
          layer.conv.flops() > 2e8)
        continue;
      if (auto kernel = prepare(context, target, layer, name, options.harness))
        times.push_back({measure(*kernel, 0.05, options.cold), kernel->cost(), name,
                         kernel->compileSeconds(), scheduleText(*kernel)});
    }
    if (times.empty())
      continue;
    auto fastest = *std::min_element(times.begin(), times.end());
    auto chosen = *std::min_element(
        times.begin(), times.end(), [](const auto &a, const auto &b) {
          return std::get<1>(a) < std::get<1>(b);
        });
    double loss = std::get<0>(chosen) / std::get<0>(fastest);
    chosenTotal += std::get<0>(chosen);
    bestTotal += std::get<0>(fastest);
    printf("%s%s\n", layer.name.c_str(),
           loss > 1.03 ? ("   <-- chooses " + std::get<2>(chosen)).c_str() : "");
    std::sort(times.begin(), times.end());
    for (auto [seconds, cost, name, compile, schedule] : times)
      printf("    %-15s %9.1f us %7.1f GFLOP/s %5.0f%%   estimated %9.1f us "
             "(%4.2f)  compiled in %.2f s %s\n",
             name.c_str(), seconds * 1e6, layer.conv.flops() / seconds / 1e9,
             100 * layer.conv.flops() / seconds / 1e9 / peak, cost * 1e6,
             cost / seconds, compile, schedule.c_str());
    fflush(stdout);
  }
  printf("chosen %.3f ms, fastest %.3f ms, ratio %.3f\n", chosenTotal * 1e3,
         bestTotal * 1e3, chosenTotal / bestTotal);
}

} // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  setenv("HL_NUM_THREADS", std::to_string(options.threads).c_str(), 1);
  std::string known;
  Target target = *findTarget("host", known);
  target.cores = options.threads;
  double peak = measurePeak();
  printf("peak of %d threads: %.0f GFLOP/s\n", options.threads, peak);
  auto context = makeContext();
  if (options.rank) {
    rank(*context, target, options, peak);
    return 0;
  }
  std::vector<Layer> all = layers();
  for (const Layer &layer : all)
    for (const char *name : kKernels) {
      if ((!options.kernel.empty() && options.kernel != name) ||
          layer.name.find(options.layer) == std::string::npos)
        continue;
      auto run = [&, name](benchmark::State &state) {
        auto kernel = prepare(*context, target, layer, name, options.harness);
        if (!kernel) {
          state.SkipWithError("refused");
          return;
        }
        if (!options.assembly.empty())
          kernel->writeAssembly(options.assembly);
        kernel->run();
        for (auto _ : state)
          kernel->run();
        double done = layer.conv.flops() * state.iterations();
        state.counters["GFLOP/s"] =
            benchmark::Counter(done / 1e9, benchmark::Counter::kIsRate);
        state.counters["%peak"] =
            benchmark::Counter(100 * done / 1e9 / peak,
                               benchmark::Counter::kIsRate);
      };
      if (CompiledKernel::handles(*context, layer.conv.text(), target, name))
        benchmark::RegisterBenchmark((layer.name + "/" + name).c_str(), run)
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
    }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
