//===- Autoscheduled.cpp - Schedules that Halide's autoschedulers find ----===//
//
// Operations in index notation from their definitions, scheduled by one of the
// autoschedulers that come with Halide: Mullapudi et al., Automatically Scheduling
// Halide Image Processing Pipelines, 2016; Li et al., Differentiable Programming
// for Image Processing and Deep Learning in Halide, 2018; Adams et al., Learning
// to Optimize Halide with Tree Search and Random Programs, 2019. They take seconds
// for a kernel, and know nothing of what this machine measured: a search compares
// them with `indexed`.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/Support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace halcyon {

namespace {

/// Keeps what is written to stderr to itself: progress, and warnings about how
/// Halide was called.
class Silence {
public:
  Silence() : kept(dup(STDERR_FILENO)) {
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
  }
  ~Silence() {
    dup2(kept, STDERR_FILENO);
    close(kept);
  }

private:
  int kept;
};

class Autoscheduled : public Kernel {
public:
  /// `scheduler`: as Halide names it.
  Autoscheduled(StringRef name, StringRef scheduler, bool device = false)
      : ownName(name), scheduler(scheduler), device(device) {}

  StringRef name() const override { return ownName; }
  bool isGeneral() const override { return true; }
  bool isForDevice() const override { return device; }

  bool handles(const Group &group, const Target &target,
               std::string &why) const override {
    return findKernel("indexed")->handles(group, target, why) &&
           isDefined(group) && (device || target.lanes > 1);
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  // More than those of `indexed` and `gpu_plain`, so that it is never taken
  // unmeasured.
  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.02) +
           10 * target.callSeconds;
  }

  void build(KernelBuilder &b) const override {
    load();
    LogicalGroup logical(batchOf(b));
    for (Value argument : b.group.inputs()) {
      logical.bind(argument, logicalInput(b, argument));
      Halide::ImageParam param = b.input(argument);
      for (auto [index, dim] :
           llvm::enumerate(cnn::geometryOf(argument.getType()).dims))
        param.dim(index).set_estimate((int)dim.min, estimate(dim.extent));
    }
    std::vector<Func> outputs;
    for (auto [index, value] : llvm::enumerate(b.group.outputs())) {
      auto type = cnn::tensorOf(value);
      std::vector<Var> vars = logicalVars(type.getRank());
      std::vector<Expr> at(vars.begin(), vars.end());
      Func output = b.output(index, vars, logical.get(value).func(at));
      for (auto [var, size] : llvm::zip(vars, llvm::reverse(type.getShape())))
        output.set_estimate(var, 0, estimate(size));
      outputs.push_back(output);
    }
    Halide::AutoschedulerParams params(scheduler.str());
    params.extra["parallelism"] = std::to_string(b.target.cores);
    Silence silence;
    Halide::Pipeline(outputs).apply_autoscheduler(b.halideTarget(device), params);
  }

private:
  /// A size that is known at run time alone is taken for one image.
  static int estimate(int64_t size) { return size > 0 ? (int)size : 1; }

  /// Each lies beside Halide's own library.
  void load() const {
    Dl_info halide;
    if (!dladdr(reinterpret_cast<void *>(&Halide::load_plugin), &halide))
      return;
    std::string folder = halide.dli_fname;
    Halide::load_plugin(folder.substr(0, folder.rfind('/') + 1) +
                        "libautoschedule_" + scheduler.lower() + ".so");
  }

  StringRef ownName, scheduler;
  bool device;
};

class Mullapudi2016 : public Autoscheduled {
public:
  Mullapudi2016() : Autoscheduled("mullapudi2016", "Mullapudi2016") {}
};
class Li2018 : public Autoscheduled {
public:
  Li2018() : Autoscheduled("li2018", "Li2018") {}
};
class Adams2019 : public Autoscheduled {
public:
  Adams2019() : Autoscheduled("adams2019", "Adams2019") {}
};
class GpuLi2018 : public Autoscheduled {
public:
  GpuLi2018() : Autoscheduled("gpu_li2018", "Li2018", /*device=*/true) {}
};
class GpuAnderson2021 : public Autoscheduled {
public:
  GpuAnderson2021()
      : Autoscheduled("gpu_anderson2021", "Anderson2021", /*device=*/true) {}
};
} // namespace

static RegisterKernel<GpuLi2018> gpuLi2018;
static RegisterKernel<GpuAnderson2021> gpuAnderson2021;
static RegisterKernel<Mullapudi2016> mullapudi2016;
static RegisterKernel<Li2018> li2018;
static RegisterKernel<Adams2019> adams2019;

} // namespace halcyon
