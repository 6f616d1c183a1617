//===- GradientTest.cpp - Kernels of gradients, against their definitions --===//
//
//   halcyon-gradient-test [--only TEXT] [--time] [--threads N] [-v]
//
// Runs every case in every layout that its kernel offers, and compares with the
// kernels `plain` and `adjoint`, which follow the operations' definitions; prints
// what failed, then "N passed, N failed". With `--time`: milliseconds and GFLOP/s of
// the cases whose names begin with "time".
//
//===----------------------------------------------------------------------===//

#include "test/kernels/KernelHarness.h"

#include "mlir/Parser/Parser.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

using namespace halcyon;
using namespace halcyon::test;

using Shape = std::vector<int64_t>;

namespace {
struct Case {
  std::string name, kernel, text;
  std::vector<Shape> shapes; ///< of the inputs; -1 is the batch
  int64_t batch = 3;
  double tolerance = 1e-5; ///< or what the kernel states
  std::vector<std::pair<std::string, int64_t>> schedule = {};
};
} // namespace

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string type(const Shape &shape) {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += (size < 0 ? "?" : std::to_string(size)) + "x";
  return text + "f32>";
}

static std::string pair(const char *name, int64_t a, int64_t b) {
  return std::string(name) + " = array<i64: " + std::to_string(a) + ", " +
         std::to_string(b) + ">";
}

/// A kernel with inputs %a0, %a1, ... whose body gives %y0, %y1, ...
static std::string kernelText(const std::vector<Shape> &inputs,
                              const std::string &body,
                              const std::vector<Shape> &results) {
  std::string arguments, values, types;
  for (auto [index, shape] : llvm::enumerate(inputs))
    arguments += (index ? ", %a" : "%a") + std::to_string(index) + ": " + type(shape);
  for (auto [index, shape] : llvm::enumerate(results)) {
    values += (index ? ", %y" : "%y") + std::to_string(index);
    types += (index ? ", " : "") + type(shape);
  }
  return "exec.kernel @k <\"none\", {}> {\n^bb0(" + arguments + "):\n" + body +
         "  cnn.yield " + values + " : " + types + "\n}\n";
}

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

namespace {
struct Window {
  int64_t stride = 1, pad = 0, dilation = 1, groups = 1;
};
} // namespace

static Case weightGradCase(int64_t c, int64_t o, int64_t size, int64_t kernel,
                           Window w, int64_t batch = 3,
                           const std::string &prefix = "") {
  int64_t out =
      (size + 2 * w.pad - w.dilation * (kernel - 1) - 1) / w.stride + 1;
  // One number smaller, so that height and width differ.
  int64_t width = prefix.empty() && size > kernel * w.dilation ? size - 1 : size;
  int64_t outWidth =
      (width + 2 * w.pad - w.dilation * (kernel - 1) - 1) / w.stride + 1;
  std::vector<Shape> shapes = {{-1, c, size, width}, {-1, o, out, outWidth}};
  Shape result = {o, c / w.groups, kernel, kernel};
  std::string body = "  %y0 = cnn.conv_weight_grad %a0, %a1 {" +
                     pair("stride", w.stride, w.stride) + ", " +
                     pair("pad", w.pad, w.pad) + ", " +
                     pair("dilation", w.dilation, w.dilation) +
                     ", groups = " + std::to_string(w.groups) + "} : (" +
                     type(shapes[0]) + ", " + type(shapes[1]) + ") -> " +
                     type(result) + "\n";
  std::string name = prefix + "weight_grad " + std::to_string(c) + "->" +
                     std::to_string(o) + " " + std::to_string(kernel) + "x" +
                     std::to_string(kernel) + "/" + std::to_string(w.stride) +
                     " of " + std::to_string(size) + " groups " +
                     std::to_string(w.groups) + " dilation " +
                     std::to_string(w.dilation) + " batch " + std::to_string(batch);
  return {name, "weight_grad", kernelText(shapes, body, {result}), shapes, batch};
}

/// The same, cut otherwise.
static Case scheduled(Case test,
                      std::vector<std::pair<std::string, int64_t>> schedule) {
  for (auto &[name, value] : schedule)
    test.name += " " + name + " " + std::to_string(value);
  test.schedule = std::move(schedule);
  return test;
}

