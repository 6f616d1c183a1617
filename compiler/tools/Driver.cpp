//===- Driver.cpp - What the subcommands of halcyon share -----------------===//

#include "compiler/tools/Driver.h"
#include "compiler/codegen/Cache.h"
#include "compiler/codegen/Link.h"
#include "compiler/codegen/ProgramTable.h"
#include "compiler/codegen/PixelObjects.h"
#include "compiler/codegen/TrainerTable.h"
#include "compiler/dsl/Diagnostics.h"
#include "compiler/dsl/Frontend.h"
#include "compiler/import/onnx/Import.h"
#include "compiler/import/onnx/Model.h"
#include "compiler/tune/Schedule.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <elf.h>
#include <unistd.h>

using namespace llvm;

namespace halcyon {

std::vector<Subcommand *> &Subcommand::all() {
  static std::vector<Subcommand *> commands;
  return commands;
}

Subcommand::Subcommand(StringRef name, StringRef summary, int (*run)())
    : command(name, summary), run(run) {
  all().push_back(this);
}

ModelOptions::ModelOptions(cl::SubCommand &sub, bool takesWeights)
    : model(cl::Positional, cl::Required, cl::desc("model.cnn or model.onnx"), cl::sub(sub)),
      modelName("model", cl::desc("The model of the file, where it has several"),
                cl::value_desc("name"), cl::sub(sub)),
      weights("weights", cl::desc("A safetensors file, or seed:N for made-up ones"),
              cl::value_desc("file"), cl::sub(sub)),
      set("set", cl::desc("A parameter of the model: classes=10"),
          cl::value_desc("name=value"), cl::sub(sub)),
      shape("shape", cl::desc("The shape of an input: image=1,3,320,480"),
            cl::value_desc("input=sizes"), cl::sub(sub)),
      value("value",
            cl::desc("The numbers of an ONNX input that decides about shapes"),
            cl::value_desc("input=file.npy"), cl::sub(sub)),
      target("target", cl::desc("The machine that the program is for"),
             cl::value_desc("name"), cl::init("host"), cl::sub(sub)),
      algorithm("algorithm",
                cl::desc("Take this algorithm wherever it applies"),
                cl::value_desc("name"), cl::sub(sub)),
      precision("precision",
                cl::desc("f32, or bf16 but for the first and the last layer"),
                cl::value_desc("name"), cl::init("f32"), cl::sub(sub)),
      schedule("schedule", cl::desc("A .sched file: how layers run"),
               cl::value_desc("file"), cl::sub(sub)),
      writeSchedule("write-schedule",
                    cl::desc("Write how all layers run, as a .sched file"),
                    cl::value_desc("file"), cl::sub(sub)),
      ensemble("ensemble",
               cl::desc("Weights of further models, whose answers' mean is given"),
               cl::value_desc("files"), cl::CommaSeparated, cl::sub(sub)),
      views("views",
            cl::desc("The mean of the answers to other views, too: mirror, shift"),
            cl::value_desc("names"), cl::CommaSeparated, cl::sub(sub)) {
  if (!takesWeights)
    weights.setHiddenFlag(cl::Hidden);
}

std::string escaped(StringRef text) {
  std::string result;
  for (char c : text)
    result += c == '<'   ? "&lt;"
              : c == '>' ? "&gt;"
              : c == '&' ? "&amp;"
              : c == '"' ? "&quot;"
                         : std::string(1, c);
  return result;
}

bool parseBytes(StringRef text, int64_t &bytes) {
  static constexpr StringLiteral units = "KMG";
  StringRef number = text;
  size_t unit = text.empty() ? StringRef::npos : units.find(text.back());
  if (unit != StringRef::npos)
    number = text.drop_back();
  unsigned shift = unit == StringRef::npos ? 0 : 10 * (unit + 1);
  if (number.getAsInteger(10, bytes) || bytes < 1 || bytes > INT64_MAX >> shift)
    return fail("--memory takes bytes, such as 512M or 2G, not '" + text + "'");
  bytes <<= shift;
  return true;
}

bool fail(const Twine &message) {
  errs() << "error: " << message << "\n";
  return false;
}

Driver::Driver(const ModelOptions &options)
    : options(options), context(mlir::MLIRContext::Threading::DISABLED) {
  context.loadDialect<cnn::CnnDialect, exec::ExecDialect,
                      mlir::arith::ArithDialect, mlir::math::MathDialect>();
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
    cnn::LayerLocation at = cnn::layerLocation(diagnostic.getLocation());
    if (at.line)
      errs() << at.file << ":" << at.line << ":" << at.column << ": ";
    errs() << (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning
                   ? "warning: "
                   : "error: ")
           << diagnostic.str() << "\n";
  });
}

