//===- cores.h - Which CPUs this process may use --------------------------===//

#ifndef HALCYON_RUNTIME_CORES_H
#define HALCYON_RUNTIME_CORES_H

namespace halcyon {

/// One CPU per physical core of the calling thread's affinity mask, then their
/// hyper-threaded siblings. `Cores` receives how many of them are cores.
unsigned allowedCpus(int *Cpus, unsigned Capacity, unsigned &Cores);

/// How many CPUs' time the control groups of this process leave it; UINT_MAX
/// where they set no limit. `Membership` lists its groups as
/// /proc/self/cgroup does, `Mount` is where their files are.
unsigned cpuQuota(const char *Membership = "/proc/self/cgroup",
                  const char *Mount = "/sys/fs/cgroup");

/// Threads of a session that asks for no number: one per physical core, fewer
/// where the quota would stop them in turn.
unsigned defaultThreads();

void pinThisThread(int Cpu);

} // namespace halcyon

#endif // HALCYON_RUNTIME_CORES_H
