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

/// One copy for all sessions of a program whose weights are the same ones: it comes
/// with the first of them and goes with the last.
struct halcyon::WeightsOnDevice {
  const halcyon_program *Program = nullptr;
  WeightsIdentity Whose;
  DeviceBlock *Blocks = nullptr; ///< right behind this
  uint32_t NumBlocks = 0;
  unsigned Users = 1;
  WeightsOnDevice *Next = nullptr;
};

static WeightsOnDevice *AllWeights = nullptr;
static pthread_mutex_t WeightsMutex = PTHREAD_MUTEX_INITIALIZER;

static halcyon_status refused(halcyon_session &S, const char *What) {
  return fail(S.Error, HALCYON_DEVICE_FAILED, "%s: %s", What,
              S.KernelSpoke.load() ? S.KernelText : "the device said no more");
}

bool DeviceMemory::allocate(halcyon_session &S, DeviceBlock &B, uint64_t Bytes,
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

void DeviceMemory::release(halcyon_session &S, DeviceBlock &B) {
  if (B.Buffer.device)
    Api->device_free(S.UserContext, &B.Buffer);
  B = DeviceBlock();
}

const DeviceBlock *DeviceMemory::blockOf(const halcyon_view &View) const {
  auto Of = [](const Port &P) { return P.Kept ? P.Kept : &P.Own; };
  switch (View.space) {
  case HALCYON_ARENA:
    return &Arena;
  case HALCYON_WEIGHTS:
    for (uint32_t I = Weights ? Weights->NumBlocks : 0; I-- > 0;)
      if (View.offset >= Weights->Blocks[I].Start)
        return &Weights->Blocks[I];
    return nullptr;
  case HALCYON_INPUT:
    return Of(Ports[View.index]);
  case HALCYON_OUTPUT:
    return Of(Ports[NumInputs + View.index]);
  default:
    return nullptr;
  }
}

bool DeviceMemory::putView(halcyon_session &S, uint32_t Index) {
  const halcyon_view &View = S.Program->views[Index];
  const DeviceBlock *B = blockOf(View);
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
  Ports = static_cast<Port *>(S.Memory.allocate(NumPorts * sizeof(Port)));
  if (!Ports)
    return fail(S.Error, HALCYON_NO_MEMORY, "out of memory");
  for (uint32_t I = 0; I != NumPorts; ++I)
    new (&Ports[I]) Port();
  return P.weight_bytes ? shareWeights(S) : HALCYON_OK;
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
  if (P.weight_bytes - Start <= HALCYON_MOST_BOUND)
    return P.weight_bytes;
  uint64_t Most = Start, Least = P.weight_bytes;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const uint64_t At = P.views[I].offset;
    if (P.views[I].space != HALCYON_WEIGHTS || At <= Start)
      continue;
    const bool Fits = At - Start <= HALCYON_MOST_BOUND;
    if ((Fits ? At > Most : At < Least) && canCut(P, At))
      (Fits ? Most : Least) = At;
  }
  return Most == Start ? Least : Most;
}

halcyon_status DeviceMemory::shareWeights(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  // Others wait until the weights are there.
  Lock Holding(WeightsMutex);
  for (WeightsOnDevice *W = AllWeights; W; W = W->Next)
    if (W->Program == &P && W->Whose == S.WhoseWeights) {
      ++W->Users;
      Weights = W;
      return HALCYON_OK;
    }
  uint32_t Count = 0;
  for (uint64_t At = 0; At != P.weight_bytes; At = endOfBlock(P, At))
    ++Count;
  // It outlives the session, whose allocator may not.
  void *Room =
      Allocator().allocate(sizeof(WeightsOnDevice) + Count * sizeof(DeviceBlock));
  if (!Room)
    return fail(S.Error, HALCYON_NO_MEMORY, "out of memory");
  auto *W = new (Room) WeightsOnDevice{&P, S.WhoseWeights};
  W->Blocks = reinterpret_cast<DeviceBlock *>(W + 1);
  W->NumBlocks = Count;
  for (uint32_t I = 0; I != Count; ++I)
    new (&W->Blocks[I]) DeviceBlock();
  if (halcyon_status Status = copyWeights(S, *W)) {
    freeWeights(S, W);
    return Status;
  }
  W->Next = AllWeights;
  Weights = AllWeights = W;
  return HALCYON_OK;
}

halcyon_status DeviceMemory::copyWeights(halcyon_session &S, WeightsOnDevice &W) {
  uint64_t At = 0;
  for (uint32_t I = 0; I != W.NumBlocks; At += W.Blocks[I++].Bytes) {
    DeviceBlock &B = W.Blocks[I];
    if (!allocate(S, B, endOfBlock(*S.Program, At) - At, WideUnit))
      return refused(S, "the weights have no place on the device");
    B.Start = At;
    if (!toDevice(S, B, S.Weights + At, B.Bytes))
      return refused(S, "the weights can't be copied to the device");
  }
  return HALCYON_OK;
}

void DeviceMemory::freeWeights(halcyon_session &S, WeightsOnDevice *W) {
  const uint32_t Count = W->NumBlocks;
  for (uint32_t I = 0; I != Count; ++I)
    release(S, W->Blocks[I]);
  Allocator().release(W, sizeof(WeightsOnDevice) + Count * sizeof(DeviceBlock));
}

