//===- Pipeline.h - The phases of the compiler, top to bottom -------------===//

#ifndef HALCYON_COMPILER_PIPELINES_PIPELINE_H
#define HALCYON_COMPILER_PIPELINES_PIPELINE_H

#include "mlir/Pass/PassManager.h"

#include <string>

namespace halcyon {

struct PipelineOptions {
  std::string target = "host"; ///< as findTarget takes it
  std::string algorithm;       ///< taken wherever it applies; empty: by cost
  std::string precision = "f32"; ///< of layers of which the model says nothing
  bool wide = false; ///< all of a training in f64
  int64_t memory = 0; ///< bytes that a training may take; 0: as many as it likes
  int64_t batch = 1;  ///< images of its steps
  int64_t split = 0;  ///< images that a program expects, to take them in parts; 0: never
  bool single = false; ///< gradients are checked in f32, with its kernels
  bool derived = false; ///< every gradient from its layer's algorithm
};

/// cnn to cnn: a model that trains becomes the models `step` and `eval`.
void buildTrainingPipeline(mlir::OpPassManager &module,
                           const PipelineOptions &options);

/// cnn to cnn: `step`, which computes gradients in f64, and `eval`, the loss.
void buildGradientCheckPipeline(mlir::OpPassManager &module,
                                const PipelineOptions &options);

/// cnn to cnn: the gradients of an output `loss` by the inputs that are marked, of
/// a model that does not train.
void buildProbePipeline(mlir::OpPassManager &module,
                        const PipelineOptions &options);

/// cnn to cnn: a model as `NAME_training_forward`, `NAME_training_backward` and, where it
/// behaves otherwise then, `NAME_inference_forward`, `NAME_inference_backward`.
void buildAutogradPipeline(mlir::OpPassManager &module,
                           const PipelineOptions &options);

/// cnn to cnn: one form of padding, norms folded, operations grouped into
/// kernels, what is stored in bf16.
void buildGraphPipeline(mlir::OpPassManager &module,
                        const PipelineOptions &options);

/// cnn to cnn: an algorithm per kernel, a layout per value.
void buildKernelPipeline(mlir::OpPassManager &module,
                         const PipelineOptions &options);

/// cnn to exec: calls on an arena.
void buildExecPipeline(mlir::OpPassManager &module,
                       const PipelineOptions &options);

/// All of them as `halcyon-opt --halcyon-pipeline`.
void registerPipelines();

} // namespace halcyon

#endif // HALCYON_COMPILER_PIPELINES_PIPELINE_H
