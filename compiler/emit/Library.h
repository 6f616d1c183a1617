//===- Library.h - A library with a C header ------------------------------===//

#ifndef HALCYON_COMPILER_EMIT_LIBRARY_H
#define HALCYON_COMPILER_EMIT_LIBRARY_H

#include "compiler/codegen/Link.h"
#include "compiler/emit/Interface.h"

namespace halcyon {

/// The functions of the C interface, called NAME_... in a library, and its
/// tables: NAME_program where none are given.
std::vector<ExportedSymbol> publicSymbols(const Interface &interface,
                                          std::vector<std::string> tables = {});

/// HALCYON_ABI_VERSION.
std::string abiVersion();

/// halcyon.h with the model's own names, its tables, and what it takes and gives.
std::string libraryHeader(const Interface &interface,
                          std::vector<std::string> tables = {});

/// Makes the objects of the program and gives them to `link`, which says what
/// went wrong. False after messages. `table` is the symbol of the program's table,
/// NAME_program where it is empty.
bool linkProgram(
    Emission &emission, const Interface &interface,
    llvm::function_ref<std::string(const std::vector<std::string> &)> link,
    std::string table = "");

/// Writes a library of a program, its headers and what build tools read, for a
/// form. False after messages.
bool writeLibrary(const Form &form, Emission &emission, bool isShared);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_LIBRARY_H
