//===- KernelCompiler.h - Kernels to object code --------------------------===//
//
// Every kernel is compiled by a process of its own, forked for it: Halide's
// names carry a process-wide counter, so only a fresh process gives the same
// bytes every time, and what goes wrong in one becomes a message.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_KERNELCOMPILER_H
#define HALCYON_COMPILER_CODEGEN_KERNELCOMPILER_H

#include "compiler/targets/Target.h"
#include "dialects/exec/Exec.h"

#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <string>
#include <vector>

namespace halcyon {

/// `SharedC`: C whose parallel loops threads share. `Device`: what the device's driver
/// is given, source or binary; empty for a kernel of the CPU.
enum class KernelOutput { Object, Statement, LlvmAssembly, Assembly, C, SharedC, Device };

struct KernelCompilerOptions {
  unsigned jobs = 0;     ///< processes at a time; 0: one per core
  bool asserts = false;  ///< keep Halide's checks of buffers in the kernels
  bool useCache = true;
  bool progress = false; ///< one line on stderr, where that is a terminal
  KernelOutput output = KernelOutput::Object;
  unsigned seconds = 300; ///< for one kernel, before it is given up
  /// Leave out kernels that fail: their `error` says why.
  bool keepGoing = false;
  /// Asked now and then: true ends it all. Ctrl-C then is the caller's.
  std::function<bool()> stop;
};

/// A job that runs in a process of its own beside the kernels'. `run` returns
/// an empty string, or what went wrong.
struct ForkedJob {
  std::string what;
  std::function<std::string()> run;
};

/// A job that makes a file: `make` writes it to the path that it is given, and returns
/// an empty string, or what went wrong. `path` is there whole, or not at all.
ForkedJob fileJob(std::string what, std::string path,
                  std::function<std::string(const std::string &path)> make);

/// Runs jobs, each in a process of its own, and reports those that failed. The
/// calling process must have no other thread.
bool runForked(const std::vector<ForkedJob> &jobs,
               const KernelCompilerOptions &options, llvm::raw_ostream &errors);

struct CompiledKernel {
  exec::KernelOp kernel;
  std::string path; ///< the file with its output
  bool cached = false;
  std::string error; ///< why there is no file, where the others go on
};

/// Compiles all kernels of a program, in the program's order, and runs the
/// other jobs meanwhile. The calling process must have no other thread and must
/// not have used Halide. Failures are reported to `errors`.
llvm::FailureOr<std::vector<CompiledKernel>>
compileKernels(exec::ProgramOp program, const Target &target,
               const KernelCompilerOptions &options,
               std::vector<ForkedJob> others, llvm::raw_ostream &errors);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_KERNELCOMPILER_H
