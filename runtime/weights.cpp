//===- weights.cpp - Where the weights lie while a program runs -----------===//

#include "weights.h"

#include "memory.h"
#include "threads.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace halcyon;

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static halcyon_status mapWeights(const halcyon_program &Program,
                                 const char *Path, int File, void *&Mapping,
                                 size_t &MappedBytes, halcyon_error &Error) {
  struct stat Status;
  WeightsHeader Header;
  if (fstat(File, &Status) || !S_ISREG(Status.st_mode))
    return fail(Error, HALCYON_BAD_WEIGHTS, "%s: not a file", Path);
  uint64_t Size = uint64_t(Status.st_size);
  if (Size < WeightsOffset ||
      pread(File, &Header, sizeof(Header), 0) != ssize_t(sizeof(Header)) ||
      memcmp(Header.Magic, "HALCYONW", 8) != 0)
    return fail(Error, HALCYON_BAD_WEIGHTS, "%s: not a weights file", Path);
  if (Header.Version != HALCYON_PROGRAM_VERSION)
    return fail(Error, HALCYON_BAD_WEIGHTS,
                "%s: weights of format %llu, this program reads %d", Path,
                static_cast<unsigned long long>(Header.Version),
                HALCYON_PROGRAM_VERSION);
  if (Header.Id != Program.weights_id || Header.Bytes != Program.weight_bytes)
    return fail(Error, HALCYON_BAD_WEIGHTS,
                "%s: weights of another program than %s", Path, Program.name);
  if (Size - WeightsOffset < Header.Bytes)
    return fail(Error, HALCYON_BAD_WEIGHTS,
                "%s: truncated, %llu of %llu bytes of weights", Path,
                static_cast<unsigned long long>(Size - WeightsOffset),
                static_cast<unsigned long long>(Header.Bytes));
  MappedBytes = size_t(WeightsOffset + Header.Bytes);
  Mapping = mmap(nullptr, MappedBytes, PROT_READ, MAP_PRIVATE, File, 0);
  if (Mapping == MAP_FAILED) {
    Mapping = nullptr;
    return fail(Error, HALCYON_BAD_WEIGHTS, "%s: %s", Path, strerror(errno));
  }
  return HALCYON_OK;
}

halcyon_status MappedWeights::open(const halcyon_program &Program,
                                   const char *Path, halcyon_error &Error) {
  int File = ::open(Path, O_RDONLY | O_CLOEXEC);
  if (File < 0)
    return fail(Error, HALCYON_BAD_WEIGHTS, "%s: %s", Path, strerror(errno));
  halcyon_status Status =
      mapWeights(Program, Path, File, Mapping, MappedBytes, Error);
  ::close(File);
  if (Status == HALCYON_OK)
    Data = static_cast<const uint8_t *>(Mapping) + WeightsOffset;
  return Status;
}

void MappedWeights::close() {
  if (Mapping)
    munmap(Mapping, MappedBytes);
  Mapping = nullptr;
  Data = nullptr;
}

//===----------------------------------------------------------------------===//
// Copies in huge pages
//===----------------------------------------------------------------------===//

struct PlacedWeights::Copy {
  WeightsIdentity Whose;
  uint64_t Bytes;
  uint8_t *Memory;
  unsigned Users;
  Copy *Next;
};

PlacedWeights::Copy *PlacedWeights::Copies = nullptr;

static pthread_mutex_t CopiesMutex = PTHREAD_MUTEX_INITIALIZER;

/// "always [madvise] never", the brackets around what holds.
static bool systemHasHugePages() {
  char Text[64] = {};
  FILE *File = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
  if (!File)
    return false;
  bool Read = fgets(Text, sizeof(Text), File);
  fclose(File);
  return Read && !strstr(Text, "[never]");
}

const uint8_t *PlacedWeights::place(const uint8_t *Source, uint64_t Bytes,
                                    WeightsIdentity Whose) {
  if (Bytes < HugePage || !systemHasHugePages())
    return Source;
  Lock Holding(CopiesMutex);
  for (Copy *C = Copies; C; C = C->Next)
    if (C->Whose == Whose && C->Bytes == Bytes) {
      ++C->Users;
      Held = C;
      return C->Memory;
    }
  const Allocator Pages;
  auto *Memory = static_cast<uint8_t *>(Pages.allocate(size_t(Bytes)));
  void *Room = Memory ? Pages.allocate(sizeof(Copy)) : nullptr;
  if (!Room) {
    Pages.release(Memory, size_t(Bytes));
    return Source;
  }
  memcpy(Memory, Source, size_t(Bytes));
  Held = Copies = new (Room) Copy{Whose, Bytes, Memory, 1, Copies};
  return Memory;
}

void PlacedWeights::release() {
  if (!Held)
    return;
  Lock Holding(CopiesMutex);
  if (--Held->Users == 0) {
    Copy **At = &Copies;
    while (*At != Held)
      At = &(*At)->Next;
    *At = Held->Next;
    const Allocator Pages;
    Pages.release(Held->Memory, size_t(Held->Bytes));
    Pages.release(Held, sizeof(Copy));
  }
  Held = nullptr;
}
