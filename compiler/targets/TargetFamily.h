//===- TargetFamily.h - One architecture's targets ------------------------===//

#ifndef HALCYON_COMPILER_TARGETS_TARGETFAMILY_H
#define HALCYON_COMPILER_TARGETS_TARGETFAMILY_H

#include "compiler/targets/Target.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringSet.h"

namespace halcyon {

/// What a family reads of the machine that the compiler runs on.
struct HostFacts {
  std::string architecture; ///< of LLVM's triple: "x86_64", "aarch64"
  std::string system;       ///< Halide's name: "linux", "osx"
  std::string cpu;          ///< LLVM's: "znver5"
  llvm::StringSet<> features;
  int cores = 0;            ///< that this process may use
  int64_t l1 = 0, l2 = 0, l3 = 0;
  double gigahertz = 0; ///< highest, 0 where the system does not say
};

/// The targets of an architecture; Target.cpp lists the families.
struct TargetFamily {
  void (*names)(llvm::SmallVectorImpl<llvm::StringRef> &);
  std::optional<Target> (*find)(llvm::StringRef name);
  /// The best of the family for this machine; nothing where it is another's.
  std::optional<Target> (*host)(const HostFacts &facts);
};

extern const TargetFamily x86Family, armFamily, riscvFamily, wasmFamily;

/// The names of devices.
void deviceNames(llvm::SmallVectorImpl<llvm::StringRef> &names);
/// Puts the device of a name beside the CPU of `target`; false where there is
/// none of that name.
bool addDevice(Target &target, llvm::StringRef name);

HostFacts hostFacts();
/// Replaces what `target` assumes of a machine by what is known of this one.
void applyHost(Target &target, const HostFacts &facts, double flopsPerCycle);

} // namespace halcyon

#endif // HALCYON_COMPILER_TARGETS_TARGETFAMILY_H
