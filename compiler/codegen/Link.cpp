//===- Link.cpp - Objects to programs and libraries -----------------------===//

#include "compiler/codegen/Link.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <cstring>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

/// A file beside this executable's folder (an installation), or where the build
/// knew it.
static std::string besideUs(StringRef relative, StringRef built) {
  static int anchor;
  SmallString<256> path(sys::fs::getMainExecutable(nullptr, &anchor));
  sys::path::remove_filename(path);
  sys::path::append(path, "..", relative);
  sys::path::remove_dots(path, /*remove_dot_dot=*/true);
  return sys::fs::exists(path) ? path.str().str() : built.str();
}

std::string runTool(const std::vector<std::string> &command) {
  SmallVector<StringRef> args(command.begin(), command.end());
  SmallString<128> log;
  if (sys::fs::createTemporaryFile("halcyon", "log", log))
    return "can't make a temporary file";
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log), StringRef(log)};
  std::string error;
  int status = sys::ExecuteAndWait(args[0], args, std::nullopt, redirects,
                                   /*SecondsToWait=*/600, 0, &error);
  if (status != 0) {
    auto output = MemoryBuffer::getFile(log);
    error = sys::path::filename(args[0]).str() + " failed: " +
            (output && !(*output)->getBuffer().empty()
                 ? (*output)->getBuffer().str()
                 : error);
  } else {
    error.clear();
  }
  sys::fs::remove(log);
  return error;
}

/// The folders with libc's start files and static libraries for a target.
static std::vector<std::string> libraryFolders(const Target &target) {
  std::string arch = StringRef(target.triple).split('-').first.str();
  return {"/usr/lib/" + arch + "-linux-gnu", "/lib/" + arch + "-linux-gnu",
          "/usr/lib64", "/usr/lib"};
}

static std::string findIn(const std::vector<std::string> &folders,
                          StringRef name) {
  for (const std::string &folder : folders)
    if (sys::fs::exists(folder + "/" + name.str()))
      return folder + "/" + name.str();
  return "";
}

/// The package that has libc's headers and libraries.
static std::string libcPackage(const Target &target) { return "libc6-dev"; }

/// A library of ours for programs of a target.
static std::string runtimeLibrary(StringRef name) {
  return besideUs("lib/" + name.str(),
                  std::string(HALCYON_RUNTIME_FOLDER) + "/" + name.str());
}

static std::string linkerPath() { return besideUs("bin/ld.lld", HALCYON_LLD); }

std::string linkExecutable(const std::vector<std::string> &objects,
                           const Target &target, const std::string &output,
                           MainProgram program) {
  auto folders = libraryFolders(target);
  // The trainer uses what the command line has for pictures and files.
  static const std::vector<StringRef> mainLibraries[] = {
      {"libhalcyon_cli.a"},
      {"libhalcyon_measure.a"},
      {"libhalcyon_train.a", "libhalcyon_cli.a"}};
  std::vector<StringRef> libraries = mainLibraries[unsigned(program)];
  libraries.push_back("libhalcyon_runtime.a");
  bool cxx = program == MainProgram::Train;
  std::string missing;
  auto need = [&](StringRef name) {
    std::string path = findIn(folders, name);
    if (path.empty())
      missing += (missing.empty() ? "" : ", ") + name.str();
    return path;
  };
  std::string start = need("Scrt1.o"), begin = need("crti.o"), end = need("crtn.o");
  std::string libc = need("libc.so");
  std::vector<std::string> images = {need("libpng.a"), need("libjpeg.a"),
                                     need("libz.a")};
  std::vector<std::string> language;
  if (cxx) {
    folders.insert(folders.begin(), HALCYON_CXX_FOLDER);
    for (StringRef name : {"crtbeginS.o", "crtendS.o", "libstdc++.a", "libgcc_eh.a",
                           "libgcc.a"})
      language.push_back(need(name));
  }
  if (!missing.empty())
    return "linking needs " + missing +
           " (Debian: libc6-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev" +
           (cxx ? " libstdc++-12-dev)" : ")");
  bool arm = StringRef(target.triple).starts_with("aarch64");
  std::string temporary = output + ".tmp" + std::to_string(getpid());
  std::vector<std::string> command = {
      linkerPath(), "-pie", "--gc-sections", "--build-id=none", "-s",
      "-z", "noexecstack", "--dynamic-linker",
      arm ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2",
      "-o", temporary, start, begin};
  if (cxx)
    command.insert(command.end(), {language[0], "--eh-frame-hdr"});
  for (const std::string &folder : folders)
    command.push_back("-L" + folder);
  command.insert(command.end(), objects.begin(), objects.end());
  // What Halide's runtime for a device has as well is weak there.
  if (target.device)
    command.push_back("--whole-archive");
  for (StringRef name : libraries)
    command.push_back(runtimeLibrary(name));
  if (target.device)
    command.push_back("--no-whole-archive");
  command.insert(command.end(), images.begin(), images.end());
  if (cxx)
    command.push_back(language[2]);
  command.insert(command.end(), {"-lm", "-lc", "-lpthread"});
  if (cxx)
    command.insert(command.end(), {language[3], language[4], "-lc", language[1]});
  command.push_back(end);
  std::string error = runTool(command);
  if (error.empty() && rename(temporary.c_str(), output.c_str()) != 0)
    error = "can't write " + output + ": " + strerror(errno);
  if (!error.empty())
    unlink(temporary.c_str());
  return error;
}

