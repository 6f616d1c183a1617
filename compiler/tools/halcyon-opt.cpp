//===- halcyon-opt.cpp - Runs passes on IR as text ------------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/pipelines/Pipeline.h"
#include "dialects/cnn/CnnOps.h"
#include "dialects/exec/Exec.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<halcyon::cnn::CnnDialect, halcyon::exec::ExecDialect>();
  mlir::registerTransformsPasses();
  halcyon::registerHalcyonPasses();
  halcyon::registerPipelines();
  return mlir::failed(
      mlir::MlirOptMain(argc, argv, "Halcyon's optimizer driver\n", registry));
}
