//===- device.h - A session's memory on a device --------------------------===//

#ifndef HALCYON_RUNTIME_DEVICE_H
#define HALCYON_RUNTIME_DEVICE_H

#include "halcyon/halcyon.h"
#include "halcyon/program.h"

#include <HalideRuntime.h>

struct halcyon_session;

namespace halcyon {

/// Elements in a row, in a device's memory.
struct DeviceBlock {
  halide_buffer_t Buffer = {};
  halide_dimension_t Dim = {};
  uint64_t Start = 0; ///< where in the weights it begins
  uint64_t Bytes = 0;
};

/// Bytes that were copied to a device and back.
struct DeviceTraffic {
  uint64_t In = 0, Out = 0;
};

struct WeightsOnDevice;

/// The arena, the weights and a copy of every input and output, in a device's
/// memory. All that a run reads and writes stays there: inputs are copied in
/// before the first kernel, outputs out behind the last, but for those that are
/// bound to a block that somebody keeps there. The weights are copied there once for
/// all sessions of a program. Programs for a CPU have none.
class DeviceMemory {
public:
  explicit operator bool() const { return Api; }

  /// Finds the device and the weights there, which the first session copies.
  halcyon_status open(halcyon_session &S);
  /// Makes room for the session's batch and puts every view in its place.
  halcyon_status place(halcyon_session &S);
  halcyon_status copyIn(halcyon_session &S);
  halcyon_status copyOut(halcyon_session &S);
  /// Waits until the device has done what it was told.
  halcyon_status wait(halcyon_session &S);
  void close(halcyon_session &S);

  /// A block that stays there from run to run. Every session on the device can be
  /// bound to it, be it made with another; it is released while one is left.
  halcyon_status keep(halcyon_session &S, DeviceBlock &B, uint64_t Bytes);
  halcyon_status copyIn(halcyon_session &S, const DeviceBlock &B, const void *From);
  halcyon_status copyOut(halcyon_session &S, const DeviceBlock &B, void *To);
  void release(halcyon_session &S, DeviceBlock &B);
  /// Lets an input or output lie in a block that is kept.
  halcyon_status bind(halcyon_session &S, halcyon_space Space, uint32_t Index,
                      const DeviceBlock &B);

  /// Of all runs so far, and of blocks that are kept.
  DeviceTraffic OfRuns, OfKept;

private:
  struct Port {
    DeviceBlock Own;
    const DeviceBlock *Kept = nullptr; ///< in its place
  };

  bool allocate(halcyon_session &S, DeviceBlock &B, uint64_t Bytes, unsigned Unit);
  bool putView(halcyon_session &S, uint32_t View);
  const DeviceBlock *blockOf(const halcyon_view &View) const;
  halcyon_status shareWeights(halcyon_session &S);
  halcyon_status copyWeights(halcyon_session &S, WeightsOnDevice &W);
  void freeWeights(halcyon_session &S, WeightsOnDevice *W);
  bool toDevice(halcyon_session &S, const DeviceBlock &B, const void *From,
                uint64_t Bytes);
  bool toHost(halcyon_session &S, const DeviceBlock &B, void *To, uint64_t Bytes);

  const halide_device_interface_t *Api = nullptr;
  DeviceBlock Arena;
  WeightsOnDevice *Weights = nullptr;
  Port *Ports = nullptr; ///< of all inputs, then of all outputs
  uint32_t NumInputs = 0, NumPorts = 0;
};

} // namespace halcyon

#endif // HALCYON_RUNTIME_DEVICE_H
