//===- thread_tests.cpp - Threads among those of others -------------------===//

#include "check.h"
#include "cores.h"
#include "cpu.h"
#include "sessions.h"

#include <HalideRuntime.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <initializer_list>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

unsigned threadsOf(const char *Tasks = "/proc/self/task") {
  unsigned Count = 0;
  if (DIR *Folder = opendir(Tasks)) {
    while (dirent *Entry = readdir(Folder))
      Count += Entry->d_name[0] != '.';
    closedir(Folder);
  }
  return Count;
}

bool runs(halcyon_session *S, int Times) {
  float In[16 * 4], Out[3 * 4];
  makeImages(In, 4);
  bool Right = halcyon_session_set_batch(S, 4) == HALCYON_OK;
  halcyon_session_bind_input(S, 0, In);
  halcyon_session_bind_output(S, 0, Out);
  for (int Run = 0; Run != Times; ++Run) {
    memset(Out, 0xff, sizeof(Out));
    Right &= halcyon_session_run(S) == HALCYON_OK && isRight(In, Out, 4);
  }
  return Right;
}

//===----------------------------------------------------------------------===//
// How many
//===----------------------------------------------------------------------===//

/// A session has the threads that it was given, the caller among them, from
/// its beginning to its end, and no run adds one.
void counted() {
  unsigned Before = threadsOf();
  {
    Session A(3), B(2);
    CHECK(threadsOf() == Before + 3);
    CHECK(runs(A, 20) && runs(B, 20));
    CHECK(threadsOf() == Before + 3);
  }
  CHECK(threadsOf() == Before);
  Session Alone(1);
  CHECK(runs(Alone, 5) && threadsOf() == Before);
}

/// Without a number, no more threads than the caller's mask has cores.
void affinity() {
  cpu_set_t Before, One;
  CHECK(sched_getaffinity(0, sizeof(Before), &Before) == 0);
  CPU_ZERO(&One);
  CPU_SET(sched_getcpu(), &One);
  CHECK(sched_setaffinity(0, sizeof(One), &One) == 0);
  {
    Session S(0), Two(2);
    CHECK(halcyon_session_threads(S) == 1);
    CHECK(runs(S, 5));
    CHECK(halcyon_session_threads(Two) == 2 && runs(Two, 50));
    // No thread of it leaves the mask.
    cpu_set_t Own;
    CHECK(sched_getaffinity(0, sizeof(Own), &Own) == 0 &&
          CPU_EQUAL(&Own, &One));
  }
  sched_setaffinity(0, sizeof(Before), &Before);
  Session S(0);
  CHECK(halcyon_session_threads(S) == halcyon::defaultThreads());
}

void write(const char *Path, const char *Text) {
  FILE *File = fopen(Path, "w");
  CHECK(File);
  if (File) {
    fputs(Text, File);
    fclose(File);
  }
}

