//===- halcyon.cpp - The command ------------------------------------------===//

#include "compiler/tools/Driver.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

using namespace llvm;
using namespace halcyon;

static void printCommands(raw_ostream &os) {
  os << "Halcyon: a compiler for convolutional networks\n\n";
  for (Subcommand *command : Subcommand::all())
    os << "  halcyon " << left_justify(command->command.getName(), 10)
       << command->command.getDescription() << "\n";
  os << "\n`halcyon COMMAND --help` says more.\n";
}

/// The options of one command, without those of the libraries that we link.
static void printHelp(Subcommand &command) {
  cl::SubCommand &sub = command.command;
  outs() << sub.getDescription() << "\n\nusage: halcyon " << sub.getName()
         << " [options]";
  for (cl::Option *positional : sub.PositionalOpts)
    outs() << " " << positional->HelpStr;
  outs() << "\n\n";
  std::vector<cl::Option *> options;
  for (auto &[name, option] : sub.OptionsMap)
    if (is_contained(option->Categories, &cl::getGeneralCategory()) &&
        option->getOptionHiddenFlag() == cl::NotHidden)
      options.push_back(option);
  llvm::sort(options, [](cl::Option *a, cl::Option *b) {
    return a->ArgStr < b->ArgStr;
  });
  size_t width = 0;
  for (cl::Option *option : options)
    width = std::max(width, option->getOptionWidth());
  for (cl::Option *option : options)
    option->printOptionInfo(width);
}

/// Libraries say what is wrong with an option in several lines; we in one.
static int reportUsage(StringRef message, StringRef command) {
  message.consume_front("halcyon " + command.str() + ": ");
  message.consume_front("halcyon: ");
  auto [first, rest] = message.trim().split('\n');
  first = first.take_front(first.find("  Try: ")).rtrim(".! ");
  errs() << "error: " << first;
  size_t guess = rest.find("Did you mean '");
  if (guess != StringRef::npos)
    errs() << "; did you mean " << rest.substr(guess + 13).split('?').first << "?";
  errs() << " (see halcyon " << command << " --help)\n";
  return 1;
}

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  StringRef name = argc > 1 ? argv[1] : "";
  if (name.empty() || name == "--help" || name == "-h" || name == "help") {
    printCommands(name.empty() ? errs() : outs());
    return name.empty();
  }
  if (name == "--version") {
    outs() << "halcyon " HALCYON_VERSION ", LLVM " LLVM_VERSION_STRING
              ", Halide " HALCYON_HALIDE_VERSION "\n";
    return 0;
  }
  auto command = find_if(Subcommand::all(), [&](Subcommand *command) {
    return command->command.getName() == name;
  });
  if (command == Subcommand::all().end()) {
    errs() << "error: there is no command '" << name << "'; there are ";
    ListSeparator comma;
    for (Subcommand *known : Subcommand::all())
      errs() << comma << known->command.getName();
    errs() << "\n";
    return 1;
  }
  for (int i = 2; i < argc; ++i)
    if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-h") {
      printHelp(**command);
      return 0;
    }
  std::string message;
  raw_string_ostream stream(message);
  if (!cl::ParseCommandLineOptions(argc, argv, "", &stream))
    return reportUsage(message, name);
  return (*command)->run();
}
