//===- session.cpp - A program made ready to run --------------------------===//

#include "chains.h"

#include "cores.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <time.h>

using namespace halcyon;

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

uint32_t halcyon_abi_version(void) { return HALCYON_ABI_VERSION; }

const char *halcyon_status_text(halcyon_status Status) {
  switch (Status) {
  case HALCYON_OK:
    return "no error";
  case HALCYON_BAD_ARGUMENT:
    return "the program does not take this argument";
  case HALCYON_BAD_PROGRAM:
    return "the program is damaged or of another version";
  case HALCYON_BAD_CPU:
    return "the program was compiled for another CPU";
  case HALCYON_NO_MEMORY:
    return "out of memory";
  case HALCYON_NO_THREADS:
    return "the system refused to start a thread";
  case HALCYON_BAD_WEIGHTS:
    return "the weights are missing, damaged or another program's";
  case HALCYON_UNBOUND:
    return "an input or output has no memory";
  case HALCYON_KERNEL_FAILED:
    return "a kernel failed";
  case HALCYON_BUSY:
    return "the session is in use by another thread";
  case HALCYON_DEVICE_FAILED:
    return "the device is missing or failed";
  }
  return "unknown status";
}

int32_t halcyon::findPort(const halcyon_program &Program,
                          const halcyon_port *Ports, uint32_t Count,
                          const char *Name) {
  for (uint32_t I = 0; I != Count; ++I)
    if (strcmp(Program.strings + Ports[I].name, Name) == 0)
      return int32_t(I);
  return -1;
}

int32_t halcyon_program_find_input(const halcyon_program *Program,
                                   const char *Name) {
  return findPort(*Program, Program->inputs, Program->num_inputs, Name);
}

int32_t halcyon_program_find_output(const halcyon_program *Program,
                                    const char *Name) {
  return findPort(*Program, Program->outputs, Program->num_outputs, Name);
}

uint64_t halcyon_port_bytes(const halcyon_port *Port, uint64_t Batch) {
  uint64_t Bytes = (Port->type_bits + 7u) / 8u;
  for (unsigned I = 0; I != Port->rank; ++I) {
    uint64_t Extent =
        Port->shape[I] == HALCYON_BATCH ? Batch : uint64_t(Port->shape[I]);
    if (__builtin_mul_overflow(Bytes, Extent, &Bytes))
      return 0;
  }
  return Bytes;
}

/// Whether every index in the table lies in its table: a program linked with a
/// table of another compiler should say so, not crash.
static bool isSound(const halcyon_program &P) {
  if (P.num_functions == 0 || P.alignment == 0 ||
      (P.alignment & (P.alignment - 1)) || P.alignment > 4096)
    return false;
  for (uint32_t F = 0; F != P.num_functions; ++F) {
    const uint64_t End =
        uint64_t(P.functions[F].first_call) + P.functions[F].num_calls;
    if (End > P.num_calls)
      return false;
    for (uint32_t I = P.functions[F].first_call; I != End; ++I)
      if (P.calls[I].chain > End - I || (P.calls[I].chain && !P.calls[I].images))
        return false;
  }
  for (uint32_t I = 0; I != P.num_calls; ++I)
    if (P.calls[I].kernel >= P.num_kernels ||
        uint64_t(P.calls[I].first_view) + P.calls[I].num_views > P.num_views)
      return false;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const halcyon_view &V = P.views[I];
    if (V.rank > HALCYON_MAX_RANK || V.space > HALCYON_IMAGE ||
        (V.space == HALCYON_INPUT && V.index >= P.num_inputs) ||
        (V.space == HALCYON_OUTPUT && V.index >= P.num_outputs))
      return false;
  }
  for (uint32_t I = 0; I != P.num_inputs; ++I)
    if (P.inputs[I].rank > HALCYON_MAX_RANK ||
        P.inputs[I].image_function >= int64_t(P.num_functions))
      return false;
  for (uint32_t I = 0; I != P.num_outputs; ++I)
    if (P.outputs[I].rank > HALCYON_MAX_RANK)
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

template <class T>
static bool make(const Allocator &Memory, T *&Out, uint64_t Count) {
  Out = static_cast<T *>(Memory.allocate(size_t(Count) * sizeof(T)));
  if (!Out)
    return false;
  for (uint64_t I = 0; I != Count; ++I)
    new (&Out[I]) T();
  return true;
}

