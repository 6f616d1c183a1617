//===- HostModule.cpp - The host program through LLVM ---------------------===//

#include "compiler/codegen/ProgramTable.h"
#include "compiler/targets/Elf.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace halcyon {

std::string compileHostModule(ModuleOp module, const Target &target,
                              std::string &error) {
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  auto ir = translateModuleToLLVMIR(module, context, "halcyon");
  if (!ir) {
    error = "the program's table could not be translated";
    return "";
  }
  llvm::Triple triple(target.triple);
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return "";
  llvm::TargetOptions options;
  const Elf *elf = elfOf(target);
  if (elf)
    options.MCOptions.ABIName = elf->abi.str();
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, "generic", elf ? elf->features : "", options, llvm::Reloc::PIC_));
  ir->setTargetTriple(triple);
  ir->setDataLayout(machine->createDataLayout());
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, os, nullptr,
                                   llvm::CodeGenFileType::ObjectFile)) {
    error = "LLVM can't write object files for " + target.triple;
    return "";
  }
  passes.run(*ir);
  return std::string(bytes.data(), bytes.size());
}

} // namespace halcyon
