//===- PairTest.cpp - Kernels of two convolutions against plain loops -----===//
//
//   halcyon-pair-test [--all] [--only TEXT] [--jobs N] [-v]
//
// Runs every kernel that takes a pair on a grid of shapes and prints what
// failed, then "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/ConvCase.h"

#include "llvm/ADT/StringExtras.h"

#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

using namespace halcyon;
using namespace halcyon::test;

namespace {

struct Pair {
  std::string kernel;
  ConvCase first, second;
  HarnessOptions options;
  bool again = false; // the first's result is added to the second's

  std::string name() const {
    std::string text = kernel + " " + first.name() + " | " + second.name() +
                       (again ? " again" : "");
    for (auto &[key, value] : options.schedule)
      text += " " + key + "=" + std::to_string(value);
    return text;
  }
};

/// The parts of a case's text: arguments, operations, the yielded value; every
/// name begins with `prefix`.
struct Parts {
  std::string arguments, body, result;

  Parts(const ConvCase &test, const std::string &prefix) {
    std::string text = test.text();
    for (size_t i = 0; (i = text.find('%', i)) != std::string::npos; ++i)
      text.insert(i + 1, prefix);
    llvm::StringRef rest(text);
    rest = rest.split("^bb0(").second;
    arguments = rest.split("):\n").first.str();
    rest = rest.split("):\n").second;
    auto [operations, end] = rest.rsplit("    cnn.yield ");
    body = operations.str();
    result = end.split(" ").first.str();
  }
};

std::string textOf(const Pair &pair) {
  Parts first(pair.first, "a_"), second(pair.second, "b_");
  // The second's input is the first's result.
  llvm::StringRef others = llvm::StringRef(second.arguments).split(", ").second;
  std::string body = second.body;
  for (size_t i = 0; (i = body.find("%b_x,", i)) != std::string::npos;)
    body.replace(i, 4, first.result);
  std::string type =
      "tensor<?x" +
      llvm::join_items("x", std::to_string(pair.second.o),
                       std::to_string(pair.second.outH()),
                       std::to_string(pair.second.outW())) +
      "xf32>";
  std::string result = second.result;
  if (pair.again) {
    result = "%again";
    body += "    %again = cnn.map \"add\" " + first.result + ", " +
            second.result + " : (" + type + ", " + type + ") -> " + type +
            " {\n    ^bb0(%p: f32, %q: f32):\n"
            "      %r = arith.addf %p, %q : f32\n"
            "      cnn.yield %r : f32\n    }\n";
  }
  return "exec.kernel @k <\"none\", {}> {\n  ^bb0(" + first.arguments + ", " +
         others.str() + "):\n" + first.body + body + "    cnn.yield " +
         result + " : " + type + "\n}\n";
}

/// Pairs of an expansion and a depthwise, and of a depthwise and a projection.
std::vector<Pair> grid(bool all) {
  std::vector<Pair> pairs;
  int turn = 0;
  auto add = [&](const char *kernel, ConvCase first, ConvCase second,
                 std::vector<std::pair<std::string, int64_t>> schedule = {},
                 bool again = false) {
    Pair pair = {kernel, first, second, {}, again};
    pair.first.epilogue = (Epilogue)(turn % 3);
    pair.second.epilogue = (Epilogue)(turn % 5);
    pair.first.bias = turn % 4 != 0;
    pair.second.bias = turn % 3 != 1;
    pair.options.kernel = kernel;
    pair.options.schedule = std::move(schedule);
    if (turn % 3 == 0)
      pair.options.halo = {1, 2, 3, 1};
    pair.options.moreInputHalo = turn % 4 == 1;
    pair.options.slice = turn % 5 == 2;
    ++turn;
    pairs.push_back(pair);
  };
  struct Shape {
    int h, w, c, wide, k, s, d, pad;
  };
  std::vector<Shape> shapes = {
      {14, 14, 24, 144, 3, 1, 1, 1}, {14, 14, 16, 48, 3, 2, 1, 1},
      {7, 7, 40, 96, 5, 1, 1, 2},    {15, 13, 20, 24, 5, 2, 1, 2},
      {9, 17, 17, 33, 3, 1, 1, 1},   {28, 28, 8, 8, 7, 1, 1, 3},
      {13, 9, 32, 64, 3, 1, 2, 2},   {10, 10, 16, 40, 3, 1, 1, 0},
      {1, 1, 16, 16, 3, 1, 1, 1},    {2, 5, 5, 80, 5, 2, 1, 2},
      {31, 6, 3, 16, 2, 1, 1, 1},    {56, 20, 24, 72, 3, 2, 1, 1},
  };
  if (all)
    for (int size : {3, 8, 11, 19, 27, 35, 57})
      for (int wide : {7, 16, 24, 56, 112})
        for (int k : {3, 5})
          for (int s : {1, 2})
            shapes.push_back({size, size + wide % 5, wide / 4 + 1, wide, k, s, 1,
                              k / 2});
  for (const Shape &s : shapes) {
    ConvCase expand = ConvCase::square(s.h, s.c, s.wide, 1);
    expand.w = s.w;
    ConvCase depthwise = ConvCase::square(s.h, s.wide, s.wide, s.k, s.s);
    depthwise.w = s.w;
    depthwise.groups = s.wide;
    depthwise.dh = depthwise.dw = s.d;
    for (int &side : depthwise.pad)
      side = s.pad;
    ConvCase project = ConvCase::square(depthwise.outH(), s.wide, s.c, 1);
    project.w = depthwise.outW();
    add("expand_depthwise", expand, depthwise);
    add("depthwise_project", depthwise, project);
    // Other tasks than those of the machine, other tiles.
    add("expand_depthwise", expand, depthwise, {{"rows_per_task", 2}});
    add("depthwise_project", depthwise, project, {{"rows_per_task", 3}});
    for (bool expands : {true, false})
      add(expands ? "expand_depthwise" : "depthwise_project",
          expands ? expand : depthwise, expands ? depthwise : project,
          {{"tile_co", 1},
           {"tile_x", 5},
           {"tile_dx", 3},
           {"tile_dy", 1},
           {"unroll_ci", 4},
           {"prefetch", 0}});
  }
  // What lies between them is read once more.
  for (const Shape &s : {Shape{14, 14, 24, 40, 3, 1, 1, 1},
                         Shape{9, 17, 17, 33, 5, 1, 2, 4},
                         Shape{1, 40, 8, 120, 3, 1, 1, 1}}) {
    ConvCase pointwise = ConvCase::square(s.h, s.wide, s.wide, 1);
    ConvCase depthwise = ConvCase::square(s.h, s.wide, s.wide, s.k);
    pointwise.w = depthwise.w = s.w;
    depthwise.groups = s.wide;
    depthwise.dh = depthwise.dw = s.d;
    for (int &side : depthwise.pad)
      side = s.pad;
    add("expand_depthwise", pointwise, depthwise, {}, true);
    add("depthwise_project", depthwise, pointwise, {}, true);
    add("expand_depthwise", pointwise, depthwise, {{"rows_per_task", 2}}, true);
    add("depthwise_project", depthwise, pointwise, {{"rows_per_task", 2}}, true);
  }
  // Padding of one side alone, and wider than the map.
  ConvCase expand = ConvCase::square(6, 16, 32, 1);
  ConvCase depthwise = ConvCase::square(6, 32, 32, 3);
  depthwise.groups = 32;
  for (auto pad : {std::array{0, 0, 1, 0}, std::array{0, 2, 0, 0},
                   std::array{3, 0, 0, 5}, std::array{8, 8, 8, 8}}) {
    std::copy(pad.begin(), pad.end(), depthwise.pad);
    add("expand_depthwise", expand, depthwise);
  }
  return pairs;
}

/// An empty string where the pair gives what the loops give.
std::string check(mlir::MLIRContext &context, const Target &target,
                  const Pair &pair) {
  std::string error;
  auto kernel = CompiledKernel::make(context, textOf(pair), target,
                                     pair.options, error);
  if (!kernel)
    return error;
  for (int batch : {1, 3}) {
    std::vector<Tensor> first = pair.first.inputs(batch);
    std::vector<Tensor> second = pair.second.inputs(batch);
    std::vector<Tensor> inputs = first;
    inputs.insert(inputs.end(), second.begin() + 1, second.end());
    kernel->setInputs(inputs);
    if (kernel->run())
      return "failed when run";
    std::vector<Tensor> outputs = kernel->outputs(error);
    if (!error.empty())
      return error;
    second[0] = pair.first.reference(first);
    Tensor expected = pair.second.reference(second);
    if (pair.again)
      for (auto [value, more] : llvm::zip_equal(expected.data, second[0].data))
        value += more;
    double difference = relativeError(outputs[0], expected);
    if (difference > 2e-5)
      return "differs by " + std::to_string(difference) + " with batch " +
             std::to_string(batch);
  }
  return "";
}

} // namespace

