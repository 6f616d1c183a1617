//===- DeviceHost.h - What calls a device's kernels, as C source ----------===//

#ifndef HALCYON_COMPILER_EMIT_DEVICEHOST_H
#define HALCYON_COMPILER_EMIT_DEVICEHOST_H

#include "compiler/emit/Form.h"

namespace halcyon {

/// The system that has a device, where programs are not linked here.
struct HostSystem {
  llvm::StringRef inTriple; ///< what LLVM's triples for it contain
  llvm::StringRef name;     ///< as its makers write it
  llvm::StringRef library;  ///< of a model: "lib@NAME@.a"
  llvm::StringRef command;  ///< that compiles the example there
  llvm::StringRef needs;    ///< beside libc
  bool typesBuffers = false; ///< what lies in one has one type: f32
};

/// Writes a session as C source, weights, and a library of the kernels' callers and
/// Halide's runtime for the device. False after messages.
bool writeDeviceHost(const Form &form, Emission &emission, const HostSystem &system);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_DEVICEHOST_H
