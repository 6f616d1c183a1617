//===- Read.h - Operations as calls ---------------------------------------===//

#ifndef HALCYON_COMPILER_WRITE_READ_H
#define HALCYON_COMPILER_WRITE_READ_H

#include "compiler/write/Program.h"
#include "compiler/write/Write.h"

namespace halcyon::write {

/// The model as one body. False after a line for every operation that the
/// language has no form for.
bool readModel(cnn::ModelOp model, Program &program, Describe describe,
               llvm::raw_ostream &errors);

} // namespace halcyon::write

#endif // HALCYON_COMPILER_WRITE_READ_H
