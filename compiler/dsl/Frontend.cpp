//===- Frontend.cpp - A model file to the cnn dialect ---------------------===//

#include "Frontend.h"
#include "Elaborator.h"
#include "Library.h"
#include "Parser.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace halcyon::dsl;
using namespace llvm;

/// A model is text that a person wrote.
static constexpr uint64_t maxFileSize = 4 << 20;
static constexpr size_t maxFiles = 1000;

namespace {

/// Reads a file and what it imports, each once.
class Loader {
public:
  Loader(SourceMgr &sources, Diagnostics &diags,
         const std::vector<std::string> &importPaths)
      : sources(sources), diags(diags), importPaths(importPaths) {}

  /// Null, with a report, where the file cannot be read.
  const File *loadMain(StringRef path);
  const File *loadText(StringRef text, StringRef name);
  std::unique_ptr<File> loadLibrary();
  void loadImports();

private:
  std::unique_ptr<MemoryBuffer> read(StringRef path, std::string &problem);
  File *add(std::unique_ptr<MemoryBuffer> buffer, StringRef path);
  void resolve(File &file, ImportItem &item);

  SourceMgr &sources;
  Diagnostics &diags;
  const std::vector<std::string> &importPaths;
  std::vector<std::unique_ptr<File>> files;
  StringMap<File *> byPath;
};

} // namespace

std::unique_ptr<MemoryBuffer> Loader::read(StringRef path,
                                           std::string &problem) {
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status)) {
    problem = code.message();
    return nullptr;
  }
  if (status.type() == sys::fs::file_type::directory_file) {
    problem = "it is a folder";
    return nullptr;
  }
  if (status.getSize() > maxFileSize) {
    problem = "it is larger than a model file can be";
    return nullptr;
  }
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/true,
                                      /*IsVolatile=*/true);
  if (!buffer) {
    problem = buffer.getError().message();
    return nullptr;
  }
  return MemoryBuffer::getMemBufferCopy((*buffer)->getBuffer(), path);
}

File *Loader::add(std::unique_ptr<MemoryBuffer> buffer, StringRef path) {
  unsigned id = sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  File &file = *files.emplace_back(std::make_unique<File>());
  file.path = path.str();
  parseFile(id, diags, file);
  return &file;
}

const File *Loader::loadMain(StringRef path) {
  std::string problem;
  std::unique_ptr<MemoryBuffer> buffer = read(path, problem);
  if (!buffer) {
    diags.error("cannot read '" + path + "': " + problem);
    return nullptr;
  }
  SmallString<256> real;
  File *file = add(std::move(buffer), path);
  if (!sys::fs::real_path(path, real))
    byPath[real] = file;
  return file;
}

const File *Loader::loadText(StringRef text, StringRef name) {
  if (text.size() > maxFileSize) {
    diags.error("'" + name + "' is larger than a model file can be");
    return nullptr;
  }
  return add(MemoryBuffer::getMemBufferCopy(text, name), name);
}

std::unique_ptr<File> Loader::loadLibrary() {
  auto library = std::make_unique<File>();
  library->isLibrary = true;
  for (const LibraryFile &part : libraryFiles()) {
    unsigned id = sources.AddNewSourceBuffer(
        MemoryBuffer::getMemBuffer(part.text, part.name), SMLoc());
    parseFile(id, diags, *library);
  }
  return library;
}

