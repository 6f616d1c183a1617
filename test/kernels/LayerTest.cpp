//===- LayerTest.cpp - Kernels other than convolutions, against plain loops ===//
//
//   halcyon-layer-test [--only TEXT] [--bench] [-v]
//
// Runs every layer on a grid of shapes, in every layout that its kernel
// offers, with halos and slices, and prints what failed, then
// "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/LayerCase.h"

#include <cstring>

using namespace halcyon;
using namespace halcyon::test;

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string only;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    if (!strcmp(argv[i], "--only") && i + 1 < argc)
      only = argv[++i];
    else if (!strcmp(argv[i], "-v"))
      verbose = true;
  }
  auto context = makeContext();
  std::string known;
  Target target = *findTarget("host", known);
  int passed = 0, failed = 0;
  for (const LayerCase &test : layerCases()) {
    if (test.name.find(only) == std::string::npos)
      continue;
    for (unsigned layout = 0;; ++layout) {
      // Halos and slices go round with the layouts.
      HarnessOptions options;
      options.kernel = test.kernel;
      options.layout = layout;
      if (layout % 2 == 1 || test.name.find("halo") != std::string::npos)
        options.halo = {1, 2, 1, 3};
      options.moreInputHalo = layout % 3 == 2 ? 1 : 0;
      options.slice = layout % 3 == 1;
      std::string error;
      auto kernel =
          CompiledKernel::make(*context, test.text, target, options, error);
      if (!kernel && error == "refused: no such layout" && layout > 0)
        break;
      for (int64_t batch : {1, 3}) {
        double difference = 0;
        if (kernel && error.empty()) {
          std::vector<Tensor> inputs = test.inputs(batch);
          kernel->setInputs(inputs);
          if (kernel->run() != 0)
            error = "returned an error";
          std::vector<Tensor> outputs = kernel->outputs(error);
          std::vector<Tensor> reference = test.reference(inputs);
          for (size_t i = 0; i < reference.size(); ++i)
            difference =
                std::max(difference, relativeError(outputs[i], reference[i]));
          if (error.empty() && difference > test.tolerance)
            error = "differs by " + std::to_string(difference);
        }
        ++(error.empty() ? passed : failed);
        if (verbose || !error.empty())
          printf("%s layout %u batch %d: %s (%.1e)\n", test.name.c_str(), layout,
                 (int)batch, error.empty() ? "passed" : error.c_str(), difference);
      }
      if (!kernel)
        break;
    }
  }
  if (std::string("image").find(only) != std::string::npos) {
    std::string error = checkImages(*context, target);
    ++(error.empty() ? passed : failed);
    if (!error.empty())
      printf("image: %s\n", error.c_str());
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