/// The same by minimal filtering.
static Case winogradCase(int64_t c, int64_t o, int64_t size, int64_t kernel,
                         int64_t pad, int64_t batch = 3,
                         const std::string &prefix = "") {
  Case test = weightGradCase(c, o, size, kernel, {1, pad}, batch, prefix);
  test.name += " winograd";
  test.kernel = "weight_grad_winograd";
  return test;
}

/// %m = %a0 * %a1, summed together with %a0.
static Case sumCase(const Shape &shape, const Shape &result, int64_t batch,
                    const std::string &prefix = "") {
  std::vector<Shape> shapes = {shape, {shape[1]}};
  std::string body = "  %m = cnn.map \"product\" %a0, %a1 : (" + type(shape) +
                     ", " + type(shapes[1]) + ") -> " + type(shape) +
                     " {\n  ^bb0(%p: f32, %q: f32):\n"
                     "    %0 = arith.mulf %p, %q : f32\n"
                     "    %1 = arith.addf %0, %q : f32\n"
                     "    cnn.yield %1 : f32\n  }\n"
                     "  %y0, %y1 = cnn.sum %m, %a0 : (" +
                     type(shape) + ", " + type(shape) + ") -> (" + type(result) +
                     ", " + type(result) + ")\n";
  return {prefix + "sum " + type(shape) + " to " + type(result), "reduce",
          kernelText(shapes, body, {result, result}), shapes, batch};
}

static Case statsCase(const Shape &shape, int64_t batch,
                      const std::string &prefix = "") {
  Shape result = {shape[1]};
  std::string body = "  %y0, %y1 = cnn.batch_stats %a0 : (" + type(shape) +
                     ") -> (" + type(result) + ", " + type(result) + ")\n";
  return {prefix + "batch_stats " + type(shape), "reduce",
          kernelText({shape}, body, {result, result}), {shape}, batch};
}

static Case linearCase(int64_t c, int64_t o, int64_t batch,
                       const std::string &prefix = "") {
  std::vector<Shape> shapes = {{-1, c}, {-1, o}};
  Shape result = {o, c};
  std::string body = "  %y0 = cnn.linear_weight_grad %a0, %a1 : (" +
                     type(shapes[0]) + ", " + type(shapes[1]) + ") -> " +
                     type(result) + "\n";
  return {prefix + "linear_weight_grad " + type(result), "linear_weight_grad",
          kernelText(shapes, body, {result}), shapes, batch};
}

/// `weight` is of a layer with so many groups.
static Case filterCase(const Shape &weight, int64_t groups = 1,
                       const std::string &prefix = "") {
  Shape result = weight;
  result[0] = weight[1] * groups;
  result[1] = weight[0] / groups;
  std::string body = "  %y0 = cnn.adjoint_filter %a0 {groups = " +
                     std::to_string(groups) + " : i64} : (" + type(weight) +
                     ") -> " + type(result) + "\n";
  return {prefix + "adjoint_filter " + type(weight) + " groups " +
              std::to_string(groups),
          "adjoint_filter", kernelText({weight}, body, {result}), {weight}};
}

/// A weight as `tag` has it, turned over where it has `groups`; in bf16 or f32.
static Case packCase(const Shape &weight, const std::string &tag, int64_t winograd = 0,
                     int64_t groups = 0, bool bf16 = false,
                     const std::string &prefix = "") {
  Shape result = weight;
  if (groups) {
    result[0] = weight[1] * groups;
    result[1] = weight[0] / groups;
  }
  std::string dense = type(result), how = "\"" + tag + "\"";
  if (winograd)
    how += ", winograd = " + std::to_string(winograd);
  std::string packed = dense.substr(0, dense.size() - 4) + (bf16 ? "bf16" : "f32") +
                       ", #cnn.packed<" + how + ">>";
  std::string adjoint = groups ? "{adjoint = " + std::to_string(groups) + " : i64} " : "";
  std::string body = "  %y0 = cnn.pack %a0 " + adjoint + ": " + type(weight) + " to " +
                     packed + "\n";
  Case test{prefix + "pack " + type(weight) + " " + how + " groups " +
                std::to_string(groups) + (bf16 ? " bf16" : ""),
            "pack", kernelText({weight}, body, {result}), {weight}};
  // What it yields is packed.
  size_t at = test.text.rfind(dense);
  test.text.replace(at, dense.size(), packed);
  if (bf16)
    test.tolerance = 4e-3;
  return test;
}

