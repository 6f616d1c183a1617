//===- halcyon.h - Run a compiled program ---------------------------------===//
//
// The C interface of the runtime. A program is the constant table that the
// compiler made of a model (halcyon/program.h); a session is what one caller
// needs to run it: an arena, worker threads, buffer descriptors.
//
//     halcyon_session *session;
//     halcyon_error error;
//     if (halcyon_session_create(&halcyon_program_main, NULL, &session,
//     &error))
//       return fail(error.text);
//     halcyon_session_set_batch(session, 8);
//     halcyon_session_bind_input(session, 0, images);
//     halcyon_session_bind_output(session, 0, logits);
//     if (halcyon_session_run(session))
//       return fail(halcyon_session_error(session));
//     halcyon_session_destroy(session);
//
// Nothing here prints, exits, throws or installs a signal handler. There may be
// any number of sessions, of one program or several, in any threads; a session
// itself serves one thread at a time. A session does not survive fork().
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_HALCYON_H
#define HALCYON_HALCYON_H

#include "halcyon/program.h"

#include <stddef.h>

#if defined(__GNUC__)
#define HALCYON_API __attribute__((visibility("default")))
#else
#define HALCYON_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

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
  HALCYON_BUSY = 9 ///< another thread is inside this session
} halcyon_status;

/// A short description of a status, never NULL.
HALCYON_API const char *halcyon_status_text(halcyon_status status);

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

enum halcyon_flags {
  /// Leave workers where the system puts them. Otherwise each is pinned to a
  /// core of the process's affinity mask, and the caller's core is spared.
  HALCYON_NO_PINNING = 1,
  /// Pin the calling thread too: for a process that does nothing else.
  HALCYON_PIN_CALLER = 2
};

/// Zero-initialise it; zero always means the default.
typedef struct halcyon_options {
  uint32_t threads; ///< the caller included; 0: one per physical core in the
                    ///< affinity mask
  uint32_t flags;   ///< enum halcyon_flags
  uint32_t spin_us; ///< how long an idle worker polls before it sleeps; 0: 100
  uint32_t reserved;
  const char
      *weights_path; ///< weights beside the program; NULL: those inside it
  halcyon_allocator allocator;
  /// Receives what a kernel compiled with `print` says; NULL: dropped.
  void (*print)(void *self, const char *text);
  void *print_self;
} halcyon_options;

typedef struct halcyon_session halcyon_session;

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// The index of an input or output by its name, or -1.
HALCYON_API int32_t halcyon_program_find_input(const halcyon_program *program,
                                               const char *name);
HALCYON_API int32_t halcyon_program_find_output(const halcyon_program *program,
                                                const char *name);

/// Bytes of one tensor at a batch size; 0 where they overflow.
HALCYON_API uint64_t halcyon_port_bytes(const halcyon_port *port,
                                        uint64_t batch);

/// Whether this CPU can run the program. `error` may be NULL.
HALCYON_API halcyon_status
halcyon_program_check_cpu(const halcyon_program *program, halcyon_error *error);

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

/// Makes a session with batch size 1. The program must outlive it; `options`
/// and `error` may be NULL and are not kept. On failure *session is NULL.
HALCYON_API halcyon_status halcyon_session_create(
    const halcyon_program *program, const halcyon_options *options,
    halcyon_session **session, halcyon_error *error);

/// Stops the workers and frees everything. NULL is allowed.
HALCYON_API void halcyon_session_destroy(halcyon_session *session);

/// Changes the batch size. Bindings are kept: their tensors must hold the new
/// size.
HALCYON_API halcyon_status halcyon_session_set_batch(halcyon_session *session,
                                                     uint32_t batch);

/// Lends the session a dense row-major tensor of halcyon_port_bytes() bytes,
/// aligned for its element type, until it is bound again or the session ends.
HALCYON_API halcyon_status halcyon_session_bind_input(halcyon_session *session,
                                                      uint32_t index,
                                                      const void *data);
HALCYON_API halcyon_status halcyon_session_bind_output(halcyon_session *session,
                                                       uint32_t index,
                                                       void *data);

/// Computes every output from the inputs.
HALCYON_API halcyon_status halcyon_session_run(halcyon_session *session);

/// A picture in memory: 8 bits a sample, channels interleaved, top row first.
typedef struct halcyon_picture {
  const uint8_t *pixels;
  uint32_t width, height, channels;
  uint32_t row_bytes; ///< 0: width * channels
} halcyon_picture;

/// Resizes, crops and normalises a picture into one image of an input, as the
/// model says. `destination` has room for halcyon_port_bytes(port, 1).
HALCYON_API halcyon_status halcyon_session_prepare_image(
    halcyon_session *session, uint32_t input, const halcyon_picture *picture,
    void *destination);

/// What went wrong in the last call that failed; "" before.
HALCYON_API const char *halcyon_session_error(const halcyon_session *session);
HALCYON_API uint32_t halcyon_session_threads(const halcyon_session *session);
HALCYON_API uint32_t halcyon_session_batch(const halcyon_session *session);

//===----------------------------------------------------------------------===//
// Profiles
//===----------------------------------------------------------------------===//

typedef struct halcyon_call_profile {
  const char *layer;
  const char *algorithm;
  uint32_t line;
  uint32_t reserved;
  uint64_t runs;
  double total_ms, min_ms;
  double flops, bytes; ///< of one run at the present batch size
} halcyon_call_profile;

/// Starts (from zero) or stops timing each kernel.
HALCYON_API halcyon_status
halcyon_session_set_profiling(halcyon_session *session, int on);

/// Kernel calls of one run, and the times of one of them.
HALCYON_API uint32_t halcyon_session_num_calls(const halcyon_session *session);
HALCYON_API halcyon_status
halcyon_session_profile(const halcyon_session *session, uint32_t call,
                        halcyon_call_profile *profile);

#ifdef __cplusplus
}
#endif

#endif // HALCYON_HALCYON_H
