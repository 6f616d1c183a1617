//===- Version.h - Which measurements can be compared ---------------------===//

#ifndef HALCYON_COMPILER_TUNE_VERSION_H
#define HALCYON_COMPILER_TUNE_VERSION_H

#include <string>

namespace halcyon {

/// What made the kernels: this compiler's version, a digest of the sources that
/// decide what code a kernel becomes, and Halide's version. The same for builds
/// of the same sources, on whatever machine.
std::string storeVersion();

/// "AMD EPYC 9755, 2 cores": measurements hold for machines of one kind.
std::string machineName();

} // namespace halcyon

#endif // HALCYON_COMPILER_TUNE_VERSION_H
