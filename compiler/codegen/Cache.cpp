//===- Cache.cpp - Compiled kernels by content ----------------------------===//

#include "compiler/codegen/Cache.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA1.h"

#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

std::string cacheFolder() {
  SmallString<128> folder;
  if (const char *given = getenv("HALCYON_CACHE"); given && *given) {
    folder = given;
  } else {
    if (!sys::path::cache_directory(folder))
      folder = "/tmp";
    sys::path::append(folder, "halcyon");
  }
  sys::fs::create_directories(folder);
  return folder.str().str();
}

/// The linker's hash of this executable: another build, another cache.
static std::string buildId() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *data) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto &header = info->dlpi_phdr[i];
          if (header.p_type != PT_NOTE)
            continue;
          auto *at = reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr);
          const char *end = at + header.p_memsz;
          while (at + sizeof(ElfW(Nhdr)) <= end) {
            auto *note = reinterpret_cast<const ElfW(Nhdr) *>(at);
            const char *name = at + sizeof(*note);
            const char *content = name + ((note->n_namesz + 3) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && !memcmp(name, "GNU", 4))
              *static_cast<std::string *>(data) =
                  toHex(StringRef(content, note->n_descsz));
            at = content + ((note->n_descsz + 3) & ~3u);
          }
        }
        return 1; // the first object is the program itself
      },
      &id);
  return id;
}

std::string cachePath(StringRef text, StringRef extension) {
  static const std::string build = buildId();
  SHA1 hash;
  hash.update(build);
  hash.update(HALCYON_HALIDE_VERSION);
  hash.update(text);
  auto digest = hash.final();
  return cacheFolder() + "/" + toHex(ArrayRef(digest), /*LowerCase=*/true) + "." +
         extension.str();
}

bool isSpecialFile(const std::string &path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) &&
         !S_ISDIR(status.st_mode);
}

bool writeWhole(const std::string &path, StringRef bytes) {
  bool special = isSpecialFile(path);
  std::string temporary =
      special ? path : path + ".tmp" + std::to_string(getpid());
  int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0)
    return false;
  bool good = true;
  while (good && !bytes.empty()) {
    ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    good = written > 0;
    if (good)
      bytes = bytes.drop_front(written);
  }
  good &= close(file) == 0;
  if (special)
    return good;
  good = good && rename(temporary.c_str(), path.c_str()) == 0;
  if (!good) {
    int why = errno;
    unlink(temporary.c_str());
    errno = why;
  }
  return good;
}

} // namespace halcyon
