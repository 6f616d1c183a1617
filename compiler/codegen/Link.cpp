//===- Link.cpp - Objects to programs and libraries -----------------------===//

#include "compiler/codegen/Link.h"
#include "compiler/targets/Elf.h"

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

std::string installedFile(StringRef relative, StringRef built) {
  static int anchor;
  SmallString<256> path(sys::fs::getMainExecutable(nullptr, &anchor));
  sys::path::remove_filename(path);
  sys::path::append(path, "..", "lib/halcyon", relative);
  sys::path::remove_dots(path, /*remove_dot_dot=*/true);
  return sys::fs::exists(path) ? path.str().str() : built.str();
}

/// The environment of a tool that an installation brings: its libraries need
/// others of the installation's. None where the system's tools are used.
static std::optional<std::vector<std::string>> toolEnvironment() {
  std::string libraries = installedFile("lib", "");
  if (libraries.empty())
    return std::nullopt;
  std::vector<std::string> variables = {"LD_LIBRARY_PATH=" + libraries};
  for (char **variable = environ; *variable; ++variable)
    if (!StringRef(*variable).starts_with("LD_LIBRARY_PATH="))
      variables.push_back(*variable);
  return variables;
}

std::string runTool(const std::vector<std::string> &command) {
  SmallVector<StringRef> args(command.begin(), command.end());
  SmallString<128> log;
  if (sys::fs::createTemporaryFile("halcyon", "log", log))
    return "can't make a temporary file";
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log), StringRef(log)};
  std::string error;
  auto variables = toolEnvironment();
  std::optional<SmallVector<StringRef>> environment;
  if (variables)
    environment.emplace(variables->begin(), variables->end());
  int status = sys::ExecuteAndWait(args[0], args, environment, redirects,
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

/// The folders with libc's start files and libraries for a target: the system's
/// own, or a cross compiler's.
static std::vector<std::string> libraryFolders(const Target &target) {
  const Elf &elf = *elfOf(target);
  std::string gnu = elf.gnu.str();
  if (isNative(elf)) {
    std::vector<std::string> folders = {"/usr/lib/" + gnu, "/lib/" + gnu,
                                        "/usr/lib64", "/usr/lib"};
    // An installation brings all but libc.
    if (std::string own = installedFile("runtime", ""); !own.empty())
      folders.insert(folders.begin(), own);
    return folders;
  }
  return {"/usr/" + gnu + "/lib", "/usr/lib/" + gnu};
}

/// The folder of GCC's own library for a target that needs it, of its latest
/// version; empty where there is none.
static std::string gccFolder(const Elf &elf) {
  std::string best;
  for (StringRef kind : {"gcc-cross", "gcc"}) {
    std::error_code code;
    std::string folder = "/usr/lib/" + kind.str() + "/" + elf.gnu.str();
    for (sys::fs::directory_iterator at(folder, code), end; at != end && !code;
         at.increment(code))
      if (sys::fs::exists(at->path() + "/libgcc.a"))
        best = std::max(best, at->path());
  }
  return best;
}

/// What a linker takes behind the objects: libc and what the CPU lacks.
static std::vector<std::string> systemLibraries(const Target &target) {
  std::vector<std::string> result = {"-lm", "-lc", "-lpthread"};
  const Elf &elf = *elfOf(target);
  if (elf.needsLibgcc)
    result.push_back(gccFolder(elf) + "/libgcc.a");
  return result;
}

/// Whether pictures can be read: their libraries are the system's own.
static bool readsPictures(const Elf &elf) { return isNative(elf); }

static std::string findIn(const std::vector<std::string> &folders,
                          StringRef name) {
  for (const std::string &folder : folders)
    if (sys::fs::exists(folder + "/" + name.str()))
      return folder + "/" + name.str();
  return "";
}

std::string runtimeLibrary(StringRef name, const Target &target) {
  const Elf &elf = *elfOf(target);
  std::string file = (isNative(elf) ? "" : elf.gnu.str() + "/") + name.str();
  return installedFile("runtime/" + file,
                       std::string(HALCYON_RUNTIME_FOLDER) + "/" + file);
}

/// Why nothing can be linked for a target; empty if it can.
static std::string missingFor(const Target &target, ArrayRef<StringRef> names,
                              StringRef packages = "") {
  const Elf *elf = elfOf(target);
  if (!elf)
    return "programs and libraries are linked for Linux alone, not for " + target.name;
  std::string missing;
  for (StringRef name : names)
    if (findIn(libraryFolders(target), name).empty())
      missing += (missing.empty() ? "" : ", ") + name.str();
  if (elf->needsLibgcc && gccFolder(*elf).empty())
    missing += std::string(missing.empty() ? "" : ", ") + "libgcc.a";
  if (!missing.empty())
    return "linking for " + target.machine + " needs " + missing + " (Debian: " +
           elf->package.str() + packages.str() + ")";
  if (!isNative(*elf) && !sys::fs::exists(runtimeLibrary("libhalcyon_runtime.a", target)))
    return "this build of Halcyon has no runtime for " + target.machine +
           ": build it where " + elf->package.str() + " is installed";
  return "";
}

static std::string linkerPath() { return installedFile("bin/ld.lld", HALCYON_LLD); }

std::string linkExecutable(const std::vector<std::string> &objects,
                           const Target &target, const std::string &output,
                           MainProgram program) {
  // The trainer uses what the command line has for pictures and files.
  static const std::vector<StringRef> mainLibraries[] = {
      {"libhalcyon_cli.a"},
      {"libhalcyon_measure.a"},
      {"libhalcyon_train.a", "libhalcyon_cli.a"}};
  const std::vector<StringRef> &libraries = mainLibraries[unsigned(program)];
  bool cxx = program == MainProgram::Train;
  std::vector<StringRef> needed = {"Scrt1.o", "crti.o", "crtn.o", "libc.so"};
  static const StringRef pictures[] = {"libpng.a", "libjpeg.a", "libz.a"};
  if (const Elf *elf = elfOf(target); elf && readsPictures(*elf))
    needed.insert(needed.end(), std::begin(pictures), std::end(pictures));
  std::string why = missingFor(target, needed,
                               cxx ? " libpng-dev libjpeg62-turbo-dev zlib1g-dev libstdc++-12-dev"
                                   : " libpng-dev libjpeg62-turbo-dev zlib1g-dev");
  if (!why.empty())
    return why;
  const Elf &elf = *elfOf(target);
  auto folders = libraryFolders(target);
  auto find = [&](StringRef name) { return findIn(folders, name); };
  std::vector<std::string> language;
  if (cxx) {
    if (!isNative(elf))
      return "training programs are linked for the compiler's own machine alone";
    folders.insert(folders.begin(), HALCYON_CXX_FOLDER);
    for (StringRef name : {"crtbeginS.o", "crtendS.o", "libstdc++.a", "libgcc_eh.a",
                           "libgcc.a"}) {
      language.push_back(find(name));
      if (language.back().empty())
        return "linking needs " + name.str() + " (Debian: libstdc++-12-dev)";
    }
  }
  std::string temporary = output + ".tmp" + std::to_string(getpid());
  std::vector<std::string> command = {
      linkerPath(), "-pie", "--gc-sections", "--build-id=none", "-s",
      "-z", "noexecstack", "--dynamic-linker", elf.loader.str(),
      "-o", temporary, find("Scrt1.o"), find("crti.o")};
  if (cxx)
    command.insert(command.end(), {language[0], "--eh-frame-hdr"});
  for (const std::string &folder : folders)
    command.push_back("-L" + folder);
  command.insert(command.end(), objects.begin(), objects.end());
  for (StringRef name : libraries)
    command.push_back(runtimeLibrary(name, target));
  // What Halide's runtime for a device has as well is weak there.
  if (target.device)
    command.push_back("--whole-archive");
  command.push_back(runtimeLibrary("libhalcyon_runtime.a", target));
  if (target.device)
    command.push_back("--no-whole-archive");
  if (readsPictures(elf))
    for (StringRef name : pictures)
      command.push_back(find(name));
  if (cxx)
    command.push_back(language[2]);
  for (std::string &library : systemLibraries(target))
    command.push_back(std::move(library));
  if (cxx)
    command.insert(command.end(), {language[3], language[4], "-lc", language[1]});
  command.push_back(find("crtn.o"));
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
                                const Target &target, const std::string &object,
                                StringRef bridge = "") {
  std::vector<std::string> command = {linkerPath(), "-r", "-o", object};
  command.insert(command.end(), objects.begin(), objects.end());
  command.push_back("--whole-archive");
  command.push_back(runtimeLibrary("libhalcyon_runtime.a", target));
  if (!bridge.empty())
    command.push_back(runtimeLibrary(bridge, target));
  std::string error = runTool(command);
  if (!error.empty())
    return error;
  command = {installedFile("bin/llvm-objcopy", HALCYON_OBJCOPY)};
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

std::string archiveObjects(const std::vector<std::string> &objects,
                           const std::string &output) {
  std::string archive = output + ".tmp" + std::to_string(getpid());
  std::vector<std::string> command = {installedFile("bin/llvm-ar", HALCYON_AR), "rcsD", archive};
  command.insert(command.end(), objects.begin(), objects.end());
  return finish(runTool(command), archive, output);
}

std::string linkStaticLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output) {
  // The archive names its member after the file.
  std::string object = output + ".o";
  std::string error = missingFor(target, {});
  if (error.empty())
    error = mergeObjects(objects, exported, target, object);
  if (error.empty())
    error = archiveObjects({object}, output);
  unlink(object.c_str());
  return error;
}

std::string linkSharedLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output,
                              StringRef soname, StringRef bridge) {
  std::string error = missingFor(target, {"libc.so"});
  std::string object = output + ".o";
  std::string library = output + ".tmp" + std::to_string(getpid());
  if (error.empty())
    error = mergeObjects(objects, exported, target, object, bridge);
  if (error.empty()) {
    std::vector<std::string> command = {
        linkerPath(), "-shared", "--build-id=none", "-s", "-z", "noexecstack",
        "-z", "now", "-soname", soname.str(), "-o", library, object};
    for (const std::string &folder : libraryFolders(target))
      command.push_back("-L" + folder);
    for (std::string &needed : systemLibraries(target))
      command.push_back(std::move(needed));
    error = runTool(command);
  }
  unlink(object.c_str());
  return finish(error, library, output);
}

std::string linkWasm(const std::vector<std::string> &objects,
                     const std::vector<std::string> &exported, bool shared,
                     const std::string &output) {
  const std::string file = "wasm32/halcyon_runtime.o";
  std::string runtime = installedFile("runtime/" + file,
                                      std::string(HALCYON_RUNTIME_FOLDER) + "/" + file);
  if (!sys::fs::exists(runtime))
    return "this build of Halcyon has no runtime for wasm: build it with clang";
  std::string temporary = output + ".tmp" + std::to_string(getpid());
  // The loader makes as much memory, and brings functions of mathematics.
  std::vector<std::string> command = {
      linkerPath(), "-flavor", "wasm", "--no-entry", "--strip-all", "--gc-sections",
      "--allow-undefined", "--initial-memory=16777216", "--max-memory=4294967296",
      "-z", "stack-size=1048576", "-o", temporary};
  if (shared)
    command.insert(command.end(),
                   {"--shared-memory", "--import-memory", "--export=__stack_pointer"});
  for (const std::string &name : exported)
    command.push_back("--export=" + name);
  command.insert(command.end(), objects.begin(), objects.end());
  command.push_back(runtime);
  return finish(runTool(command), temporary, output);
}

} // namespace halcyon
