//===- device_tests.cpp - Weights on a device, that a test made up --------===//
//
// The device is this machine's memory. It counts what is allocated and copied there.
//
//===----------------------------------------------------------------------===//

#include "check.h"
#include "session.h"
#include "sessions.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

std::atomic<long> Blocks, Copies, CopiedBytes;
std::atomic<long> BlocksUntilRefusal;

int takeBlock(void *, halide_buffer_t *Buffer, const halide_device_interface_t *) {
  if (BlocksUntilRefusal-- == 0)
    return -1;
  Buffer->device = reinterpret_cast<uint64_t>(malloc(Buffer->size_in_bytes()));
  ++Blocks;
  return 0;
}

int giveBlock(void *, halide_buffer_t *Buffer) {
  free(reinterpret_cast<void *>(Buffer->device));
  Buffer->device = 0;
  --Blocks;
  return 0;
}

int copyThere(void *, halide_buffer_t *Buffer, const halide_device_interface_t *) {
  memcpy(reinterpret_cast<void *>(Buffer->device), Buffer->host, Buffer->size_in_bytes());
  ++Copies;
  CopiedBytes += long(Buffer->size_in_bytes());
  return 0;
}

const void *theDevice() {
  static const halide_device_interface_t Table = [] {
    halide_device_interface_t T = {};
    T.device_malloc = takeBlock;
    T.device_free = giveBlock;
    T.copy_to_device = copyThere;
    return T;
  }();
  return &Table;
}

halcyon_program programThere() {
  halcyon_program P = halcyon_program_main;
  P.device = theDevice;
  Blocks = Copies = CopiedBytes = 0;
  BlocksUntilRefusal = -1;
  return P;
}

/// Where a session's kernels find the weights.
const void *weightsOf(const Session &Its) {
  for (uint32_t I = 0; I != Its.S->Program->num_views; ++I)
    if (Its.S->Program->views[I].space == HALCYON_WEIGHTS)
      return reinterpret_cast<const void *>(Its.S->Buffers[I].device);
  return nullptr;
}

/// Sessions in many threads have one copy, be it the first that ends.
void weightsShared() {
  const halcyon_program P = programThere();
  for (int Round = 0; Round != 2; ++Round) {
    std::vector<std::unique_ptr<Session>> Sessions(8);
    std::vector<std::thread> Threads;
    for (std::unique_ptr<Session> &Its : Sessions)
      Threads.emplace_back([&] { Its = std::make_unique<Session>(1, P); });
    for (std::thread &T : Threads)
      T.join();
    CHECK(Copies == 1 + Round && CopiedBytes == (1 + Round) * long(P.weight_bytes));
    for (std::unique_ptr<Session> &Its : Sessions)
      CHECK(Its->S && weightsOf(*Its) == weightsOf(*Sessions[0]));
    Threads.clear();
    for (size_t I = 0; I != Sessions.size() - 1; ++I)
      Threads.emplace_back([&, I] { Sessions[I].reset(); });
    for (std::thread &T : Threads)
      T.join();
    CHECK(memcmp(weightsOf(*Sessions.back()), P.weights, P.weight_bytes) == 0);
    Sessions.clear();
    CHECK(Blocks == 0);
  }
  // Another program has its own.
  const halcyon_program Other = P;
  Session First(1, P), Second(1, Other);
  CHECK(First.S && Second.S && weightsOf(First) != weightsOf(Second));
}

/// What a session can't have is not kept for the next; one whose allocator ends with it
/// leaves nothing of it behind.
void weightsRefused() {
  const halcyon_program P = programThere();
  BlocksUntilRefusal = 0;
  {
    Session Without(1, P);
    CHECK(!Without.S && Without.Error.status == HALCYON_DEVICE_FAILED && Blocks == 0);
  }
  std::atomic<long> Bytes{0};
  halcyon_options Options = {};
  Options.allocator.self = &Bytes;
  Options.allocator.allocate = [](void *Self, size_t Size, size_t Alignment) {
    *static_cast<std::atomic<long> *>(Self) += long(Size);
    return aligned_alloc(Alignment, (Size + Alignment - 1) & -Alignment);
  };
  Options.allocator.release = [](void *Self, void *Block, size_t Size) {
    *static_cast<std::atomic<long> *>(Self) -= long(Size);
    free(Block);
  };
  auto First = std::make_unique<Session>(1, P, Options);
  Session Second(1, P);
  First.reset();
  CHECK(Bytes == 0 && Second.S && Copies == 1);
  CHECK(memcmp(weightsOf(Second), P.weights, P.weight_bytes) == 0);
}

} // namespace

const Test DeviceTests[] = {
    {"device-weights-shared", weightsShared},
    {"device-weights-refused", weightsRefused},
};
const unsigned NumDeviceTests = sizeof(DeviceTests) / sizeof(DeviceTests[0]);
