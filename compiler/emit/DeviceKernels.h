//===- DeviceKernels.h - The code of each kernel of a device --------------===//

#ifndef HALCYON_COMPILER_EMIT_DEVICEKERNELS_H
#define HALCYON_COMPILER_EMIT_DEVICEKERNELS_H

#include "compiler/emit/Form.h"

namespace halcyon {

/// Writes the code of each kernel as the device's driver gets it, into `kernels`.
/// False after messages.
bool writeDeviceKernels(Emission &emission);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_DEVICEKERNELS_H