int main(int argc, char **argv) {
  bool all = false, verbose = false;
  std::string only;
  int jobs = 2;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--all")
      all = true;
    else if (argument == "-v")
      verbose = true;
    else if (argument == "--only" && i + 1 < argc)
      only = argv[++i];
    else if (argument == "--jobs" && i + 1 < argc)
      jobs = std::max(1, atoi(argv[++i]));
    else {
      fprintf(stderr, "usage: %s [--all] [--only TEXT] [--jobs N] [-v]\n",
              argv[0]);
      return 2;
    }
  }
  setenv("HL_NUM_THREADS", "2", 0);
  std::string known;
  Target target = *findTarget("host", known);
  std::vector<Pair> pairs = grid(all);
  std::vector<std::pair<pid_t, int>> children;
  for (int job = 0; job < jobs; ++job) {
    int ends[2];
    if (pipe(ends))
      return 2;
    pid_t pid = fork();
    if (pid == 0) {
      auto context = makeContext();
      int counts[2] = {0, 0};
      for (size_t i = job; i < pairs.size(); i += jobs) {
        std::string name = pairs[i].name();
        if (name.find(only) == std::string::npos)
          continue;
        std::string error = check(*context, target, pairs[i]);
        ++counts[!error.empty()];
        if (!error.empty() || verbose)
          printf("%s: %s: %s\n", error.empty() ? "PASS" : "FAIL", name.c_str(),
                 error.c_str());
        fflush(stdout);
      }
      _exit(write(ends[1], counts, sizeof counts) == sizeof counts ? 0 : 2);
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
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