void quota() {
  char Root[300], Path[400], Members[400];
  snprintf(Root, sizeof(Root), "%s/cgroup", Folder);
  snprintf(Members, sizeof(Members), "%s/membership", Folder);
  for (const char *Part : {"", "/a", "/a/b", "/cpu,cpuacct", "/cpu,cpuacct/c"}) {
    snprintf(Path, sizeof(Path), "%s%s", Root, Part);
    mkdir(Path, 0777);
  }
  auto Set = [&](const char *Name, const char *Text) {
    snprintf(Path, sizeof(Path), "%s/%s", Root, Name);
    write(Path, Text);
  };
  using halcyon::cpuQuota;
  CHECK(cpuQuota("/nothing", Root) == UINT_MAX);
  write(Members, "0::/a/b\n");
  CHECK(cpuQuota(Members, Root) == UINT_MAX);
  Set("a/b/cpu.max", "max 100000\n");
  CHECK(cpuQuota(Members, Root) == UINT_MAX);
  Set("a/b/cpu.max", "350000 100000\n");
  CHECK(cpuQuota(Members, Root) == 3);
  Set("a/cpu.max", "150000 100000\n"); // the group above allows less
  CHECK(cpuQuota(Members, Root) == 1);
  Set("a/cpu.max", "1000 100000\n");
  CHECK(cpuQuota(Members, Root) == 1);
  Set("a/cpu.max", "no number\n");
  CHECK(cpuQuota(Members, Root) == 3);
  // A container sees its own group as the root.
  write(Members, "0::/\n");
  Set("cpu.max", "200000 100000\n");
  CHECK(cpuQuota(Members, Root) == 2);
  // The first version's groups.
  write(Members, "7:memory:/c\n4:cpu,cpuacct:/c\n");
  Set("cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n");
  Set("cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  CHECK(cpuQuota(Members, Root) == UINT_MAX);
  Set("cpu,cpuacct/c/cpu.cfs_quota_us", "400000\n");
  CHECK(cpuQuota(Members, Root) == 4);
  char Command[400];
  snprintf(Command, sizeof(Command), "rm -rf '%s' '%s'", Root, Members);
  CHECK(system(Command) == 0);
}

//===----------------------------------------------------------------------===//
// Beside others
//===----------------------------------------------------------------------===//

/// Whether the system has all threads of this process but one asleep.
bool othersSleep() {
  unsigned Awake = 0;
  DIR *Folder = opendir("/proc/self/task");
  while (dirent *Entry = Folder ? readdir(Folder) : nullptr) {
    char Path[300], State = 'S';
    snprintf(Path, sizeof(Path), "/proc/self/task/%s/stat", Entry->d_name);
    if (FILE *File = Entry->d_name[0] != '.' ? fopen(Path, "r") : nullptr) {
      // The name in brackets is "halcyon" or this program's: without blanks.
      if (fscanf(File, "%*d %*s %c", &State) != 1)
        State = 'R';
      fclose(File);
    }
    Awake += State != 'S';
  }
  if (Folder)
    closedir(Folder);
  return Awake <= 1;
}

/// Workers without work go to sleep, and wake again.
void idle() {
  Session A(2), B(4);
  for (int Round = 0; Round != 2; ++Round) {
    CHECK(runs(A, 20) && runs(B, 20));
    // Soon; but others may keep the cores from them for a while.
    for (int Waits = 0; !othersSleep() && Waits != 1000; ++Waits)
      usleep(5000);
    CHECK(othersSleep());
  }
}

std::atomic<bool> Busy{false};

void *spin(void *) {
  while (Busy.load(std::memory_order_relaxed))
    ;
  return nullptr;
}

/// A host whose own pool polls on every core, as OpenMP's does, and more so.
void besideBusyThreads() {
  pthread_t Others[8];
  Busy = true;
  for (pthread_t &Other : Others)
    CHECK(pthread_create(&Other, nullptr, spin, nullptr) == 0);
  unsigned Before = threadsOf();
  {
    Session A(2), B(3);
    CHECK(runs(A, 30) && runs(B, 30));
    CHECK(threadsOf() == Before + 3);
  }
  Busy = false;
  for (pthread_t Other : Others)
    pthread_join(Other, nullptr);
}

/// Programs that run at once, each with a thread for every core.
void manyProcesses() {
  pid_t Children[3];
  for (pid_t &Child : Children) {
    Child = fork();
    if (Child == 0) {
      alarm(60);
      bool Right = true;
      for (int Round = 0; Round != 5; ++Round) {
        Session S(2);
        Right &= S.S && runs(S, 50) && threadsOf() == 2;
      }
      _exit(Right ? 0 : 1);
    }
  }
  for (pid_t Child : Children) {
    int Status = -1;
    CHECK(Child > 0 && waitpid(Child, &Status, 0) == Child);
    CHECK(WIFEXITED(Status) && WEXITSTATUS(Status) == 0);
  }
}

//===----------------------------------------------------------------------===//
// Memory and tiles
//===----------------------------------------------------------------------===//

int takeScratch(void *Context, int Index, uint8_t *) {
  // As kernels do: a few sizes, small and large, freed in the order of scopes.
  for (size_t Bytes : {size_t(100), size_t(5000), size_t(3) << 20}) {
    auto *A = static_cast<char *>(halide_malloc(Context, Bytes + Index));
    auto *B = static_cast<char *>(halide_malloc(Context, Bytes));
    if (!A || !B)
      return -1;
    A[Bytes] = B[0] = 1;
    halide_free(Context, B);
    halide_free(Context, A);
  }
  return 0;
}

int scratchKernel(void **Args) {
  return halide_do_par_for(*static_cast<void **>(Args[0]), takeScratch, 0, 16,
                           nullptr);
}

/// Once every thread has seen the largest task, runs take nothing from the
/// system: not for scratch, not for loops, not for anything else.
void noAllocations() {
  if (allocations() < 0)
    return;
  OneKernel One(scratchKernel);
  for (uint32_t Threads : {1u, 2u, 3u}) {
    Session S(Threads, One.Program);
    CHECK(S.S);
    // Which thread gets which task is chance; after some runs all had each.
    long Before = -1;
    for (int Quiet = 0, Run = 0; Quiet != 50 && Run != 2000; ++Run) {
      long Now = allocations();
      Quiet = Now == Before ? Quiet + 1 : 0;
      Before = Now;
      CHECK(halcyon_session_run(S) == HALCYON_OK);
    }
    // A thread that slept through all of that may still take its first blocks.
    long Later = 0;
    for (int Run = 0; Run != 200; ++Run)
      halcyon_session_run(S);
    Later = allocations() - Before;
    CHECK(Later <= long(Threads) * 6);
    if (Threads == 1)
      CHECK(Later == 0);
  }
}

/// The permission is the process's, asked for when a program needs it.
void tiles() {
  halcyon_program P = halcyon_program_main;
  P.cpu_features = "amx-tile amx-bf16";
  Session S(1, P);
#if defined(__x86_64__)
  if (halcyon::cpuHas("amx-tile", 8) && halcyon::cpuHas("amx-bf16", 8)) {
    constexpr int AskedFor = 0x1022, TileData = 18;
    uint64_t States = 0;
    CHECK(syscall(SYS_arch_prctl, AskedFor, &States) == 0);
    CHECK(bool(S.S) == bool(States >> TileData & 1));
    CHECK(S.S || strstr(S.Error.text, "AMX"));
    return;
  }
#endif
  CHECK(!S.S && S.Error.status == HALCYON_BAD_CPU);
  CHECK(strstr(S.Error.text, "amx-tile"));
}

} // namespace

const Test ThreadTests[] = {
    {"threads-counted", counted},
    {"threads-affinity", affinity},
    {"threads-quota", quota},
    {"threads-idle", idle},
    {"threads-beside-busy-ones", besideBusyThreads},
    {"threads-many-processes", manyProcesses},
    {"session-no-allocations", noAllocations},
    {"session-tiles", tiles},
};
const unsigned NumThreadTests = sizeof(ThreadTests) / sizeof(Test);
