// The model @MODEL@ in ISO C11.
//
@PORTS@
//
// Tensors are dense and row-major; N is the batch. There is no state but what the
// caller brings, so that any number of threads can run the model on one copy of the
// weights, each with memory of its own. Nothing prints or exits.

#ifndef @UPPER@_H
#define @UPPER@_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  @UPPER@_OK = 0,
  @UPPER@_NO_MEMORY = 1,
  @UPPER@_BAD_ARGUMENT = 2 ///< a batch or picture that the model does not take
};

/// The largest batch@ONLY@.
#define @UPPER@_MAX_BATCH @MAX_BATCH@

/// Bytes of memory that a run needs beside weights and tensors; 0 where a batch is
/// not possible or needs none. At a multiple of 64 it is faster.
size_t @NAME@_memory_bytes(uint32_t batch);

@WEIGHTS_DECLARED@
@THREADS_DECLARED@/// Computes the outputs from the inputs@RUNS_ON@.
int @NAME@_run(const void *weights, void *memory, @TEAM@uint32_t batch@PARAMETERS@);
@IMAGES@
#ifdef __cplusplus
}
#endif

#endif
