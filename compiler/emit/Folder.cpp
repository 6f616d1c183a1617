//===- Folder.cpp - A folder of results, whole or not at all --------------===//

#include "compiler/emit/Folder.h"
#include "compiler/codegen/Cache.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

/// Marks a folder as one of ours.
static constexpr char kMark[] = ".halcyon";

static bool isEmpty(const std::string &folder) {
  std::error_code code;
  return sys::fs::directory_iterator(folder, code) ==
         sys::fs::directory_iterator();
}

OutputFolder::OutputFolder(StringRef name, bool force, std::string &error) {
  SmallString<256> absolute(name);
  sys::fs::make_absolute(absolute);
  sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
  path = absolute.str().rtrim('/').str();
  if (sys::fs::exists(path) && !sys::fs::is_directory(path))
    error = name.str() + " is a file";
  else if (sys::fs::exists(path) && !force && !isEmpty(path) &&
           !sys::fs::exists(path + "/" + kMark))
    error = name.str() + " holds other files; give --force to replace it";
  if (!error.empty())
    return;
  temporary = path + ".tmp" + std::to_string(getpid());
  sys::fs::remove_directories(temporary);
  if (std::error_code code = sys::fs::create_directories(temporary)) {
    error = "can't write " + name.str() + ": " + code.message();
    return;
  }
  error = write(kMark, "Written by halcyon emit, which may replace this folder.\n");
}

OutputFolder::~OutputFolder() {
  if (!temporary.empty())
    sys::fs::remove_directories(temporary);
}

std::string OutputFolder::file(StringRef relative) {
  std::string full = temporary + "/" + relative.str();
  sys::fs::create_directories(sys::path::parent_path(full));
  return full;
}

std::string OutputFolder::write(StringRef relative, StringRef text) {
  std::string full = file(relative);
  return writeWhole(full, text) ? "" : "can't write " + full + ": " + strerror(errno);
}

std::string OutputFolder::finish() {
  std::string old = temporary + ".old";
  bool replaces = sys::fs::exists(path);
  if (replaces && rename(path.c_str(), old.c_str()) != 0)
    return "can't replace " + path + ": " + strerror(errno);
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    std::string error = "can't write " + path + ": " + strerror(errno);
    if (replaces)
      rename(old.c_str(), path.c_str());
    return error;
  }
  temporary.clear();
  if (replaces)
    sys::fs::remove_directories(old);
  return "";
}

} // namespace halcyon
