//===- ProgramTables.h - What a program consists of -----------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_PROGRAMTABLES_H
#define HALCYON_COMPILER_CODEGEN_PROGRAMTABLES_H

#include "dialects/exec/Exec.h"
#include "halcyon/program.h"

#include <string>
#include <vector>

namespace halcyon {

/// A program as runtime/include/halcyon/program.h describes it: the same
/// whether it becomes data that a session reads, or code.
struct ProgramTables {
  std::string strings;
  std::vector<std::string> kernels;
  std::vector<halcyon_view> views;
  std::vector<halcyon_call> calls;
  std::vector<halcyon_function> functions;
  std::vector<halcyon_port> inputs, outputs;
  int64_t onlyBatch = 0; ///< the only batch that it computes; 0 where it is free

  const char *string(uint32_t at) const { return strings.c_str() + at; }
};

ProgramTables collectTables(exec::ProgramOp program);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_PROGRAMTABLES_H