template <class T>
static void unmake(const Allocator &Memory, T *&Pointer, uint64_t Count) {
  Memory.release(Pointer, size_t(Count) * sizeof(T));
  Pointer = nullptr;
}

static uint64_t countArguments(const halcyon_program &P) {
  uint64_t Count = 0;
  for (uint32_t I = 0; I != P.num_calls; ++I)
    Count += 1 + uint64_t(P.calls[I].num_views);
  return Count;
}

static bool makeTables(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  return make(S.Memory, S.Buffers, P.num_views) &&
         make(S.Memory, S.Dims, uint64_t(P.num_views) * HALCYON_MAX_RANK) &&
         make(S.Memory, S.OfImage, P.num_views) &&
         make(S.Memory, S.Arguments, countArguments(P)) &&
         make(S.Memory, S.FirstArgument, P.num_calls) &&
         make(S.Memory, S.Inputs, P.num_inputs) &&
         make(S.Memory, S.Outputs, P.num_outputs) &&
         make(S.Memory, S.OwnOutputs, P.num_outputs) &&
         make(S.Memory, S.OwnBytes, P.num_outputs) &&
         make(S.Memory, S.Times, P.functions[0].num_calls) &&
         make(S.Memory, S.Contexts, S.NumThreads);
}

/// What never changes: types, strides, argument lists, weights' addresses.
static void fillTables(halcyon_session &S) {
  const halcyon_program &P = *S.Program;
  for (uint32_t I = 0; I != P.num_views; ++I) {
    const halcyon_view &View = P.views[I];
    halide_buffer_t &Buffer = S.Buffers[I];
    Buffer.type =
        halide_type_t(halide_type_code_t(View.type_code), View.type_bits, 1);
    Buffer.dimensions = View.rank;
    Buffer.dim = S.Dims + uint64_t(I) * HALCYON_MAX_RANK;
    for (unsigned D = 0; D != View.rank; ++D)
      Buffer.dim[D] = halide_dimension_t(View.dims[D].min, View.dims[D].extent,
                                         View.dims[D].stride);
    if (View.space == HALCYON_WEIGHTS)
      Buffer.host = const_cast<uint8_t *>(S.Weights) +
                    View.offset; // kernels only read them
  }
  S.UserContext = &S.Contexts[0];
  uint64_t Next = 0;
  for (uint32_t I = 0; I != P.num_calls; ++I) {
    S.FirstArgument[I] = Next;
    S.Arguments[Next++] = &S.UserContext;
    for (uint32_t V = 0; V != P.calls[I].num_views; ++V)
      S.Arguments[Next++] = &S.Buffers[P.calls[I].first_view + V];
  }
  for (uint32_t I = 0; I != P.num_inputs; ++I) {
    if (P.inputs[I].image_function < 0)
      continue;
    const halcyon_function &F = P.functions[P.inputs[I].image_function];
    for (uint32_t C = F.first_call; C != F.first_call + F.num_calls; ++C)
      memset(S.OfImage + P.calls[C].first_view, 1, P.calls[C].num_views);
  }
  for (unsigned I = 0; I != S.NumThreads; ++I) {
    S.Contexts[I].Session = &S;
    S.Contexts[I].Pool = &S.Pool;
    S.Contexts[I].Index = I;
  }
}

static halcyon_status findWeights(halcyon_session &S,
                                  const halcyon_options &Options,
                                  halcyon_error &Error) {
  const halcyon_program &P = *S.Program;
  const char *Path = Options.weights_path;
  S.Weights = static_cast<const uint8_t *>(P.weights);
  if (P.weight_bytes == 0)
    return HALCYON_OK;
  if (!P.weights && !Path)
    return fail(Error, HALCYON_BAD_WEIGHTS,
                "the weights of %s lie beside it: name their file", P.name);
  S.WhoseWeights = {P.weights, 0};
  if (Path) {
    if (halcyon_status Status = S.WeightsFile.open(P, Path, Error))
      return Status;
    S.Weights = S.WeightsFile.data();
    S.WhoseWeights = {nullptr, P.weights_id};
  }
  // Who brings an allocator decides where memory comes from.
  if (Options.allocator.allocate || (Options.flags & HALCYON_MAP_WEIGHTS))
    return HALCYON_OK;
  S.Weights = S.PlacedWeights.place(S.Weights, P.weight_bytes, S.WhoseWeights);
  if (S.PlacedWeights.isCopy())
    S.WeightsFile.close();
  return HALCYON_OK;
}