bool Driver::findMachine() {
  std::string known;
  auto found = findTarget(options.target, known);
  if (!found)
    return fail("unknown target '" + options.target + "'; there are " + known);
  target = *found;
  if (!cnn::symbolizePrecision(options.precision) && !(train && isWide()))
    return fail("unknown precision '" + options.precision + "'; there are f32" +
                (train ? ", bf16 and f64" : " and bf16"));
  return true;
}

/// "image=1,3,320,480" as a name and numbers; N or ? is an open batch.
static bool parseShape(StringRef text,
                       std::pair<std::string, std::vector<int64_t>> &shape) {
  auto [name, sizes] = text.split('=');
  shape.first = name.str();
  for (StringRef size : split(sizes, ',')) {
    int64_t number = -1;
    if (size != "N" && size != "?" && (size.getAsInteger(10, number) || number < 1))
      return false;
    shape.second.push_back(number);
  }
  return !name.empty();
}

bool Driver::parse() {
  dsl::FrontendOptions front;
  front.model = options.modelName;
  front.train = train;
  front.exact = isWide();
  for (const std::string &text : options.set) {
    auto [name, value] = StringRef(text).split('=');
    if (name.empty() || value.empty())
      return fail("--set takes name=value, not '" + text + "'");
    front.set.push_back({name.str(), value.str()});
  }
  for (const std::string &text : options.shape) {
    front.shapes.emplace_back();
    if (!parseShape(text, front.shapes.back()))
      return fail("--shape takes input=sizes, such as image=1,3,320,480, not '" +
                  text + "'");
  }
  for (const std::string &view : options.views) {
    if (view != "mirror" && view != "shift")
      return fail("--views takes mirror and shift, not '" + view + "'");
    (view == "mirror" ? front.mirror : front.shift) = true;
  }
  front.members = 1 + options.ensemble.size();
  bool several = front.members > 1 || front.mirror || front.shift;
  if (several && (train || !StringRef(options.model).ends_with(".cnn")))
    return fail("--ensemble and --views are for trained models in Halcyon's language");
  if (onnx::isOnnxFile(options.model))
    return parseOnnx(front);
  if (!options.value.empty())
    return fail("--value is for models in ONNX");
  if (StringRef(options.model).ends_with(".mlir"))
    module = mlir::parseSourceFile<mlir::ModuleOp>(options.model, &context);
  else
    module = dsl::compileModelFile(options.model, context, front, errs());
  if (!module || !train)
    return static_cast<bool>(module);
  for (auto model : module->getOps<cnn::ModelOp>())
    if (auto how = model->getAttrOfType<mlir::DictionaryAttr>(cnn::kTrainAttr)) {
      plan = std::move(*planOf(how).getAsObject());
      if (batch <= 0)
        continue;
      // Costs go by the batch that there will be.
      mlir::NamedAttrList items(how);
      items.set("batch", mlir::Builder(&context).getI64IntegerAttr(batch));
      model->setAttr(cnn::kTrainAttr, items.getDictionary(&context));
    }
  if (memory && plan.get("turns"))
    return fail("--memory is for a training of one model, and " + options.model +
                " trains several in turn");
  return !plan.empty() || fail(options.model + " says nothing of training");
}

