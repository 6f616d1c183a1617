//===- session_tests.cpp - Sessions, threads, scratch, weights ------------===//

#include "check.h"
#include "memory.h"
#include "session.h"
#include "sessions.h"

#include <HalideRuntime.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <pthread.h>

namespace {

constexpr unsigned MaxBatch = 33;

void batches() {
  static float In[MaxBatch * 16], Out[MaxBatch * 3];
  makeImages(In, MaxBatch);
  for (uint32_t Threads : {1u, 2u, 5u}) {
    Session S(Threads);
    CHECK(S.S);
    CHECK(halcyon_session_threads(S) == Threads);
    CHECK(halcyon_session_run(S) == HALCYON_UNBOUND);
    CHECK(strcmp(halcyon_session_error(S), "input image has no memory") == 0);
    CHECK(halcyon_session_bind_input(S, 0, In) == HALCYON_OK);
    CHECK(halcyon_session_bind_output(S, 0, Out) == HALCYON_OK);
    CHECK(halcyon_session_bind_output(S, 1, Out) == HALCYON_BAD_ARGUMENT);
    for (uint32_t Batch : {1u, 7u, MaxBatch, 2u, 1u}) {
      memset(Out, 0xff, sizeof(Out));
      CHECK(halcyon_session_set_batch(S, Batch) == HALCYON_OK);
      CHECK(halcyon_session_batch(S) == Batch);
      CHECK(halcyon_session_run(S) == HALCYON_OK);
      CHECK(isRight(In, Out, Batch));
    }
    CHECK(halcyon_session_set_batch(S, 0) == HALCYON_BAD_ARGUMENT);
    CHECK(halcyon_session_set_batch(S, 1u << 30) == HALCYON_BAD_ARGUMENT);
    CHECK(strstr(halcyon_session_error(S), "too large"));
  }
}

void ports() {
  const halcyon_program &P = halcyon_program_main;
  CHECK(halcyon_program_find_input(&P, "image") == 0);
  CHECK(halcyon_program_find_output(&P, "image") == -1);
  CHECK(halcyon_program_find_output(&P, "scores") == 0);
  CHECK(halcyon_port_bytes(&P.inputs[0], 3) == 192);
  CHECK(halcyon_port_bytes(&P.inputs[0], UINT64_MAX / 2) == 0);
}

void pictures() {
  Session S(2);
  const uint8_t Pixels[] = {0, 51, 102, 153, 204, 255};
  float Image[16];
  halcyon_picture Picture = {Pixels, 3, 2, 1, 0};
  CHECK(halcyon_session_set_batch(S, 4) == HALCYON_OK);
  CHECK(halcyon_session_prepare_image(S, 0, &Picture, Image) == HALCYON_OK);
  CHECK(Image[0] == 0 && Image[1] == 51.0f / 255 && Image[3] == 102.0f / 255 &&
        Image[15] == 1);
  Picture.channels = 3;
  CHECK(halcyon_session_prepare_image(S, 0, &Picture, Image) ==
        HALCYON_BAD_ARGUMENT);
  Picture = {Pixels, 0, 2, 1, 0};
  CHECK(halcyon_session_prepare_image(S, 0, &Picture, Image) ==
        HALCYON_BAD_ARGUMENT);
  Picture = {Pixels, 1u << 20, 1u << 20, 1, 0};
  CHECK(halcyon_session_prepare_image(S, 0, &Picture, Image) ==
        HALCYON_BAD_ARGUMENT);
  CHECK(halcyon_session_prepare_image(S, 1, &Picture, Image) ==
        HALCYON_BAD_ARGUMENT);
}

void kernelErrors() {
  float In[32] = {}, Out[6];
  for (uint32_t Threads : {1u, 2u}) {
    Session S(Threads);
    halcyon_session_set_batch(S, 2);
    halcyon_session_bind_input(S, 0, In);
    halcyon_session_bind_output(S, 0, Out);
    FailingRow = 6;
    CHECK(halcyon_session_run(S) == HALCYON_KERNEL_FAILED);
    CHECK(strcmp(halcyon_session_error(S),
                 "twice (direct): the row is broken") == 0);
    FailingRow = -1;
    CHECK(halcyon_session_run(S) == HALCYON_OK);
    CHECK(isRight(In, Out, 2));
  }
}

void profiles() {
  float In[16] = {}, Out[3];
  Session S(1);
  halcyon_call_profile Call;
  halcyon_session_bind_input(S, 0, In);
  halcyon_session_bind_output(S, 0, Out);
  CHECK(halcyon_session_num_calls(S) == 2);
  CHECK(halcyon_session_set_profiling(S, 1) == HALCYON_OK);
  halcyon_session_run(S);
  halcyon_session_run(S);
  CHECK(halcyon_session_profile(S, 1, &Call) == HALCYON_OK);
  CHECK(Call.runs == 2 && Call.line == 4 && strcmp(Call.layer, "sums") == 0);
  CHECK(Call.total_ms >= Call.min_ms && Call.flops == 24);
  CHECK(halcyon_session_profile(S, 2, &Call) == HALCYON_BAD_ARGUMENT);
}

/// The program with both calls in a chain: between them there is room for a part of
/// the batch, and for nothing else.
struct Chained {
  halcyon_view Views[8];
  halcyon_call Calls[3];
  halcyon_program Program = halcyon_program_main;
  explicit Chained(uint32_t Images) {
    memcpy(Views, Program.views, sizeof(Views));
    memcpy(Calls, Program.calls, sizeof(Calls));
    for (uint32_t I : {2u, 3u})
      Views[I].slot = 0, Views[I].images = Images;
    Calls[0].chain = 2;
    Calls[0].images = Calls[1].images = Images;
    Program.views = Views;
    Program.calls = Calls;
    Program.arena_bytes = 0;
    Program.fixed_bytes = Images * 64;
  }
};

void chains() {
  float In[16 * 7], Out[3 * 7];
  makeImages(In, 7);
  for (uint32_t Threads : {1u, 2u})
    for (uint32_t Images : {1u, 2u, 3u, 8u}) {
      Chained C(Images);
      Session S(Threads, C.Program);
      CHECK(S.S);
      halcyon_session_bind_input(S, 0, In);
      halcyon_session_bind_output(S, 0, Out);
      halcyon_session_set_profiling(S, 1);
      for (uint32_t Batch : {1u, 7u, 4u, 6u}) {
        memset(Out, 0, sizeof(Out));
        CHECK(halcyon_session_set_batch(S, Batch) == HALCYON_OK);
        CHECK(halcyon_session_run(S) == HALCYON_OK);
        CHECK(isRight(In, Out, Batch));
        CHECK(Batch == 7 || Out[3 * Batch] == 0);
      }
      // A failure leaves every view where it was.
      FailingRow = 1;
      CHECK(halcyon_session_run(S) == HALCYON_KERNEL_FAILED);
      FailingRow = -1;
      CHECK(halcyon_session_run(S) == HALCYON_OK);
      CHECK(isRight(In, Out, 6));
      // Of each run the parts are one time.
      halcyon_call_profile Call;
      CHECK(halcyon_session_profile(S, 0, &Call) == HALCYON_OK);
      CHECK(Call.runs == 5);
    }
  Chained Long(1), Empty(1);
  Long.Calls[0].chain = 3;
  Empty.Calls[0].images = 0;
  for (const Chained *Bad : {&Long, &Empty}) {
    Session S(1, Bad->Program);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_PROGRAM);
  }
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

void refusals() {
  halcyon_program P = halcyon_program_main;
  P.version = 99;
  {
    Session S(1, P);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_PROGRAM);
  }
  P = halcyon_program_main;
  P.num_views = 5;
  {
    Session S(1, P);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_PROGRAM);
  }
  P = halcyon_program_main;
  P.cpu_features = "sse2 warp-drive";
  {
    Session S(1, P);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_CPU);
    CHECK(strstr(S.Error.text, "lacks warp-drive"));
  }
  CHECK(halcyon_session_create(nullptr, nullptr, nullptr, nullptr) ==
        HALCYON_BAD_ARGUMENT);
  halcyon_session_destroy(nullptr);
  for (int Status = HALCYON_OK; Status <= HALCYON_BUSY; ++Status)
    CHECK(strcmp(halcyon_status_text(halcyon_status(Status)),
                 "unknown status") != 0);
}