static halcyon_status setUp(halcyon_session &S, const halcyon_options &Options,
                            halcyon_error &Error) {
  S.NumThreads = Options.threads ? Options.threads : defaultThreads();
  if (S.NumThreads > 4096)
    return fail(Error, HALCYON_BAD_ARGUMENT, "%u threads are too many",
                S.NumThreads);
  if (halcyon_status Status = findWeights(S, Options, Error))
    return Status;
  if (!makeTables(S))
    return fail(Error, HALCYON_NO_MEMORY, "out of memory");
  fillTables(S);
  const uint32_t Only = S.Program->only_batch;
  if (S.Device.open(S) || halcyon_session_set_batch(&S, Only ? Only : 1)) {
    Error = S.Error;
    return Error.status;
  }
  if (!S.Pool.start(S.Memory, S.Contexts, S.NumThreads, Options))
    return fail(Error, HALCYON_NO_THREADS,
                "the system refused to start %u threads", S.NumThreads);
  return HALCYON_OK;
}

halcyon_status halcyon_session_create(const halcyon_program *Program,
                                      const halcyon_options *Options,
                                      halcyon_session **Session,
                                      halcyon_error *Error) {
  halcyon_error Local = {};
  halcyon_error &E = Error ? *Error : Local;
  const halcyon_options Defaults = {};
  if (!Session)
    return fail(E, HALCYON_BAD_ARGUMENT, "no place for the session");
  *Session = nullptr;
  if (!Program || Program->version != HALCYON_PROGRAM_VERSION)
    return fail(E, HALCYON_BAD_PROGRAM,
                "program table of version %u, this runtime reads %d",
                Program ? Program->version : 0, HALCYON_PROGRAM_VERSION);
  if (!isSound(*Program))
    return fail(E, HALCYON_BAD_PROGRAM, "the program table is damaged");
  if (halcyon_status Status = halcyon_program_check_cpu(Program, &E))
    return Status;

  if (!Options)
    Options = &Defaults;
  if (Options->abi_version && Options->abi_version != HALCYON_ABI_VERSION)
    return fail(E, HALCYON_BAD_ARGUMENT,
                "options of interface version %u, this library has %d",
                Options->abi_version, HALCYON_ABI_VERSION);
  if (!Options->allocator.allocate != !Options->allocator.release)
    return fail(E, HALCYON_BAD_ARGUMENT,
                "an allocator needs both of its functions");
  Allocator Memory(Options->allocator);
  void *Room =
      Memory.allocate(sizeof(halcyon_session), alignof(halcyon_session));
  if (!Room)
    return fail(E, HALCYON_NO_MEMORY, "out of memory");
  auto *S = new (Room) halcyon_session;
  S->Program = Program;
  S->Memory = Memory;
  S->Logger = Options->logger;
  if (halcyon_status Status = setUp(*S, *Options, E)) {
    say(S->Logger, HALCYON_LOG_ERROR, E.text);
    halcyon_session_destroy(S);
    return Status;
  }
  char Line[200];
  snprintf(Line, sizeof(Line), "%s: %u threads, %.1f MB of weights%s",
           Program->name, S->NumThreads, double(Program->weight_bytes) / 1e6,
           S->PlacedWeights.isCopy() ? " in huge pages" : "");
  say(S->Logger, HALCYON_LOG_INFO, Line);
  *Session = S;
  return HALCYON_OK;
}

