//===- Pipeline.cpp - The phases of the compiler, top to bottom -----------===//

#include "compiler/pipelines/Pipeline.h"
#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace halcyon {

void buildTrainingPipeline(OpPassManager &module,
                           const PipelineOptions &options) {
  module.addPass(createSplitTraining());
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createNormalizePadding());
  model.addPass(createSimplify());
  if (options.wide)
    model.addPass(createWiden());
  model.addPass(createDifferentiate({options.derived}));
  model.addPass(createSharpen());
  model.addPass(createUpdateWeights());
}

void buildGradientCheckPipeline(OpPassManager &module,
                                const PipelineOptions &options) {
  module.addPass(createSplitTraining({/*check=*/true, /*autograd=*/false}));
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createNormalizePadding());
  model.addPass(createSimplify());
  if (!options.single)
    model.addPass(createWiden());
  model.addPass(createDifferentiate({options.derived}));
}

void buildProbePipeline(OpPassManager &module, const PipelineOptions &options) {
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createOpenBatch());
  model.addPass(createCanonicalizerPass());
  model.addPass(createNormalizePadding());
  model.addPass(createFoldBatchNorm());
  model.addPass(createDifferentiate({options.derived}));
}

void buildAutogradPipeline(OpPassManager &module, const PipelineOptions &options) {
  module.nest<cnn::ModelOp>().addPass(createOpenBatch());
  module.addPass(createSplitTraining({/*check=*/false, /*autograd=*/true}));
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createNormalizePadding());
  model.addPass(createDifferentiate({options.derived}));
  module.addPass(createCutBackward());
}

void buildGraphPipeline(OpPassManager &module, const PipelineOptions &options) {
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createOpenBatch());
  model.addPass(createCanonicalizerPass());
  model.addPass(createNormalizePadding());
  model.addPass(createFoldBatchNorm());
  model.addPass(createSimplify());
  model.addPass(createCanonicalizerPass());
  model.addPass(createCSEPass());
  model.addPass(createCutWeights({options.target, /*most=*/0}));
  model.addPass(createFuse());
  model.addPass(createAssignPrecision({options.target, options.precision}));
  model.addPass(createFusePairs({options.target, options.algorithm}));
}

void buildKernelPipeline(OpPassManager &module, const PipelineOptions &options) {
  OpPassManager &model = module.nest<cnn::ModelOp>();
  model.addPass(createChooseAlgorithm({options.target, options.algorithm}));
  model.addPass(createAssignLayout({options.target}));
  model.addPass(createFoldAdjointFilters());
  model.addPass(createCSEPass());
}

void buildExecPipeline(OpPassManager &module, const PipelineOptions &options) {
  module.addPass(createLowerToExec({options.target}));
  if (options.memory)
    module.addPass(createRecompute({options.memory, options.batch}));
  if (options.split > 1)
    module.addPass(createSplitBatch({options.target, options.split}));
  module.addNestedPass<exec::ProgramOp>(createPlanMemory());
}

namespace {
struct PipelineFlags : PassPipelineOptions<PipelineFlags> {
  Option<std::string> target{*this, "target", llvm::cl::desc("The machine"),
                             llvm::cl::init("host")};
  Option<std::string> precision{*this, "precision",
                                llvm::cl::desc("Of layers of which nothing is "
                                               "said: f32 or bf16"),
                                llvm::cl::init("f32")};
  Option<std::string> algorithm{
      *this, "algorithm", llvm::cl::desc("Take this one wherever it applies")};
};
} // namespace

void registerPipelines() {
  PassPipelineRegistration<PipelineFlags>(
      "halcyon-pipeline", "From a model to its program",
      [](OpPassManager &module, const PipelineFlags &flags) {
        PipelineOptions options;
        options.target = flags.target;
        options.algorithm = flags.algorithm;
        options.precision = flags.precision;
        buildGraphPipeline(module, options);
        buildKernelPipeline(module, options);
        buildExecPipeline(module, options);
      });
}

} // namespace halcyon
