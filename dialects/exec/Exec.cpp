//===- Exec.cpp - The exec dialect ----------------------------------------===//

#include "dialects/exec/Exec.h"

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

} // namespace halcyon::exec
