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
/// Devices bind, and some allocate, no more than so much at once: larger weights are
/// cut between tensors.
static constexpr uint64_t MostWeights = uint64_t(96) << 20;

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
    for (uint32_t I = NumWeights; I-- > 0;)
      if (View.offset >= Weights[I].Start)
        return &Weights[I];
    return nullptr;
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
  uint64_t Bytes = View.offset - B->Start;
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
  return copyWeights(S);
}

/// Whether no tensor lies on both sides.
static bool canCut(const halcyon_program &P, uint64_t At) {
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const halcyon_view &View = P.views[I];
    if (View.space != HALCYON_WEIGHTS || View.offset >= At)
      continue;
    int64_t Last = 0;
    for (unsigned D = 0; D != View.rank; ++D)
      Last += int64_t(View.dims[D].extent - 1) * View.dims[D].stride;
    if (View.offset + uint64_t(Last + 1) * View.type_bits / 8 > At)
      return false;
  }
  return true;
}

/// Where the block of weights that begins at `Start` ends: behind as many tensors
/// as it may have, and at least one.
static uint64_t endOfBlock(const halcyon_program &P, uint64_t Start) {
  if (P.weight_bytes - Start <= MostWeights)
    return P.weight_bytes;
  uint64_t Most = Start, Least = P.weight_bytes;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const uint64_t At = P.views[I].offset;
    if (P.views[I].space != HALCYON_WEIGHTS || At <= Start)
      continue;
    const bool Fits = At - Start <= MostWeights;
    if ((Fits ? At > Most : At < Least) && canCut(P, At))
      (Fits ? Most : Least) = At;
  }
  return Most == Start ? Least : Most;
}

halcyon_status DeviceMemory::copyWeights(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  uint32_t Count = 0;
  for (uint64_t At = 0; At != P.weight_bytes; At = endOfBlock(P, At))
    ++Count;
  if (!Count)
    return HALCYON_OK;
  Weights = static_cast<Block *>(S.Memory.allocate(Count * sizeof(Block)));
  if (!Weights)
    return fail(S.Error, HALCYON_NO_MEMORY, "out of memory");
  NumWeights = Count;
  for (uint32_t I = 0; I != Count; ++I)
    new (&Weights[I]) Block();
  uint64_t At = 0;
  for (uint32_t I = 0; I != Count; At += Weights[I++].Bytes) {
    Block &B = Weights[I];
    if (!allocate(S, B, endOfBlock(P, At) - At, WideUnit))
      return refused(S, "the weights have no place on the device");
    B.Start = At;
    B.Buffer.host = const_cast<uint8_t *>(S.Weights) + At;
    B.Buffer.set_host_dirty();
    int Code = Api->copy_to_device(S.UserContext, &B.Buffer, Api);
    B.Buffer.host = nullptr;
    B.Buffer.flags = 0;
    if (Code != 0)
      return refused(S, "the weights can't be copied to the device");
  }
  return HALCYON_OK;
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
  for (uint32_t I = 0; I != NumWeights; ++I)
    release(S, Weights[I]);
  for (uint32_t I = 0; Ports && I != NumPorts; ++I)
    release(S, Ports[I]);
  S.Memory.release(Weights, NumWeights * sizeof(Block));
  S.Memory.release(Ports, NumPorts * sizeof(Block));
  Api = nullptr;
}
