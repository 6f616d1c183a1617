//===- threads.h - Worker threads and parallel loops ----------------------===//
//
// A parallel loop is cut into one range per thread, always the same one, so
// that a thread finds in its caches what it wrote in the loop before. Whoever
// is done takes from the others' ranges. A range is one atomic word; taking
// from it is what entitles a thread to read the loop's description, which
// therefore needs no lock and no generation count:
//
//   - the caller writes the description, then the ranges;
//   - a thread that took indices reports them to `Pending` when done;
//   - the caller returns, and may write the next loop, once all are reported.
//
// A thread that comes late, holding an old value of a range, either fails its
// compare-and-swap or takes a valid part of the loop that is there now.
//
// Where the caller brings a pool of threads, there are no workers: a loop is one
// job per thread of the session, each of which takes part as a worker would.
//
// Idle workers poll for a moment, soon offering their core to others, and then
// sleep on a futex. Loops inside loops run serially in their thread.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_RUNTIME_THREADS_H
#define HALCYON_RUNTIME_THREADS_H

#include "memory.h"

#include <atomic>
#include <pthread.h>

namespace halcyon {

class ThreadPool;

/// Holds a mutex as long as it lives.
class Lock {
public:
  explicit Lock(pthread_mutex_t &Mutex) : Mutex(Mutex) { pthread_mutex_lock(&Mutex); }
  ~Lock() { pthread_mutex_unlock(&Mutex); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

private:
  pthread_mutex_t &Mutex;
};

/// What a kernel's `user_context` points to: one per thread of a session.
struct alignas(64) ThreadContext {
  halcyon_session *Session = nullptr;
  ThreadPool *Pool = nullptr;
  unsigned Index = 0;
  bool InLoop = false;
  Scratch Blocks;
};

/// Halide's halide_task_t.
using LoopBody = int (*)(void *UserContext, int Index, uint8_t *Closure);

class ThreadPool {
public:
  /// Starts `Threads - 1` workers; `Contexts` has one entry per thread, the
  /// first is the caller's. Returns false where the system refuses.
  bool start(const Allocator &Memory, ThreadContext *Contexts, unsigned Threads,
             const halcyon_options &Options);
  void stop(const Allocator &Memory);

  /// Runs Body for [Min, Min + Size). Returns 0, or what some failing body
  /// returned.
  int run(ThreadContext &Context, LoopBody Body, int Min, int Size,
          uint8_t *Closure);

  /// A run begins: sleeping workers start to poll, and keep to it until `rest`.
  void wake();
  void rest() { Active.store(false, std::memory_order_relaxed); }

  unsigned threads() const { return NumThreads; }

private:
  /// Indices [low half, high half) that are still to be taken.
  struct alignas(64) Range {
    std::atomic<uint64_t> Indices{0};
    std::atomic<uint32_t> Asleep{0};
    pthread_t Thread;
    ThreadPool *Pool = nullptr;
    ThreadContext *Context = nullptr;
    int Cpu = -1;
  };

  static void *workerMain(void *Argument);
  static void takePart(void *Pool, uint32_t Index);
  void work(Range &Own);
  void participate(ThreadContext &Context);
  void sleep(Range &Own);
  void wakeSleepers(unsigned First, unsigned Last);
  void waitForPending();
  bool startWorker(Range &Worker);

  // Written by the caller, read by those who took indices.
  alignas(64) LoopBody Body = nullptr;
  uint8_t *Closure = nullptr;
  int Min = 0;

  alignas(64) std::atomic<int32_t> Pending{0};
  std::atomic<uint32_t> CallerAsleep{0};
  std::atomic<int32_t> Error{0};

  alignas(64) std::atomic<uint32_t> Sleepers{0};

  alignas(64) std::atomic<bool> Active{false};
  std::atomic<bool> Stopping{false};
  Range *Ranges = nullptr;
  unsigned NumThreads = 1;
  unsigned Started = 0;
  uint64_t SpinNs = 0;
  halcyon_thread_pool Callers = {}; ///< in place of workers
};

} // namespace halcyon

#endif // HALCYON_RUNTIME_THREADS_H
