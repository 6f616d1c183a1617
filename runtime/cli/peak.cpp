//===- peak.cpp - The most multiply-adds that this machine does -----------===//
//
// Nothing of a network is computed here: a loop of independent multiply-adds
// measures what a kernel could reach at best, for `--profile`. The compiler
// contracts `a * x + y` to one instruction.
//
//===----------------------------------------------------------------------===//

#include "cpu.h"
#include "session.h"
#include "support.h"

using namespace halcyon::cli;

#if defined(__x86_64__)

/// Chains enough to cover the latency of two units: 2 x 4 cycles on current
/// cores, 2 x 5 on Haswell.
static constexpr int Chains = 12;
static constexpr int Rounds = 20000;

#define MULTIPLY_ADDS(NAME, TARGET, BYTES)                                     \
  __attribute__((target(TARGET), noinline)) static float NAME() {              \
    typedef float Vector __attribute__((vector_size(BYTES)));                  \
    Vector Sums[Chains] = {}, Half = {}, One = {};                             \
    Half += 0.5f;                                                              \
    One += 1.0f;                                                               \
    for (int C = 0; C != Chains; ++C) /* equal or at rest, they would go */    \
      Sums[C] += float(C + 3);                                                 \
    for (int I = 0; I != Rounds; ++I) {                                        \
      _Pragma("GCC unroll 12") for (int C = 0; C != Chains; ++C) Sums[C] =     \
          Sums[C] * Half + One;                                                \
    }                                                                          \
    Vector Sum = {};                                                           \
    for (Vector &S : Sums)                                                     \
      Sum += S;                                                                \
    return Sum[0];                                                             \
  }

MULTIPLY_ADDS(multiplyAdd512, "avx512f", 64)
MULTIPLY_ADDS(multiplyAdd256, "avx2,fma", 32)

/// Takes the sums. Nobody reads it: volatile keeps the loops from being removed.
static volatile std::atomic<float> Sink;

static int task512(void *, int, uint8_t *) {
  Sink.store(multiplyAdd512(), std::memory_order_relaxed);
  return 0;
}
static int task256(void *, int, uint8_t *) {
  Sink.store(multiplyAdd256(), std::memory_order_relaxed);
  return 0;
}

double halcyon::cli::measurePeak(halcyon_session *Session) {
  bool Wide = cpuHas("avx512f", 7);
  if (!Wide && !(cpuHas("avx2", 4) && cpuHas("fma", 3)))
    return 0;
  int Threads = int(Session->NumThreads);
  double Lanes = Wide ? 16 : 8, Best = 0;
  double Flops = 2 * Lanes * Chains * double(Rounds) * Threads;
  for (double Until = nowMs() + 60; nowMs() < Until;) {
    double Start = nowMs();
    Session->Pool.run(Session->Contexts[0], Wide ? task512 : task256, 0,
                      Threads, nullptr);
    double Speed = Flops / (nowMs() - Start) / 1e6;
    Best = Speed > Best ? Speed : Best;
  }
  return Best;
}

#else

double halcyon::cli::measurePeak(halcyon_session *) { return 0; }

#endif
