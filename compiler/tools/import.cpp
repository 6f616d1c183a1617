//===- import.cpp - halcyon import: an ONNX model as a model to read ------===//

#include "compiler/codegen/Cache.h"
#include "compiler/import/Safetensors.h"
#include "compiler/import/onnx/Model.h"
#include "compiler/tools/Driver.h"
#include "compiler/write/Write.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

static int importModel();

static Subcommand command("import", "Write an ONNX model in the language, its weights beside it",
                          importModel);
static ModelOptions model(command.command, /*takesWeights=*/false);
static cl::opt<std::string> output("o", cl::desc("The model; NAME.safetensors lies beside it"),
                                   cl::value_desc("name.cnn"),
                                   cl::sub(command.command));

/// Options of the commands that make programs are none of this one.
static bool checkOptions() {
  cl::Option *others[] = {&model.modelName, std::addressof(model.set), &model.target,
                          &model.algorithm, &model.precision, &model.weights,
                          &model.schedule, &model.writeSchedule};
  for (cl::Option *option : others)
    if (option->getNumOccurrences())
      return fail("import takes no --" + option->ArgStr);
  return true;
}

/// "node 3 of 20, 'conv1' (Conv of opset 13)"
static std::string describe(const Driver &driver, mlir::Operation *op) {
  cnn::LayerLocation at = cnn::layerLocation(op->getLoc());
  if (at.line > 0 && at.line <= driver.nodes.size())
    return driver.nodes[at.line - 1];
  return "'" + at.path + "' (" + op->getName().stripDialect().str() + ")";
}

/// Gives two finished files their names, or neither.
static bool rename(const std::string &from, const std::string &to,
                   const std::string &otherFrom, const std::string &otherTo) {
  std::string kept = to + ".old" + std::to_string(getpid());
  bool replaces = sys::fs::exists(to);
  if (replaces && ::rename(to.c_str(), kept.c_str()) != 0)
    return fail("can't replace " + to + ": " + strerror(errno));
  if (::rename(from.c_str(), to.c_str()) == 0 &&
      ::rename(otherFrom.c_str(), otherTo.c_str()) == 0) {
    sys::fs::remove(kept);
    return true;
  }
  fail("can't write " + otherTo + ": " + strerror(errno));
  sys::fs::remove(to);
  if (replaces)
    ::rename(kept.c_str(), to.c_str());
  return false;
}

static int importModel() {
  if (!checkOptions())
    return 1;
  if (!onnx::isOnnxFile(model.model))
    return !fail("import takes a model in ONNX, and not " + model.model);
  std::string text = output.empty()
                         ? sys::path::stem(model.model).str() + ".cnn"
                         : output.getValue();
  if (sys::path::extension(text) != ".cnn")
    return !fail("a model in the language is called NAME.cnn, not " + text);
  SmallString<128> weights(text);
  sys::path::replace_extension(weights, ".safetensors");
  if (!checkWritable(text) || !checkWritable(weights))
    return 1;
  Driver driver(model);
  if (!driver.parse())
    return 1;
  write::Written written = write::writeModel(
      *driver.module,
      [&](mlir::Operation *op) { return describe(driver, op); }, errs());
  if (written.text.empty())
    return 1;
  std::string suffix = ".tmp" + std::to_string(getpid());
  std::string newText = text + suffix, newWeights = (weights + suffix).str();
  FileRemover removeText(newText), removeWeights(newWeights);
  std::string error =
      writeSafetensors(written.weights, *driver.weights, newWeights);
  if (!error.empty())
    return !fail("can't write " + weights + ": " + error);
  if (!writeWhole(newText, written.text))
    return !fail("can't write " + text + ": " + strerror(errno));
  return !rename(newWeights, weights.str().str(), newText, text);
}

} // namespace halcyon
