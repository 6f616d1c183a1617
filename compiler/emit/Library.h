//===- Library.h - A static library with a C header -----------------------===//

#ifndef HALCYON_COMPILER_EMIT_LIBRARY_H
#define HALCYON_COMPILER_EMIT_LIBRARY_H

#include "compiler/emit/Folder.h"
#include "compiler/targets/Target.h"
#include "dialects/exec/Exec.h"

namespace halcyon {

/// The C name of a program: the prefix of all that its library exports.
std::string libraryName(exec::ProgramOp program);
/// The symbol of its table.
std::string librarySymbol(exec::ProgramOp program);

/// Puts into `folder`: lib<name>.a of the program's objects and the runtime,
/// <name>.h, what it includes, an example and a README. Every name that the
/// library exports begins with its own, so that several can be in one program.
std::string emitLibrary(exec::ProgramOp program, const Target &target,
                        const std::vector<std::string> &objects,
                        OutputFolder &folder);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_LIBRARY_H
