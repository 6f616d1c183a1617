//===- Exec.cpp - The exec dialect ----------------------------------------===//

#include "dialects/exec/Exec.h"

#include "llvm/ADT/DenseSet.h"

#include <map>

using namespace mlir;

#include "dialects/exec/ExecDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/exec/Exec.cpp.inc"

namespace halcyon::exec {

void ExecDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/exec/Exec.cpp.inc"
      >();
}

KernelOp CallOp::getKernelOp() {
  return SymbolTable::lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
}

/// Calls of a chain stand together, and a buffer of few images is its chain's.
LogicalResult FunctionOp::verify() {
  llvm::DenseSet<int64_t> ended;
  std::map<int64_t, std::optional<int64_t>> owners; // of buffers that hold few images
  std::optional<int64_t> chain, images;
  for (auto call : getBody().front().getOps<CallOp>()) {
    std::optional<int64_t> next = call.getChain();
    if (next.has_value() != call.getImages().has_value() ||
        (next && *call.getImages() < 1))
      return call.emitOpError("a chain has a number and how many images it takes at "
                              "a time, 1 or more");
    if (chain && next != chain)
      ended.insert(*chain);
    if (next && ended.contains(*next))
      return call.emitOpError("calls of chain ") << *next << " stand apart";
    if (next && next == chain && call.getImages() != images)
      return call.emitOpError("calls of chain ")
             << *next << " take " << *images << " and " << *call.getImages()
             << " images at a time";
    chain = next, images = call.getImages();
    for (Value operand : call->getOperands()) {
      auto arena = operand.getDefiningOp<ArenaOp>();
      if (!arena || !arena.getImages())
        continue;
      auto owner = owners.try_emplace(arena.getBuffer(), next).first;
      if (!next || arena.getImages() != images || owner->second != next)
        return call.emitOpError("buffer ")
               << arena.getBuffer() << " holds " << *arena.getImages()
               << " images, of another chain's";
    }
  }
  return success();
}

} // namespace halcyon::exec