/// The adjoint of an operation `op` on one map.
static Case adjointCase(const std::string &op, const Shape &from, const Shape &to,
                        int64_t batch = 2, const std::string &prefix = "") {
  std::string body = "  %y0 = cnn.adjoint [0] of %a0, %a1 : (" + type(from) + ", " +
                     type(to) + ") -> " + type(from) + " {\n  ^bb0(%p: " +
                     type(from) + "):\n    %0 = cnn." + op + " : (" + type(from) +
                     ") -> " + type(to) + "\n    cnn.yield %0 : " + type(to) +
                     "\n  }\n";
  return {prefix + "adjoint " + op + " " + type(from), "pool_adjoint",
          kernelText({from, to}, body, {from}), {from, to}, batch};
}

static Case poolCase(const std::string &op, int64_t c, int64_t size, int64_t kernel,
                     int64_t stride, int64_t pad, const std::string &more = "",
                     const std::string &prefix = "") {
  int64_t out = (size + 2 * pad - kernel) / stride + 1, p = pad;
  std::string text = op + " %p {" + pair("kernel", kernel, kernel) + ", " +
                     pair("stride", stride, stride) + ", pad = array<i64: " +
                     std::to_string(p) + ", " + std::to_string(p) + ", " +
                     std::to_string(p) + ", " + std::to_string(p) + ">, " +
                     pair("dilation", 1, 1) + more + "}";
  return adjointCase(text, {-1, c, size, size}, {-1, c, out, out},
                     prefix.empty() ? 2 : 32, prefix);
}

