//===- Library.cpp - Static and shared libraries with a C header ----------===//

#include "compiler/emit/Library.h"
#include "compiler/emit/Texts.h"

#include "llvm/Support/Regex.h"

using namespace llvm;

namespace halcyon {

/// The functions that halcyon.h declares: it alone says what is public.
static std::vector<std::string> publicFunctions() {
  std::vector<std::string> names;
  StringRef text = textOf("halcyon/halcyon.h");
  Regex name("(halcyon_[a-z_]+)\\(");
  while (true) {
    auto [before, after] = text.split("\nHALCYON_API ");
    if (after.empty())
      return names;
    SmallVector<StringRef> match;
    if (name.match(after, &match))
      names.push_back(match[1].str());
    text = after;
  }
}

/// halcyon_session_run as lenet_session_run.
static std::string ownName(StringRef function, StringRef name) {
  return name.str() + function.drop_front(StringRef("halcyon").size()).str();
}

static std::string tableSymbol(const Interface &interface) {
  return interface.name + "_program";
}

std::vector<ExportedSymbol> publicSymbols(const Interface &interface,
                                          std::vector<std::string> tables) {
  if (tables.empty())
    tables = {tableSymbol(interface)};
  std::vector<ExportedSymbol> exported;
  for (const std::string &table : tables)
    exported.push_back({table, table});
  for (const std::string &function : publicFunctions())
    exported.push_back({function, ownName(function, interface.name)});
  return exported;
}

std::string abiVersion() {
  return textOf("halcyon/types.h")
      .split("#define HALCYON_ABI_VERSION ")
      .second.split('\n')
      .first.str();
}

std::string libraryHeader(const Interface &interface,
                          std::vector<std::string> tables) {
  if (tables.empty())
    tables = {tableSymbol(interface)};
  const std::string &name = interface.name;
  auto [about, declarations] =
      textOf("halcyon/halcyon.h").split("\n#ifndef HALCYON_HALCYON_H\n");
  // The comment's first three lines introduce the runtime, the rest its use.
  size_t use = about.find("//     halcyon_session *session;");
  std::string text =
      "//===- " + name + ".h - The model " + interface.model +
      " as a C library -===//\n//\n" + interface.portLines("// ") +
      "//\n// Tensors are dense and row-major; N is the batch, free at run "
      "time. A session is\n// what one caller needs to run the model: an "
      "arena, worker threads, buffers.\n//\n" +
      about.substr(use).str() + "\n#ifndef HALCYON_HALCYON_H\n" +
      declarations.str();
  for (const std::string &function : publicFunctions())
    replaceAll(text, function + "(", ownName(function, name) + "(");
  replaceAll(text, "halcyon_program_main", tables.front());
  replaceAll(text, "HALCYON_HALCYON_H",
             "HALCYON_" + StringRef(name).upper() + "_H");
  std::string opening = "extern \"C\" {\n#endif\n";
  std::string declared = "\n/// The model. It never changes, and any number of sessions "
                         "may share it.\n";
  for (const std::string &table : tables)
    declared += "HALCYON_API extern const halcyon_program " + table + ";\n";
  text.insert(text.find(opening) + opening.size(), declared);
  return text;
}

bool linkProgram(
    Emission &emission, const Interface &interface,
    function_ref<std::string(const std::vector<std::string> &)> link,
    std::string table) {
  ProgramOptions how;
  how.output = emission.folder->file(interface.name);
  how.symbol = table.empty() ? tableSymbol(interface) : table;
  how.kernels = emission.kernels;
  ProgramObjects objects;
  return makeObjects(emission.program, emission.weights, emission.target, how,
                     WeightsObject::Whole, objects, emission.errors) &&
         emission.succeeded(link(objects.paths));
}

namespace {

/// Every name that a library exports begins with its model's own, so that
/// several can be in one program, beside one that has Halide or our runtime.
class Library : public Form {
public:
  using Form::Form;
  std::string refusal(const Target &target) const override {
    return refuseLinking(target);
  }
  std::string checkedBy(const Target &target) const override {
    return whoRuns(target, "a C and a C++ program, several threads");
  }
  bool write(Emission &emission) const override {
    return writeLibrary(*this, emission, isShared());
  }

protected:
  virtual bool isShared() const = 0;
};

class StaticLibrary : public Library {
public:
  StaticLibrary() : Library("lib", "a static library with a C header") {}
  bool isShared() const override { return false; }
};

class SharedLibrary : public Library {
public:
  SharedLibrary() : Library("shared", "a shared library with a C header") {}
  bool isShared() const override { return true; }
};

} // namespace

bool writeLibrary(const Form &form, Emission &emission, bool isShared) {
  Interface interface(emission.program);
  const std::string &name = interface.name;
  std::string file = "lib" + name + (isShared ? ".so" : ".a");
  bool linked = linkProgram(
      emission, interface, [&](const std::vector<std::string> &objects) {
        std::string path = emission.folder->file("lib/" + file);
        auto symbols = publicSymbols(interface);
        return isShared ? linkSharedLibrary(objects, symbols, emission.target,
                                              path, file)
                          : linkStaticLibrary(objects, symbols, emission.target,
                                              path);
      });
  if (!linked)
    return false;
  TextWriter texts(form, emission, interface);
  texts.values["FILE"] = file;
  texts.values["KIND"] = isShared ? "shared" : "static";
  texts.values["CMAKE_KIND"] = isShared ? "SHARED" : "STATIC";
  texts.values["NEEDS"] = isShared ? "" : " -lm -lpthread";
  texts.values["CMAKE_NEEDS"] = isShared ? "" : "m;pthread";
  texts.values["RPATH"] = isShared ? " -Wl,-rpath,$PWD/lib" : "";
  texts.values["DEVICE"] =
      emission.target.device
          ? " `kernels` has what the device's driver\ngets, for reading: the library has it within. Sessions "
            "look for the driver when they are made."
          : "";
  texts.values["VERSION"] = abiVersion();
  std::string error =
      emission.folder->write("include/" + name + ".h", libraryHeader(interface));
  auto write = [&](StringRef path, StringRef text) {
    if (error.empty())
      error = texts.write(path, text);
  };
  write("include/halcyon/types.h", "halcyon/types.h");
  write("include/halcyon/program.h", "halcyon/program.h");
  write("lib/pkgconfig/" + name + ".pc", "library/library.pc");
  write("lib/cmake/" + name + "/" + name + "Config.cmake",
        "library/LibraryConfig.cmake");
  write("example.c", "library/example.c");
  write("README.md", "library/README.md");
  return emission.succeeded(error);
}

static RegisterForm<StaticLibrary> staticLibrary;
static RegisterForm<SharedLibrary> sharedLibrary;

} // namespace halcyon
