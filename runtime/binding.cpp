//===- binding.cpp - Batches and the caller's tensors ---------------------===//

#include "session.h"

#include <cstdlib>

using namespace halcyon;

/// Kernels count elements in 32 bits.
static bool fits(const halcyon_view &View, uint32_t Batch) {
  int64_t Last = 0;
  if (View.images && View.images < Batch)
    Batch = View.images;
  for (unsigned D = 0; D != View.rank; ++D) {
    int64_t Extent = View.dims[D].extent == HALCYON_BATCH ? int64_t(Batch)
                                                          : View.dims[D].extent;
    if (Extent > 0)
      Last += (Extent - 1) * llabs(View.dims[D].stride);
    if (Last > INT32_MAX)
      return false;
  }
  return true;
}

halcyon_status halcyon_session_set_batch(halcyon_session *S, uint32_t Batch) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  if (Batch == S->Batch)
    return HALCYON_OK;
  const halcyon_program &P = *S->Program;
  if (Batch == 0 || Batch > INT32_MAX)
    return fail(S->Error, HALCYON_BAD_ARGUMENT,
                "a batch of %u images is not possible", Batch);
  if (P.only_batch && Batch != P.only_batch)
    return fail(S->Error, HALCYON_BAD_ARGUMENT,
                "the program computes a batch of %u, not of %u", P.only_batch,
                Batch);
  for (uint32_t I = 0; I != P.num_views; ++I)
    if (!S->OfImage[I] && !fits(P.views[I], Batch))
      return fail(
          S->Error, HALCYON_BAD_ARGUMENT,
          "a batch of %u images is too large: a tensor exceeds 2^31 elements",
          Batch);

  uint64_t Bytes;
  if (__builtin_mul_overflow(P.arena_bytes, uint64_t(Batch), &Bytes) ||
      __builtin_add_overflow(Bytes, P.fixed_bytes, &Bytes))
    Bytes = UINT64_MAX;
  if (Bytes > S->ArenaBytes && !S->Device) {
    size_t Alignment =
        P.alignment > BlockAlignment ? P.alignment : BlockAlignment;
    auto *Arena = static_cast<uint8_t *>(S->Memory.allocate(Bytes, Alignment));
    if (!Arena)
      return fail(S->Error, HALCYON_NO_MEMORY,
                  "out of memory: a batch of %u images needs %.1f MB", Batch,
                  double(Bytes) / 1e6);
    S->Memory.release(S->Arena, S->ArenaBytes);
    S->Arena = Arena;
    S->ArenaBytes = Bytes;
  }
  S->Batch = Batch;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const halcyon_view &View = P.views[I];
    uint32_t Images = S->OfImage[I] ? 1 : Batch;
    if (View.space == HALCYON_ARENA && !S->Device)
      S->Buffers[I].host = S->Arena + Images * View.slot + View.offset;
    for (unsigned D = 0; D != View.rank; ++D)
      if (View.dims[D].extent == HALCYON_BATCH)
        S->Buffers[I].dim[D].extent = int32_t(Images);
  }
  return S->Device.place(*S);
}

static halcyon_status bind(halcyon_session *S, halcyon_space Space,
                           uint32_t Index, uint32_t Count, void *Data) {
  if (Index >= Count)
    return fail(S->Error, HALCYON_BAD_ARGUMENT, "no %s %u: the program has %u",
                Space == HALCYON_INPUT ? "input" : "output", Index, Count);
  const halcyon_program &P = *S->Program;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const halcyon_view &View = P.views[I];
    if (View.space == Space && View.index == Index && !S->OfImage[I] &&
        !S->Device)
      S->Buffers[I].host = static_cast<uint8_t *>(Data) + View.offset;
  }
  if (Space == HALCYON_INPUT)
    S->Inputs[Index] = Data;
  else
    S->Outputs[Index] = Data;
  return HALCYON_OK;
}

halcyon_status halcyon_session_bind_input(halcyon_session *S, uint32_t Index,
                                          const void *Data) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  return bind(S, HALCYON_INPUT, Index, S->Program->num_inputs,
              const_cast<void *>(Data));
}

halcyon_status halcyon_session_bind_output(halcyon_session *S, uint32_t Index,
                                           void *Data) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  return bind(S, HALCYON_OUTPUT, Index, S->Program->num_outputs, Data);
}

/// The index of a port that takes `Bytes` bytes at the present batch; -1 after
/// an error.
static int32_t findPort(halcyon_session *S, const char *What,
                        const halcyon_port *Ports, uint32_t Count,
                        const char *Name, uint64_t Bytes) {
  const int32_t Index = findPort(*S->Program, Ports, Count, Name);
  if (Index < 0) {
    fail(S->Error, HALCYON_BAD_ARGUMENT, "there is no %s '%s'", What, Name);
    return -1;
  }
  const uint64_t Needed = halcyon_port_bytes(&Ports[Index], S->Batch);
  if (Needed == Bytes)
    return Index;
  fail(S->Error, HALCYON_BAD_ARGUMENT,
       "%s '%s' takes %llu bytes at a batch of %u, not %llu", What, Name,
       static_cast<unsigned long long>(Needed), S->Batch,
       static_cast<unsigned long long>(Bytes));
  return -1;
}

halcyon_status halcyon_session_set_input(halcyon_session *S, const char *Name,
                                         const void *Data, uint64_t Bytes) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  const halcyon_program &P = *S->Program;
  const int32_t Index =
      findPort(S, "input", P.inputs, P.num_inputs, Name, Bytes);
  if (Index < 0)
    return HALCYON_BAD_ARGUMENT;
  return bind(S, HALCYON_INPUT, uint32_t(Index), P.num_inputs,
              const_cast<void *>(Data));
}

halcyon_status halcyon_session_set_output(halcyon_session *S, const char *Name,
                                          void *Data, uint64_t Bytes) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  const halcyon_program &P = *S->Program;
  const int32_t Index =
      findPort(S, "output", P.outputs, P.num_outputs, Name, Bytes);
  if (Index < 0)
    return HALCYON_BAD_ARGUMENT;
  return bind(S, HALCYON_OUTPUT, uint32_t(Index), P.num_outputs, Data);
}

halcyon_status halcyon::bindOwnOutputs(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  for (uint32_t I = 0; I != P.num_outputs; ++I) {
    if (S.Outputs[I] && S.Outputs[I] != S.OwnOutputs[I])
      continue;
    const uint64_t Bytes = halcyon_port_bytes(&P.outputs[I], S.Batch);
    if (S.OwnOutputs[I] && Bytes <= S.OwnBytes[I])
      continue;
    void *Memory = S.Memory.allocate(Bytes ? Bytes : 1);
    if (!Memory)
      return fail(S.Error, HALCYON_NO_MEMORY, "out of memory: output %s",
                  P.strings + P.outputs[I].name);
    S.Memory.release(S.OwnOutputs[I], S.OwnBytes[I]);
    S.OwnOutputs[I] = Memory;
    S.OwnBytes[I] = Bytes ? Bytes : 1;
    bind(&S, HALCYON_OUTPUT, I, P.num_outputs, Memory);
  }
  return HALCYON_OK;
}

const void *halcyon_session_output(halcyon_session *S, const char *Name,
                                   uint64_t *Bytes) {
  const halcyon_program &P = *S->Program;
  const int32_t Index = findPort(P, P.outputs, P.num_outputs, Name);
  if (Index < 0)
    return nullptr;
  if (Bytes)
    *Bytes = halcyon_port_bytes(&P.outputs[Index], S->Batch);
  return S->Outputs[Index];
}