/// Looks beside the importing file, then in the import paths.
void Loader::resolve(File &file, ImportItem &item) {
  SmallString<256> path, real;
  std::vector<std::string> places = {sys::path::parent_path(file.path).str()};
  append_range(places, importPaths);
  bool plain = item.path.find('\0') == std::string::npos && !item.path.empty();
  for (const std::string &place : places) {
    path = item.path;
    sys::path::make_absolute(place, path);
    if (plain && !sys::fs::real_path(path, real))
      break;
    real.clear();
  }
  file.incomplete |= real.empty();
  if (real.empty()) {
    std::vector<std::string> notes;
    for (std::string &place : places)
      notes.push_back("looked in '" + (place.empty() ? "." : place) + "'");
    return diags.error(item.range,
                       "there is no file '" + printable(item.path) + "'",
                       std::move(notes));
  }
  auto known = byPath.find(real);
  if (known == byPath.end()) {
    std::string problem;
    std::unique_ptr<MemoryBuffer> buffer;
    if (files.size() >= maxFiles)
      problem = "there are too many imports";
    else
      buffer = read(path, problem);
    if (!buffer) {
      file.incomplete = true;
      return diags.error(item.range,
                         "cannot read '" + printable(path) + "': " + problem);
    }
    known = byPath.try_emplace(real, add(std::move(buffer), path)).first;
  }
  item.file = known->second;
  // What the imported file failed to define may be what this one needs.
  file.incomplete |= known->second->incomplete;
}

void Loader::loadImports() {
  // Files are added while this runs.
  for (size_t i = 0; i < files.size(); ++i) {
    File &file = *files[i];
    for (size_t j = 0; j < file.imports.size(); ++j)
      resolve(file, file.imports[j]);
  }
}

static mlir::OwningOpRef<mlir::ModuleOp>
compile(function_ref<const File *(Loader &)> load, mlir::MLIRContext &context,
        const FrontendOptions &options, raw_ostream &errs) {
  SourceMgr sources;
  Diagnostics diags(sources, errs);
  Loader loader(sources, diags, options.importPaths);
  const File *file = load(loader);
  if (!file)
    return nullptr;
  loader.loadImports();
  std::unique_ptr<File> library = loader.loadLibrary();
  return Elaborator(context, diags, options, *library).run(*file);
}

mlir::OwningOpRef<mlir::ModuleOp>
halcyon::dsl::compileModelFile(StringRef path, mlir::MLIRContext &context,
                               const FrontendOptions &options,
                               raw_ostream &errs) {
  return compile([&](Loader &loader) { return loader.loadMain(path); }, context,
                 options, errs);
}

mlir::OwningOpRef<mlir::ModuleOp> halcyon::dsl::compileModelText(
    StringRef text, StringRef name, mlir::MLIRContext &context,
    const FrontendOptions &options, raw_ostream &errs) {
  return compile([&](Loader &loader) { return loader.loadText(text, name); },
                 context, options, errs);
}

std::vector<LibraryOp> halcyon::dsl::libraryOps() {
  SourceMgr sources;
  Diagnostics diags(sources, nulls());
  std::vector<std::string> importPaths;
  std::unique_ptr<File> library =
      Loader(sources, diags, importPaths).loadLibrary();
  std::vector<LibraryOp> ops;
  for (const auto &definition : library->definitions) {
    bool elementwise = definition->kind == Definition::Op &&
                       !definition->isIndexed && definition->formula;
    LibraryOp op{definition->name.text.str(), 0, {}};
    for (const Param &param : definition->params) {
      elementwise &= !param.isWeight;
      if (param.defaultValue)
        op.defaults.push_back(param.name.text.str());
      else
        ++op.required;
    }
    if (elementwise)
      ops.push_back(std::move(op));
  }
  return ops;
}

std::vector<std::string>
halcyon::dsl::builtinNames(mlir::MLIRContext &context) {
  std::vector<std::string> names;
  for (StringRef helper : helperNames())
    names.push_back(helper.str());
  for (mlir::RegisteredOperationName op : context.getRegisteredOperations())
    if (op.hasInterface<cnn::LayerOpInterface>())
      names.push_back(op.stripDialect().str());
  return names;
}

mlir::LogicalResult halcyon::dsl::printModelFileAst(StringRef path,
                                                    raw_ostream &os,
                                                    raw_ostream &errs) {
  SourceMgr sources;
  Diagnostics diags(sources, errs);
  std::vector<std::string> importPaths;
  Loader loader(sources, diags, importPaths);
  const File *file = loader.loadMain(path);
  if (!file || diags.hasErrors())
    return mlir::failure();
  printAst(*file, os);
  return mlir::success();
}
