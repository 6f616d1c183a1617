//===- Elf.h - How Linux's files are made for an architecture -------------===//

#ifndef HALCYON_COMPILER_TARGETS_ELF_H
#define HALCYON_COMPILER_TARGETS_ELF_H

#include "compiler/targets/Target.h"

namespace halcyon {

/// What objects and programs of an architecture look like.
struct Elf {
  llvm::StringRef triple;  ///< how LLVM's triples begin
  llvm::StringRef gnu;     ///< Debian's name, in folders and packages
  llvm::StringRef package; ///< of the C library for development
  llvm::StringRef loader;  ///< of dynamic programs
  unsigned machine, bits;
  uint32_t flags = 0;      ///< of an object's header
  llvm::StringRef abi, features; ///< LLVM's, where the defaults are others
  bool needsLibgcc = false; ///< for arithmetic that the CPU lacks
  bool largeSections = false; ///< sections out of reach of code
};

/// Nothing where the target's system has another format.
const Elf *elfOf(const Target &target);
/// Whether it is the architecture that the compiler runs on.
bool isNative(const Elf &elf);

} // namespace halcyon

#endif // HALCYON_COMPILER_TARGETS_ELF_H