void writeWeights(const char *Path, uint64_t Id, uint64_t Stated,
                  size_t Bytes) {
  halcyon::WeightsHeader Header = {{'H', 'A', 'L', 'C', 'Y', 'O', 'N', 'W'},
                                   HALCYON_PROGRAM_VERSION,
                                   Id,
                                   Stated};
  const float Weights[4] = {0.5f, 1, 2, 3};
  FILE *File = fopen(Path, "wb");
  fwrite(&Header, sizeof(Header), 1, File);
  fseek(File, halcyon::WeightsOffset, SEEK_SET);
  fwrite(Weights, 1, Bytes, File);
  fclose(File);
}

void weightsFile() {
  char Path[300];
  snprintf(Path, sizeof(Path), "%s/weights", Folder);
  halcyon_program P = halcyon_program_main;
  P.weights = nullptr;
  halcyon_options Options = {};
  {
    Session S(1, P);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_WEIGHTS);
  }
  Options.weights_path = Path;
  auto Refuses = [&](const char *Text) {
    Session S(1, P, Options);
    CHECK(!S.S && S.Error.status == HALCYON_BAD_WEIGHTS);
    CHECK(strstr(S.Error.text, Text));
  };
  Refuses("No such file");
  writeWeights(Path, 0x1234, 16, 12);
  Refuses("truncated");
  writeWeights(Path, 0x1235, 16, 16);
  Refuses("another program");
  writeWeights(Path, 0x1234, UINT64_MAX, 16);
  Refuses("another program");
  Options.weights_path = Folder;
  Refuses("not a file");
  Options.weights_path = Path;
  writeWeights(Path, 0x1234, 16, 16);
  Session S(2, P, Options);
  CHECK(S.S);
  float In[16], Out[3];
  makeImages(In, 1);
  halcyon_session_bind_input(S, 0, In);
  halcyon_session_bind_output(S, 0, Out);
  CHECK(halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 1));
}

