//===- Passes.cpp - What passes share -------------------------------------===//

#include "compiler/passes/Passes.h"

using namespace halcyon;

std::optional<Target> halcyon::targetFor(mlir::Operation *op, llvm::StringRef name) {
  std::string known;
  std::optional<Target> target = findTarget(name, known);
  if (!target)
    op->emitError("unknown target '") << name << "'; there are " << known;
  return target;
}
