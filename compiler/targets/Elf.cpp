//===- Elf.cpp - How Linux's files are made for an architecture -----------===//

#include "compiler/targets/Elf.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/TargetParser/Host.h"

using namespace llvm;

namespace halcyon {

static const Elf systems[] = {
    {"x86_64", "x86_64-linux-gnu", "libc6-dev", "/lib64/ld-linux-x86-64.so.2",
     ELF::EM_X86_64, 64, 0, "", "", false, true},
    {"aarch64", "aarch64-linux-gnu", "libc6-dev-arm64-cross",
     "/lib/ld-linux-aarch64.so.1", ELF::EM_AARCH64, 64},
    {"armv7", "arm-linux-gnueabihf", "libc6-dev-armhf-cross",
     "/lib/ld-linux-armhf.so.3", ELF::EM_ARM, 32,
     ELF::EF_ARM_EABI_VER5 | ELF::EF_ARM_ABI_FLOAT_HARD, "", "", true},
    {"riscv64", "riscv64-linux-gnu", "libc6-dev-riscv64-cross",
     "/lib/ld-linux-riscv64-lp64d.so.1", ELF::EM_RISCV, 64,
     ELF::EF_RISCV_RVC | ELF::EF_RISCV_FLOAT_ABI_DOUBLE, "lp64d", "+m,+a,+f,+d,+c"},
};

const Elf *elfOf(const Target &target) {
  if (!StringRef(target.triple).contains("linux"))
    return nullptr;
  for (const Elf &elf : systems)
    if (StringRef(target.triple).starts_with(elf.triple))
      return &elf;
  return nullptr;
}

bool isNative(const Elf &elf) {
  return StringRef(sys::getProcessTriple()).starts_with(elf.triple);
}

} // namespace halcyon