/// Large weights lie in huge pages, one copy for all sessions of a program.
void weightsPlaced() {
  constexpr size_t Bytes = (3 << 20) + 64;
  const std::unique_ptr<void, void (*)(void *)> Memory(
      aligned_alloc(64, Bytes), free);
  auto *Weights = static_cast<uint8_t *>(Memory.get());
  halcyon_program P = halcyon_program_main;
  memset(Weights, 0, Bytes);
  memcpy(Weights, P.weights, P.weight_bytes);
  P.weights = Weights;
  P.weight_bytes = Bytes;
  float In[16], Out[3];
  makeImages(In, 1);
  auto Runs = [&](Session &S) {
    memset(Out, 0xff, sizeof(Out));
    halcyon_session_bind_input(S, 0, In);
    halcyon_session_bind_output(S, 0, Out);
    return halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 1);
  };
  halcyon::PlacedWeights Probe;
  Probe.place(Weights, Bytes, {nullptr, 1});
  const bool HugePages = Probe.isCopy();
  Probe.release();
  {
    Session Second(1, P);
    {
      Session First(1, P);
      CHECK(First.S && Second.S && First.S->Weights == Second.S->Weights);
      CHECK((First.S->Weights != Weights) == HugePages);
      CHECK(Runs(First));
    }
    CHECK(Runs(Second));
  }
  halcyon_options Options = {};
  Options.flags = HALCYON_MAP_WEIGHTS;
  Session Mapped(1, P, Options);
  CHECK(Mapped.S && Mapped.S->Weights == Weights && Runs(Mapped));
  Options = {};
  Options.allocator.allocate = [](void *, size_t Size, size_t Alignment) {
    return aligned_alloc(Alignment, (Size + Alignment - 1) & -Alignment);
  };
  Options.allocator.release = [](void *, void *Block, size_t) { free(Block); };
  Session Own(1, P, Options);
  CHECK(Own.S && Own.S->Weights == Weights && Runs(Own));
  // The copy has gone with its last session.
  memset(Weights, 0, 64);
  Session Zero(1, P);
  CHECK(Zero.S && !Runs(Zero));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

