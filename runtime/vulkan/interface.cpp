//===- interface.cpp - What kernels and sessions call ---------------------===//
//
// The functions that Halide's code for Vulkan calls, and the table through which
// a session speaks to the device. All sessions of a library share one device,
// which is there as long as one of them has memory on it; a lock lets one thread
// in at a time. Since the device works in the order in which it was told, memory
// that was freed serves again at once.
//
//===----------------------------------------------------------------------===//

#include "vulkan/module.h"

#include <HalideRuntime.h>

#include <cstdlib>
#include <new>
#include <pthread.h>

using namespace halcyon::vulkan;

namespace {

/// Memory that a buffer has, or had.
struct Block {
  Memory Place;
  Block *Next = nullptr;
  unsigned Idle = 0; ///< how often the device was waited for since it was freed
};

struct Context {
  Device D;
  Stream Commands{D};
  Module *Modules = nullptr;
  Block *Unused = nullptr;
  uint64_t Used = 0; ///< blocks that buffers have

  bool open();
  void close();
  Block *allocate(uint64_t Bytes);
  void release(Block *B);
  bool finish();
  /// Gives memory back that nobody asked for lately.
  void trim(unsigned MostIdle);
};

class Lock {
public:
  Lock() { pthread_mutex_lock(&Mutex); }
  ~Lock() { pthread_mutex_unlock(&Mutex); }

private:
  static inline pthread_mutex_t Mutex = PTHREAD_MUTEX_INITIALIZER;
};

} // namespace

static constinit Context TheContext;

bool Context::open() {
  if (D)
    return true;
  if (!D.open())
    return false;
  if (Commands.open())
    return true;
  close();
  return false;
}

void Context::close() {
  if (!D)
    return;
  D.Vk.vkDeviceWaitIdle(D.handle());
  Commands.close();
  trim(0);
  while (Module *M = Modules) {
    Modules = M->Next;
    *M->Owner = nullptr;
    Module::destroy(D, M);
  }
  D.close();
}

void Context::trim(unsigned MostIdle) {
  for (Block **At = &Unused; Block *B = *At;) {
    if (B->Idle < MostIdle) {
      At = &B->Next;
      continue;
    }
    *At = B->Next;
    D.release(B->Place);
    free(B);
  }
}

bool Context::finish() {
  bool Good = Commands.finish();
  for (Block *B = Unused; B; B = B->Next)
    ++B->Idle;
  trim(/*MostIdle=*/4);
  return Good;
}

Block *Context::allocate(uint64_t Bytes) {
  const uint64_t Unit = 256;
  Bytes = (Bytes + Unit - 1) / Unit * Unit;
  if (Bytes > D.limits().maxStorageBufferRange) {
    D.fail("%llu bytes are more than the device binds at once, %u",
           (unsigned long long)Bytes, D.limits().maxStorageBufferRange);
    return nullptr;
  }
  Block **Best = nullptr;
  for (Block **At = &Unused; *At; At = &(*At)->Next)
    if ((*At)->Place.Bytes >= Bytes && (*At)->Place.Bytes <= 2 * Bytes &&
        (!Best || (*At)->Place.Bytes < (*Best)->Place.Bytes))
      Best = At;
  Block *B;
  if (Best) {
    B = *Best;
    *Best = B->Next;
  } else {
    void *Room = malloc(sizeof(Block));
    if (!Room) {
      D.fail("out of memory");
      return nullptr;
    }
    B = new (Room) Block;
    if (!D.allocate(B->Place, Bytes, MemoryKind::Device)) {
      // What is unused may be what is missing.
      Commands.finish();
      trim(0);
      if (!D.allocate(B->Place, Bytes, MemoryKind::Device)) {
        free(B);
        return nullptr;
      }
    }
  }
  B->Next = nullptr;
  B->Idle = 0;
  ++Used;
  return B;
}

void Context::release(Block *B) {
  B->Next = Unused;
  Unused = B;
  if (--Used == 0)
    close();
}

static Block &blockOf(const halide_buffer_t *Buffer) {
  return *reinterpret_cast<Block *>(Buffer->device);
}

static int failed(void *UserContext) {
  halide_error(UserContext, TheContext.D.error());
  return halide_error_code_generic_error;
}

