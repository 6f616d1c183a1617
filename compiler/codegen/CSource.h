//===- CSource.h - A kernel as C ------------------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_CSOURCE_H
#define HALCYON_COMPILER_CODEGEN_CSOURCE_H

#include <string>
#include <utility>
#include <vector>

namespace Halide {
class Module;
class Pipeline;
} // namespace Halide

namespace halcyon {

/// A static C function of a kernel, and the functions that it calls.
///
/// It takes a `const halcyon_buffer *` for every buffer, and returns 0, or 1
/// where there was no memory. One with parallel loops takes a `halcyon_team *` before
/// them, to which `halcyon_share` gives the functions that are their bodies. It needs <math.h>, <stdint.h>, <stdlib.h> and
/// <string.h>.
struct CKernel {
  std::string function;
  /// Names and texts, each behind those that it uses.
  std::vector<std::pair<std::string, std::string>> helpers;

  /// As a file keeps it, and back.
  std::string print() const;
  static CKernel parse(const std::string &text);
};

/// Makes the pipeline's parallel loops serial, so that what it is lowered to is one
/// function; with `threads`, the outer ones are marked for cKernel.
void makeSerial(Halide::Pipeline &pipeline, bool threads);

/// The only function of a module. Throws where C has no form of it.
CKernel cKernel(const Halide::Module &module, bool threads);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_CSOURCE_H
