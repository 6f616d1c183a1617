//===--- Threads ---===//

#ifdef @UPPER@_PTHREADS
#include <pthread.h>
#define HALCYON_THREAD void *
#define HALCYON_NOTHING NULL
typedef pthread_t halcyon_thread;
typedef pthread_mutex_t halcyon_mutex;
typedef pthread_cond_t halcyon_signal;
#define halcyon_start(thread, function, data) pthread_create(thread, NULL, function, data)
#define halcyon_join(thread) pthread_join(thread, NULL)
#define halcyon_mutex_make(mutex) pthread_mutex_init(mutex, NULL)
#define halcyon_mutex_end pthread_mutex_destroy
#define halcyon_lock pthread_mutex_lock
#define halcyon_unlock pthread_mutex_unlock
#define halcyon_signal_make(signal) pthread_cond_init(signal, NULL)
#define halcyon_signal_end pthread_cond_destroy
#define halcyon_signal_all pthread_cond_broadcast
#define halcyon_await pthread_cond_wait
#else
#include <threads.h>
#define HALCYON_THREAD int
#define HALCYON_NOTHING 0
typedef thrd_t halcyon_thread;
typedef mtx_t halcyon_mutex;
typedef cnd_t halcyon_signal;
#define halcyon_start(thread, function, data) (thrd_create(thread, function, data) != thrd_success)
#define halcyon_join(thread) thrd_join(thread, NULL)
#define halcyon_mutex_make(mutex) (mtx_init(mutex, mtx_plain) != thrd_success)
#define halcyon_mutex_end mtx_destroy
#define halcyon_lock mtx_lock
#define halcyon_unlock mtx_unlock
#define halcyon_signal_make(signal) (cnd_init(signal) != thrd_success)
#define halcyon_signal_end cnd_destroy
#define halcyon_signal_all cnd_broadcast
#define halcyon_await cnd_wait
#endif

typedef struct @NAME@_team halcyon_team;
typedef int (*halcyon_body)(const void *shared, int32_t index);

/// A thread takes every `threads`th index of a loop, from its own number on.
typedef struct {
  halcyon_team *team;
  halcyon_thread thread;
  unsigned number;
} halcyon_worker;
struct @NAME@_team {
  halcyon_mutex mutex;
  halcyon_signal begun, done;
  halcyon_worker *workers; ///< the caller has none
  unsigned threads, started;
  // Of the loop that the team is in.
  halcyon_body body;
  const void *shared;
  int32_t first, extent;
  unsigned loop; ///< its number
  unsigned busy; ///< workers that are not done
  int status, stopping;
};

static int halcyon_part(const halcyon_team *team, unsigned number) {
  int status = 0;
  for (int64_t i = number; i < team->extent; i += team->threads)
    status |= team->body(team->shared, (int32_t)(team->first + i));
  return status;
}

static HALCYON_THREAD halcyon_work(void *worker_) {
  const halcyon_worker *const worker = worker_;
  halcyon_team *const team = worker->team;
  unsigned loop = 0;
  halcyon_lock(&team->mutex);
  for (;;) {
    while (team->loop == loop && !team->stopping)
      halcyon_await(&team->begun, &team->mutex);
    if (team->stopping)
      break;
    loop = team->loop;
    halcyon_unlock(&team->mutex);
    const int status = halcyon_part(team, worker->number);
    halcyon_lock(&team->mutex);
    team->status |= status;
    if (--team->busy == 0)
      halcyon_signal_all(&team->done);
  }
  halcyon_unlock(&team->mutex);
  return HALCYON_NOTHING;
}

/// Calls `body` for every index. Returns 0, or what else one of them returned.
static inline int halcyon_share(halcyon_team *team, halcyon_body body, const void *shared,
                                int32_t first, int32_t extent) {
  int status = 0;
  if (!team || team->threads == 1 || extent < 2) {
    for (int32_t i = 0; i < extent; ++i)
      status |= body(shared, first + i);
    return status;
  }
  halcyon_lock(&team->mutex);
  team->body = body;
  team->shared = shared;
  team->first = first;
  team->extent = extent;
  team->busy = team->threads - 1;
  team->status = 0;
  ++team->loop;
  halcyon_signal_all(&team->begun);
  halcyon_unlock(&team->mutex);
  status = halcyon_part(team, 0);
  halcyon_lock(&team->mutex);
  while (team->busy)
    halcyon_await(&team->done, &team->mutex);
  status |= team->status;
  halcyon_unlock(&team->mutex);
  return status;
}

@NAME@_team *@NAME@_team_create(unsigned threads) {
  halcyon_team *team = threads ? calloc(1, sizeof *team) : NULL;
  if (!team)
    return NULL;
  team->threads = threads;
  team->workers = calloc(threads, sizeof *team->workers);
  const int mutex = team->workers && !halcyon_mutex_make(&team->mutex);
  const int begun = mutex && !halcyon_signal_make(&team->begun);
  const int done = begun && !halcyon_signal_make(&team->done);
  while (done && team->started + 1 < threads) {
    halcyon_worker *worker = &team->workers[team->started];
    worker->team = team;
    worker->number = team->started + 1;
    if (halcyon_start(&worker->thread, halcyon_work, worker))
      break;
    ++team->started;
  }
  if (done && team->started + 1 == threads)
    return team;
  if (done) {
    @NAME@_team_destroy(team);
    return NULL;
  }
  if (begun)
    halcyon_signal_end(&team->begun);
  if (mutex)
    halcyon_mutex_end(&team->mutex);
  free(team->workers);
  free(team);
  return NULL;
}

void @NAME@_team_destroy(@NAME@_team *team) {
  if (!team)
    return;
  halcyon_lock(&team->mutex);
  team->stopping = 1;
  halcyon_signal_all(&team->begun);
  halcyon_unlock(&team->mutex);
  for (unsigned i = 0; i < team->started; ++i)
    halcyon_join(team->workers[i].thread);
  halcyon_signal_end(&team->begun);
  halcyon_signal_end(&team->done);
  halcyon_mutex_end(&team->mutex);
  free(team->workers);
  free(team);
}

