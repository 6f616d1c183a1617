//===- Fuzz.cpp - Arbitrary text as a schedule ----------------------------===//
//
// test/fuzz/run_fuzz.py schedule builds it and runs it.
//
//===----------------------------------------------------------------------===//

#include "compiler/dsl/Frontend.h"
#include "compiler/pipelines/Pipeline.h"
#include "compiler/tune/Schedule.h"
#include "dialects/exec/Exec.h"

#include "llvm/Support/MemoryBuffer.h"

using namespace halcyon;

/// A model with a kernel of most kinds, its operations grouped.
static const char *const model = R"(
model fuzz() {
  input image: f32[N, 3, 32, 32]
  x = image -> conv(16, 3, stride=2) as "stem" -> relu
  y = x -> conv(32, 3) -> maxpool(2)
  z = y -> conv(32, 3, groups=32) -> conv(24, 1)
  z = z -> conv_transpose(16, 2, 2)
  output z -> global_avgpool -> flatten -> linear(10) as "fc" -> softmax
}
)";

namespace {
struct World {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Target target;

  World() {
    std::string known;
    target = *findTarget("x86-64-avx512", known);
    context.loadDialect<cnn::CnnDialect, exec::ExecDialect,
                        mlir::arith::ArithDialect, mlir::math::MathDialect>();
    module = dsl::compileModelText(model, "fuzz.cnn", context, {}, llvm::errs());
    mlir::PassManager manager(&context);
    PipelineOptions options;
    options.target = target.name;
    buildGraphPipeline(manager, options);
    if (mlir::failed(manager.run(*module)))
      __builtin_trap();
  }
};
} // namespace

static bool read(llvm::StringRef text, Schedule &schedule, std::string &errors,
                 World *world) {
  llvm::SourceMgr sources;
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(text, "fuzz.sched");
  text = buffer->getBuffer();
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  llvm::raw_string_ostream os(errors);
  dsl::Diagnostics diags(sources, os);
  bool good = parseSchedule(text, diags, schedule);
  if (world) {
    mlir::OwningOpRef<mlir::ModuleOp> copy = world->module->clone();
    good &= applySchedule(schedule, scheduledModels(*copy), world->target, diags);
  }
  return good;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A context keeps every attribute that it has seen.
  static std::unique_ptr<World> world;
  static unsigned runs = 0;
  if (runs++ % 2000 == 0) {
    world.reset();
    world = std::make_unique<World>();
  }
  Schedule schedule, again;
  std::string errors;
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  // Every refusal has a reason.
  if (!read(text, schedule, errors, world.get()) && errors.empty())
    __builtin_trap();
  // What is written reads as the same, whatever the model.
  schedule = {};
  if (!read(text, schedule, errors, nullptr))
    return 0;
  std::string printed = printSchedule(schedule);
  if (!read(printed, again, errors, nullptr) || printSchedule(again) != printed)
    __builtin_trap();
  return 0;
}
