//===- cores.cpp - Which CPUs this process may use ------------------------===//

#include "cores.h"

#include <climits>
#include <cstdio>
#include <cstring>
#include <sched.h>

using namespace halcyon;

//===----------------------------------------------------------------------===//
// Affinity
//===----------------------------------------------------------------------===//

/// The first CPU of the core that Cpu belongs to; Cpu itself where unknown.
static int coreOf(int Cpu) {
  char Path[96];
  snprintf(Path, sizeof(Path),
           "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", Cpu);
  int First = Cpu;
  if (FILE *File = fopen(Path, "re")) {
    if (fscanf(File, "%d", &First) != 1)
      First = Cpu;
    fclose(File);
  }
  return First;
}

unsigned halcyon::allowedCpus(int *Cpus, unsigned Capacity, unsigned &Cores) {
  cpu_set_t Allowed, Taken;
  CPU_ZERO(&Allowed);
  CPU_ZERO(&Taken);
  Cores = 0;
  if (sched_getaffinity(0, sizeof(Allowed), &Allowed))
    return 0;
  unsigned Count = 0;
  for (int Siblings = 0; Siblings != 2; ++Siblings) {
    cpu_set_t Seen;
    CPU_ZERO(&Seen);
    for (int Cpu = 0; Cpu < CPU_SETSIZE && Count < Capacity; ++Cpu) {
      if (!CPU_ISSET(Cpu, &Allowed) || CPU_ISSET(Cpu, &Taken))
        continue;
      if (!Siblings) {
        int Core = coreOf(Cpu);
        if (Core < 0 || Core >= CPU_SETSIZE || CPU_ISSET(Core, &Seen))
          continue;
        CPU_SET(Core, &Seen);
      }
      CPU_SET(Cpu, &Taken);
      Cpus[Count++] = Cpu;
    }
    if (!Siblings)
      Cores = Count;
  }
  return Count;
}

void halcyon::pinThisThread(int Cpu) {
  cpu_set_t Set;
  CPU_ZERO(&Set);
  CPU_SET(Cpu, &Set);
  sched_setaffinity(0, sizeof(Set), &Set); // where refused, the thread floats
}

//===----------------------------------------------------------------------===//
// Quota
//===----------------------------------------------------------------------===//

/// Reads one number of a file; false where there is none.
static bool readNumber(const char *Folder, const char *Name, long long &Number) {
  char Path[4400];
  snprintf(Path, sizeof(Path), "%s/%s", Folder, Name);
  FILE *File = fopen(Path, "re");
  if (!File)
    return false;
  bool Found = fscanf(File, "%lld", &Number) == 1;
  fclose(File);
  return Found;
}

/// The limit that one group's folder states, in CPUs.
static unsigned quotaOf(const char *Folder) {
  long long Quota = -1, Period = 0;
  char Path[4400];
  snprintf(Path, sizeof(Path), "%s/cpu.max", Folder);
  if (FILE *File = fopen(Path, "re")) { // "max 100000" where there is none
    if (fscanf(File, "%lld %lld", &Quota, &Period) != 2)
      Quota = -1;
    fclose(File);
  } else if (!readNumber(Folder, "cpu.cfs_quota_us", Quota) ||
             !readNumber(Folder, "cpu.cfs_period_us", Period)) {
    return UINT_MAX;
  }
  if (Quota <= 0 || Period <= 0)
    return UINT_MAX;
  // Rounded down: with a thread too many all stop for the rest of a period.
  long long Cpus = Quota / Period;
  return Cpus < 1 ? 1 : Cpus > INT_MAX ? UINT_MAX : unsigned(Cpus);
}

/// Whether a comma-separated list holds a word.
static bool lists(const char *List, const char *End, const char *Word) {
  size_t Length = strlen(Word);
  for (const char *At = List; At < End; ++At) {
    const char *Stop = At;
    while (Stop < End && *Stop != ',')
      ++Stop;
    if (size_t(Stop - At) == Length && memcmp(At, Word, Length) == 0)
      return true;
    At = Stop;
  }
  return false;
}

unsigned halcyon::cpuQuota(const char *Membership, const char *Mount) {
  FILE *File = fopen(Membership, "re");
  if (!File)
    return UINT_MAX;
  unsigned Least = UINT_MAX;
  char Line[4096];
  // A line is "ID:CONTROLLERS:PATH"; the second version's has no controllers.
  while (fgets(Line, sizeof(Line), File)) {
    Line[strcspn(Line, "\n")] = 0;
    char *Controllers = strchr(Line, ':');
    char *Path = Controllers ? strchr(Controllers + 1, ':') : nullptr;
    if (!Path)
      continue;
    ++Controllers;
    bool Unified = Path == Controllers;
    if (!Unified && !lists(Controllers, Path, "cpu"))
      continue;
    *Path++ = 0;
    // Each group above limits it too. Inside of a container the path may name
    // folders that are not there; the root always is.
    for (;;) {
      size_t Length = strlen(Path);
      while (Length && Path[Length - 1] == '/')
        Path[--Length] = 0;
      char Folder[4300];
      snprintf(Folder, sizeof(Folder), "%s%s%s%s", Mount, Unified ? "" : "/",
               Unified ? "" : Controllers, Path);
      unsigned Quota = quotaOf(Folder);
      Least = Quota < Least ? Quota : Least;
      char *Last = strrchr(Path, '/');
      if (!Last)
        break;
      *Last = 0;
    }
  }
  fclose(File);
  return Least;
}

unsigned halcyon::defaultThreads() {
  int Cpus[CPU_SETSIZE];
  unsigned Cores;
  allowedCpus(Cpus, CPU_SETSIZE, Cores);
  unsigned Quota = cpuQuota();
  unsigned Threads = Cores < Quota ? Cores : Quota;
  return Threads ? Threads : 1;
}