bool Driver::parseOnnx(const dsl::FrontendOptions &front) {
  if (!front.set.empty() || !front.model.empty())
    return fail("--set and --model are for models in Halcyon's language");
  onnx::ImportOptions import;
  import.shapes.insert(front.shapes.begin(), front.shapes.end());
  for (const std::string &text : options.value) {
    auto [name, file] = StringRef(text).split('=');
    std::string error;
    auto tensor = onnx::readTensorFile(file, error);
    if (!tensor)
      return fail("--value " + text + ": " + error);
    import.values[name.str()] = *tensor;
  }
  onnx::Imported imported =
      onnx::importModel(options.model, context, import, errs());
  module = std::move(imported.module);
  weights = std::move(imported.weights);
  nodes = std::move(imported.nodes);
  return static_cast<bool>(module);
}

bool Driver::checkModelWeights() {
  // An ONNX file has weights of its own; others may take their place.
  if (weights && options.weights.empty())
    return true;
  bool none = !module
                   ->walk([](cnn::WeightOp) {
                     return mlir::WalkResult::interrupt();
                   })
                   .wasInterrupted();
  if (options.weights.empty() && !none)
    return fail("no weights; give --weights FILE.safetensors, or --weights "
                "seed:1 to try the network untrained");
  std::string error;
  weights = openWeights(options.weights.empty() ? "seed:1"
                                              : options.weights.getValue(),
                        error);
  if (!weights)
    return fail("can't read " + options.weights + ": " + error);
  if (options.ensemble.empty()) {
    weights = withModelNames(std::move(weights), *module);
  } else {
    std::vector<std::unique_ptr<WeightSource>> members;
    members.push_back(std::move(weights));
    for (const std::string &file : options.ensemble) {
      members.push_back(openWeights(file, error));
      if (!members.back())
        return fail("can't read " + file + ": " + error);
    }
    weights = joinMembers(std::move(members));
  }
  return checkWeights(*module, *weights, options.weights, errs());
}

std::string Driver::precision() const {
  auto said = plan.getString("precision");
  return said && !options.precision.getNumOccurrences() ? said->str()
                                                        : options.precision.getValue();
}

PipelineOptions Driver::pipelineOptions() const {
  PipelineOptions result;
  result.target = options.target;
  result.algorithm = options.algorithm;
  result.precision = isWide() ? "f32" : precision();
  result.wide = isWide();
  result.memory = memory;
  result.batch = std::clamp<int64_t>(batch ? batch : plan.getInteger("batch").value_or(1),
                                     1, 1 << 20);
  result.split = expected && (train || batch) ? result.batch : expected;
  result.single = single;
  result.derived = derived;
  return result;
}

namespace {
/// What passes find wrong with a layer, shown as the language shows mistakes:
/// with its line of the model and a caret.
class PassDiagnostics {
public:
  explicit PassDiagnostics(mlir::MLIRContext &context)
      : handler(&context,
                [this](mlir::Diagnostic &found) { return take(found); }) {}

private:
  mlir::LogicalResult take(mlir::Diagnostic &found) {
    SMRange where = place(cnn::layerLocation(found.getLocation()));
    bool isError = found.getSeverity() == mlir::DiagnosticSeverity::Error;
    if (!where.isValid() ||
        (!isError && found.getSeverity() != mlir::DiagnosticSeverity::Warning))
      return mlir::failure(); // the default handler prints it
    // Notes show the compiler's own form of the layer.
    isError ? diags.error(where, found.str()) : diags.warning(where, found.str());
    return mlir::success();
  }

