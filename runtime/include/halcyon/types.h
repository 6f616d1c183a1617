//===- types.h - What the C interface takes and gives ---------------------===//

#ifndef HALCYON_TYPES_H
#define HALCYON_TYPES_H

#include "halcyon/program.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Of everything that these headers declare. A library takes callers of its own
/// version alone.
#define HALCYON_ABI_VERSION 1

typedef enum halcyon_status {
  HALCYON_OK = 0,
  HALCYON_BAD_ARGUMENT =
      1, ///< an index, batch or picture that the program does not take
  HALCYON_BAD_PROGRAM = 2, ///< the table is damaged or of another version
  HALCYON_BAD_CPU = 3, ///< the kernels need instructions that this CPU lacks
  HALCYON_NO_MEMORY = 4,
  HALCYON_NO_THREADS = 5, ///< the system refused to start a worker
  HALCYON_BAD_WEIGHTS =
      6, ///< the weights file is missing, damaged or another model's
  HALCYON_UNBOUND = 7, ///< an input or output has no memory yet
  HALCYON_KERNEL_FAILED = 8,
  HALCYON_BUSY = 9, ///< another thread is inside this session
  HALCYON_DEVICE_FAILED = 10 ///< there is no such device, or it refused
} halcyon_status;

typedef struct halcyon_error {
  halcyon_status status;
  char text[256]; ///< one line, without a newline
} halcyon_error;

/// Where a session takes its memory from. Both functions are called from
/// several threads at once. `release` gets the size that was asked for.
typedef struct halcyon_allocator {
  void *self;
  void *(*allocate)(void *self, size_t bytes, size_t alignment);
  void (*release)(void *self, void *memory, size_t bytes);
} halcyon_allocator;

/// Who runs parallel loops instead of workers of the session's own. `run` calls
/// `job(data, i)` once for every i below `count`, in any threads and order, and
/// returns when all have returned. It may be called from several threads at
/// once, and `count` never exceeds the session's threads.
typedef struct halcyon_thread_pool {
  void *self;
  void (*run)(void *self, uint32_t count,
              void (*job)(void *data, uint32_t index), void *data);
} halcyon_thread_pool;

typedef enum halcyon_log_level {
  HALCYON_LOG_ERROR = 0, ///< what a call that failed says as well
  HALCYON_LOG_INFO = 1
} halcyon_log_level;

/// Who hears what happens, a line at a time, without a newline; perhaps from
/// several threads at once.
typedef struct halcyon_logger {
  void *self;
  void (*log)(void *self, halcyon_log_level level, const char *text);
} halcyon_logger;

enum halcyon_flags {
  /// Leave workers where the system puts them. Otherwise each is pinned to a
  /// core of the process's affinity mask, and the caller's core is spared.
  HALCYON_NO_PINNING = 1,
  /// Pin the calling thread too: for a process that does nothing else.
  HALCYON_PIN_CALLER = 2,
  /// Leave weights in the program or its file. Otherwise large ones are copied
  /// to huge pages, once for all sessions of a process, which makes runs faster
  /// and the start slower. So they are with an allocator of the caller's.
  HALCYON_MAP_WEIGHTS = 4
};

/// Zero-initialise it; zero always means the default.
typedef struct halcyon_options {
  uint32_t threads; ///< the caller included; 0: one per physical core in the
                    ///< affinity mask, fewer where the control group's quota of
                    ///< CPU time is smaller
  uint32_t flags;   ///< enum halcyon_flags
  uint32_t spin_us; ///< how long an idle worker polls before it sleeps; 0: 100.
                    ///< Beyond 10 it offers its core to others at each look
  uint32_t abi_version; ///< HALCYON_ABI_VERSION, to have it checked
  const char
      *weights_path; ///< weights beside the program; NULL: those inside it
  halcyon_allocator allocator;
  halcyon_thread_pool thread_pool; ///< NULL: the session starts its own
  halcyon_logger logger;           ///< NULL: nothing is said
} halcyon_options;

/// What one caller needs to run a program.
typedef struct halcyon_session halcyon_session;

/// A picture in memory: 8 bits a sample, channels interleaved, top row first.
typedef struct halcyon_picture {
  const uint8_t *pixels;
  uint32_t width, height, channels;
  uint32_t row_bytes; ///< 0: width * channels
} halcyon_picture;

typedef struct halcyon_call_profile {
  const char *layer;
  const char *algorithm;
  uint32_t line;
  uint32_t reserved;
  uint64_t runs;
  double total_ms, min_ms;
  double flops, bytes; ///< of one run at the present batch size
} halcyon_call_profile;

#ifdef __cplusplus
}
#endif

#endif // HALCYON_TYPES_H