void halcyon_session_destroy(halcyon_session *Session) {
  if (!Session)
    return;
  halcyon_session &S = *Session;
  const halcyon_program &P = *S.Program;
  const Allocator Memory = S.Memory;
  S.Pool.stop(Memory);
  S.Device.close(S);
  if (S.Contexts)
    for (unsigned I = 0; I != S.NumThreads; ++I)
      S.Contexts[I].Blocks.trim(Memory);
  unmake(Memory, S.Buffers, P.num_views);
  unmake(Memory, S.Dims, uint64_t(P.num_views) * HALCYON_MAX_RANK);
  unmake(Memory, S.OfImage, P.num_views);
  unmake(Memory, S.Arguments, countArguments(P));
  unmake(Memory, S.FirstArgument, P.num_calls);
  unmake(Memory, S.Inputs, P.num_inputs);
  unmake(Memory, S.Outputs, P.num_outputs);
  for (uint32_t I = 0; S.OwnOutputs && S.OwnBytes && I != P.num_outputs; ++I)
    Memory.release(S.OwnOutputs[I], S.OwnBytes[I]);
  unmake(Memory, S.OwnOutputs, P.num_outputs);
  unmake(Memory, S.OwnBytes, P.num_outputs);
  unmake(Memory, S.Times, P.functions[0].num_calls);
  unmake(Memory, S.Contexts, S.NumThreads);
  Memory.release(S.Arena, S.ArenaBytes);
  S.PlacedWeights.release();
  S.WeightsFile.close();
  S.~halcyon_session();
  Memory.release(Session, sizeof(halcyon_session));
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

static uint64_t nowNs() {
  timespec Time;
  clock_gettime(CLOCK_MONOTONIC, &Time);
  return uint64_t(Time.tv_sec) * 1000000000u + uint64_t(Time.tv_nsec);
}

static halcyon_status kernelFailed(halcyon_session &S, const halcyon_call &Call,
                                   int Code) {
  const char *Strings = S.Program->strings;
  if (!S.KernelSpoke.load())
    snprintf(S.KernelText, sizeof(S.KernelText), "code %d", Code);
  return fail(S.Error, HALCYON_KERNEL_FAILED, "%s (%s): %s",
              Strings + Call.layer, Strings + Call.algorithm, S.KernelText);
}

static halcyon_status runFunction(halcyon_session &S, const halcyon_function &F,
                                  bool Timed) {
  const halcyon_program &P = *S.Program;
  S.KernelSpoke.store(false, std::memory_order_relaxed);
  S.Pool.wake();
  halcyon_status Status = HALCYON_OK;
  uint64_t Before = Timed ? nowNs() : 0;
  runCalls(S, F, [&](uint32_t I) {
    int Code = P.kernels[P.calls[I].kernel](S.Arguments + S.FirstArgument[I]);
    if (__builtin_expect(Code != 0, 0))
      Status = kernelFailed(S, P.calls[I], Code);
    else if (Timed && !(Status = S.Device.wait(S))) {
      const uint64_t Now = nowNs();
      S.Times[I - F.first_call].Ns += Now - Before;
      Before = Now;
    }
    return int(Status);
  });
  for (uint32_t I = 0; Timed && I != F.num_calls; ++I) {
    CallTime &Time = S.Times[I];
    if (!Status) {
      Time.MinNs = Time.Runs == 0 || Time.Ns < Time.MinNs ? Time.Ns : Time.MinNs;
      Time.TotalNs += Time.Ns;
      ++Time.Runs;
    }
    Time.Ns = 0;
  }
  S.Pool.rest();
  return Status;
}

halcyon_status halcyon_session_run(halcyon_session *S) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  const halcyon_program &P = *S->Program;
  for (uint32_t I = 0; I != P.num_inputs; ++I)
    if (!S->Inputs[I])
      return fail(S->Error, HALCYON_UNBOUND, "input %s has no memory",
                  P.strings + P.inputs[I].name);
  if (halcyon_status Status = bindOwnOutputs(*S))
    return Status;
  halcyon_status Status = S->Device.copyIn(*S);
  if (!Status)
    Status = runFunction(*S, P.functions[0], S->Profiling);
  if (!Status)
    Status = S->Device.copyOut(*S);
  if (Status)
    say(S->Logger, HALCYON_LOG_ERROR, S->Error.text);
  return Status;
}

/// Above this, scratch is given back after a picture: pictures differ in size.
static constexpr size_t LargeScratch = size_t(1) << 20;

