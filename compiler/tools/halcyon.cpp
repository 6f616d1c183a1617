//===- halcyon.cpp - The command ------------------------------------------===//

#include "compiler/tools/Driver.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

using namespace llvm;

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  // Libraries that we link bring options of their own.
  for (auto *command : halcyon::Subcommand::all())
    for (auto &option : command->command.OptionsMap)
      option.second->setHiddenFlag(cl::NotHidden);
  cl::ParseCommandLineOptions(argc, argv,
                              "halcyon: a compiler for convolutional networks\n");
  for (auto *command : halcyon::Subcommand::all())
    if (command->command)
      return command->run();
  errs() << "halcyon: a compiler for convolutional networks\n\n";
  for (auto *command : halcyon::Subcommand::all())
    errs() << "  halcyon " << left_justify(command->command.getName(), 10)
           << command->command.getDescription() << "\n";
  errs() << "\nhalcyon COMMAND --help says more.\n";
  return 1;
}
