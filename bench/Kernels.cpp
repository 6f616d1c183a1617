//===- Kernels.cpp - Kernels alone, on the layers of real networks ---------===//
//
//   halcyon-bench-kernels [--threads=1] [--kernel=NAME] [--layer=TEXT]
//                         [--summary] [--rank] [--cold]
//                         [--schedule=key=value,...] [--asm=FILE]
//                         [Google Benchmark's options]
//
// Every kernel that handles a layer, as time, GFLOP/s by the layer's
// definition, part of the measured peak, and bytes. `--summary` prints classes
// of kernels beside the parts of the machine's limits that are wanted of them.
// `--rank` prints, for each layer, the kernels' measured and estimated times,
// and where the cheapest by estimate is not the fastest. With `--cold` weights
// come from memory, as in a network's run. One process measures one count of
// threads.
//
//===----------------------------------------------------------------------===//

#include "bench/KernelBench.h"
#include "bench/Machine.h"

#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>

using namespace halcyon;
using namespace halcyon::bench;
using namespace halcyon::test;

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Starts Halide's threads and gives each its core.
static void startThreads() {
  Halide::Func f("start");
  Halide::Var x("x");
  f(x) = x;
  f.parallel(x);
  f.realize({64});
  pinThreads();
}

//===----------------------------------------------------------------------===//
// KernelBench
//===----------------------------------------------------------------------===//

KernelBench::KernelBench(Options given) : options(std::move(given)) {
  setenv("HL_NUM_THREADS", std::to_string(options.threads).c_str(), 1);
  peak = measurePeak(options.threads);
  startThreads();
  std::string known;
  target = *findTarget("host", known);
  target.cores = options.threads;
  context = makeContext();
}

std::vector<Layer> KernelBench::layers() const {
  std::vector<Layer> all = bench::layers();
  std::erase_if(all, [&](const Layer &layer) {
    return layer.name.find(options.layer) == std::string::npos;
  });
  return all;
}

std::vector<std::string> KernelBench::kernels(const Layer &layer) const {
  std::vector<std::string> names;
  for (const Kernel *kernel : allKernels()) {
    std::string name = kernel->name().str();
    if ((options.kernel.empty() || options.kernel == name) &&
        CompiledKernel::handles(*context, layer.text, target, name))
      names.push_back(name);
  }
  return names;
}

std::unique_ptr<CompiledKernel>
KernelBench::prepare(const Layer &layer, const std::string &kernel) const {
  HarnessOptions harness = options.harness;
  harness.kernel = kernel;
  std::string error;
  auto result =
      CompiledKernel::make(*context, layer.text, target, harness, error);
  if (!result && error.rfind("refused", 0) != 0)
    llvm::errs() << kernel << " " << layer.name << ": " << error << "\n";
  if (result)
    result->setInputs(layer.inputs());
  return result;
}

double KernelBench::measure(CompiledKernel &kernel, double budget,
                            bool cold) const {
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

//===----------------------------------------------------------------------===//
// Estimates beside times
//===----------------------------------------------------------------------===//

static std::string scheduleText(const CompiledKernel &kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (mlir::NamedAttribute param : kernel.schedule().getParams())
    if (auto number = mlir::dyn_cast<mlir::IntegerAttr>(param.getValue()))
      stream << " " << param.getName().getValue() << "=" << number.getInt();
  return text;
}

void KernelBench::rank() const {
  double chosenTotal = 0, bestTotal = 0;
  for (const Layer &layer : layers()) {
    std::vector<std::tuple<double, double, std::string, double, std::string>>
        times;
    for (const std::string &name : kernels(layer)) {
      if (name == "general" && options.kernel.empty() && layer.flops > 2e8)
        continue;
      if (auto kernel = prepare(layer, name))
        times.push_back({measure(*kernel, 0.05, options.cold),
                         kernel->cost() * layer.batch, name,
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
             name.c_str(), seconds * 1e6, layer.flops / seconds / 1e9,
             100 * layer.flops / seconds / 1e9 / peak, cost * 1e6,
             cost / seconds, compile, schedule.c_str());
    fflush(stdout);
  }
  printf("chosen %.3f ms, fastest %.3f ms, ratio %.3f\n", chosenTotal * 1e3,
         bestTotal * 1e3, chosenTotal / bestTotal);
}

//===----------------------------------------------------------------------===//
// Google Benchmark
//===----------------------------------------------------------------------===//

static void runBenchmark(benchmark::State &state, const KernelBench &bench,
                         const Layer &layer, const std::string &name) {
  auto kernel = bench.prepare(layer, name);
  if (!kernel) {
    state.SkipWithError("refused");
    return;
  }
  if (!bench.options.assembly.empty())
    kernel->writeAssembly(bench.options.assembly);
  bool cold = bench.options.cold;
  cold ? kernel->runCold() : kernel->run();
  for (auto _ : state)
    cold ? kernel->runCold() : kernel->run();
  auto rate = [&](double each) {
    return benchmark::Counter(each * state.iterations(),
                              benchmark::Counter::kIsRate);
  };
  state.counters["GFLOP/s"] = rate(layer.flops / 1e9);
  state.counters["%peak"] = rate(100 * layer.flops / 1e9 / bench.peak);
  state.counters["GB/s"] = rate(layer.bytes / 1e9);
}

static void registerAll(const KernelBench &bench,
                        const std::vector<Layer> &layers) {
  for (const Layer &layer : layers)
    for (const std::string &name : bench.kernels(layer))
      benchmark::RegisterBenchmark(
          (layer.name + "/" + name).c_str(),
          [&bench, &layer, name](benchmark::State &state) {
            runBenchmark(state, bench, layer, name);
          })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
}

static Options parse(int &argc, char **argv) {
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
    else if (argument == "--summary")
      options.summary = true;
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

int main(int argc, char **argv) {
  KernelBench bench(parse(argc, argv));
  if (bench.options.rank) {
    bench.rank();
    return 0;
  }
  if (bench.options.summary) {
    bench.summary();
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  std::vector<Layer> layers = bench.layers();
  registerAll(bench, layers);
  benchmark::AddCustomContext("peak_gflops", std::to_string(bench.peak));
  benchmark::AddCustomContext("threads", std::to_string(bench.options.threads));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