halcyon_status halcyon_session_prepare_image(halcyon_session *S, uint32_t Input,
                                             const halcyon_picture *Picture,
                                             void *Destination) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  const halcyon_program &P = *S->Program;
  if (Input >= P.num_inputs || P.inputs[Input].image_function < 0)
    return fail(S->Error, HALCYON_BAD_ARGUMENT,
                "input %u is not made from an image", Input);
  const char *Name = P.strings + P.inputs[Input].name;
  if (!Picture || !Picture->pixels || !Destination)
    return fail(S->Error, HALCYON_BAD_ARGUMENT,
                "input %s: no picture or no room for it", Name);
  uint64_t Row = uint64_t(Picture->width) * Picture->channels;
  uint64_t RowBytes = Picture->row_bytes ? Picture->row_bytes : Row;
  if (Row == 0 || Picture->height == 0 || RowBytes < Row ||
      RowBytes > uint64_t(INT32_MAX) / Picture->height)
    return fail(S->Error, HALCYON_BAD_ARGUMENT,
                "input %s: a picture of %u x %u is empty or too large", Name,
                Picture->width, Picture->height);

  const halcyon_function &F = P.functions[P.inputs[Input].image_function];
  const halide_dimension_t Dims[3] = {
      {0, int32_t(Picture->channels), 1},
      {0, int32_t(Picture->width), int32_t(Picture->channels)},
      {0, int32_t(Picture->height), int32_t(RowBytes)}};
  for (uint32_t C = F.first_call; C != F.first_call + F.num_calls; ++C) {
    for (uint32_t V = 0; V != P.calls[C].num_views; ++V) {
      uint32_t I = P.calls[C].first_view + V;
      const halcyon_view &View = P.views[I];
      if (View.space == HALCYON_INPUT)
        S->Buffers[I].host = static_cast<uint8_t *>(Destination) + View.offset;
      if (View.space != HALCYON_IMAGE)
        continue;
      for (unsigned D = 0; D != View.rank && D != 3; ++D) {
        if (View.dims[D].extent != HALCYON_DYNAMIC &&
            View.dims[D].extent != Dims[D].extent)
          return fail(S->Error, HALCYON_BAD_ARGUMENT,
                      "input %s takes pictures of other size or channels than "
                      "%u x %u x %u",
                      Name, Picture->width, Picture->height, Picture->channels);
        S->Buffers[I].dim[D] = Dims[D];
      }
      S->Buffers[I].host = const_cast<uint8_t *>(Picture->pixels);
    }
  }
  halcyon_status Status = runFunction(*S, F, false);
  for (unsigned I = 0; I != S->NumThreads; ++I)
    S->Contexts[I].Blocks.trim(S->Memory, LargeScratch);
  return Status;
}

//===----------------------------------------------------------------------===//
// Questions
//===----------------------------------------------------------------------===//

const char *halcyon_session_error(const halcyon_session *S) {
  return S->Error.text;
}
uint32_t halcyon_session_threads(const halcyon_session *S) {
  return S->NumThreads;
}
uint32_t halcyon_session_batch(const halcyon_session *S) { return S->Batch; }

halcyon_status halcyon_session_set_profiling(halcyon_session *S, int On) {
  Guard Entry(S);
  if (!Entry)
    return HALCYON_BUSY;
  S->Profiling = On != 0;
  for (uint32_t I = 0; On && I != S->Program->functions[0].num_calls; ++I)
    S->Times[I] = CallTime();
  return HALCYON_OK;
}

uint32_t halcyon_session_num_calls(const halcyon_session *S) {
  return S->Program->functions[0].num_calls;
}

halcyon_status halcyon_session_profile(const halcyon_session *S, uint32_t Index,
                                       halcyon_call_profile *Out) {
  const halcyon_program &P = *S->Program;
  if (Index >= P.functions[0].num_calls || !Out)
    return HALCYON_BAD_ARGUMENT;
  const halcyon_call &Call = P.calls[P.functions[0].first_call + Index];
  const CallTime &Time = S->Times[Index];
  *Out = {};
  Out->layer = P.strings + Call.layer;
  Out->algorithm = P.strings + Call.algorithm;
  Out->line = Call.line;
  Out->runs = Time.Runs;
  Out->total_ms = double(Time.TotalNs) / 1e6;
  Out->min_ms = double(Time.MinNs) / 1e6;
  Out->flops = Call.flops * S->Batch;
  Out->bytes = Call.bytes * S->Batch;
  return HALCYON_OK;
}