halcyon_status DeviceMemory::place(halcyon_session &S) {
  if (!Api)
    return HALCYON_OK;
  const halcyon_program &P = *S.Program;
  bool Good = allocate(S, Arena, S.Batch * P.arena_bytes + P.fixed_bytes, WideUnit);
  for (uint32_t I = 0; Good && I != NumPorts; ++I) {
    const halcyon_port &Port =
        I < NumInputs ? P.inputs[I] : P.outputs[I - NumInputs];
    Good = Ports[I].Kept ||
           allocate(S, Ports[I].Own, halcyon_port_bytes(&Port, S.Batch), 1);
  }
  for (uint32_t I = 0; Good && I != P.num_views; ++I)
    Good = putView(S, I);
  return Good ? HALCYON_OK : refused(S, "the arena has no place on the device");
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// The first `Bytes` of a block, and where the CPU has them.
static halide_buffer_t partOf(const DeviceBlock &B, halide_dimension_t &Dim,
                              void *Host, uint64_t Bytes) {
  halide_buffer_t Buffer = B.Buffer;
  const uint64_t Unit = uint64_t(Buffer.type.bytes());
  Dim = B.Dim;
  Dim.extent = int32_t((Bytes + Unit - 1) / Unit);
  Buffer.dim = &Dim;
  Buffer.host = static_cast<uint8_t *>(Host);
  return Buffer;
}

bool DeviceMemory::toDevice(halcyon_session &S, const DeviceBlock &B,
                            const void *From, uint64_t Bytes) {
  halide_dimension_t Dim;
  halide_buffer_t Buffer = partOf(B, Dim, const_cast<void *>(From), Bytes);
  Buffer.set_host_dirty();
  return Api->copy_to_device(S.UserContext, &Buffer, Api) == 0;
}

bool DeviceMemory::toHost(halcyon_session &S, const DeviceBlock &B, void *To,
                          uint64_t Bytes) {
  halide_dimension_t Dim;
  halide_buffer_t Buffer = partOf(B, Dim, To, Bytes);
  Buffer.set_device_dirty();
  return Api->copy_to_host(S.UserContext, &Buffer) == 0;
}

halcyon_status DeviceMemory::copyIn(halcyon_session &S) {
  for (uint32_t I = 0; Api && I != NumInputs; ++I) {
    const uint64_t Bytes = halcyon_port_bytes(&S.Program->inputs[I], S.Batch);
    if (Ports[I].Kept)
      continue;
    if (!toDevice(S, Ports[I].Own, S.Inputs[I], Bytes))
      return refused(S, "an input can't be copied to the device");
    OfRuns.In += Bytes;
  }
  return HALCYON_OK;
}

halcyon_status DeviceMemory::copyOut(halcyon_session &S) {
  for (uint32_t I = NumInputs; Api && I != NumPorts; ++I) {
    const uint32_t Output = I - NumInputs;
    const uint64_t Bytes = halcyon_port_bytes(&S.Program->outputs[Output], S.Batch);
    if (Ports[I].Kept)
      continue;
    if (!toHost(S, Ports[I].Own, S.Outputs[Output], Bytes))
      return refused(S, "an output can't be copied from the device");
    OfRuns.Out += Bytes;
  }
  return HALCYON_OK;
}

//===----------------------------------------------------------------------===//
// Blocks that are kept
//===----------------------------------------------------------------------===//

halcyon_status DeviceMemory::keep(halcyon_session &S, DeviceBlock &B,
                                  uint64_t Bytes) {
  return allocate(S, B, Bytes, 1) ? HALCYON_OK
                                  : refused(S, "a tensor has no place on the device");
}

halcyon_status DeviceMemory::copyIn(halcyon_session &S, const DeviceBlock &B,
                                    const void *From) {
  if (!toDevice(S, B, From, B.Bytes))
    return refused(S, "a tensor can't be copied to the device");
  OfKept.In += B.Bytes;
  return HALCYON_OK;
}

halcyon_status DeviceMemory::copyOut(halcyon_session &S, const DeviceBlock &B,
                                     void *To) {
  if (!toHost(S, B, To, B.Bytes))
    return refused(S, "a tensor can't be copied from the device");
  OfKept.Out += B.Bytes;
  return HALCYON_OK;
}

halcyon_status DeviceMemory::bind(halcyon_session &S, halcyon_space Space,
                                  uint32_t Index, const DeviceBlock &B) {
  Port &P = Ports[Space == HALCYON_INPUT ? Index : NumInputs + Index];
  P.Kept = &B;
  release(S, P.Own);
  for (uint32_t I = 0; I != S.Program->num_views; ++I) {
    const halcyon_view &View = S.Program->views[I];
    if (View.space == Space && View.index == Index && !putView(S, I))
      return refused(S, "a tensor has no place on the device");
  }
  return HALCYON_OK;
}

halcyon_status DeviceMemory::wait(halcyon_session &S) {
  // Halide asks a buffer which device it lies on.
  if (Api && Api->device_sync(S.UserContext, &Arena.Buffer) != 0)
    return refused(S, "the device failed");
  return HALCYON_OK;
}

void DeviceMemory::close(halcyon_session &S) {
  if (!Api)
    return;
  release(S, Arena);
  for (uint32_t I = 0; Ports && I != NumPorts; ++I)
    release(S, Ports[I].Own);
  S.Memory.release(Ports, NumPorts * sizeof(Port));
  if (Weights) {
    Lock Holding(WeightsMutex);
    if (--Weights->Users == 0) {
      WeightsOnDevice **At = &AllWeights;
      while (*At != Weights)
        At = &(*At)->Next;
      *At = Weights->Next;
      freeWeights(S, Weights);
    }
  }
  Api = nullptr;
}
