//===- GridMutator.h - Changes to what devices compute --------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_GRIDMUTATOR_H
#define HALCYON_COMPILER_CODEGEN_GRIDMUTATOR_H

#include "Halide.h"

namespace halcyon {

/// A mutator that knows whether it is within a grid: in what the device computes, not
/// in what calls it.
class GridMutator : public Halide::Internal::IRMutator {
protected:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For *op) override {
    using Halide::Internal::ForType;
    const bool outer = inGrid;
    inGrid |= op->for_type == ForType::GPUBlock || op->for_type == ForType::GPUThread;
    Halide::Internal::Stmt loop = IRMutator::visit(op);
    inGrid = outer;
    return loop;
  }

  bool inGrid = false;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_GRIDMUTATOR_H
