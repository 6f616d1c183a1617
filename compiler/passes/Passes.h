//===- Passes.h - Passes on the cnn dialect -------------------------------===//

#ifndef HALCYON_COMPILER_PASSES_PASSES_H
#define HALCYON_COMPILER_PASSES_PASSES_H

#include "compiler/targets/Target.h"
#include "dialects/cnn/CnnOps.h"
#include "dialects/exec/Exec.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

namespace halcyon {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/passes/Passes.h.inc"

/// The target of this name; none after an error at `op`.
std::optional<Target> targetFor(mlir::Operation *op, llvm::StringRef name);

} // namespace halcyon

#endif // HALCYON_COMPILER_PASSES_PASSES_H
