//===- ConvTest.cpp - Every convolution kernel against plain loops ---------===//
//
//   halcyon-conv-test [--all] [--kernel NAME|statements|errors] [--only TEXT] [--jobs N] [-v]
//
// Forces every algorithm on a grid of shapes and prints what failed, then
// "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/ConvCase.h"
#include "test/kernels/ConvErrors.h"

#include <chrono>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

using namespace halcyon;
using namespace halcyon::test;
using llvm::StringRef;

namespace {

struct Options {
  bool all = false, verbose = false;
  std::string kernel, only;
  int jobs = 2;
};

struct Run {
  ConvCase test;
  HarnessOptions options;
};

/// The grid. Kernels refuse what they don't handle.
std::vector<ConvCase> grid(bool all) {
  std::vector<ConvCase> cases;
  auto add = [&](ConvCase c) { cases.push_back(c); };
  // Epilogues go round with the shapes.
  int turn = 0;
  auto withEpilogue = [&](ConvCase c) {
    c.epilogue = (Epilogue)(turn++ % 5);
    c.bias = turn % 3 != 0;
    add(c);
  };
  auto sizes = all ? std::vector<int>{1, 2, 5, 7, 8, 13, 14, 17, 28, 31, 35, 56}
                   : std::vector<int>{1, 5, 7, 13, 17, 28, 31};
  auto channels = all ? std::vector<int>{1, 3, 4, 5, 16, 17, 24, 32, 48, 80}
                      : std::vector<int>{1, 3, 5, 16, 17, 24, 32, 48};
  // Sizes and channels against each other, 3x3 and 1x1.
  for (size_t i = 0; i < sizes.size(); ++i)
    for (size_t j = 0; j < channels.size(); ++j) {
      if (!all && (i + j) % 3)
        continue;
      int o = channels[(i * 3 + j * 5 + 3) % channels.size()];
      withEpilogue(ConvCase::square(sizes[i], channels[j], o, 3));
      withEpilogue(ConvCase::square(sizes[i], channels[j], o, 1));
    }
  // Kernels, strides, dilations, odd windows.
  auto window = [&](int h, int w, int ci, int co, int kh, int kw, int sh, int sw,
                    int t, int l, int b, int r, int dh = 1, int dw = 1,
                    int groups = 1) {
    ConvCase c;
    c.h = h, c.w = w, c.c = ci, c.o = co, c.kh = kh, c.kw = kw;
    c.sh = sh, c.sw = sw, c.dh = dh, c.dw = dw, c.groups = groups;
    c.pad[0] = t, c.pad[1] = l, c.pad[2] = b, c.pad[3] = r;
    withEpilogue(c);
  };
  window(31, 31, 3, 32, 7, 7, 2, 2, 3, 3, 3, 3);
  window(28, 28, 1, 6, 5, 5, 1, 1, 2, 2, 2, 2);
  window(17, 17, 24, 32, 1, 7, 1, 1, 0, 3, 0, 3);
  window(17, 17, 32, 24, 7, 1, 1, 1, 3, 0, 3, 0);
  window(13, 13, 32, 48, 3, 3, 2, 2, 1, 1, 1, 1);
  window(28, 28, 16, 32, 3, 3, 2, 2, 0, 0, 1, 1);
  window(28, 13, 17, 5, 3, 3, 2, 2, 1, 1, 1, 1);
  window(14, 14, 64, 80, 1, 1, 2, 2, 0, 0, 0, 0);
  window(13, 13, 32, 32, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2);
  window(9, 11, 16, 16, 2, 4, 1, 3, 1, 0, 0, 2);
  window(7, 7, 160, 96, 1, 1, 1, 1, 0, 0, 0, 0);
  window(8, 8, 16, 33, 3, 3, 3, 1, 1, 1, 1, 1, 1, 2);
  window(5, 5, 16, 16, 5, 5, 1, 1, 0, 0, 0, 0);
  window(6, 6, 20, 16, 3, 3, 1, 1, 0, 0, 0, 0);
  window(20, 20, 48, 64, 3, 3, 1, 1, 1, 1, 1, 1);
  window(18, 22, 32, 16, 3, 3, 1, 1, 0, 2, 1, 1);
  window(56, 14, 16, 32, 3, 3, 1, 1, 1, 1, 1, 1);
  // Taps that lie in the padding: for some rows and columns, for all.
  window(20, 31, 48, 40, 3, 3, 1, 1, 17, 17, 17, 17, 17, 17);
  window(9, 15, 32, 16, 3, 3, 2, 2, 16, 16, 16, 16, 16, 16);
  // Groups: whole vectors, parts of vectors, multipliers.
  window(14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2);
  window(9, 9, 96, 192, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 3);
  window(8, 8, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 8);
  window(8, 8, 24, 48, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 3);
  window(7, 9, 12, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 12);
  window(7, 9, 6, 10, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 2);
  // Depthwise.
  for (int size : sizes)
    for (int k : {3, 5}) {
      int c = channels[(size + k) % channels.size()];
      window(size, size, c, c, k, k, 1, 1, k / 2, k / 2, k / 2, k / 2, 1, 1, c);
      if (size > 5)
        window(size, size, c, c, k, k, 2, 2, k / 2, k / 2, k / 2, k / 2, 1, 1, c);
    }
  window(14, 14, 32, 32, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 32);
  window(14, 15, 40, 40, 7, 7, 1, 1, 3, 3, 3, 3, 1, 1, 40);
  window(14, 15, 33, 33, 2, 9, 1, 2, 0, 4, 1, 4, 1, 1, 33);
  // Maps before the convolution.
  for (int size : {7, 13, 28}) {
    ConvCase c = ConvCase::square(size, 40, 48, 1);
    c.prologue = true;
    withEpilogue(c);
    c = ConvCase::square(size, 64, 32, 1, 2);
    c.prologue = true;
    withEpilogue(c);
    c = ConvCase::square(size, 20, 16, 3);
    c.prologue = true;
    withEpilogue(c);
  }
  // So many weights that the computed inputs of a task wait for them.
  {
    ConvCase c = ConvCase::square(7, 512, 300, 1);
    c.prologue = true;
    withEpilogue(c);
  }
  // Other padding.
  for (const char *mode : {"reflect", "replicate", "circular"}) {
    ConvCase c = ConvCase::square(9, 5, 20, 3);
    c.padMode = mode;
    withEpilogue(c);
  }
  // Transposed.
  auto transposed = [&](int h, int w, int ci, int co, int k, int s, int p,
                        int op, int d = 1, int groups = 1) {
    ConvCase c;
    c.transposed = true;
    c.h = h, c.w = w, c.c = ci, c.o = co, c.kh = c.kw = k, c.sh = c.sw = s;
    c.dh = c.dw = d, c.groups = groups;
    for (int &side : c.pad)
      side = p;
    c.outputPad[0] = c.outputPad[1] = op;
    withEpilogue(c);
  };
  transposed(7, 7, 32, 16, 2, 2, 0, 0);
  transposed(14, 14, 64, 32, 2, 2, 0, 0);
  transposed(13, 17, 24, 20, 2, 2, 0, 0);
  transposed(8, 8, 32, 48, 4, 2, 1, 0);
  transposed(9, 5, 17, 33, 4, 2, 1, 0);
  transposed(7, 9, 16, 16, 3, 2, 1, 1);
  transposed(7, 9, 16, 32, 3, 2, 1, 0);
  transposed(7, 9, 32, 48, 1, 2, 0, 1);
  transposed(6, 5, 20, 16, 1, 3, 0, 2);
  transposed(5, 6, 3, 5, 5, 3, 2, 1);
  transposed(5, 6, 16, 16, 3, 1, 1, 0);
  transposed(5, 6, 16, 16, 2, 3, 0, 0);
  transposed(5, 6, 16, 8, 3, 2, 2, 0, 2);
  transposed(6, 6, 16, 16, 3, 3, 0, 0, 2);
  transposed(6, 7, 32, 64, 3, 2, 1, 1, 1, 2);
  transposed(6, 7, 12, 6, 3, 2, 1, 1, 1, 3);
  transposed(6, 7, 20, 20, 4, 2, 1, 0, 1, 20);
  transposed(1, 1, 16, 16, 4, 1, 0, 0);
  // The same stored in bf16: all of it, from f32, to f32.
  for (size_t i = 0, whole = cases.size(); i < whole; ++i) {
    if (!all && i % 2)
      continue;
    ConvCase c = cases[i];
    c.bf16In = i % 8 != 2;
    c.bf16Out = i % 8 != 4;
    add(c);
  }
  return cases;
}

/// Runs one case; an empty string where it passed, "-" where it was refused.
std::string check(mlir::MLIRContext &context, const Target &target,
                  const Run &run) {
  std::string error;
  auto kernel = CompiledKernel::make(context, run.test.text(), target,
                                     run.options, error);
  if (!kernel)
    return error.rfind("refused", 0) == 0 ? "-" : error;
  // Epilogues amplify what the convolution leaves.
  double tolerance = 5 * kernel->error();
  // Storage rounds to 1 in 256, and Winograd rounds what its transforms make.
  if (run.test.bf16In || run.test.bf16Out)
    tolerance = std::max(8e-3, 1.5 * kernel->error());
  for (int batch : {1, 3}) {
    std::vector<Tensor> inputs = run.test.inputs(batch);
    kernel->setInputs(inputs);
    if (kernel->run())
      return "failed when run";
    std::vector<Tensor> outputs = kernel->outputs(error);
    if (!error.empty())
      return error;
    double difference =
        relativeError(outputs[0], run.test.reference(inputs));
    if (difference > tolerance)
      return "differs by " + std::to_string(difference) + " with batch " +
             std::to_string(batch);
  }
  return "";
}

/// Runs every `jobs`-th case from `first`; passed and failed in `counts`.
void runShare(const Options &options, const Target &target,
              const std::vector<Run> &runs, int first, int counts[2]) {
  auto context = makeContext();
  for (size_t i = first; i < runs.size(); i += options.jobs) {
    const Run &run = runs[i];
    std::string name = run.options.kernel + " " + run.test.name();
    if (!run.options.schedule.empty())
      name += " groups of images";
    if (run.options.layout)
      name += " layout " + std::to_string(run.options.layout);
    if (name.find(options.only) == std::string::npos)
      continue;
    auto start = std::chrono::steady_clock::now();
    std::string error = check(*context, target, run);
    double seconds = std::chrono::duration<double>(
                         std::chrono::steady_clock::now() - start)
                         .count();
    if (error == "-")
      continue;
    ++counts[!error.empty()];
    if (!error.empty() || options.verbose) {
      printf("%s: %s (%.2f s)%s%s\n", error.empty() ? "PASS" : "FAIL",
             name.c_str(), seconds, error.empty() ? "" : ": ", error.c_str());
      fflush(stdout);
    }
  }
}


/// Vector multiply-adds of the reduction in Halide's statements: its unrolled
/// updates times the extents of the loops around them.
double countProducts(llvm::StringRef text) {
  double total = 0;
  std::vector<double> around = {1};
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    line = line.trim();
    if (line.starts_with("}") && around.size() > 1)
      around.pop_back();
    if (line.ends_with("{")) {
      // for (name, min, extent) {
      double extent = 1;
      if (line.starts_with("for (") && !line.rsplit(", ").second.drop_back(3)
                                            .trim().getAsDouble(extent))
        extent *= around.back();
      else
        extent = around.back();
      around.push_back(extent);
    }
    // Names that are taken get a number: acc$1.
    if (line.starts_with("acc") && line.contains("= acc") &&
        line.contains("*x"))
      total += around.back();
  }
  return total;
}

