//===- Link.h - Objects to programs and libraries -------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_LINK_H
#define HALCYON_COMPILER_CODEGEN_LINK_H

#include "compiler/targets/Target.h"

#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace halcyon {

/// Whose main program an executable has.
enum class MainProgram {
  CommandLine, ///< runs the model
  Measure,     ///< times kernels, for the tuner
  Train        ///< trains the model
};

/// Links a stand-alone executable from objects, the runtime and a main
/// program. Written whole or not at all. Returns what went wrong, or nothing.
std::string linkExecutable(const std::vector<std::string> &objects,
                           const Target &target, const std::string &output,
                           MainProgram program = MainProgram::CommandLine);

/// A symbol of the objects or the runtime, and what a library calls it.
struct ExportedSymbol {
  std::string symbol, name;
};

/// Makes a static library of one object, the runtime included, in which all
/// symbols but `exported` are local. Written whole or not at all.
std::string linkStaticLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output);

/// Makes a static library of objects as they are. Written whole or not at all.
std::string archiveObjects(const std::vector<std::string> &objects,
                           const std::string &output);

/// As linkStaticLibrary, a shared library that others call `soname`, which exports nothing
/// but `exported`. `bridge` is another library of ours that it holds.
std::string linkSharedLibrary(const std::vector<std::string> &objects,
                              const std::vector<ExportedSymbol> &exported,
                              const Target &target, const std::string &output,
                              llvm::StringRef soname, llvm::StringRef bridge = "");

/// Links objects of WebAssembly and what kernels call there to a module that exports
/// `exported`. Of a `shared` one the memory is brought and may be several
/// threads'. Written whole or not at all.
std::string linkWasm(const std::vector<std::string> &objects,
                     const std::vector<std::string> &exported, bool shared,
                     const std::string &output);

/// A library of ours for programs of a target.
std::string runtimeLibrary(llvm::StringRef name, const Target &target);

/// A file of an installation's lib/halcyon, beside this executable's folder, or
/// where the build knew it.
std::string installedFile(llvm::StringRef relative, llvm::StringRef built);

/// Runs a program; returns its error output where it fails.
std::string runTool(const std::vector<std::string> &command);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_LINK_H
