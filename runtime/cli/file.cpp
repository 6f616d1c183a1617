//===- file.cpp - Whole files and folders ---------------------------------===//

#include "support.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace halcyon::cli;

static bool readAll(int File, const char *Path, Buffer &Out, Failure &Why) {
  struct stat Status;
  if (fstat(File, &Status))
    return fail(Why, "%s: %s", Path, strerror(errno));
  if (S_ISDIR(Status.st_mode))
    return fail(Why, "%s: is a folder", Path);
  // One byte of room beyond a file's size tells its end without growing.
  size_t Room = S_ISREG(Status.st_mode) && Status.st_size > 0
                    ? size_t(Status.st_size) + 1
                    : 65536;
  if (!Out.allocate(Room, Why))
    return false;
  size_t Used = 0;
  for (;;) {
    if (Used == Room) {
      Buffer Grown;
      if (!Grown.allocate(2 * uint64_t(Room), Why))
        return false;
      memcpy(Grown.Data, Out.Data, Used);
      Out = static_cast<Buffer &&>(Grown);
      Room = Out.Size;
    }
    ssize_t Got = read(File, Out.Data + Used, Room - Used);
    if (Got < 0 && errno == EINTR)
      continue;
    if (Got < 0)
      return fail(Why, "%s: %s", Path, strerror(errno));
    if (Got == 0)
      break;
    Used += size_t(Got);
  }
  Out.Size = Used;
  return true;
}

bool halcyon::cli::readFile(const char *Path, Buffer &Out, Failure &Why) {
  if (strcmp(Path, "-") == 0)
    return readAll(STDIN_FILENO, "standard input", Out, Why);
  int File = open(Path, O_RDONLY | O_CLOEXEC);
  if (File < 0)
    return fail(Why, "%s: %s", Path, strerror(errno));
  bool Read = readAll(File, Path, Out, Why);
  close(File);
  return Read;
}

static bool writeAll(int File, const Piece *Pieces, size_t Count) {
  for (size_t I = 0; I != Count; ++I) {
    auto *Data = static_cast<const uint8_t *>(Pieces[I].Data);
    for (size_t Left = Pieces[I].Size; Left;) {
      ssize_t Put = write(File, Data, Left);
      if (Put < 0 && errno == EINTR)
        continue;
      if (Put <= 0)
        return false;
      Data += Put;
      Left -= size_t(Put);
    }
  }
  return true;
}

bool halcyon::cli::writeFile(const char *Path, const Piece *Pieces,
                             size_t Count, Failure &Why) {
  struct stat Status;
  bool Special = stat(Path, &Status) == 0 && !S_ISREG(Status.st_mode);
  char Temporary[4096];
  if (snprintf(Temporary, sizeof(Temporary), Special ? "%s" : "%s.XXXXXX",
               Path) >= int(sizeof(Temporary)))
    return fail(Why, "%s: the path is too long", Path);
  // Pipes and devices cannot be replaced; they are written as they are.
  int File = Special ? open(Path, O_WRONLY | O_CLOEXEC) : mkstemp(Temporary);
  if (File < 0)
    return fail(Why, "%s: %s", Path, strerror(errno));
  bool Good = writeAll(File, Pieces, Count);
  if (Good && !Special) {
    mode_t Mask = umask(0);
    umask(Mask);
    fchmod(File, 0666 & ~Mask); // mkstemp's is 0600
  }
  int Reason = errno;
  if (close(File) && Good) {
    Reason = errno;
    Good = false;
  }
  if (Good && !Special && rename(Temporary, Path)) {
    Reason = errno;
    Good = false;
  }
  if (!Good && !Special)
    unlink(Temporary);
  return Good || fail(Why, "%s: %s", Path, strerror(Reason));
}

bool halcyon::cli::isDirectory(const char *Path) {
  struct stat Status;
  return stat(Path, &Status) == 0 && S_ISDIR(Status.st_mode);
}

bool halcyon::cli::isFile(const char *Path) {
  struct stat Status;
  return stat(Path, &Status) == 0 && S_ISREG(Status.st_mode);
}

bool halcyon::cli::joinPath(char (&Out)[4096], const char *Folder,
                            const char *Name) {
  return snprintf(Out, sizeof(Out), "%s/%s", Folder, Name) < int(sizeof(Out));
}

Names::~Names() {
  for (char *Name : Items)
    free(Name);
}

bool Names::read(const char *Folder, Failure &Why) {
  DIR *Directory = opendir(Folder);
  if (!Directory)
    return fail(Why, "%s: %s", Folder, strerror(errno));
  bool Good = true;
  while (dirent *Entry = Good ? readdir(Directory) : nullptr) {
    if (Entry->d_name[0] == '.')
      continue;
    char *Name = strdup(Entry->d_name);
    if (!Name || !Items.push(Name)) {
      free(Name);
      Good = fail(Why, "out of memory");
    }
  }
  closedir(Directory);
  if (Items.size())
    qsort(&Items[0], Items.size(), sizeof(char *),
          [](const void *A, const void *B) {
            return strcmp(*static_cast<char *const *>(A),
                          *static_cast<char *const *>(B));
          });
  return Good;
}