struct Counter {
  std::atomic<long> Bytes{0}, Calls{0};
  long FailFrom = -1;
};

void *countedAllocate(void *Self, size_t Bytes, size_t Alignment) {
  auto *C = static_cast<Counter *>(Self);
  long Call = C->Calls++;
  void *Block = nullptr;
  if ((C->FailFrom >= 0 && Call >= C->FailFrom) ||
      posix_memalign(&Block, Alignment, Bytes ? Bytes : 1))
    return nullptr;
  C->Bytes += long(Bytes);
  return Block;
}
void countedRelease(void *Self, void *Block, size_t Bytes) {
  static_cast<Counter *>(Self)->Bytes -= long(Bytes);
  free(Block);
}

void allocators() {
  float In[16], Out[3];
  makeImages(In, 1);
  for (long FailFrom = -1; FailFrom != 20; ++FailFrom) {
    Counter C;
    C.FailFrom = FailFrom;
    halcyon_options Options = {};
    Options.allocator = {&C, countedAllocate, countedRelease};
    {
      Session S(2, halcyon_program_main, Options);
      if (S.S) {
        halcyon_session_bind_input(S, 0, In);
        halcyon_session_bind_output(S, 0, Out);
        halcyon_status Status = halcyon_session_run(S);
        CHECK(Status == HALCYON_OK ||
              (FailFrom >= 0 && Status == HALCYON_KERNEL_FAILED));
        CHECK(C.Bytes > 0);
      }
    }
    CHECK(C.Bytes == 0);
  }
}

