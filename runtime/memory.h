//===- memory.h - Allocation, scratch -------------------------------------===//

#ifndef HALCYON_RUNTIME_MEMORY_H
#define HALCYON_RUNTIME_MEMORY_H

#include "halcyon/halcyon.h"

#include <cstddef>
#include <cstdint>

namespace halcyon {

/// Alignment of every block that a kernel sees: a cache line, an AVX-512
/// vector.
constexpr size_t BlockAlignment = 64;

/// What the system backs large blocks with, where it can.
constexpr size_t HugePage = size_t(2) << 20;

/// The caller's allocator, or mmap for large blocks and malloc for small ones.
class Allocator {
public:
  Allocator() = default;
  explicit Allocator(const halcyon_allocator &Custom) : Custom(Custom) {}

  void *allocate(size_t Bytes, size_t Alignment = BlockAlignment) const;
  void release(void *Memory, size_t Bytes) const;

private:
  halcyon_allocator Custom = {};
};

/// One thread's scratch memory. Kernels allocate the same few sizes in every
/// run, so freed blocks are kept by size and handed out again: malloc would
/// return large ones to the system and fault them in anew each time.
class Scratch {
public:
  void *allocate(const Allocator &Memory, size_t Bytes);
  void release(void *Block);

  /// Gives blocks of at least `Smallest` bytes back.
  void trim(const Allocator &Memory, size_t Smallest = 0);

private:
  struct Header {
    Header *Next;
    size_t Bytes; ///< with the header
    unsigned SizeClass;
  };
  static_assert(sizeof(Header) <= BlockAlignment);

  /// Four classes per power of two, so at most a quarter of a block is waste.
  static constexpr unsigned NumClasses = 4 * 48;
  Header *Free[NumClasses] = {};
};

/// Fills an error and returns its status, to be returned in turn.
__attribute__((format(printf, 3, 4))) halcyon_status fail(halcyon_error &Error,
                                                          halcyon_status Status,
                                                          const char *Format,
                                                          ...);

} // namespace halcyon

#endif // HALCYON_RUNTIME_MEMORY_H
