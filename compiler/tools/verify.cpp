//===- verify.cpp - halcyon verify: an ONNX model beside ONNX Runtime -----===//

#include "compiler/codegen/Link.h"
#include "compiler/tools/Driver.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace llvm;

namespace halcyon {

static int verify();

static Subcommand command("verify", "Compare an ONNX model's program with ONNX Runtime",
                          verify);
static cl::opt<std::string> model(cl::Positional, cl::Required,
                                  cl::desc("model.onnx"), cl::sub(command.command));
static cl::list<std::string> inputs("input", cl::desc("Numbers for an input"),
                                    cl::value_desc("[name=]x.npy"),
                                    cl::sub(command.command));
static cl::list<std::string> shapes("shape", cl::desc("The shape of an input"),
                                    cl::value_desc("input=sizes"),
                                    cl::sub(command.command));
static cl::list<std::string> values(
    "value", cl::desc("Numbers of an input that decides about shapes"),
    cl::value_desc("input=x.npy"), cl::sub(command.command));
enum class By { Any, OnnxRuntime, Reference };
static cl::opt<By> by(
    "with", cl::desc("Who computes the values to compare with"),
    cl::values(clEnumValN(By::OnnxRuntime, "onnxruntime", "ONNX Runtime, and nothing else"),
               clEnumValN(By::Reference, "reference", "ONNX's reference evaluator")),
    cl::init(By::Any), cl::sub(command.command));
static cl::opt<bool> layers("layers", cl::desc("Compare every value between nodes"),
                            cl::sub(command.command));
static cl::opt<std::string> tolerance(
    "tolerance", cl::desc("The largest difference over the largest value"),
    cl::value_desc("number"), cl::init("1e-3"), cl::sub(command.command));

/// Python with ONNX Runtime: HALCYON_PYTHON, the project's own, or the system's.
static std::string findPython() {
  if (auto named = sys::Process::GetEnv("HALCYON_PYTHON"))
    return *named;
  SmallString<128> own(HALCYON_SOURCE);
  sys::path::append(own, ".venv", "bin", "python");
  if (sys::fs::can_execute(own))
    return own.str().str();
  auto found = sys::findProgramByName("python3");
  return found ? *found : "";
}

static int verify() {
  std::string python = findPython();
  if (python.empty())
    return !fail("verify needs Python with the packages onnx and, where ONNX "
                 "Runtime is to be asked, onnxruntime; name it in HALCYON_PYTHON");
  std::string script = installedFile(
      "verify.py", HALCYON_SOURCE "/compiler/tools/verify.py");
  std::string self = sys::fs::getMainExecutable(nullptr, nullptr);
  std::vector<std::string> args = {python, script, self, model,
                                   "--tolerance", tolerance};
  for (const std::string &input : inputs)
    args.insert(args.end(), {"--input", input});
  for (const std::string &shape : shapes)
    args.insert(args.end(), {"--shape", shape});
  for (const std::string &value : values)
    args.insert(args.end(), {"--value", value});
  if (by != By::Any)
    args.insert(args.end(),
                {"--with", by == By::Reference ? "reference" : "onnxruntime"});
  if (layers)
    args.push_back("--layers");
  SmallVector<StringRef> argv(args.begin(), args.end());
  std::string error;
  int status = sys::ExecuteAndWait(python, argv, std::nullopt, {}, 0, 0, &error);
  if (!error.empty())
    fail(error);
  return status < 0 ? 1 : status;
}

} // namespace halcyon