/// Links objects and the runtime to one object in which all symbols but
/// `exported` are local.
static std::string mergeObjects(const std::vector<std::string> &objects,
                                const std::vector<ExportedSymbol> &exported,
                                const std::string &object) {
  std::vector<std::string> command = {linkerPath(), "-r", "-o", object};
  command.insert(command.end(), objects.begin(), objects.end());
  command.push_back("--whole-archive");
  command.push_back(runtimeLibrary("libhalcyon_runtime.a"));
  std::string error = runTool(command);
  if (!error.empty())
    return error;
  command = {besideUs("bin/llvm-objcopy", HALCYON_OBJCOPY)};
  for (const ExportedSymbol &entry : exported) {
    command.push_back("--keep-global-symbol=" + entry.symbol);
    command.push_back("--redefine-sym=" + entry.symbol + "=" + entry.name);
  }
  command.push_back(object);
  return runTool(command);
}

/// Gives a finished file its name, or removes it.
static std::string finish(std::string error, const std::string &temporary,
                          const std::string &output) {
  if (error.empty() && rename(temporary.c_str(), output.c_str()) != 0)
    error = "can't write " + output + ": " + strerror(errno);
  if (!error.empty())
    unlink(temporary.c_str());
  return error;
}

std::string linkStaticLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output) {
  // The archive names its member after the file.
  std::string object = output + ".o";
  std::string archive = output + ".tmp" + std::to_string(getpid());
  std::string error = mergeObjects(objects, exported, object);
  if (error.empty())
    error = runTool({besideUs("bin/llvm-ar", HALCYON_AR), "rcsD", archive, object});
  unlink(object.c_str());
  return finish(error, archive, output);
}

std::string linkSharedLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output,
                              StringRef soname) {
  auto folders = libraryFolders(target);
  if (findIn(folders, "libc.so").empty())
    return "linking needs libc.so (Debian: " + libcPackage(target) + ")";
  std::string object = output + ".o";
  std::string library = output + ".tmp" + std::to_string(getpid());
  std::string error = mergeObjects(objects, exported, object);
  if (error.empty()) {
    std::vector<std::string> command = {
        linkerPath(), "-shared", "--build-id=none", "-s", "-z", "noexecstack",
        "-z", "now", "-soname", soname.str(), "-o", library, object};
    for (const std::string &folder : folders)
      command.push_back("-L" + folder);
    command.insert(command.end(), {"-lm", "-lc", "-lpthread"});
    error = runTool(command);
  }
  unlink(object.c_str());
  return finish(error, library, output);
}

} // namespace halcyon
