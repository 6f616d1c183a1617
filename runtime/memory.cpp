//===- memory.cpp - Allocation, scratch -----------------------------------===//

#include "memory.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace halcyon;

halcyon_status halcyon::fail(halcyon_error &Error, halcyon_status Status,
                             const char *Format, ...) {
  Error.status = Status;
  va_list Arguments;
  va_start(Arguments, Format);
  vsnprintf(Error.text, sizeof(Error.text), Format, Arguments);
  va_end(Arguments);
  return Status;
}

//===----------------------------------------------------------------------===//
// Allocator
//===----------------------------------------------------------------------===//

/// From here on a block is mapped on its own, aligned so that the system can
/// back it with huge pages: fewer TLB misses in a large arena.
static constexpr size_t MapFrom = size_t(1) << 20;

static size_t pageRound(size_t Bytes) { return (Bytes + 4095) & ~size_t(4095); }

static void *mapBlock(size_t Bytes) {
  Bytes = pageRound(Bytes);
  size_t Room = Bytes + HugePage;
  void *Mapped = mmap(nullptr, Room, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (Mapped == MAP_FAILED)
    return nullptr;
  uintptr_t Begin = reinterpret_cast<uintptr_t>(Mapped);
  uintptr_t Block = (Begin + HugePage - 1) & ~(uintptr_t(HugePage) - 1);
  if (Block > Begin)
    munmap(Mapped, Block - Begin);
  munmap(reinterpret_cast<void *>(Block + Bytes),
         Begin + Room - (Block + Bytes));
  madvise(reinterpret_cast<void *>(Block), Bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void *>(Block);
}

void *Allocator::allocate(size_t Bytes, size_t Alignment) const {
  if (Bytes > SIZE_MAX / 2)
    return nullptr;
  if (Custom.allocate)
    return Custom.allocate(Custom.self, Bytes, Alignment);
  if (Bytes >= MapFrom)
    return mapBlock(Bytes);
  void *Block = nullptr;
  return posix_memalign(&Block, Alignment, Bytes ? Bytes : 1) ? nullptr : Block;
}

void Allocator::release(void *Block, size_t Bytes) const {
  if (!Block)
    return;
  if (Custom.allocate)
    Custom.release(Custom.self, Block, Bytes);
  else if (Bytes >= MapFrom)
    munmap(Block, pageRound(Bytes));
  else
    free(Block);
}

//===----------------------------------------------------------------------===//
// Scratch
//===----------------------------------------------------------------------===//

/// Kernels may read a few bytes before and after a block.
static constexpr size_t Margin = BlockAlignment;
static constexpr unsigned SmallestLog2 = 8;

void *Scratch::allocate(const Allocator &Memory, size_t Bytes) {
  if (Bytes > SIZE_MAX / 4)
    return nullptr;
  size_t Need = Bytes + BlockAlignment + Margin;
  if (Need < (size_t(1) << SmallestLog2))
    Need = size_t(1) << SmallestLog2;
  unsigned Log2 = 63 - __builtin_clzll(Need);
  size_t Step = size_t(1) << (Log2 - 2);
  size_t Quarters =
      (Need + Step - 1) / Step; // 4 to 8; 8 is the next power's first class
  unsigned SizeClass = 4 * (Log2 - SmallestLog2) + unsigned(Quarters) - 4;
  if (SizeClass >= NumClasses)
    return nullptr;

  Header *Block = Free[SizeClass];
  if (Block) {
    Free[SizeClass] = Block->Next;
  } else {
    Block = static_cast<Header *>(Memory.allocate(Quarters * Step));
    if (!Block)
      return nullptr;
    Block->Bytes = Quarters * Step;
    Block->SizeClass = SizeClass;
  }
  return reinterpret_cast<char *>(Block) + BlockAlignment;
}

void Scratch::release(void *Memory) {
  if (!Memory)
    return;
  auto *Block =
      reinterpret_cast<Header *>(static_cast<char *>(Memory) - BlockAlignment);
  Block->Next = Free[Block->SizeClass];
  Free[Block->SizeClass] = Block;
}

void Scratch::trim(const Allocator &Memory, size_t Smallest) {
  for (Header *&List : Free) {
    if (!List || List->Bytes < Smallest)
      continue;
    while (Header *Block = List) {
      List = Block->Next;
      Memory.release(Block, Block->Bytes);
    }
  }
}