extern "C" {

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

int halide_device_malloc(void *UserContext, halide_buffer_t *Buffer,
                         const halide_device_interface_t *Interface) {
  Lock Only;
  if (Buffer->device)
    return 0;
  Block *B = TheContext.open() ? TheContext.allocate(Buffer->size_in_bytes())
                               : nullptr;
  if (!B)
    return failed(UserContext);
  Buffer->device = reinterpret_cast<uint64_t>(B);
  Buffer->device_interface = Interface;
  return 0;
}

int halide_device_free(void *, halide_buffer_t *Buffer) {
  Lock Only;
  if (Buffer->device)
    TheContext.release(&blockOf(Buffer));
  Buffer->device = 0;
  Buffer->device_interface = nullptr;
  return 0;
}

void halide_device_free_as_destructor(void *UserContext, void *Buffer) {
  halide_device_free(UserContext, static_cast<halide_buffer_t *>(Buffer));
}

int halide_copy_to_device(void *UserContext, halide_buffer_t *Buffer,
                          const halide_device_interface_t *Interface) {
  if (Buffer->device && !Buffer->host_dirty())
    return 0;
  if (int Code = halide_device_malloc(UserContext, Buffer, Interface))
    return Code;
  Lock Only;
  if (!TheContext.Commands.copyIn(blockOf(Buffer).Place, Buffer->host,
                                  Buffer->size_in_bytes()))
    return failed(UserContext);
  Buffer->set_host_dirty(false);
  return 0;
}

int halide_copy_to_host(void *UserContext, halide_buffer_t *Buffer) {
  if (!Buffer->device || !Buffer->device_dirty())
    return 0;
  Lock Only;
  if (!TheContext.Commands.copyOut(Buffer->host, blockOf(Buffer).Place,
                                   Buffer->size_in_bytes()) ||
      !TheContext.finish())
    return failed(UserContext);
  Buffer->set_device_dirty(false);
  return 0;
}

int halide_device_sync(void *UserContext, halide_buffer_t *) {
  Lock Only;
  return !TheContext.D || TheContext.finish() ? 0 : failed(UserContext);
}

const halide_device_interface_t *halide_vulkan_device_interface() {
  // What else a table has is called by nobody here.
  static constexpr halide_device_interface_t Table = {
      halide_device_malloc, halide_device_free, halide_device_sync,
      nullptr,              halide_copy_to_host, halide_copy_to_device,
      nullptr,              nullptr,             nullptr,
      nullptr,              nullptr,             nullptr,
      nullptr,              nullptr,             nullptr,
      nullptr};
  return &Table;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

int halide_vulkan_initialize_kernels(void *UserContext, void **State,
                                     const char *Packed, int Bytes) {
  Lock Only;
  if (!TheContext.open())
    return failed(UserContext);
  if (*State)
    return 0;
  Module *M = Module::read(TheContext.D, Packed, size_t(Bytes));
  if (!M)
    return failed(UserContext);
  M->Owner = State;
  M->Next = TheContext.Modules;
  TheContext.Modules = M;
  *State = M;
  return 0;
}

/// Kernels stay as long as the device does.
void halide_vulkan_finalize_kernels(void *, void *) {}

int halide_vulkan_run(void *UserContext, void *State, const char *Name,
                      int BlocksX, int BlocksY, int BlocksZ, int, int, int, int,
                      size_t Sizes[], void *Arguments[], int8_t IsBuffer[]) {
  Lock Only;
  Device &D = TheContext.D;
  Call C;
  const int Blocks[] = {BlocksX, BlocksY, BlocksZ};
  for (int I = 0; I != 3; ++I) {
    if (Blocks[I] <= 0)
      return 0;
    C.Blocks[I] = uint32_t(Blocks[I]);
    if (C.Blocks[I] > D.limits().maxComputeWorkGroupCount[I]) {
      D.fail("a kernel has %d blocks in a row; the device takes %u", Blocks[I],
             D.limits().maxComputeWorkGroupCount[I]);
      return failed(UserContext);
    }
  }
  constexpr uint32_t MostBuffers = 64, MostBytes = 2048;
  VkBuffer Buffers[MostBuffers];
  uint8_t Numbers[MostBytes];
  for (unsigned I = 0; Sizes[I]; ++I) {
    if (IsBuffer[I]) {
      if (C.NumBuffers != MostBuffers)
        Buffers[C.NumBuffers] =
            blockOf(static_cast<halide_buffer_t *>(Arguments[I])).Place.Buffer;
      ++C.NumBuffers;
    } else {
      if (C.NumberBytes + Sizes[I] <= MostBytes)
        __builtin_memcpy(Numbers + C.NumberBytes, Arguments[I], Sizes[I]);
      C.NumberBytes += uint32_t(Sizes[I]);
    }
    if (C.NumBuffers > MostBuffers || C.NumberBytes > MostBytes) {
      D.fail("a kernel has too many arguments");
      return failed(UserContext);
    }
  }
  C.Buffers = Buffers;
  C.Numbers = Numbers;
  C.Kernel = static_cast<Module *>(State)->find(D, Name, C.NumBuffers);
  return C.Kernel && TheContext.Commands.call(C) ? 0 : failed(UserContext);
}

} // extern "C"