/// Whether algorithms are what they are called, as Halide's statements show.
std::vector<std::string> checkStatements(const Target &target) {
  auto context = makeContext();
  std::vector<std::string> errors;
  ConvCase test = ConvCase::square(16, 32, 32, 3);
  // One task, so that all loops are in one place with known extents.
  auto statements = [&](const char *kernel,
                        std::vector<std::pair<std::string, int64_t>> schedule) {
    HarnessOptions options;
    options.kernel = kernel;
    options.asserts = false;
    options.schedule = std::move(schedule);
    std::string error;
    auto compiled =
        CompiledKernel::make(*context, test.text(), target, options, error);
    if (!compiled)
      errors.push_back(std::string(kernel) + ": " + error);
    return compiled ? compiled->statements() : std::string();
  };
  auto expect = [&](const char *kernel, double products, double expected) {
    if (products != expected)
      errors.push_back(std::string(kernel) + " multiplies " +
                       std::to_string(products) + " vectors, not " +
                       std::to_string(expected));
  };
  // 2 blocks of outputs, 32 inputs: 9 products for each of 256 pixels, or one
  // for each of 16 cells of 64 tiles, of 36 cells of 16, or of 64 cells of 9.
  double blocks = 2.0 * 32 * 16 / target.lanes;
  std::string direct = statements("direct", {{"rows_per_task", 16},
                                             {"tile_co", 2},
                                             {"tile_x", 8},
                                             {"tile_y", 1}});
  expect("direct", countProducts(direct), blocks * 256 * 9);
  for (int m : {2, 4, 6}) {
    std::string kernel = "winograd" + std::to_string(m);
    int tiles = (16 + m - 1) / m;
    expect(kernel.c_str(),
           countProducts(statements(kernel.c_str(), {{"rows", tiles},
                                                     {"columns", tiles},
                                                     {"phases", 0},
                                                     {"tile_co", 2},
                                                     {"tile_x", std::min(tiles, 4)},
                                                     {"tile_y", 1}})),
           blocks * tiles * tiles * (m + 2) * (m + 2));
  }
  if (direct.find("allocate im2col") != std::string::npos)
    errors.push_back("direct packs its input");
  if (statements("im2col", {}).find("allocate im2col") == std::string::npos)
    errors.push_back("im2col has no packed buffer");
  return errors;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--all")
      options.all = true;
    else if (argument == "-v")
      options.verbose = true;
    else if (argument == "--kernel" && i + 1 < argc)
      options.kernel = argv[++i];
    else if (argument == "--only" && i + 1 < argc)
      options.only = argv[++i];
    else if (argument == "--jobs" && i + 1 < argc)
      options.jobs = std::max(1, atoi(argv[++i]));
    else {
      fprintf(stderr, "usage: %s [--all] [--kernel NAME] [--only TEXT] "
                      "[--jobs N] [-v]\n", argv[0]);
      return 2;
    }
  }
  // One thread of Halide's pool a job; several tasks still meet in it.
  setenv("HL_NUM_THREADS", "2", 0);
  std::string known;
  Target target = *findTarget("host", known);

  std::vector<Run> runs;
  unsigned turn = 1;
  for (const ConvCase &test : grid(options.all))
    for (const char *kernel :
         {"direct", "pointwise", "depthwise", "general", "im2col", "winograd2",
          "winograd4", "winograd6", "planar", "taps", "conv_transpose", "im2col_fip",
          "winograd2_fip", "winograd4_fip", "winograd6_fip", "conv_transpose_fip"}) {
      if (!options.kernel.empty() && options.kernel != kernel)
        continue;
      for (unsigned layout = 0; layout < 3; ++layout) {
        Run run = {test, {}};
        run.options.kernel = kernel;
        run.options.layout = layout;
        // Halos and slices, mixed with everything else.
        turn = turn * 1664525u + 1013904223u;
        if ((turn >> 16) % 3 == 0)
          run.options.halo = {1, 2, 3, 1};
        if ((turn >> 18) % 4 == 0)
          run.options.moreInputHalo = 1;
        run.options.slice = (turn >> 20) % 4 == 0;
        runs.push_back(run);
        // Three images in groups of two.
        StringRef name = kernel;
        if (layout || !name.consume_front("winograd") || test.outH() > 14)
          continue;
        const int m = name.front() - '0';
        run.options.schedule = {
            {"images", 2},
            {"tile_n", 2},
            {"tile_co", 1},
            {"tile_x", 1},
            {"tile_y", 1},
            {"phases", 1},
            {"rows", test.kh == 1 ? test.outH() : (test.outH() + m - 1) / m},
            {"columns", test.kw == 1 ? test.outW() : (test.outW() + m - 1) / m}};
        runs.push_back(run);
      }
    }

  std::vector<std::pair<pid_t, int>> children;
  for (int job = 0; job < options.jobs; ++job) {
    int ends[2];
    if (pipe(ends))
      return 2;
    pid_t pid = fork();
    if (pid == 0) {
      int counts[2] = {0, 0};
      runShare(options, target, runs, job, counts);
      bool written = write(ends[1], counts, sizeof counts) == sizeof counts;
      fflush(stdout);
      _exit(written ? 0 : 2);
    }
    close(ends[1]);
    children.push_back({pid, ends[0]});
  }
  int passed = 0, failed = 0;
  for (auto [pid, end] : children) {
    int counts[2] = {0, 0}, status = 0;
    if (read(end, counts, sizeof counts) != sizeof counts) {
      printf("FAIL: a job died\n");
      ++failed;
    }
    waitpid(pid, &status, 0);
    passed += counts[0];
    failed += counts[1];
  }
  if ((options.kernel.empty() || options.kernel == "statements") &&
      options.only.empty()) {
    std::vector<std::string> errors = checkStatements(target);
    for (const std::string &error : errors)
      printf("FAIL: %s\n", error.c_str());
    failed += (int)errors.size();
    passed += errors.empty();
  }
  if ((options.kernel.empty() || options.kernel == "errors") &&
      options.only.empty()) {
    std::vector<std::string> problems;
    checkErrors(target, options.verbose, problems);
    for (const std::string &problem : problems)
      printf("FAIL: %s\n", problem.c_str());
    failed += (int)problems.size();
    passed += problems.empty();
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
