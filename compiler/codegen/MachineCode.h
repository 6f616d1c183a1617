//===- MachineCode.h - What became of a kernel ----------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_MACHINECODE_H
#define HALCYON_COMPILER_CODEGEN_MACHINECODE_H

#include "compiler/targets/Target.h"

#include <string>

namespace halcyon {

/// What the innermost loop with the most multiply-adds consists of.
struct HotLoop {
  int multiplyAdds = 0;
  int copies = 0; ///< between vector registers
  int spills = 0; ///< vectors stored to or loaded from the stack

  /// The part of its instructions that the register allocator added. A copy
  /// takes a place in the pipeline, a spill a trip through memory.
  double waste() const {
    return multiplyAdds ? (copies + 2.0 * spills) / multiplyAdds : 0;
  }
};

/// Reads the object file `path`, made for `target`. Where the target's code
/// can't be read, the loop is empty.
HotLoop readHotLoop(const std::string &path, const Target &target);

/// Halide's prefetch asks for lines that are used once and soon, which some CPUs
/// keep out of L2. In the object file at `path` those become fetches into L2.
/// Returns what went wrong; x86 alone.
std::string fetchIntoL2(const std::string &path, const Target &target);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_MACHINECODE_H