void scratch() {
  halcyon::Allocator Memory;
  halcyon::Scratch Blocks;
  for (size_t Bytes :
       {size_t(0), size_t(1), size_t(63), size_t(64), size_t(1000),
        size_t(4096), size_t(5000), size_t(3) << 20}) {
    auto *A = static_cast<uint8_t *>(Blocks.allocate(Memory, Bytes));
    auto *B = static_cast<uint8_t *>(Blocks.allocate(Memory, Bytes));
    CHECK(A && B && A != B);
    CHECK(reinterpret_cast<uintptr_t>(A) % 64 == 0);
    memset(A, 1, Bytes + 8); // kernels may touch a little more
    memset(B, 2, Bytes + 8);
    CHECK(Bytes == 0 || A[Bytes - 1] == 1);
    Blocks.release(A);
    CHECK(Blocks.allocate(Memory, Bytes) == A);
    Blocks.release(A);
    Blocks.release(B);
  }
  CHECK(Blocks.allocate(Memory, SIZE_MAX) == nullptr);
  CHECK(Blocks.allocate(Memory, SIZE_MAX / 8) == nullptr);
  Blocks.release(nullptr);
  Blocks.trim(Memory);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

constexpr int LoopMin = -5;
int LoopSize;
int Counts[5000];

int countOuter(void *Context, int Index, uint8_t *) {
  auto Inner = [](void *, int I, uint8_t *Closure) {
    reinterpret_cast<int *>(Closure)[I] += I;
    return 0;
  };
  int Parts[11] = {};
  halide_do_par_for(Context, Inner, 1, 10, reinterpret_cast<uint8_t *>(Parts));
  for (int Part : Parts)
    Counts[Index - LoopMin] += Part;
  return 0;
}

int loopKernel(void **Args) {
  return halide_do_par_for(*static_cast<void **>(Args[0]), countOuter, LoopMin,
                           LoopSize, nullptr);
}

void loops() {
  OneKernel One(loopKernel);
  for (uint32_t Threads : {1u, 2u, 3u, 8u})
    for (uint32_t SpinUs : {0u, 1u}) {
      halcyon_options Options = {};
      Options.spin_us = SpinUs;
      Session S(Threads, One.Program, Options);
      CHECK(S.S);
      for (int Size : {0, 1, 2, 3, 7, 8, 9, 100, 5000}) {
        LoopSize = Size;
        memset(Counts, 0, sizeof(Counts));
        int Runs = Size > 1000 ? 3 : 50;
        for (int Run = 0; Run != Runs; ++Run)
          CHECK(halcyon_session_run(S) == HALCYON_OK);
        bool Right = true;
        for (int I = 0; I != 5000; ++I)
          Right &= Counts[I] == (I < Size ? 55 * Runs : 0);
        CHECK(Right);
      }
    }
}

std::atomic<int> Meeting{0};

/// Waits until all threads of the loop have come: fails without real
/// parallelism.
int meet(void *, int, uint8_t *) {
  ++Meeting;
  for (long Spins = 0; Meeting.load() < LoopSize; ++Spins)
    if (Spins > 1000000000L)
      return -1;
  return 0;
}
int meetKernel(void **Args) {
  return halide_do_par_for(*static_cast<void **>(Args[0]), meet, 0, LoopSize,
                           nullptr);
}

void parallelism() {
  OneKernel One(meetKernel);
  for (uint32_t Threads : {2u, 4u}) {
    Session S(Threads, One.Program);
    for (int Run = 0; Run != 20; ++Run) {
      LoopSize = int(Threads);
      Meeting = 0;
      CHECK(halcyon_session_run(S) == HALCYON_OK);
    }
  }
}

void *manySessions(void *Result) {
  float In[16 * 4], Out[3 * 4];
  makeImages(In, 4);
  bool Right = true;
  for (int Round = 0; Round != 10; ++Round) {
    Session S(2);
    halcyon_session_set_batch(S, 4);
    halcyon_session_bind_input(S, 0, In);
    halcyon_session_bind_output(S, 0, Out);
    for (int Run = 0; Run != 20; ++Run)
      Right &= halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 4);
  }
  *static_cast<bool *>(Result) = Right;
  return nullptr;
}

void concurrentSessions() {
  pthread_t Threads[3];
  bool Right[3] = {};
  for (int I = 0; I != 3; ++I)
    CHECK(pthread_create(&Threads[I], nullptr, manySessions, &Right[I]) == 0);
  for (int I = 0; I != 3; ++I) {
    pthread_join(Threads[I], nullptr);
    CHECK(Right[I]);
  }
}

int reenter(void **Args) {
  auto *S =
      *reinterpret_cast<halcyon_session **>(*static_cast<void **>(Args[0]));
  return halcyon_session_run(S) == HALCYON_BUSY ? 0 : -1;
}

void busySessions() {
  OneKernel One(reenter);
  Session S(1, One.Program);
  CHECK(halcyon_session_run(S) == HALCYON_OK);
}

} // namespace

const Test SessionTests[] = {
    {"session-batches", batches},
    {"session-ports", ports},
    {"session-pictures", pictures},
    {"session-kernel-errors", kernelErrors},
    {"session-profiles", profiles},
    {"session-chains", chains},
    {"session-refusals", refusals},
    {"session-weights-file", weightsFile},
    {"session-weights-placed", weightsPlaced},
    {"session-allocators", allocators},
    {"session-busy", busySessions},
    {"scratch", scratch},
    {"threads-loops", loops},
    {"threads-parallelism", parallelism},
    {"threads-concurrent-sessions", concurrentSessions},
};
const unsigned NumSessionTests = sizeof(SessionTests) / sizeof(Test);
