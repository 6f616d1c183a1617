//===- device.cpp - A session's memory on a device ------------------------===//
//
// Halide's runtime speaks to the device; it is linked into programs for one
// alone, so all calls go through the table that the program names. A kernel gets
// the whole buffer that a view is in, and where the view begins as its `host`.
//
//===----------------------------------------------------------------------===//

#include "device.h"

#include "session.h"

#include <new>

using namespace halcyon;

/// Extents are 32 bits: the arena and the weights are counted in these.
static constexpr unsigned WideUnit = 8;

static halcyon_status refused(halcyon_session &S, const char *What) {
  return fail(S.Error, HALCYON_DEVICE_FAILED, "%s: %s", What,
              S.KernelSpoke.load() ? S.KernelText : "the device said no more");
}

bool DeviceMemory::allocate(halcyon_session &S, Block &B, uint64_t Bytes,
                            unsigned Unit) {
  if (B.Buffer.device && B.Bytes >= Bytes)
    return true;
  release(S, B);
  uint64_t Count = (Bytes + Unit - 1) / Unit;
  if (Count > INT32_MAX)
    return false;
  B.Bytes = Bytes;
  B.Dim = halide_dimension_t(0, int32_t(Count ? Count : 1), 1);
  B.Buffer.type = halide_type_t(halide_type_uint, uint8_t(8 * Unit), 1);
  B.Buffer.dimensions = 1;
  B.Buffer.dim = &B.Dim;
  return Api->device_malloc(S.UserContext, &B.Buffer, Api) == 0;
}

void DeviceMemory::release(halcyon_session &S, Block &B) {
  if (B.Buffer.device)
    Api->device_free(S.UserContext, &B.Buffer);
  B = Block();
}

DeviceMemory::Block *DeviceMemory::blockOf(const halcyon_view &View) {
  switch (View.space) {
  case HALCYON_ARENA:
    return &Arena;
  case HALCYON_WEIGHTS:
    return &Weights;
  case HALCYON_INPUT:
    return &Ports[View.index];
  case HALCYON_OUTPUT:
    return &Ports[NumInputs + View.index];
  default:
    return nullptr;
  }
}

bool DeviceMemory::putView(halcyon_session &S, uint32_t Index) {
  const halcyon_view &View = S.Program->views[Index];
  Block *B = blockOf(View);
  if (S.OfImage[Index] || !B)
    return true;
  uint64_t Bytes = View.offset;
  if (View.space == HALCYON_ARENA)
    Bytes += uint64_t(S.Batch) * View.slot;
  if (Bytes % S.Program->alignment)
    return false;
  halide_buffer_t &Buffer = S.Buffers[Index];
  Buffer.device = B->Buffer.device;
  Buffer.device_interface = B->Buffer.device_interface;
  Buffer.host = reinterpret_cast<uint8_t *>(Bytes / S.Program->alignment);
  Buffer.flags = 0;
  return true;
}

halcyon_status DeviceMemory::open(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  if (!P.device)
    return HALCYON_OK;
  Api = static_cast<const halide_device_interface_t *>(P.device());
  NumInputs = P.num_inputs;
  NumPorts = P.num_inputs + P.num_outputs;
  Ports = static_cast<Block *>(S.Memory.allocate(NumPorts * sizeof(Block)));
  if (!Ports)
    return fail(S.Error, HALCYON_NO_MEMORY, "out of memory");
  for (uint32_t I = 0; I != NumPorts; ++I)
    new (&Ports[I]) Block();
  if (!P.weight_bytes)
    return HALCYON_OK;
  if (!allocate(S, Weights, P.weight_bytes, WideUnit))
    return refused(S, "the weights have no place on the device");
  Weights.Buffer.host = const_cast<uint8_t *>(S.Weights);
  Weights.Buffer.set_host_dirty();
  int Code = Api->copy_to_device(S.UserContext, &Weights.Buffer, Api);
  Weights.Buffer.host = nullptr;
  Weights.Buffer.flags = 0;
  return Code == 0 ? HALCYON_OK
                   : refused(S, "the weights can't be copied to the device");
}

halcyon_status DeviceMemory::place(halcyon_session &S) {
  if (!Api)
    return HALCYON_OK;
  const halcyon_program &P = *S.Program;
  bool Good = allocate(S, Arena, S.Batch * P.arena_bytes + P.fixed_bytes, WideUnit);
  for (uint32_t I = 0; Good && I != NumPorts; ++I) {
    const halcyon_port &Port =
        I < NumInputs ? P.inputs[I] : P.outputs[I - NumInputs];
    Good = allocate(S, Ports[I], halcyon_port_bytes(&Port, S.Batch), 1);
  }
  for (uint32_t I = 0; Good && I != P.num_views; ++I)
    Good = putView(S, I);
  return Good ? HALCYON_OK : refused(S, "the arena has no place on the device");
}

halcyon_status DeviceMemory::copyIn(halcyon_session &S) {
  for (uint32_t I = 0; Api && I != NumInputs; ++I) {
    halide_buffer_t Buffer = Ports[I].Buffer;
    Buffer.host = const_cast<uint8_t *>(static_cast<const uint8_t *>(S.Inputs[I]));
    halide_dimension_t Dim = Ports[I].Dim;
    Dim.extent = int32_t(halcyon_port_bytes(&S.Program->inputs[I], S.Batch));
    Buffer.dim = &Dim;
    Buffer.set_host_dirty();
    if (Api->copy_to_device(S.UserContext, &Buffer, Api) != 0)
      return refused(S, "an input can't be copied to the device");
  }
  return HALCYON_OK;
}

halcyon_status DeviceMemory::copyOut(halcyon_session &S) {
  for (uint32_t I = NumInputs; Api && I != NumPorts; ++I) {
    halide_buffer_t Buffer = Ports[I].Buffer;
    Buffer.host = static_cast<uint8_t *>(S.Outputs[I - NumInputs]);
    halide_dimension_t Dim = Ports[I].Dim;
    Dim.extent = int32_t(
        halcyon_port_bytes(&S.Program->outputs[I - NumInputs], S.Batch));
    Buffer.dim = &Dim;
    Buffer.set_device_dirty();
    if (Api->copy_to_host(S.UserContext, &Buffer) != 0)
      return refused(S, "an output can't be copied from the device");
  }
  return HALCYON_OK;
}

halcyon_status DeviceMemory::wait(halcyon_session &S) {
  // Halide asks a buffer which device it lies on.
  if (Api && Api->device_sync(S.UserContext, &Ports[0].Buffer) != 0)
    return refused(S, "the device failed");
  return HALCYON_OK;
}

void DeviceMemory::close(halcyon_session &S) {
  if (!Api)
    return;
  release(S, Arena);
  release(S, Weights);
  for (uint32_t I = 0; Ports && I != NumPorts; ++I)
    release(S, Ports[I]);
  S.Memory.release(Ports, NumPorts * sizeof(Block));
  Api = nullptr;
}
