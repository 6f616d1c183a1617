//===- emit.cpp - halcyon emit: a model for other programs ----------------===//

#include "compiler/emit/Form.h"
#include "compiler/tools/Driver.h"

using namespace llvm;

namespace halcyon {

static int emit();

namespace {

/// Takes the forms' names, those that registered themselves.
class FormParser : public cl::generic_parser_base {
public:
  using parser_data_type = const Form *;
  using generic_parser_base::generic_parser_base;

  unsigned getNumOptions() const override { return allForms().size(); }
  StringRef getOption(unsigned n) const override { return allForms()[n]->name; }
  StringRef getDescription(unsigned n) const override {
    return allForms()[n]->summary;
  }
  const cl::GenericOptionValue &getOptionValue(unsigned n) const override {
    static cl::OptionValue<const Form *> value;
    return value;
  }
  bool parse(cl::Option &option, StringRef, StringRef text, const Form *&value) {
    for (const Form *form : allForms())
      if (form->name == text) {
        value = form;
        return false;
      }
    return option.error("Cannot find option named '" + text + "'!");
  }
};

} // namespace

static Subcommand command("emit", "Write a model for other programs to use", emit);
static ModelOptions model(command.command);
static cl::opt<const Form *, false, FormParser>
    form("for", cl::desc("What to write"), cl::Required, cl::sub(command.command));
static cl::opt<std::string> output("o", cl::desc("The folder or file to write"),
                                   cl::value_desc("path"), cl::Required,
                                   cl::sub(command.command));
static cl::opt<bool> force("force", cl::desc("Replace a folder of other files"),
                           cl::sub(command.command));
static cl::opt<bool> embedWeights("embed-weights",
                                  cl::desc("Weights as an array in the source (c)"),
                                  cl::sub(command.command));
static cl::opt<bool> threads("threads", cl::desc("Source that runs in several threads (c)"),
                             cl::sub(command.command));
static cl::list<std::string> layers("layers", cl::CommaSeparated,
                                    cl::desc("These layers, and what lies between them, as "
                                             "one operator (onnxruntime)"),
                                    cl::value_desc("names"), cl::sub(command.command));
static cl::opt<unsigned> jobs("jobs", cl::desc("Kernels compiled at a time"),
                              cl::sub(command.command));

static int emit() {
  const Form &what = *form;
  if (model.target == "host")
    model.target = what.machine().str();
  if (!what.device().empty() && !StringRef(model.target).contains('+'))
    model.target = model.target == "host"
                       ? what.device().str()
                       : model.target + "+" + what.device().str();
  Driver driver(model);
  if (!driver.findMachine())
    return 1;
  std::string error = what.refusal(driver.target);
  if (error.empty() && embedWeights && !what.embedsWeights())
    error = "--embed-weights is for --for=c";
  if (error.empty() && threads && !what.takesThreads())
    error = "--threads is for --for=c; other forms run in several threads anyhow";
  if (error.empty() && !layers.empty() && !what.takesLayers())
    error = "--layers is for --for=onnxruntime";
  if (!error.empty())
    return !fail("--for=" + what.name + ": " + error);
  if (!driver.parse() || !driver.checkModelWeights())
    return 1;
  std::unique_ptr<OutputFolder> folder;
  if (!what.isFile())
    folder = std::make_unique<OutputFolder>(output, force, error);
  if (!error.empty())
    return !fail(error);
  Emission emission = {*driver.module, nullptr, *driver.weights, driver.target, {},
                       output,         folder.get(), errs(),     embedWeights,  threads,
                       layers};
  if (!layers.empty() && !what.cut(emission))
    return 1;
  if (!what.readsGraph()) {
    if (what.readsPasses() && !driver.differentiateForAutograd())
      return 1;
    if (!what.splitsBatch())
      driver.expected = 0;
    if (!driver.optimize() || !driver.chooseKernels() || !driver.lower())
      return 1;
    emission.program = driver.program();
    if (!emission.program)
      return !fail("the file has no model");
  }
  emission.kernels.jobs = jobs;
  emission.kernels.progress = true;
  if (!what.write(emission))
    return 1;
  error = folder ? folder->finish() : "";
  return !error.empty() && !fail(error);
}

} // namespace halcyon
