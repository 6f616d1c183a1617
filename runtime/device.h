//===- device.h - A session's memory on a device --------------------------===//

#ifndef HALCYON_RUNTIME_DEVICE_H
#define HALCYON_RUNTIME_DEVICE_H

#include "halcyon/halcyon.h"

#include <HalideRuntime.h>

struct halcyon_session;

namespace halcyon {

/// The arena, the weights and a copy of every input and output, in a device's
/// memory. All that a run reads and writes stays there: inputs are copied in
/// before the first kernel, outputs out behind the last. Programs for a CPU have
/// none.
class DeviceMemory {
public:
  explicit operator bool() const { return Api; }

  /// Finds the device and copies the weights there.
  halcyon_status open(halcyon_session &S);
  /// Makes room for the session's batch and puts every view in its place.
  halcyon_status place(halcyon_session &S);
  halcyon_status copyIn(halcyon_session &S);
  halcyon_status copyOut(halcyon_session &S);
  /// Waits until the device has done what it was told.
  halcyon_status wait(halcyon_session &S);
  void close(halcyon_session &S);

private:
  /// Elements in a row.
  struct Block {
    halide_buffer_t Buffer = {};
    halide_dimension_t Dim = {};
    uint64_t Start = 0; ///< where in the weights it begins
    uint64_t Bytes = 0;
  };

  bool allocate(halcyon_session &S, Block &B, uint64_t Bytes, unsigned Unit);
  void release(halcyon_session &S, Block &B);
  bool putView(halcyon_session &S, uint32_t View);
  Block *blockOf(const halcyon_view &View);
  halcyon_status copyWeights(halcyon_session &S);

  const halide_device_interface_t *Api = nullptr;
  Block Arena;
  Block *Weights = nullptr;
  Block *Ports = nullptr; ///< of all inputs, then of all outputs
  uint32_t NumWeights = 0, NumInputs = 0, NumPorts = 0;
};

} // namespace halcyon

#endif // HALCYON_RUNTIME_DEVICE_H
