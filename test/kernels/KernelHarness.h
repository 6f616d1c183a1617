//===- KernelHarness.h - Kernels run alone ---------------------------------===//
//
// Takes the text of an exec.kernel without layouts, lets a kernel assign them,
// packs its weights, compiles it just in time, runs it on dense tensors and
// checks what every kernel promises: zeros in the halo of its output, zeros in
// the lanes past the channels, nothing written outside.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TEST_KERNELS_KERNELHARNESS_H
#define HALCYON_TEST_KERNELS_KERNELHARNESS_H

#include "compiler/kernels/Builder.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace halcyon::test {

/// A dense tensor; the first size of a batched one is that of a run.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> data;

  explicit Tensor(std::vector<int64_t> shape = {});
  /// Values in [-1, 1).
  static Tensor random(std::vector<int64_t> shape, unsigned seed);
  /// The same as bf16 holds it.
  Tensor rounded() const;
};

struct HarnessOptions {
  std::string kernel;                   ///< empty: the cheapest that applies
  unsigned layout = 0;                  ///< which of its layouts
  std::vector<int64_t> halo = {0, 0, 0, 0}; ///< of the output
  int64_t moreInputHalo = 0;            ///< beyond what the kernel needs
  bool slice = false; ///< the output is channels of a larger buffer
  bool bf16In = false, bf16Out = false; ///< how values are stored
  bool asserts = true;
  std::vector<std::pair<std::string, int64_t>> schedule; ///< overrides
  /// Takes this one of the kernel's space, counted around, after checking all.
  std::optional<unsigned> candidate;
};

/// Memory aligned to 64 bytes.
class AlignedFloats {
public:
  explicit AlignedFloats(size_t count = 0, float value = 0);
  float *data() { return start; }
  size_t size() const { return count; }

private:
  std::vector<float> storage;
  float *start = nullptr;
  size_t count = 0;
};

class CompiledKernel {
public:
  /// Null where the kernel refuses or fails; `error` says why.
  static std::unique_ptr<CompiledKernel>
  make(mlir::MLIRContext &context, llvm::StringRef text, const Target &target,
       const HarnessOptions &options, std::string &error);

  /// Whether the kernel of this name takes the group.
  static bool handles(mlir::MLIRContext &context, llvm::StringRef text,
                      const Target &target, llvm::StringRef kernel);

  /// Puts dense inputs into buffers; weights are packed.
  void setInputs(llvm::ArrayRef<Tensor> inputs);
  int run();
  /// The same with another copy of the weights, which are in no cache.
  int runCold();
  /// The outputs, dense; `error` says what a kernel broke.
  std::vector<Tensor> outputs(std::string &error);

  std::string kernelName() const { return kernel->name().str(); }
  double cost() const { return seconds; }
  double error() const { return kernel->error(*group, target); }
  double flops() const { return groupFlops(*group); }
  double compileSeconds() const { return compileTime; }
  cnn::ScheduleAttr schedule() const { return taken; }
  /// Halide's lowered statements.
  std::string statements() const;
  void writeAssembly(const std::string &path) const;

private:
  struct Buffer {
    mlir::Type type;
    AlignedFloats memory; ///< what the kernel sees, but for bf16
    AlignedFloats halves; ///< of bf16 what it sees, two a float
    int64_t before = 0; ///< elements of other channels before a slice
    std::vector<halide_dimension_t> dims;
    halide_buffer_t raw = {};
  };
  /// Describes a part of the memory of `owner`.
  void place(Buffer &buffer, const cnn::BufferGeometry &geometry, Buffer &owner,
             int64_t offset);
  static void narrow(Buffer &buffer);
  static void widen(Buffer &buffer);
  void buildPipeline();

  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<Group> group;
  const Kernel *kernel = nullptr;
  Target target;
  double seconds = 0, compileTime = 0;
  cnn::ScheduleAttr taken;
  Halide::Pipeline pipeline;
  std::vector<Halide::Argument> arguments;
  Halide::Callable callable;
  Halide::Target halideTarget;
  int64_t batch = 1;
  std::vector<Buffer> inputs, results;
  std::vector<std::vector<AlignedFloats>> copies; ///< of weights, per input
  size_t turn = 0;
  std::vector<std::unique_ptr<Buffer>> borders;
  std::vector<const void *> argv;
};

/// A context with the dialects that kernels need.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Threads of Halide's pool, each pinned to a core.
void pinThreads();
/// The largest difference over the largest reference.
double relativeError(const Tensor &value, const Tensor &reference);

} // namespace halcyon::test

#endif // HALCYON_TEST_KERNELS_KERNELHARNESS_H