static std::vector<Case> cases() {
  std::vector<Case> all;
  auto add = [&](Case test) { all.push_back(std::move(test)); };
  for (int64_t c : {1, 3, 16, 20, 48})
    for (int64_t o : {1, 10, 32, 48}) {
      add(weightGradCase(c, o, 9, 3, {1, 1}));
      add(weightGradCase(c, o, 7, 1, {}));
    }
  add(weightGradCase(3, 64, 21, 7, {2, 3}));
  add(weightGradCase(1, 6, 28, 5, {1, 2}, 10));
  add(weightGradCase(6, 16, 14, 5, {}, 5));
  add(weightGradCase(32, 64, 16, 3, {2, 1}));
  add(weightGradCase(32, 32, 13, 3, {1, 2, 2}, 2));
  add(weightGradCase(128, 160, 4, 3, {1, 1}, 11));
  add(weightGradCase(256, 80, 1, 1, {}, 70));
  add(weightGradCase(64, 128, 2, 2, {}, 33));
  for (int64_t c : {16, 24, 33})
    for (int64_t k : {3, 5})
      add(weightGradCase(c, c, 11, k, {1, k / 2, 1, c}));
  add(weightGradCase(32, 32, 11, 3, {2, 1, 1, 32}));
  add(weightGradCase(32, 64, 8, 3, {1, 1, 1, 2}));
  add(weightGradCase(24, 48, 8, 3, {1, 1, 1, 4}));
  add(weightGradCase(8, 16, 8, 3, {2, 1, 1, 8}));

  for (int64_t kernel : {1, 3})
    for (int64_t c : {24, 64})
      for (int64_t o : {40, 64}) {
        Case test = weightGradCase(c, o, 6, kernel, {1, kernel / 2}, 7);
        const int64_t in = (c + 15) / 16, out = (o + 15) / 16;
        add(scheduled(test, {{"rows", 2}, {"chunks", 3}}));
        add(scheduled(test, {{"images", 3}, {"chunks", 2}}));
        add(scheduled(test, {{"images", 8}, {"task_co", out}, {"task_ci", in}}));
        add(scheduled(test, {{"rows", 1}, {"images", 2}, {"chunks", 9},
                             {"task_co", kernel == 1 ? 1 : out},
                             {"task_ci", kernel == 1 ? in : 1}}));
      }
  add(scheduled(weightGradCase(3, 64, 21, 7, {2, 3}, 5), {{"images", 2}, {"chunks", 3}}));
  add(scheduled(weightGradCase(24, 24, 11, 3, {1, 1, 1, 24}, 5), {{"images", 2}, {"chunks", 2}}));
  add(scheduled(weightGradCase(24, 48, 8, 3, {1, 1, 1, 4}, 6), {{"images", 4}, {"chunks", 2}}));

  for (int64_t c : {16, 20, 48})
    for (int64_t o : {17, 32, 48})
      add(winogradCase(c, o, 9, 3, 1));
  for (int64_t batch : {1, 2, 7, 33, 70})
    add(winogradCase(32, 32, 4, 3, 1, batch));
  add(winogradCase(32, 16, 13, 3, 0, 5));
  add(winogradCase(16, 32, 12, 5, 2, 3));
  add(winogradCase(16, 16, 11, 2, 1, 3));
  add(winogradCase(16, 48, 11, 7, 3, 2));
  add(winogradCase(32, 16, 23, 3, 2, 9));
  add(winogradCase(512, 400, 5, 3, 1, 2));
  for (int64_t slabs : {0, 1})
    for (int64_t c : {24, 64})
      for (int64_t o : {40, 64}) {
        Case test = winogradCase(c, o, 9, 3, 1, 7);
        const int64_t in = (c + 15) / 16, out = (o + 15) / 16;
        add(scheduled(test, {{"tiles", 5}, {"slabs", slabs}}));
        add(scheduled(test, {{"tile_co", 4}, {"tile_ci", 2}, {"task_ci", in}, {"tiles", 70}, {"slabs", slabs}}));
        add(scheduled(test, {{"task_co", out}, {"task_ci", 1}, {"tile_ci", 1}, {"tiles", 8},
                             {"chunks", slabs ? 3 : 1}, {"slabs", slabs}}));
      }
  add(scheduled(winogradCase(32, 32, 8, 3, 1, 5), {{"tiles", 4}, {"chunks", 4}, {"slabs", 1}}));

  for (int64_t c : {1, 6, 16, 20, 70}) {
    add(sumCase({-1, c, 5, 7}, {c}, 3));
    add(sumCase({-1, c, 6, 19}, {-1, c, 1, 1}, 5));
    add(sumCase({-1, c}, {c}, 9));
    add(statsCase({-1, c, 8, 9}, 20));
    add(statsCase({-1, c}, 9));
    add(linearCase(c, 10, 3));
    add(linearCase(9 * c + 1, 7 * c, 10));
    for (const char *op : {"maxpool", "avgpool"}) {
      add(poolCase(op, c, 8, 2, 2, 0));
      add(poolCase(op, c, 9, 3, 2, 1));
      add(poolCase(op, c, 7, 3, 1, 1));
      add(poolCase(op, c, 11, 2, 3, 0));
    }
    add(adjointCase("global_avgpool %p", {-1, c, 5, 7}, {-1, c, 1, 1}));
  }
  add(poolCase("avgpool", 20, 9, 3, 2, 1, ", count_pad = false"));
  add(sumCase({-1, 32, 1, 1}, {32}, 3));

  add(filterCase({20, 7}));
  add(filterCase({64, 48, 1, 1}));
  add(filterCase({33, 17, 3, 3}));
  add(filterCase({32, 16, 5, 3}));
  add(filterCase({2, 3, 9, 11}));
  add(filterCase({24, 6, 3, 3}, 4));
  add(filterCase({32, 1, 3, 3}, 32));

  for (int64_t groups : {0, 1})
    for (int64_t winograd : {0, 2, 4, 6}) {
      std::string tag = winograd ? "hwOI16i16o" : "OIhw16i16o";
      add(packCase({64, 48, 3, 3}, tag, winograd, groups));
      add(packCase({33, 17, 3, 3}, tag, winograd, groups));
      add(packCase({32, 16, 1, 3}, tag, winograd, groups));
      tag = winograd ? "hwOI8i16o2i" : "OIhw8i16o2i";
      add(packCase({64, 48, 3, 3}, tag, winograd, groups, true));
      add(packCase({33, 17, 3, 3}, tag, winograd, groups, true));
      add(packCase({20, 80, 3, 3}, winograd ? "hwOi16o" : "Ohwi16o", winograd, groups));
    }
  for (int64_t groups : {0, 1}) {
    add(packCase({64, 3, 7, 7}, "Ohwi16o", 0, groups));
    add(packCase({64, 128, 1, 1}, "OIhw16i16o", 0, groups));
    add(packCase({16, 16, 1, 1}, "OIhw16i16o", 0, groups));
    add(packCase({10, 84}, "Oi16o", 0, groups));
    add(packCase({48, 192}, "Oi16o", 0, groups));
    add(packCase({48, 192}, "Oi16o", 0, groups, true));
  }
  add(packCase({20}, "O16o"));
  add(packCase({32, 8, 3, 3}, "OIhw8i8o", 0, 2));
  add(packCase({24, 6, 3, 3}, "Ohwi16o", 0, 4));
  add(packCase({32, 1, 3, 3}, "Ohwi16o", 0, 32));
  add(packCase({32, 1, 3, 3}, "Ohwi16o"));

  const std::string t = "time ";
  for (int64_t groups : {0, 1}) {
    add(packCase({512, 512, 3, 3}, "hwOI16i16o", 4, groups, false, t));
    add(packCase({256, 256, 3, 3}, "hwOI16i16o", 4, groups, false, t));
    add(packCase({512, 512, 3, 3}, "hwOI8i16o2i", 2, groups, true, t));
    add(packCase({512, 512, 3, 3}, "OIhw16i16o", 0, groups, false, t));
    add(packCase({2048, 512, 1, 1}, "OIhw16i16o", 0, groups, false, t));
    add(packCase({512, 2048, 1, 1}, "OIhw16i16o", 0, groups, false, t));
    add(packCase({512, 2048, 1, 1}, "OIhw8i16o2i", 0, groups, true, t));
    add(packCase({1000, 2048}, "Oi16o", 0, groups, false, t));
  }
  add(filterCase({512, 512, 3, 3}, 1, t));
  add(filterCase({256, 256, 3, 3}, 1, t));
  add(filterCase({2048, 512, 1, 1}, 1, t));
  add(weightGradCase(3, 64, 32, 3, {1, 1}, 32, t));
  add(weightGradCase(64, 64, 32, 3, {1, 1}, 32, t));
  add(weightGradCase(64, 128, 32, 3, {2, 1}, 32, t));
  add(weightGradCase(64, 128, 32, 1, {2}, 32, t));
  add(weightGradCase(128, 128, 16, 3, {1, 1}, 32, t));
  add(weightGradCase(256, 256, 8, 3, {1, 1}, 32, t));
  add(weightGradCase(512, 512, 4, 3, {1, 1}, 32, t));
  add(scheduled(winogradCase(64, 64, 32, 3, 1, 32, t), {{"tiles", 128}}));
  add(scheduled(winogradCase(128, 128, 16, 3, 1, 32, t), {{"tiles", 128}}));
  add(scheduled(winogradCase(256, 256, 8, 3, 1, 32, t), {{"tiles", 128}}));
  add(scheduled(winogradCase(512, 512, 4, 3, 1, 32, t), {{"tiles", 32}}));
  add(scheduled(winogradCase(64, 64, 56, 3, 1, 8, t), {{"tiles", 122}}));
  add(scheduled(winogradCase(128, 128, 28, 3, 1, 8, t), {{"tiles", 98}}));
  add(scheduled(winogradCase(256, 256, 14, 3, 1, 8, t), {{"tiles", 128}}));
  add(scheduled(winogradCase(512, 512, 7, 3, 1, 8, t), {{"tiles", 32}}));
  add(scheduled(winogradCase(256, 256, 56, 3, 1, 8, t), {{"tiles", 122}, {"chunks", 7}}));
  add(weightGradCase(3, 64, 224, 7, {2, 3}, 8, t));
  add(scheduled(weightGradCase(64, 256, 56, 1, {}, 8, t), {{"chunks", 8}}));
  add(scheduled(weightGradCase(256, 64, 56, 1, {}, 8, t), {{"chunks", 8}}));
  add(weightGradCase(128, 128, 28, 3, {1, 1}, 8, t));
  add(scheduled(weightGradCase(1024, 256, 14, 1, {}, 8, t), {{"chunks", 2}}));
  add(scheduled(weightGradCase(512, 2048, 7, 1, {}, 8, t), {{"images", 4}}));
  add(weightGradCase(144, 144, 56, 3, {1, 1, 1, 144}, 8, t));
  add(weightGradCase(1, 6, 28, 5, {1, 2}, 64, t));
  add(weightGradCase(6, 16, 14, 5, {}, 64, t));
  add(sumCase({-1, 64, 32, 32}, {64}, 32, t));
  add(statsCase({-1, 64, 32, 32}, 32, t));
  add(statsCase({-1, 512, 4, 4}, 32, t));
  add(linearCase(784, 256, 64, t));
  add(linearCase(512, 1000, 8, t));
  add(poolCase("maxpool", 64, 32, 3, 2, 1, "", t));
  add(poolCase("maxpool", 6, 28, 2, 2, 0, "", t));
  return all;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

static std::vector<Tensor> inputsOf(const Case &test) {
  std::vector<Tensor> inputs;
  for (Shape shape : test.shapes) {
    for (int64_t &size : shape)
      if (size < 0)
        size = test.batch;
    inputs.push_back(Tensor::random(shape, (unsigned)inputs.size() + 1));
  }
  return inputs;
}

/// What `cnn.pack` means where weights are constants.
static std::vector<Tensor> packedByHand(mlir::MLIRContext &context, const Case &test,
                                        const std::vector<Tensor> &inputs) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(test.text, &context);
  std::vector<Tensor> result;
  module->walk([&](cnn::PackOp pack) {
    auto type = mlir::cast<mlir::RankedTensorType>(pack.getType());
    auto shape = mlir::cast<cnn::PackedAttr>(type.getEncoding()).physicalShape(type.getShape());
    Tensor packed(std::vector<int64_t>(shape.begin(), shape.end()));
    llvm::MutableArrayRef<float> out(packed.data);
    if (mlir::succeeded(pack.evaluate({llvm::ArrayRef<float>(inputs[0].data)}, {out})))
      result.push_back(packed);
  });
  return result;
}

