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
//     halcyon_session_set_input(session, "image", images, sizeof images);
//     if (halcyon_session_run(session))
//       return fail(halcyon_session_error(session));
//     const float *logits = halcyon_session_output(session, "logits", &bytes);
//     halcyon_session_destroy(session);
//
// Nothing here prints, exits, throws or installs a signal handler. There may be
// any number of sessions, of one program or several, in any threads, which read
// one copy of a program's weights, on a device too. A session itself serves one
// thread at a time. It does not survive fork().
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_HALCYON_H
#define HALCYON_HALCYON_H

#include "halcyon/types.h"

#if defined(__GNUC__)
#define HALCYON_API __attribute__((visibility("default")))
#else
#define HALCYON_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// HALCYON_ABI_VERSION of the library that was linked or loaded.
HALCYON_API uint32_t halcyon_abi_version(void);

/// A short description of a status, never NULL.
HALCYON_API const char *halcyon_status_text(halcyon_status status);

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

/// Makes a session with batch size 1, or the only one that the program computes.
/// The program must outlive it; `options` and `error` may be NULL and are not
/// kept. On failure *session is NULL.
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

/// The same by name; `bytes` must be what the port takes at the present batch.
HALCYON_API halcyon_status halcyon_session_set_input(halcyon_session *session,
                                                     const char *name,
                                                     const void *data,
                                                     uint64_t bytes);
HALCYON_API halcyon_status halcyon_session_set_output(halcyon_session *session,
                                                      const char *name,
                                                      void *data,
                                                      uint64_t bytes);

/// An output after a run, and its size; `bytes` may be NULL. Where nothing was
/// bound it lies in the session's own memory until the next run. NULL for a name
/// that there is not, or before the first run.
HALCYON_API const void *halcyon_session_output(halcyon_session *session,
                                               const char *name,
                                               uint64_t *bytes);

/// Computes every output from the inputs. Outputs that are not bound get memory
/// of the session's.
HALCYON_API halcyon_status halcyon_session_run(halcyon_session *session);

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
