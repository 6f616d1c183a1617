//===- SpaceTest.cpp - Schedules that a search tries ----------------------===//
//
//   halcyon-space-test [--all] [--count N] [--seed N] [--kernel NAME]
//                      [--only TEXT] [--jobs N] [-v]
//
// For every kernel and a list of shapes: all schedules of the space hold, the
// first is the default, and N of them, drawn by the seed, compute what plain
// loops do. Prints what failed, then "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/ConvCase.h"
#include "test/kernels/LayerCase.h"

#include <cstdlib>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

using namespace halcyon;
using namespace halcyon::test;

namespace {

struct Options {
  bool verbose = false;
  unsigned count = 2, seed = 1;
  int jobs = 2;
  std::string kernel, only;
};

/// One kernel on one shape.
struct Case {
  std::string name, kernel, text;
  std::function<std::vector<Tensor>(int64_t batch)> inputs;
  std::function<std::vector<Tensor>(const std::vector<Tensor> &)> reference;
  double tolerance = 0; ///< 0: by the kernel's error
};

std::vector<ConvCase> convolutions() {
  std::vector<ConvCase> cases;
  auto add = [&](int size, int c, int o, int k, int s = 1, int groups = 1) {
    ConvCase made = ConvCase::square(size, c, o, k, s);
    made.groups = groups;
    // Epilogues go round with the shapes.
    made.epilogue = (Epilogue)(cases.size() % 5);
    cases.push_back(made);
    return &cases.back();
  };
  add(28, 32, 48, 3);
  add(17, 24, 80, 3);
  add(13, 64, 112, 3);
  add(31, 16, 20, 3);
  add(7, 96, 64, 3);
  add(5, 16, 16, 3);
  add(56, 16, 32, 3, 2);
  add(15, 40, 33, 5);
  add(35, 3, 32, 7, 2);
  add(14, 80, 96, 1);
  add(7, 160, 48, 1);
  add(13, 24, 144, 1, 2);
  add(9, 20, 24, 1)->prologue = true;
  add(14, 64, 96, 3, 1, 2);
  add(11, 24, 24, 3, 1, 3);
  add(28, 48, 48, 3, 1, 48);
  add(13, 33, 33, 5, 2, 33);
  add(1, 32, 40, 1);
  for (int k : {2, 3, 4}) {
    ConvCase *made = add(k == 2 ? 13 : 9, 32, k == 3 ? 40 : 48, k, 2);
    made->transposed = true;
    std::fill(std::begin(made->pad), std::end(made->pad), k / 3);
    made->outputPad[0] = made->outputPad[1] = k == 3;
  }
  ConvCase *reflected = add(9, 5, 20, 3);
  reflected->padMode = "reflect";
  return cases;
}

std::vector<Case> allCases(mlir::MLIRContext &context, const Target &target,
                           const Options &options) {
  std::vector<Case> cases;
  for (const ConvCase &conv : convolutions())
    for (const Kernel *kernel : allKernels())
      if (CompiledKernel::handles(context, conv.text(), target, kernel->name()))
        cases.push_back({conv.name(), kernel->name().str(), conv.text(),
                         [=](int64_t batch) { return conv.inputs((int)batch); },
                         [=](const std::vector<Tensor> &inputs) {
                           return std::vector<Tensor>{conv.reference(inputs)};
                         }});
  for (const LayerCase &layer : layerCases())
    cases.push_back({layer.name, layer.kernel, layer.text,
                     [=](int64_t batch) { return layer.inputs(batch); },
                     layer.reference, layer.tolerance});
  llvm::erase_if(cases, [&](const Case &test) {
    return (!options.kernel.empty() && test.kernel != options.kernel) ||
           test.name.find(options.only) == std::string::npos;
  });
  return cases;
}

/// Empty where the candidate of this number is right; "refused" where the case
/// has no such layout.
std::string check(mlir::MLIRContext &context, const Target &target,
                  const Case &test, unsigned candidate, std::string &schedule) {
  HarnessOptions options;
  options.kernel = test.kernel;
  options.candidate = candidate;
  options.layout = candidate % 3;
  std::string error;
  auto kernel =
      CompiledKernel::make(context, test.text, target, options, error);
  if (!kernel && error == "refused: no such layout") {
    options.layout = 0;
    kernel = CompiledKernel::make(context, test.text, target, options, error);
  }
  if (!kernel)
    return error;
  llvm::raw_string_ostream(schedule) << kernel->schedule().getParams();
  error.clear();
  for (int64_t batch : {1, 3}) {
    std::vector<Tensor> inputs = test.inputs(batch);
    kernel->setInputs(inputs);
    if (kernel->run())
      return "failed when run";
    std::vector<Tensor> outputs = kernel->outputs(error);
    std::vector<Tensor> reference = test.reference(inputs);
    double tolerance = test.tolerance ? test.tolerance : 5 * kernel->error();
    for (size_t i = 0; i < reference.size() && error.empty(); ++i)
      if (double off = relativeError(outputs[i], reference[i]); !(off <= tolerance))
        error = "differs by " + std::to_string(off);
    if (!error.empty())
      return error + " with batch " + std::to_string(batch);
  }
  return "";
}

/// Runs every `jobs`-th case from `first`; passed and failed in `counts`.
void runShare(const Options &options, int first, int counts[2]) {
  auto context = makeContext();
  std::string known;
  Target target = *findTarget("host", known);
  std::vector<Case> cases = allCases(*context, target, options);
  for (size_t i = first; i < cases.size(); i += options.jobs)
    for (unsigned turn = 0; turn < options.count; ++turn) {
      // The default is tested wherever kernels are.
      unsigned candidate = ((unsigned)i * 977 + turn + options.seed) * 1664525u +
                           1013904223u;
      std::string schedule;
      std::string error =
          check(*context, target, cases[i], candidate >> 8, schedule);
      ++counts[!error.empty()];
      if (!error.empty() || options.verbose) {
        printf("%s: %s %s %s%s%s\n", error.empty() ? "PASS" : "FAIL",
               cases[i].kernel.c_str(), cases[i].name.c_str(), schedule.c_str(),
               error.empty() ? "" : ": ", error.c_str());
        fflush(stdout);
      }
    }
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    auto value = [&](const char *name) {
      return !strcmp(argv[i], name) && i + 1 < argc ? argv[++i] : nullptr;
    };
    if (!strcmp(argv[i], "--all"))
      options.count = 24;
    else if (!strcmp(argv[i], "-v"))
      options.verbose = true;
    else if (const char *count = value("--count"))
      options.count = std::max(1, atoi(count));
    else if (const char *seed = value("--seed"))
      options.seed = (unsigned)atoi(seed);
    else if (const char *kernel = value("--kernel"))
      options.kernel = kernel;
    else if (const char *only = value("--only"))
      options.only = only;
    else if (const char *jobs = value("--jobs"))
      options.jobs = std::max(1, atoi(jobs));
    else {
      fprintf(stderr, "usage: %s [--all] [--count N] [--seed N] [--kernel NAME] "
                      "[--only TEXT] [--jobs N] [-v]\n", argv[0]);
      return 2;
    }
  }
  setenv("HL_NUM_THREADS", "2", 0);
  // A kernel that crashes takes its own process along.
  std::vector<int> pipes;
  for (int job = 0; job < options.jobs; ++job) {
    int ends[2];
    if (pipe(ends))
      return 2;
    if (fork() == 0) {
      int counts[2] = {0, 0};
      runShare(options, job, counts);
      _exit(write(ends[1], counts, sizeof counts) != sizeof counts);
    }
    close(ends[1]);
    pipes.push_back(ends[0]);
  }
  int passed = 0, failed = 0;
  for (int end : pipes) {
    int counts[2] = {0, 0};
    if (read(end, counts, sizeof counts) != sizeof counts) {
      printf("FAIL: a process died\n");
      counts[1] = 1;
    }
    passed += counts[0];
    failed += counts[1];
  }
  while (wait(nullptr) > 0)
    ;
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
