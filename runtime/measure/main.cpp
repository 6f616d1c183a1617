//===- main.cpp - The process in which candidates are timed ---------------===//
//
//   PROGRAM WEIGHTS-FILE THREADS COLD-BYTES IMAGES
//
// A program whose functions compute the same thing in different ways. It reads
// a command a line from its input and answers each with a line:
//
//   check F               runs function F; `ok DIFFERENCE LARGEST`, where it
//                         differs from function 0, which is to be run first
//   pairs F C G D N R     times call C of function F and call D of G in turn, N
//                         times, each R times in a row; a call of -1 is the
//                         whole function. `ok NS NS LOST ...`, for each pair what
//                         its sides took and how often a core was lost
//   calls F N             times N runs of function F call by call;
//                         `ok NS ...`, the least of each call
//
// `error TEXT` answers what fails. A kernel that crashes or hangs takes this
// process with it, and nothing else.
//
// A network has run through all of its other weights before it comes to a
// layer again, so that a call timed alone reads its weights from one of several
// copies in turn, COLD-BYTES in all.
//
//===----------------------------------------------------------------------===//

#include "chains.h"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

extern "C" const halcyon_program halcyon_program_main;

using namespace halcyon;

namespace {

/// Weights of a call in several places, one used at a time.
struct Copies {
  uint8_t *Memory = nullptr;
  uint64_t Stride = 0;
  uint32_t Count = 0, Turn = 0;
};

struct State {
  const halcyon_program &Program = halcyon_program_main;
  halcyon_session *Session = nullptr;
  uint8_t **Outputs = nullptr;   ///< what a function writes
  uint8_t **Reference = nullptr; ///< what function 0 wrote
  Copies *Weights = nullptr;     ///< per call
  uint64_t ColdBytes = 0;
  bool HasReference = false;
};

/// What a command may have as a number: a function, a call, a count.
constexpr int MaxNumbers = 6;
/// Less than this stays in the nearest caches, whatever runs in between.
constexpr uint64_t LeastColdWeights = 16 << 10;

} // namespace

static uint64_t nowNs() {
  timespec Time;
  clock_gettime(CLOCK_MONOTONIC, &Time);
  return uint64_t(Time.tv_sec) * 1000000000u + uint64_t(Time.tv_nsec);
}

static bool refuse(const char *Text) {
  printf("error %s\n", Text);
  return false;
}

