//===- halcyon.cpp - The command ------------------------------------------===//

#include "compiler/tools/Driver.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace halcyon;

static void printCommands(raw_ostream &os) {
  os << "Halcyon: a compiler for convolutional networks\n\n";
  for (Subcommand *command : Subcommand::all())
    os << "  halcyon " << left_justify(command->command.getName(), 11)
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

static void replace(std::string &text, StringRef from, StringRef to) {
  if (size_t at = text.find(from); at != std::string::npos)
    text.replace(at, from.size(), to);
}

/// LLVM says what is wrong with an option in several lines; we in one.
static int reportUsage(StringRef message, StringRef command) {
  auto [first, rest] = message.trim().split('\n');
  first.consume_front("halcyon " + command.str() + ": ");
  first.consume_front("halcyon: ");
  first = first.take_front(first.find("  Try: ")).rtrim(".! ");
  std::string text = first.str();
  replace(text, "Unknown command line argument", "unknown option");
  replace(text, "Not enough positional command line arguments specified",
          "the model file is missing");
  replace(text, "Too many positional arguments specified", "too many files");
  replace(text, "for the --", "--");
  replace(text, " option: Cannot find option named", ": there is no");
  replace(text, " option: must be specified at least once", " is missing");
  replace(text, " option: ", ": ");
  errs() << "error: " << text;
  size_t guess = rest.find("Did you mean '");
  if (guess != StringRef::npos)
    errs() << "; did you mean " << rest.substr(guess + 13).split('?').first << "?";
  errs() << " (see halcyon " << command << " --help)\n";
  return 1;
}

/// Parses the options. `message` gets what LLVM reports, part of which it
/// writes to stderr whatever stream it is given.
static bool parseOptions(int argc, char **argv, std::string &message) {
  errs().flush();
  int file = memfd_create("messages", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
  if (file >= 0)
    dup2(file, STDERR_FILENO);
  raw_string_ostream stream(message);
  bool good = cl::ParseCommandLineOptions(argc, argv, "", &stream);
  errs().flush();
  if (file >= 0) {
    dup2(saved, STDERR_FILENO);
    char text[4096];
    ssize_t length = pread(file, text, sizeof text, 0);
    message.insert(0, text, std::max<ssize_t>(length, 0));
    close(file);
  }
  close(saved);
  return good;
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
  if (!parseOptions(argc, argv, message))
    return reportUsage(message, name);
  return (*command)->run();
}
