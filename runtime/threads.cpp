//===- threads.cpp - Worker threads and parallel loops --------------------===//

#include "threads.h"

#include "cores.h"

#include <climits>
#include <cstdio>
#include <linux/futex.h>
#include <new>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

using namespace halcyon;

//===----------------------------------------------------------------------===//
// The system
//===----------------------------------------------------------------------===//

/// Sleeps while *Word is Expected. May return early.
static void futexWait(void *Word, uint32_t Expected) {
  syscall(SYS_futex, Word, FUTEX_WAIT_PRIVATE, Expected, nullptr, nullptr, 0);
}

static void futexWake(void *Word) {
  syscall(SYS_futex, Word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// Tells the core that this is a polling loop.
static inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  asm volatile("pause");
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

static uint64_t nowNs() {
  timespec Time;
  clock_gettime(CLOCK_MONOTONIC, &Time);
  return uint64_t(Time.tv_sec) * 1000000000u + uint64_t(Time.tv_nsec);
}

//===----------------------------------------------------------------------===//
// Starting and stopping
//===----------------------------------------------------------------------===//

/// Sessions of one process take cores in turn, so that they do not meet.
static std::atomic<unsigned> NextCpu{0};

bool ThreadPool::start(const Allocator &Memory, ThreadContext *Contexts,
                       unsigned Threads, const halcyon_options &Options) {
  const unsigned SpinUs = Options.spin_us, Flags = Options.flags;
  Callers = Options.thread_pool;
  Ranges = static_cast<Range *>(
      Memory.allocate(sizeof(Range) * Threads, alignof(Range)));
  if (!Ranges)
    return false;
  NumThreads = Threads;

  int Cpus[CPU_SETSIZE];
  unsigned Cores;
  unsigned NumCpus = allowedCpus(Cpus, CPU_SETSIZE, Cores);
  // With more threads than CPUs, one that polls keeps another from working.
  SpinNs = Threads <= NumCpus ? uint64_t(SpinUs ? SpinUs : 100) * 1000 : 0;

  bool Pin = !Callers.run && !(Flags & HALCYON_NO_PINNING) && Threads > 1 && Threads <= NumCpus;
  if (Pin) {
    int CallerCpu = sched_getcpu();
    // Where there is room for others, the system has chosen a free core.
    if ((Flags & HALCYON_PIN_CALLER) && Threads >= Cores)
      CallerCpu = Cpus[0];
    if (Flags & HALCYON_PIN_CALLER)
      pinThisThread(CallerCpu);
    unsigned Kept = 0;
    for (unsigned I = 0; I != NumCpus; ++I)
      if (Cpus[I] != CallerCpu)
        Cpus[Kept++] = Cpus[I];
    NumCpus = Kept;
  }
  unsigned First =
      Pin && NumCpus > Threads - 1 ? NextCpu.fetch_add(Threads - 1) : 0;

  for (unsigned I = 0; I != Threads; ++I) {
    Range &Worker = *new (&Ranges[I]) Range;
    Worker.Pool = this;
    Worker.Context = &Contexts[I];
    if (Pin && I > 0)
      Worker.Cpu = Cpus[(First + I - 1) % NumCpus];
  }
  for (Started = 1; !Callers.run && Started != Threads; ++Started)
    if (!startWorker(Ranges[Started]))
      return false;
  return true;
}

bool ThreadPool::startWorker(Range &Worker) {
  // The host's signals are the host's threads' business.
  sigset_t All, Before;
  sigfillset(&All);
  pthread_sigmask(SIG_SETMASK, &All, &Before);
  int Failed = pthread_create(&Worker.Thread, nullptr, workerMain, &Worker);
  pthread_sigmask(SIG_SETMASK, &Before, nullptr);
  if (!Failed)
    pthread_setname_np(Worker.Thread, "halcyon");
  return !Failed;
}

void ThreadPool::stop(const Allocator &Memory) {
  if (!Ranges)
    return;
  Stopping.store(true);
  wakeSleepers(1, Started);
  for (unsigned I = 1; I < Started; ++I)
    pthread_join(Ranges[I].Thread, nullptr);
  Memory.release(Ranges, sizeof(Range) * NumThreads);
  Ranges = nullptr;
}

//===----------------------------------------------------------------------===//
// Polling and sleeping
//===----------------------------------------------------------------------===//

/// How much longer a worker polls while a run is under way: a serial kernel
/// between two parallel ones should not cost a wake-up.
static constexpr uint64_t ActiveFactor = 20;
/// Polls between two looks at the clock.
static constexpr unsigned PollsPerLook = 64;
/// From here on whoever polls offers its core to others at every look: the host
/// program's threads, another session's, or the very thread that it waits for.
/// An offer that nobody takes is a system call of 0.2 us.
static constexpr uint64_t PolitePollNs = 10000;

void *ThreadPool::workerMain(void *Argument) {
  Range &Own = *static_cast<Range *>(Argument);
  Own.Context->InLoop = true;
  if (Own.Cpu >= 0)
    pinThisThread(Own.Cpu);
  Own.Pool->work(Own);
  return nullptr;
}

static bool isEmpty(uint64_t Indices) {
  return uint32_t(Indices) >= uint32_t(Indices >> 32);
}

void ThreadPool::work(Range &Own) {
  uint64_t IdleSince = nowNs();
  unsigned Polls = 0;
  for (;;) {
    if (!isEmpty(Own.Indices.load(std::memory_order_relaxed))) {
      participate(*Own.Context);
      IdleSince = nowNs();
      Polls = 0;
      continue;
    }
    relax();
    if (++Polls % PollsPerLook)
      continue;
    if (Stopping.load(std::memory_order_relaxed))
      return;
    uint64_t Limit =
        Active.load(std::memory_order_relaxed) ? SpinNs * ActiveFactor : SpinNs;
    uint64_t Idle = nowNs() - IdleSince;
    if (Idle < Limit) {
      if (Idle > PolitePollNs)
        sched_yield();
      continue;
    }
    sleep(Own);
    IdleSince = nowNs();
  }
}

/// Whoever gives work stores it, then touches `Sleepers`; whoever goes to sleep
/// touches `Sleepers`, then looks for work. One of them sees the other.
void ThreadPool::sleep(Range &Own) {
  Own.Asleep.store(1, std::memory_order_relaxed);
  Sleepers.fetch_add(1, std::memory_order_acq_rel);
  while (Own.Asleep.load(std::memory_order_acquire) && !Stopping.load() &&
         isEmpty(Own.Indices.load(std::memory_order_acquire)))
    futexWait(&Own.Asleep, 1);
  Own.Asleep.store(0, std::memory_order_relaxed);
  Sleepers.fetch_sub(1, std::memory_order_acq_rel);
}

void ThreadPool::wakeSleepers(unsigned First, unsigned Last) {
  if (Sleepers.fetch_add(0, std::memory_order_acq_rel) == 0)
    return;
  for (unsigned I = First; I < Last; ++I)
    if (Ranges[I].Asleep.exchange(0, std::memory_order_acq_rel))
      futexWake(&Ranges[I].Asleep);
}

void ThreadPool::wake() {
  if (NumThreads == 1 || SpinNs == 0 || Callers.run)
    return;
  Active.store(true, std::memory_order_relaxed);
  wakeSleepers(1, NumThreads);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

static uint64_t pack(uint32_t Begin, uint32_t End) {
  return uint64_t(End) << 32 | Begin;
}

/// Takes indices, from this thread's range first, until none are left.
void ThreadPool::participate(ThreadContext &Context) {
  int32_t Done = 0;
  for (unsigned K = 0, I = Context.Index; K != NumThreads;
       ++K, I = I + 1 == NumThreads ? 0 : I + 1) {
    std::atomic<uint64_t> &Indices = Ranges[I].Indices;
    uint64_t Seen = Indices.load(std::memory_order_relaxed);
    while (!isEmpty(Seen)) {
      // The owner takes from the front, others from the back; a quarter each
      // time keeps both the count of takings and the last wait small.
      uint32_t Begin = uint32_t(Seen), End = uint32_t(Seen >> 32);
      uint32_t Count = (End - Begin + 3) / 4;
      uint32_t First = K == 0 ? Begin : End - Count;
      uint64_t Left = K == 0 ? pack(Begin + Count, End) : pack(Begin, First);
      if (!Indices.compare_exchange_weak(Seen, Left, std::memory_order_acq_rel,
                                         std::memory_order_relaxed))
        continue;
      for (uint32_t J = 0; J != Count && !Error.load(std::memory_order_relaxed);
           ++J)
        if (int Result =
                Body(&Context, int(uint32_t(Min) + First + J), Closure))
          Error.store(Result, std::memory_order_relaxed);
      Done += int32_t(Count);
      Seen = Left;
    }
  }
  // From the subtraction on, the caller may return: nothing of the loop is
  // touched any more, only the pool.
  if (Done && Pending.fetch_sub(Done, std::memory_order_seq_cst) == Done &&
      CallerAsleep.load(std::memory_order_seq_cst))
    futexWake(&Pending);
}

/// A job of the caller's pool: it may meet none of its own indices any more, as
/// others take from all ranges.
void ThreadPool::takePart(void *Pool, uint32_t Index) {
  auto &Self = *static_cast<ThreadPool *>(Pool);
  ThreadContext &Context = *Self.Ranges[Index].Context;
  const bool InLoop = Context.InLoop;
  Context.InLoop = true;
  Self.participate(Context);
  Context.InLoop = InLoop;
}

void ThreadPool::waitForPending() {
  uint64_t Since = 0;
  for (unsigned Polls = 1; Pending.load(std::memory_order_acquire); ++Polls) {
    relax();
    if (Polls % PollsPerLook)
      continue;
    uint64_t Now = nowNs();
    if (!Since)
      Since = Now;
    if (Now - Since < SpinNs) {
      if (Now - Since > PolitePollNs)
        sched_yield();
      continue;
    }
    CallerAsleep.store(1, std::memory_order_seq_cst);
    while (int32_t Left = Pending.load(std::memory_order_seq_cst))
      futexWait(&Pending, uint32_t(Left));
    CallerAsleep.store(0, std::memory_order_relaxed);
    return;
  }
}

int ThreadPool::run(ThreadContext &Context, LoopBody LoopBody, int LoopMin,
                    int Size, uint8_t *LoopClosure) {
  if (Size <= 1 || NumThreads == 1 || Context.InLoop) {
    for (int I = 0; I < Size; ++I)
      if (int Result = LoopBody(&Context, LoopMin + I, LoopClosure))
        return Result;
    return 0;
  }
  Context.InLoop = true;
  Body = LoopBody;
  Closure = LoopClosure;
  Min = LoopMin;
  Error.store(0, std::memory_order_relaxed);
  Pending.store(Size, std::memory_order_relaxed);
  // The caller is at work first, so it gets the larger parts: they round up.
  unsigned Parts = unsigned(Size) < NumThreads ? unsigned(Size) : NumThreads;
  auto Bound = [&](unsigned I) {
    return uint32_t((uint64_t(uint32_t(Size)) * I + Parts - 1) / Parts);
  };
  for (unsigned I = Parts; I-- != 0;)
    Ranges[I].Indices.store(pack(Bound(I), Bound(I + 1)),
                            std::memory_order_release);
  if (Callers.run) {
    Callers.run(Callers.self, Parts, takePart, this);
  } else {
    wakeSleepers(1, Parts);
    participate(Context);
  }
  waitForPending();
  Context.InLoop = false;
  return Error.load(std::memory_order_relaxed);
}