  /// The layer's word, if the file can be read.
  SMRange place(const cnn::LayerLocation &at) {
    if (at.path.empty() || at.line == 0 || StringRef(at.file).ends_with(".onnx"))
      return {};
    auto [entry, isNew] = buffers.try_emplace(at.file, 0);
    if (isNew)
      if (auto file = MemoryBuffer::getFile(at.file))
        entry->second = sources.AddNewSourceBuffer(std::move(*file), SMLoc());
    if (!entry->second)
      return {};
    SMLoc from = sources.FindLocForLineAndColumn(entry->second, at.line, at.column);
    if (!from.isValid())
      return {};
    const char *end = from.getPointer();
    while (isAlnum(*end) || *end == '_')
      ++end;
    return {from, SMLoc::getFromPointer(std::max(end, from.getPointer() + 1))};
  }

  SourceMgr sources;
  StringMap<unsigned> buffers;
  dsl::Diagnostics diags{sources, errs()};
  mlir::ScopedDiagnosticHandler handler;
};
} // namespace

bool Driver::runPhase(Phase phase) {
  PassDiagnostics diagnostics(context);
  mlir::PassManager manager(&context);
  phase(manager, pipelineOptions());
  if (printAfterAll)
    manager.enableIRPrinting(nullptr,
                             [](mlir::Pass *, mlir::Operation *) { return true; },
                             /*printModuleScope=*/true);
  return mlir::succeeded(manager.run(*module));
}

bool Driver::differentiate() { return runPhase(buildTrainingPipeline); }

bool Driver::differentiateForCheck() {
  return runPhase(buildGradientCheckPipeline);
}

bool Driver::differentiateForProbe() { return runPhase(buildProbePipeline); }

bool Driver::differentiateForAutograd() { return runPhase(buildAutogradPipeline); }

bool Driver::optimize() { return runPhase(buildGraphPipeline); }

bool Driver::chooseKernels() {
  auto models = scheduledModels(*module);
  bool scheduled = !models.empty() && !options.schedule.empty();
  if (scheduled && !applyScheduleFile(options.schedule, models, target, errs()))
    return false;
  if (!runPhase(buildKernelPipeline))
    return false;
  if (models.empty() || options.writeSchedule.empty())
    return true;
  Schedule chosen;
  for (ScheduledModel &each : models)
    chosen.addStep(each.step, scheduleOf(each.model, target, HALCYON_HALIDE_VERSION));
  chosen.comments = {sys::path::stem(options.model).str() + ".sched"};
  return writeWhole(options.writeSchedule, printSchedule(chosen)) ||
         fail("can't write " + options.writeSchedule + ": " + strerror(errno));
}

bool Driver::lower() { return runPhase(buildExecPipeline); }

exec::ProgramOp Driver::program() {
  auto programs = module->getOps<exec::ProgramOp>();
  return programs.empty() ? exec::ProgramOp() : *programs.begin();
}

bool Driver::makeObjects(const ProgramOptions &how, WeightsObject weightsObject,
                         ProgramObjects &objects) {
  exec::ProgramOp exec = program();
  return exec ? halcyon::makeObjects(exec, *weights, target, how, weightsObject,
                                     objects, errs())
              : fail("the file has no model");
}

bool Driver::makeProgram(const ProgramOptions &how) {
  // Weights that follow the program are written once, to where they stay.
  bool follow = how.weightsIn.empty() && weightsFollowProgram(target);
  ProgramObjects objects;
  if (!makeObjects(how, follow ? WeightsObject::Placeholder : WeightsObject::Whole,
                   objects))
    return false;
  std::string linked = how.output + ".tmp" + std::to_string(getpid());
  FileRemover remover(linked);
  std::string error = linkExecutable(objects.paths, target, linked);
  uint64_t offset = 0;
  if (error.empty() && follow)
    error = makeRoomForWeights(
        linked, std::max<uint64_t>(program().getWeights(), 64), offset);
  if (!error.empty())
    return fail(error);
  if (follow) {
    std::vector<ForkedJob> jobs;
    const unsigned parts = 4;
    for (unsigned part = 0; part < parts; ++part)
      jobs.push_back({"weights", [=, this] {
                        return writeWeightsPart(program(), *weights, part, parts,
                                                linked, offset);
                      }});
    if (!runForked(jobs, how.kernels, errs()))
      return false;
  }
  if (rename(linked.c_str(), how.output.c_str()) != 0)
    return fail("can't write " + how.output + ": " + strerror(errno));
  remover.releaseFile();
  return true;
}