/// Of a kernel that returned an error: what it said, if it said anything.
static bool refuseKernel(const State &S) {
  return refuse(S.Session->KernelSpoke.load() ? S.Session->KernelText
                                              : "the kernel returned an error");
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Seeded numbers in [-most, most), the same for every candidate.
static void fill(float *Values, uint64_t Count, uint32_t Seed, float Most) {
  uint32_t State = Seed * 2654435761u + 1;
  for (uint64_t I = 0; I != Count; ++I) {
    State = State * 1664525u + 1013904223u; // Numerical Recipes' generator
    Values[I] = Most * (float(State >> 8) / 8388608.0f - 1.0f);
  }
}

/// How large the values of an input are: those of an image 1, filters such that
/// what they make is no larger than what they read, however deep the network.
/// What an optimizer keeps, squares among it, begins as zero, and so do labels.
static float mostOf(const halcyon_program &P, const halcyon_port &Port) {
  if (Port.type_code != halide_type_float || Port.type_bits != 32 ||
      !strncmp(P.strings + Port.name, "slot:", 5))
    return 0;
  float Most = 1;
  if (Port.rank > 1 && Port.shape[0] != HALCYON_BATCH)
    for (unsigned D = 1; D != Port.rank; ++D)
      Most /= sqrtf(float(Port.shape[D]) / (D == 1 ? 3 : 1));
  return Most;
}

[[noreturn]] static void outOfMemory() {
  refuse("out of memory");
  fflush(stdout);
  exit(1);
}

static uint8_t *allocate(uint64_t Bytes) {
  void *Memory = aligned_alloc(64, (Bytes + 127) / 64 * 64);
  if (!Memory)
    outOfMemory();
  return static_cast<uint8_t *>(Memory);
}

static uint64_t bytesOf(const State &S, const halcyon_port &Port) {
  return halcyon_port_bytes(&Port, halcyon_session_batch(S.Session));
}

static void bindTensors(State &S) {
  const halcyon_program &P = S.Program;
  S.Outputs = static_cast<uint8_t **>(calloc(P.num_outputs, sizeof(void *)));
  S.Reference = static_cast<uint8_t **>(calloc(P.num_outputs, sizeof(void *)));
  for (uint32_t I = 0; I != P.num_inputs; ++I) {
    uint64_t Bytes = bytesOf(S, P.inputs[I]);
    uint8_t *Data = allocate(Bytes);
    memset(Data, 0, Bytes);
    if (float Most = mostOf(P, P.inputs[I]); Most != 0)
      fill(reinterpret_cast<float *>(Data), Bytes / sizeof(float), I + 1, Most);
    halcyon_session_bind_input(S.Session, I, Data);
  }
  for (uint32_t I = 0; I != P.num_outputs; ++I) {
    S.Outputs[I] = allocate(bytesOf(S, P.outputs[I]));
    S.Reference[I] = allocate(bytesOf(S, P.outputs[I]));
    halcyon_session_bind_output(S.Session, I, S.Outputs[I]);
  }
}

/// The largest difference to the reference, and the largest reference. What is
/// not a number has to be none in both.
static void compare(const float *Values, const float *Reference, uint64_t Count,
                    double &Difference, double &Largest) {
  for (uint64_t I = 0; I != Count; ++I) {
    double A = Values[I], B = Reference[I];
    if (A == B || (A != A && B != B))
      continue;
    double D = fabs(A - B);
    Difference = D <= Difference ? Difference : D == D ? D : HUGE_VAL;
  }
  for (uint64_t I = 0; I != Count; ++I)
    if (fabs(double(Reference[I])) > Largest)
      Largest = fabs(double(Reference[I]));
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// Bytes that a view of weights spans, to the next multiple of 64.
static uint64_t spanOf(const halcyon_view &View) {
  uint64_t Last = 0;
  for (unsigned D = 0; D != View.rank; ++D)
    Last += uint64_t(View.dims[D].extent - 1) * uint64_t(View.dims[D].stride);
  return ((Last + 1) * (View.type_bits / 8u) + 63) / 64 * 64;
}

static int runCall(State &S, uint32_t Call) {
  const halcyon_program &P = S.Program;
  halcyon_session &Session = *S.Session;
  Copies &C = S.Weights[Call];
  if (C.Count) {
    uint8_t *From = C.Memory + C.Turn * C.Stride;
    C.Turn = C.Turn + 1 == C.Count ? 0 : C.Turn + 1;
    for (uint32_t V = 0; V != P.calls[Call].num_views; ++V) {
      uint32_t I = P.calls[Call].first_view + V;
      if (P.views[I].space == HALCYON_WEIGHTS)
        Session.Buffers[I].host = From, From += spanOf(P.views[I]);
    }
  }
  return P.kernels[P.calls[Call].kernel](Session.Arguments +
                                         Session.FirstArgument[Call]);
}

static int runFunction(State &S, uint32_t Function) {
  return runCalls(*S.Session, S.Program.functions[Function],
                  [&](uint32_t I) { return runCall(S, I); });
}

static bool isFunction(const State &S, long Number) {
  return Number >= 0 && Number < long(S.Program.num_functions);
}

static bool check(State &S, const long *Numbers) {
  if (!isFunction(S, Numbers[0]))
    return refuse("no such function");
  const halcyon_program &P = S.Program;
  for (uint32_t I = 0; I != P.num_outputs; ++I) // what is not written shows
    memset(S.Outputs[I], 0xff, bytesOf(S, P.outputs[I]));
  DeviceMemory &Device = S.Session->Device;
  if (Device.copyIn(*S.Session))
    return refuse(halcyon_session_error(S.Session));
  S.Session->Pool.wake();
  int Code = runFunction(S, uint32_t(Numbers[0]));
  S.Session->Pool.rest();
  if (Code)
    return refuseKernel(S);
  if (Device.copyOut(*S.Session))
    return refuse(halcyon_session_error(S.Session));
  double Difference = 0, Largest = 0;
  for (uint32_t I = 0; I != P.num_outputs; ++I) {
    uint64_t Bytes = bytesOf(S, P.outputs[I]);
    if (!S.HasReference)
      memcpy(S.Reference[I], S.Outputs[I], Bytes);
    compare(reinterpret_cast<float *>(S.Outputs[I]),
            reinterpret_cast<float *>(S.Reference[I]), Bytes / sizeof(float),
            Difference, Largest);
  }
  S.HasReference = true;
  printf("ok %.9g %.9g\n", Difference, Largest);
  return true;
}

//===----------------------------------------------------------------------===//
// Timing
//===----------------------------------------------------------------------===//

/// Lets a call read its weights from several places in turn.
static void makeCold(State &S, uint32_t Call) {
  const halcyon_program &P = S.Program;
  Copies &C = S.Weights[Call];
  const uint32_t First = P.calls[Call].first_view;
  uint64_t Bytes = 0;
  for (uint32_t I = First; I != First + P.calls[Call].num_views; ++I)
    if (P.views[I].space == HALCYON_WEIGHTS)
      Bytes += spanOf(P.views[I]);
  // A device's weights have one place.
  if (C.Count || Bytes < LeastColdWeights || Bytes >= S.ColdBytes || S.Session->Device)
    return;
  C.Stride = Bytes;
  C.Count = uint32_t((S.ColdBytes + Bytes - 1) / Bytes);
  // In huge pages, as a session has its weights.
  C.Memory = static_cast<uint8_t *>(Allocator().allocate(C.Count * C.Stride));
  if (!C.Memory)
    outOfMemory();
  uint8_t *To = C.Memory;
  for (uint32_t K = 0; K != C.Count; ++K)
    for (uint32_t I = First; I != First + P.calls[Call].num_views; ++I)
      if (P.views[I].space == HALCYON_WEIGHTS) {
        memcpy(To, S.Session->Weights + P.views[I].offset, spanOf(P.views[I]));
        To += spanOf(P.views[I]);
      }
}

/// Frees the copies of all other calls.
static void keepCold(State &S, long A, long B) {
  for (uint32_t I = 0; I != S.Program.num_calls; ++I)
    if (long(I) != A && long(I) != B && S.Weights[I].Count) {
      Allocator().release(S.Weights[I].Memory,
                          S.Weights[I].Count * S.Weights[I].Stride);
      S.Weights[I] = Copies();
    }
}

namespace {
/// A call of a function, or all of it.
struct Timed {
  uint32_t Function;
  long Call; ///< of all of the program's, or -1
};
} // namespace

static bool findTimed(const State &S, long Function, long Call, Timed &Out) {
  if (!isFunction(S, Function))
    return false;
  const halcyon_function &F = S.Program.functions[Function];
  if (Call >= long(F.num_calls) || Call < -1)
    return false;
  Out = {uint32_t(Function), Call < 0 ? -1 : long(F.first_call) + Call};
  return true;
}

static int runTimed(State &S, const Timed &T, long Repeats, double &Ns) {
  uint64_t Before = nowNs();
  for (long I = 0; I != Repeats; ++I)
    if (int Code = T.Call < 0 ? runFunction(S, T.Function)
                              : runCall(S, uint32_t(T.Call)))
      return Code;
  int Code = S.Session->Device.wait(*S.Session);
  Ns = double(nowNs() - Before) / double(Repeats);
  return Code;
}

/// How often threads of this process have lost a core to others.
static long preemptions() {
  rusage Usage;
  getrusage(RUSAGE_SELF, &Usage);
  return Usage.ru_nivcsw;
}

static bool pairs(State &S, const long *Numbers) {
  Timed Sides[2];
  long Count = Numbers[4], Repeats = Numbers[5];
  if (!findTimed(S, Numbers[0], Numbers[1], Sides[0]) ||
      !findTimed(S, Numbers[2], Numbers[3], Sides[1]) || Count < 1 ||
      Count > 100000 || Repeats < 1)
    return refuse("no such calls");
  keepCold(S, Sides[0].Call, Sides[1].Call);
  for (const Timed &T : Sides)
    if (T.Call >= 0)
      makeCold(S, uint32_t(T.Call));
  auto *Times = static_cast<double *>(malloc(3 * size_t(Count) * sizeof(double)));
  if (!Times)
    return refuse("out of memory");
  S.Session->Pool.wake();
  int Code = 0;
  for (long I = 0; I != Count && !Code; ++I) {
    long Before = preemptions();
    for (int Second = 0; Second != 2 && !Code; ++Second) {
      int Side = Second ^ int(I & 1); // neither side always follows the other
      Code = runTimed(S, Sides[Side], Repeats, Times[3 * I + Side]);
    }
    Times[3 * I + 2] = double(preemptions() - Before);
  }
  S.Session->Pool.rest();
  if (!Code) {
    printf("ok");
    for (long I = 0; I != 3 * Count; ++I)
      printf(" %.1f", Times[I]);
    printf("\n");
  }
  free(Times);
  return !Code || refuseKernel(S);
}

static bool calls(State &S, const long *Numbers) {
  if (!isFunction(S, Numbers[0]) || Numbers[1] < 1)
    return refuse("no such function");
  keepCold(S, -1, -1);
  const halcyon_function &F = S.Program.functions[Numbers[0]];
  auto *Least = static_cast<double *>(malloc((F.num_calls + 1) * sizeof(double)));
  if (!Least)
    return refuse("out of memory");
  S.Session->Pool.wake();
  for (long Run = 0; Run != Numbers[1]; ++Run) {
    uint64_t Before = nowNs();
    for (uint32_t I = 0; I != F.num_calls; ++I) {
      runCall(S, F.first_call + I);
      S.Session->Device.wait(*S.Session);
      uint64_t Now = nowNs();
      double Ns = double(Now - Before);
      Least[I] = Run == 0 || Ns < Least[I] ? Ns : Least[I];
      Before = Now;
    }
  }
  S.Session->Pool.rest();
  printf("ok");
  for (uint32_t I = 0; I != F.num_calls; ++I)
    printf(" %.1f", Least[I]);
  printf("\n");
  free(Least);
  return true;
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

static const struct {
  const char *Name;
  int Numbers;
  bool (*Run)(State &, const long *);
} Commands[] = {{"check", 1, check}, {"pairs", 6, pairs}, {"calls", 2, calls}};

static bool execute(State &S, char *Line) {
  char *Word = strtok(Line, " \n");
  for (const auto &Command : Commands) {
    if (!Word || strcmp(Word, Command.Name) != 0)
      continue;
    long Numbers[MaxNumbers] = {};
    for (int I = 0; I != Command.Numbers; ++I) {
      char *Number = strtok(nullptr, " \n");
      if (!Number)
        return refuse("a number is missing");
      Numbers[I] = strtol(Number, nullptr, 10);
    }
    return Command.Run(S, Numbers);
  }
  return refuse("no such command");
}

int main(int Count, char **Values) {
  if (Count != 5) {
    fprintf(stderr, "this program is run by halcyon tune\n");
    return 2;
  }
  // The terminal's Ctrl-C is for the one who asks; whose end is ours too.
  signal(SIGINT, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  State S;
  halcyon_options Settings = {};
  halcyon_error Error = {};
  Settings.threads = uint32_t(strtoul(Values[2], nullptr, 10));
  Settings.flags = HALCYON_PIN_CALLER;
  Settings.weights_path = S.Program.weight_bytes ? Values[1] : nullptr;
  S.ColdBytes = strtoull(Values[3], nullptr, 10);
  S.Weights =
      static_cast<Copies *>(calloc(S.Program.num_calls + 1, sizeof(Copies)));
  if (!S.Weights)
    return !refuse("out of memory");
  if (halcyon_session_create(&S.Program, &Settings, &S.Session, &Error))
    return !refuse(Error.text);
  uint32_t Images = uint32_t(strtoul(Values[4], nullptr, 10));
  if (!S.Program.only_batch && halcyon_session_set_batch(S.Session, Images))
    return !refuse(halcyon_session_error(S.Session));
  bindTensors(S);
  printf("ok\n");
  fflush(stdout);
  char Line[256];
  while (fgets(Line, sizeof(Line), stdin)) {
    execute(S, Line);
    fflush(stdout);
  }
  return 0;
}
