//===- cpu.cpp - What this CPU can do -------------------------------------===//
//
// Compilers' own __builtin_cpu_supports needs their runtime library, which a
// compiled program does not link; so CPUID is read here.
//
//===----------------------------------------------------------------------===//

#include "cpu.h"

#include "halcyon/halcyon.h"
#include "memory.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace halcyon;

#if defined(__x86_64__)

namespace {
enum Register : uint8_t { EAX, EBX, ECX, EDX };

/// The states that the system must save for an extension to be usable.
enum State : uint32_t { None = 0, Avx = 0x6, Avx512 = 0xe6, Amx = 0x60000 };

struct Feature {
  const char *Name;
  uint32_t Leaf, Subleaf;
  Register Where;
  uint8_t Bit;
  State Needs;
};
} // namespace

/// Intel's and AMD's manuals, under CPUID; names as LLVM writes them.
static constexpr Feature Features[] = {
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"cx8", 1, 0, EDX, 8, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, Avx},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
    {"xsave", 1, 0, ECX, 26, None},
    {"avx", 1, 0, ECX, 28, Avx},
    {"f16c", 1, 0, ECX, 29, Avx},
    {"rdrnd", 1, 0, ECX, 30, None},
    {"fsgsbase", 7, 0, EBX, 0, None},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, Avx},
    {"bmi2", 7, 0, EBX, 8, None},
    {"ermsb", 7, 0, EBX, 9, None},
    {"avx512f", 7, 0, EBX, 16, Avx512},
    {"avx512dq", 7, 0, EBX, 17, Avx512},
    {"rdseed", 7, 0, EBX, 18, None},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, Avx512},
    {"clflushopt", 7, 0, EBX, 23, None},
    {"clwb", 7, 0, EBX, 24, None},
    {"avx512cd", 7, 0, EBX, 28, Avx512},
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, Avx512},
    {"avx512vl", 7, 0, EBX, 31, Avx512},
    {"avx512vbmi", 7, 0, ECX, 1, Avx512},
    {"avx512vbmi2", 7, 0, ECX, 6, Avx512},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, Avx},
    {"vpclmulqdq", 7, 0, ECX, 10, Avx},
    {"avx512vnni", 7, 0, ECX, 11, Avx512},
    {"avx512bitalg", 7, 0, ECX, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Avx512},
    {"avx512vp2intersect", 7, 0, EDX, 8, Avx512},
    {"amx-bf16", 7, 0, EDX, 22, Amx},
    {"avx512fp16", 7, 0, EDX, 23, Avx512},
    {"amx-tile", 7, 0, EDX, 24, Amx},
    {"amx-int8", 7, 0, EDX, 25, Amx},
    {"avxvnni", 7, 1, EAX, 4, Avx},
    {"avx512bf16", 7, 1, EAX, 5, Avx512},
    {"amx-fp16", 7, 1, EAX, 21, Amx},
    {"avxifma", 7, 1, EAX, 23, Avx},
    {"avxvnniint8", 7, 1, EDX, 4, Avx},
    {"avxneconvert", 7, 1, EDX, 5, Avx},
    {"avxvnniint16", 7, 1, EDX, 10, Avx},
    {"xsaveopt", 0xd, 1, EAX, 0, None},
    {"xsavec", 0xd, 1, EAX, 1, None},
    {"sahf", 0x80000001, 0, ECX, 0, None},
    {"lzcnt", 0x80000001, 0, ECX, 5, None},
    {"sse4a", 0x80000001, 0, ECX, 6, None},
    {"prfchw", 0x80000001, 0, ECX, 8, None},
    {"xop", 0x80000001, 0, ECX, 11, Avx},
    {"fma4", 0x80000001, 0, ECX, 16, Avx},
    {"64bit", 0x80000001, 0, EDX, 29, None},
};

static void cpuid(uint32_t Leaf, uint32_t Subleaf, uint32_t (&Out)[4]) {
  asm volatile("cpuid"
               : "=a"(Out[EAX]), "=b"(Out[EBX]), "=c"(Out[ECX]), "=d"(Out[EDX])
               : "a"(Leaf), "c"(Subleaf));
}

/// The register states that the system saves, 0 where it cannot tell.
static uint32_t savedStates() {
  uint32_t Out[4];
  cpuid(1, 0, Out);
  if (!(Out[ECX] >> 27 & 1))
    return 0;
  uint32_t Low, High;
  asm volatile("xgetbv" : "=a"(Low), "=d"(High) : "c"(0));
  return Low;
}

bool halcyon::cpuHas(const char *Name, size_t Length) {
  for (const Feature &F : Features) {
    if (strlen(F.Name) != Length || memcmp(F.Name, Name, Length) != 0)
      continue;
    uint32_t Out[4];
    cpuid(F.Leaf & 0x80000000, 0, Out);
    if (Out[EAX] < F.Leaf)
      return false;
    if (F.Subleaf && F.Leaf == 7) {
      cpuid(7, 0, Out);
      if (Out[EAX] < F.Subleaf)
        return false;
    }
    if (F.Needs && (savedStates() & F.Needs) != F.Needs)
      return false;
    cpuid(F.Leaf, F.Subleaf, Out);
    return Out[F.Where] >> F.Bit & 1;
  }
  return false;
}

/// Linux' arch_prctl: asks for a state that is too large to be everyone's.
static constexpr int RequestState = 0x1023, TileData = 18;

bool halcyon::requestTiles() {
  static std::atomic<int> Answer{0}; // 0: not asked, 1: granted, 2: refused
  int Known = Answer.load(std::memory_order_acquire);
  if (!Known) {
    // Two threads may ask at once; both get the same answer.
    Known = syscall(SYS_arch_prctl, RequestState, TileData) == 0 ? 1 : 2;
    Answer.store(Known, std::memory_order_release);
  }
  return Known == 1;
}

#else

/// The system's word of what the CPU has: bit 1 on 64-bit Arm, 12 on 32-bit.
bool halcyon::cpuHas([[maybe_unused]] const char *Name,
                     [[maybe_unused]] size_t Length) {
#if defined(__aarch64__) || defined(__arm__)
  constexpr unsigned Neon = sizeof(void *) == 8 ? 1 : 12;
  if (Length == 4 && memcmp(Name, "neon", 4) == 0)
    return getauxval(AT_HWCAP) >> Neon & 1;
#endif
  return false;
}
bool halcyon::requestTiles() { return false; }

#endif

extern "C" halcyon_status
halcyon_program_check_cpu(const halcyon_program *Program,
                          halcyon_error *Error) {
  halcyon_error Local;
  char Missing[192] = "";
  size_t Used = 0;
  bool Tiles = false;
  for (const char *Name = Program->cpu_features; Name && *Name;) {
    size_t Length = strcspn(Name, " ");
    Tiles |= Length > 4 && memcmp(Name, "amx-", 4) == 0;
    if (Length && !cpuHas(Name, Length) &&
        Used + Length + 2 < sizeof(Missing)) {
      Missing[Used] = ' ';
      memcpy(Missing + Used + 1, Name, Length);
      Used += Length + 1;
      Missing[Used] = 0;
    }
    Name += Length;
    Name += *Name == ' ';
  }
  if (!Used && Tiles && !requestTiles())
    return fail(Error ? *Error : Local, HALCYON_BAD_CPU,
                "the system does not let this process use AMX");
  if (!Used)
    return HALCYON_OK;
  return fail(Error ? *Error : Local, HALCYON_BAD_CPU,
              "this program was compiled for another CPU; this one lacks%s",
              Missing);
}
