//===- allocations.cpp - Counts what is taken from the system -------------===//

#include "check.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HALCYON_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define HALCYON_SANITIZED
#endif
#endif

#if defined(HALCYON_SANITIZED) || !defined(__GLIBC__)

long allocations() { return -1; }

#else

static std::atomic<long> Count{0};

long allocations() { return Count.load(); }

// glibc's own functions beneath the names that this file takes from it.
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t Bytes) {
  ++Count;
  return __libc_malloc(Bytes);
}
void *calloc(size_t Number, size_t Bytes) {
  ++Count;
  return __libc_calloc(Number, Bytes);
}
void *realloc(void *Block, size_t Bytes) {
  ++Count;
  return __libc_realloc(Block, Bytes);
}
int posix_memalign(void **Block, size_t Alignment, size_t Bytes) {
  ++Count;
  *Block = __libc_memalign(Alignment, Bytes);
  return *Block ? 0 : ENOMEM;
}
void *mmap(void *Address, size_t Bytes, int Protection, int Flags, int File,
           off_t Offset) {
  ++Count;
  return reinterpret_cast<void *>(
      syscall(SYS_mmap, Address, Bytes, Protection, Flags, File, Offset));
}
}

#endif
