//===- Library.cpp - A static library with a C header ---------------------===//

#include "compiler/emit/Library.h"
#include "compiler/codegen/Link.h"
#include "compiler/emit/Texts.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"

using namespace llvm;

namespace halcyon {

std::string libraryName(exec::ProgramOp program) {
  std::string name = program.getSymName().str();
  for (char &c : name)
    if (!isAlnum(c) && c != '_')
      c = '_';
  return isDigit(name[0]) ? "_" + name : name;
}

std::string librarySymbol(exec::ProgramOp program) {
  return libraryName(program) + "_program";
}

static void replaceAll(std::string &text, StringRef from, StringRef to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
}

/// The functions that halcyon.h declares: it alone says what is public.
static std::vector<std::string> publicFunctions() {
  std::vector<std::string> names;
  StringRef text = textOf("halcyon.h");
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

/// "f32[N, 1, 28, 28]"
static std::string typeText(mlir::DictionaryAttr port) {
  auto type = cast<mlir::RankedTensorType>(
      port.getAs<mlir::TypeAttr>("type").getValue());
  std::string text = "f32[";
  ListSeparator comma;
  raw_string_ostream os(text);
  for (int64_t size : type.getShape()) {
    os << comma;
    if (mlir::ShapedType::isDynamic(size))
      os << "N";
    else
      os << size;
  }
  return text + "]";
}

/// A line for each input and output, numbered as the C functions do.
static std::string portLines(exec::ProgramOp program, StringRef indent) {
  std::string text;
  raw_string_ostream os(text);
  auto list = [&](StringRef what, mlir::ArrayAttr ports) {
    for (auto [index, attribute] : enumerate(ports)) {
      auto port = cast<mlir::DictionaryAttr>(attribute);
      os << indent << what << " " << index << ": "
         << port.getAs<mlir::StringAttr>("name").getValue() << ", "
         << typeText(port);
      if (port.contains("image"))
        os << ", can be made from a picture";
      os << "\n";
    }
  };
  list("input", program.getInputs());
  list("output", program.getOutputs());
  return text;
}

/// halcyon.h with the model's own names and what it takes and gives.
static std::string headerText(exec::ProgramOp program) {
  std::string name = libraryName(program);
  auto [about, declarations] =
      textOf("halcyon.h").split("\n#ifndef HALCYON_HALCYON_H\n");
  // The comment's first three lines introduce the runtime, the rest its use.
  size_t use = about.find("//     halcyon_session *session;");
  std::string text =
      "//===- " + name + ".h - The model " + program.getSymName().str() +
      " as a C library -===//\n//\n" + portLines(program, "// ") +
      "//\n// Tensors are dense and row-major; N is the batch, free at run "
      "time. A session is\n// what one caller needs to run the model: an "
      "arena, worker threads, buffers.\n//\n" +
      about.substr(use).str() + "\n#ifndef HALCYON_HALCYON_H\n" +
      declarations.str();
  for (const std::string &function : publicFunctions())
    replaceAll(text, function + "(", ownName(function, name) + "(");
  replaceAll(text, "halcyon_program_main", librarySymbol(program));
  replaceAll(text, "HALCYON_HALCYON_H",
             "HALCYON_" + StringRef(name).upper() + "_H");
  std::string opening = "extern \"C\" {\n#endif\n";
  text.insert(text.find(opening) + opening.size(),
              "\n/// The model. It never changes, and any number of sessions "
              "may share it.\nHALCYON_API extern const halcyon_program " +
                  librarySymbol(program) + ";\n");
  return text;
}

std::string emitLibrary(exec::ProgramOp program, const Target &target,
                        const std::vector<std::string> &objects,
                        OutputFolder &folder) {
  std::string name = libraryName(program), symbol = librarySymbol(program);
  std::vector<ExportedSymbol> exported = {{symbol, symbol}};
  for (const std::string &function : publicFunctions())
    exported.push_back({function, ownName(function, name)});
  std::string error = linkStaticLibrary(objects, exported, target,
                                        folder.file("lib" + name + ".a"));
  auto write = [&](StringRef path, std::string text) {
    replaceAll(text, "@NAME@", name);
    replaceAll(text, "@TARGET@", target.halide);
    replaceAll(text, "@PORTS@\n", portLines(program, "- "));
    if (error.empty())
      error = folder.write(path, text);
  };
  write("include/" + name + ".h", headerText(program));
  for (StringRef header : {"types.h", "program.h"})
    write("include/halcyon/" + header.str(), textOf(header).str());
  write("example.c", textOf("example.c").str());
  write("README.md", textOf("README.md").str());
  return error;
}

} // namespace halcyon