/// Runs one kernel; says in `error` what is wrong.
static std::vector<Tensor> runKernel(CompiledKernel &kernel,
                                     const std::vector<Tensor> &inputs,
                                     std::string &error) {
  kernel.setInputs(inputs);
  if (kernel.run() != 0)
    error = "returned an error";
  return kernel.outputs(error);
}

static void printTime(const Case &test, CompiledKernel &kernel) {
  using Clock = std::chrono::steady_clock;
  std::string error;
  runKernel(kernel, inputsOf(test), error);
  pinThreads();
  double best = 1e30;
  for (int run = 0; run < 12; ++run) {
    auto start = Clock::now();
    kernel.runCold();
    best = std::min(best,
                    std::chrono::duration<double>(Clock::now() - start).count());
  }
  printf("%-60s %-12s %9.3f ms %8.1f GFLOP/s\n", test.name.c_str(),
         kernel.kernelName().c_str(), best * 1e3,
         kernel.flops() * (double)test.batch / best / 1e9);
}

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string only;
  bool time = false, verbose = false;
  int threads = 2;
  for (int i = 1; i < argc; ++i) {
    if (!strcmp(argv[i], "--only") && i + 1 < argc)
      only = argv[++i];
    else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
      threads = std::max(1, atoi(argv[++i]));
    else if (!strcmp(argv[i], "--time"))
      time = true;
    else if (!strcmp(argv[i], "-v"))
      verbose = true;
  }
  setenv("HL_NUM_THREADS", std::to_string(threads).c_str(), 1);
  auto context = makeContext();
  std::string known;
  Target target = *findTarget("host", known);
  int passed = 0, failed = 0;
  for (const Case &test : cases()) {
    if (test.name.find(only) == std::string::npos ||
        (test.name.rfind("time", 0) == 0) != time)
      continue;
    std::string error;
    std::vector<Tensor> reference, inputs = inputsOf(test);
    for (unsigned layout = 0;; ++layout) {
      HarnessOptions options;
      options.kernel = test.kernel;
      options.layout = layout;
      options.schedule = test.schedule;
      options.asserts = !time;
      options.moreInputHalo = layout % 2;
      auto kernel =
          CompiledKernel::make(*context, test.text, target, options, error);
      if (!kernel && layout > 0 && error == "refused: no such layout")
        break;
      if (time && kernel) {
        printTime(test, *kernel);
        break;
      }
      if (kernel && test.kernel == "pack") {
        reference = packedByHand(*context, test, inputs);
      } else if (kernel && reference.empty()) {
        HarnessOptions plain;
        plain.kernel = test.kernel == "pool_adjoint" ? "adjoint" : "plain";
        if (auto defined = CompiledKernel::make(*context, test.text, target,
                                                plain, error))
          reference = runKernel(*defined, inputs, error);
      }
      double difference = 0;
      if (kernel && error.empty()) {
        std::vector<Tensor> outputs = runKernel(*kernel, inputs, error);
        for (auto [output, wanted] : llvm::zip(outputs, reference))
          difference = std::max(difference, relativeError(output, wanted));
        if (error.empty() &&
            !(difference <= std::max(test.tolerance, kernel->error())))
          error = "differs by " + std::to_string(difference);
      }
      ++(error.empty() ? passed : failed);
      if (verbose || !error.empty())
        printf("%s layout %u: %s (%.1e)\n", test.name.c_str(), layout,
               error.empty() ? "passed" : error.c_str(), difference);
      if (!kernel)
        break;
      error.clear();
    }
  }
  if (!time)
    printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