bool Driver::makeTrainer(const ProgramOptions &how) {
  ProgramObjects objects;
  auto temporary = [&](StringRef name) {
    objects.paths.push_back(how.output + "." + name.str() + ".tmp" +
                            std::to_string(getpid()) + ".o");
    objects.temporaries.push_back(objects.paths.back());
    return objects.paths.back();
  };
  auto compile = [&](mlir::ModuleOp table, StringRef name) {
    std::string error, bytes = compileHostModule(table, target, error);
    if (bytes.empty())
      return fail(error);
    std::string path = temporary(name);
    return writeWhole(path, bytes) ||
           fail("can't write " + path + ": " + strerror(errno));
  };
  auto symbolOf = [](StringRef name) { return "halcyon_program_" + name.str(); };
  const json::Array *turns = plan.getArray("turns");
  std::vector<std::string> steps = cnn::stepNames(turns ? turns->size() : 0),
                           names = steps;
  names.push_back("eval");
  std::vector<NamedProgram> programs;
  for (const std::string &name : names) {
    auto exec = module->lookupSymbol<exec::ProgramOp>(name);
    if (!exec)
      return fail("the training has no program '" + name + "'");
    programs.push_back({exec, symbolOf(name)});
  }
  std::vector<ForkedJob> jobs;
  std::vector<std::string> pixels = pixelObjects(target, how.kernels.useCache, jobs);
  if (!halcyon::makeObjects(programs, target, how, std::move(jobs), objects, errs()))
    return false;
  llvm::append_range(objects.paths, pixels);
  std::string text = formatv("{0}", json::Value(json::Object(plan)));
  for (std::string &name : steps)
    name = symbolOf(name);
  if (!compile(*buildTrainerTable(&context, steps, symbolOf("eval"), text), "trainer"))
    return false;
  std::string error =
      linkExecutable(objects.paths, target, how.output, MainProgram::Train);
  return error.empty() || fail(error);
}

bool checkWritable(StringRef path) {
  StringRef folder = sys::path::parent_path(path);
  std::string why;
  if (sys::fs::is_directory(path))
    why = "it is a folder";
  else if (isSpecialFile(path.str()))
    why = "it is a device or a pipe";
  else if (!folder.empty() && !sys::fs::is_directory(folder))
    why = "there is no folder " + folder.str();
  else if (access(folder.empty() ? "." : folder.str().c_str(), W_OK) != 0)
    why = strerror(errno);
  return why.empty() || fail("can't write " + path + ": " + why);
}

int runProgram(const ModelOptions &options, std::vector<std::string> args) {
  SmallString<128> path;
  int file;
  if (sys::fs::createUniqueFile(cacheFolder() + "/run-%%%%%%%%", file, path))
    return !fail("can't make a temporary program in " + cacheFolder());
  close(file);
  FileRemover remover(path);
  ProgramOptions how;
  how.output = path.str().str();
  how.kernels.progress = true;
  Driver driver(options);
  if (!driver.findMachine() || !driver.parse() || !driver.checkModelWeights() ||
      !driver.optimize() || !driver.chooseKernels() || !driver.lower() ||
      !driver.makeProgram(how))
    return 1;
  args.insert(args.begin(), sys::path::stem(options.model).str());
  SmallVector<StringRef> argv(args.begin(), args.end());
  std::string error;
  int status = sys::ExecuteAndWait(how.output, argv, std::nullopt, {}, 0, 0, &error);
  if (!error.empty())
    fail(error);
  return status < 0 ? 1 : status;
}

} // namespace halcyon
