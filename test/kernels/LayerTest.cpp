//===- LayerTest.cpp - Kernels other than convolutions, against plain loops ===//
//
//   halcyon-layer-test [--only TEXT] [--jobs N] [-v]
//
// Runs every layer on a grid of shapes, in every layout that its kernel
// offers, with halos and slices, in f32 and with inputs or outputs of bf16, and
// prints what failed, then "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/LayerCase.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace halcyon;
using namespace halcyon::test;

/// Passed and failed.
struct Counts {
  int passed = 0, failed = 0;
};

/// Runs one case; returns how far it is off, and says in `error` what is wrong.
static double runCase(mlir::MLIRContext &context, const Target &target,
                      const LayerCase &test, const HarnessOptions &options,
                      CompiledKernel &kernel, int64_t batch,
                      std::string &error) {
  std::vector<Tensor> inputs = test.inputs(batch);
  if (options.bf16In)
    for (auto [input, shape] : llvm::zip(inputs, test.shapes))
      if (shape[0] < 0)
        input = input.rounded();
  kernel.setInputs(inputs);
  if (kernel.run() != 0)
    error = "returned an error";
  std::vector<Tensor> outputs = kernel.outputs(error);
  std::vector<Tensor> reference = test.reference(inputs);
  double difference = 0;
  for (size_t i = 0; i < reference.size(); ++i)
    difference = std::max(difference, relativeError(outputs[i], reference[i]));
  // bf16 has 8 bits: rounding moves a value by up to 1/256 of it.
  double tolerance = test.tolerance + (options.bf16Out ? 1.0 / 256 : 0);
  if (error.empty() && difference > tolerance)
    error = "differs by " + std::to_string(difference);
  return difference;
}

/// Every `jobs`th case, from `job` on.
static Counts runCases(int job, int jobs, const std::string &only, bool verbose) {
  auto context = makeContext();
  std::string known;
  Target target = *findTarget("host", known);
  Counts counts;
  int index = 0;
  for (const LayerCase &test : layerCases()) {
    if (test.name.find(only) == std::string::npos || index++ % jobs != job)
      continue;
    // Even runs are of f32; bf16 goes in, out, or both, in turn.
    for (unsigned run = 0;; ++run) {
      unsigned layout = run / 2, 
               stored = run % 2 ? 1 + (layout + index) % 3 : 0;
      // Halos and slices go round with the layouts.
      HarnessOptions options;
      options.kernel = test.kernel;
      options.layout = layout;
      if (layout % 2 == 1 || test.name.find("halo") != std::string::npos)
        options.halo = {1, 2, 1, 3};
      options.moreInputHalo = layout % 3 == 2 ? 1 : 0;
      options.slice = layout % 3 == 1;
      options.bf16In = stored & 1;
      options.bf16Out = stored & 2;
      std::string error;
      auto kernel =
          CompiledKernel::make(*context, test.text, target, options, error);
      if (!kernel && error == "refused: no such layout" && layout > 0)
        break;
      for (int64_t batch : {1, 3}) {
        double difference = 0;
        if (kernel && error.empty())
          difference = runCase(*context, target, test, options, *kernel, batch,
                               error);
        ++(error.empty() ? counts.passed : counts.failed);
        if (verbose || !error.empty())
          printf("%s layout %u%s%s batch %d: %s (%.1e)\n", test.name.c_str(),
                 layout, options.bf16In ? " from bf16" : "",
                 options.bf16Out ? " to bf16" : "", (int)batch,
                 error.empty() ? "passed" : error.c_str(), difference);
      }
      if (!kernel)
        break;
    }
  }
  if (job == 0 && std::string("image").find(only) != std::string::npos) {
    std::string error = checkImages(*context, target);
    ++(error.empty() ? counts.passed : counts.failed);
    if (!error.empty())
      printf("image: %s\n", error.c_str());
  }
  return counts;
}

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string only;
  bool verbose = false;
  int jobs = 2;
  for (int i = 1; i < argc; ++i) {
    if (!strcmp(argv[i], "--only") && i + 1 < argc)
      only = argv[++i];
    else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
      jobs = std::max(1, atoi(argv[++i]));
    else if (!strcmp(argv[i], "-v"))
      verbose = true;
  }
  // A kernel that crashes takes its own process along.
  Counts all;
  std::vector<int> pipes;
  for (int job = 0; job < jobs; ++job) {
    int ends[2];
    if (pipe(ends) != 0)
      return 1;
    if (fork() == 0) {
      Counts counts = runCases(job, jobs, only, verbose);
      _exit(write(ends[1], &counts, sizeof counts) != sizeof counts);
    }
    close(ends[1]);
    pipes.push_back(ends[0]);
  }
  for (int end : pipes) {
    Counts counts;
    if (read(end, &counts, sizeof counts) != sizeof counts) {
      printf("a process died\n");
      counts.failed = 1;
    }
    all.passed += counts.passed;
    all.failed += counts.failed;
  }
  printf("%d passed, %d failed\n", all.passed, all.failed);
  return all.failed != 0;
}
