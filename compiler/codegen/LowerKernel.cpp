//===- LowerKernel.cpp - One kernel through Halide ------------------------===//

#include "compiler/codegen/LowerKernel.h"
#include "compiler/codegen/Cache.h"
#include "compiler/kernels/Builder.h"

#include <unistd.h>

namespace halcyon {

static Halide::OutputFileType fileType(KernelOutput output) {
  switch (output) {
  case KernelOutput::Object:
    return Halide::OutputFileType::object;
  case KernelOutput::Statement:
    return Halide::OutputFileType::stmt;
  case KernelOutput::LlvmAssembly:
    return Halide::OutputFileType::llvm_assembly;
  case KernelOutput::Assembly:
    return Halide::OutputFileType::assembly;
  }
  return Halide::OutputFileType::object;
}

std::string lowerKernel(exec::KernelOp op, const Target &target,
                        const KernelCompilerOptions &options,
                        const std::string &path) {
  try {
    Group group(op.getBody().front());
    KernelBuilder builder(group, op.getSchedule(), target);
    const Kernel *kernel = findKernel(op.getSchedule().getAlgorithm());
    if (!kernel)
      return "there is no algorithm '" + op.getSchedule().getAlgorithm().str() +
             "'";
    kernel->build(builder);
    Halide::Pipeline pipeline = builder.finish();
    Halide::Target machine = builder.halideTarget()
                                 .with_feature(Halide::Target::NoRuntime)
                                 .with_feature(Halide::Target::UserContext);
    if (!options.asserts)
      machine = machine.with_feature(Halide::Target::NoAsserts)
                    .with_feature(Halide::Target::NoBoundsQuery);
    Halide::Module module = pipeline.compile_to_module(
        builder.arguments(), op.getSymName().str(), machine,
        Halide::LinkageType::ExternalPlusArgv);
    std::string temporary = path + ".tmp" + std::to_string(getpid());
    module.compile({{fileType(options.output), temporary}});
    if (rename(temporary.c_str(), path.c_str()) != 0)
      return std::string("can't write ") + path + ": " + strerror(errno);
    return "";
  } catch (const Halide::Error &error) {
    return error.what();
  } catch (const std::exception &error) {
    return error.what();
  }
}

} // namespace halcyon
