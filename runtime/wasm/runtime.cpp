//===- runtime.cpp - What kernels call in a browser -----------------------===//
//
// Of a program in WebAssembly the loader is the session: JavaScript that binds
// buffers and calls kernels. This is the rest, which has to be fast or to be on
// this side: memory, and threads that share a parallel loop. It is freestanding;
// functions of mathematics come from the loader.
//
// A worker is another instance of the module over the same memory, with a stack
// of its own. The caller of a run never waits but by looking again: a page's own
// thread may not.
//
//===----------------------------------------------------------------------===//

#include <stddef.h>
#include <stdint.h>

#define EXPORT(Name) extern "C" __attribute__((export_name(#Name), used))

using Task = int (*)(void *UserContext, int Index, uint8_t *Closure);

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {

/// What is in front of every block; blocks lie at multiples of its size.
struct alignas(64) Block {
  size_t Bytes; ///< behind this
  Block *Next;  ///< while it is free
};

struct Lock {
  uint32_t &Word;
  explicit Lock(uint32_t &Word) : Word(Word) {
    while (__atomic_exchange_n(&Word, 1, __ATOMIC_ACQUIRE))
      ;
  }
  ~Lock() { __atomic_store_n(&Word, 0, __ATOMIC_RELEASE); }
};

constexpr size_t PageBytes = 65536;

uint32_t MemoryLock;
Block *Free;
uintptr_t Top; ///< of what was ever given

} // namespace

extern "C" uint8_t __heap_base;

/// A run asks for the same sizes again and again: a block serves a size again
/// that is at least half as large. Zero where memory can't grow.
EXPORT(halcyon_allocate) void *halcyon_allocate(size_t Bytes) {
  if (Bytes > size_t(INT32_MAX))
    return nullptr;
  Bytes = (Bytes + 63) & ~size_t(63);
  Lock Guard(MemoryLock);
  Block **Best = nullptr;
  for (Block **At = &Free; *At; At = &(*At)->Next)
    if ((*At)->Bytes >= Bytes && (*At)->Bytes / 2 <= Bytes &&
        (!Best || (*At)->Bytes < (*Best)->Bytes))
      Best = At;
  if (Best) {
    Block *Found = *Best;
    *Best = Found->Next;
    return Found + 1;
  }
  if (!Top)
    Top = (uintptr_t(&__heap_base) + 63) & ~uintptr_t(63);
  const uint64_t End = uint64_t(Top) + sizeof(Block) + Bytes;
  const uint64_t Pages = (End + PageBytes - 1) / PageBytes;
  const size_t Present = __builtin_wasm_memory_size(0);
  if (Pages > Present &&
      (Pages > 65536 ||
       __builtin_wasm_memory_grow(0, size_t(Pages) - Present) == SIZE_MAX))
    return nullptr;
  auto *Made = reinterpret_cast<Block *>(Top);
  Made->Bytes = Bytes;
  Top = uintptr_t(End);
  return Made + 1;
}

EXPORT(halcyon_release) void halcyon_release(void *Memory) {
  if (!Memory)
    return;
  Block *Freed = static_cast<Block *>(Memory) - 1;
  Lock Guard(MemoryLock);
  Freed->Next = Free;
  Free = Freed;
}

extern "C" void *halide_malloc(void *, size_t Bytes) {
  return halcyon_allocate(Bytes);
}
extern "C" void halide_free(void *, void *Memory) { halcyon_release(Memory); }

extern "C" void *memcpy(void *To, const void *From, size_t Bytes) {
  return __builtin_memcpy(To, From, Bytes);
}
extern "C" void *memmove(void *To, const void *From, size_t Bytes) {
  return __builtin_memmove(To, From, Bytes);
}
extern "C" void *memset(void *To, int Value, size_t Bytes) {
  return __builtin_memset(To, Value, Bytes);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

namespace {

/// The parallel loop that is run now, and who is at work on it.
struct Loop {
  Task Body;
  void *UserContext;
  uint8_t *Closure;
  int End;
  int Next; ///< index that nobody has taken
  int Status;
  uint32_t Busy;    ///< workers that have not ended with it
  uint32_t Number;  ///< of the loop; a new one wakes the workers
  uint32_t Inside;  ///< loops within loops are serial
  uint32_t Workers;
} Shared;

/// Looks of an idle worker before it sleeps: some 50 us.
constexpr int Looks = 20000;

void takePart() {
  for (;;) {
    const int Index = __atomic_fetch_add(&Shared.Next, 1, __ATOMIC_RELAXED);
    if (Index >= Shared.End)
      return;
    if (int Status = Shared.Body(Shared.UserContext, Index, Shared.Closure))
      __atomic_store_n(&Shared.Status, Status, __ATOMIC_RELAXED);
  }
}

} // namespace

extern "C" int halide_do_par_for(void *UserContext, Task Body, int Min, int Size,
                                 uint8_t *Closure) {
  if (!Shared.Workers || Size < 2 ||
      __atomic_exchange_n(&Shared.Inside, 1, __ATOMIC_ACQUIRE)) {
    for (int Index = Min; Index < Min + Size; ++Index)
      if (int Status = Body(UserContext, Index, Closure))
        return Status;
    return 0;
  }
  Shared.Body = Body;
  Shared.UserContext = UserContext;
  Shared.Closure = Closure;
  Shared.End = Min + Size;
  Shared.Next = Min;
  Shared.Status = 0;
  Shared.Busy = Shared.Workers;
  __atomic_fetch_add(&Shared.Number, 1, __ATOMIC_RELEASE);
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int *>(&Shared.Number),
                                      Shared.Workers);
  takePart();
  while (__atomic_load_n(&Shared.Busy, __ATOMIC_ACQUIRE))
    ;
  const int Status = Shared.Status;
  __atomic_store_n(&Shared.Inside, 0, __ATOMIC_RELEASE);
  return Status;
}

/// A worker says that it is there; called before its first loop, one at a time.
EXPORT(halcyon_join) uint32_t halcyon_join() {
  const uint32_t Seen = __atomic_load_n(&Shared.Number, __ATOMIC_ACQUIRE);
  __atomic_fetch_add(&Shared.Workers, 1, __ATOMIC_RELEASE);
  return Seen;
}

/// A worker's life, from the loop on that halcyon_join gave.
EXPORT(halcyon_work) void halcyon_work(uint32_t Seen) {
  for (;;) {
    for (int Look = 0; Look != Looks; ++Look)
      if (__atomic_load_n(&Shared.Number, __ATOMIC_ACQUIRE) != Seen)
        break;
    while (__atomic_load_n(&Shared.Number, __ATOMIC_ACQUIRE) == Seen)
      __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int *>(&Shared.Number),
                                          int(Seen), -1);
    ++Seen;
    takePart();
    __atomic_fetch_sub(&Shared.Busy, 1, __ATOMIC_RELEASE);
  }
}
