// The model @MODEL@ on a device.
//
@PORTS@
//
// Tensors are dense and row-major; N is the batch. A session is what one caller needs:
// memory on the device, with the weights. One thread at a time uses it. Nothing prints
// or exits.

#ifndef @UPPER@_H
#define @UPPER@_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct @NAME@_session @NAME@_session;

/// Finds the device and copies the weights there, from their file. NULL where that
/// fails; `error` then says why, if it is not NULL.
@NAME@_session *@NAME@_session_create(const char *weights, char error[256]);
void @NAME@_session_destroy(@NAME@_session *session);

/// Bytes of an input or output; 0 where there is none of this number.
size_t @NAME@_input_bytes(uint32_t index, uint32_t batch);
size_t @NAME@_output_bytes(uint32_t index, uint32_t batch);

/// Computes all outputs from all inputs, in the order above. 0, or 1 where that fails.
int @NAME@_session_run(@NAME@_session *session, uint32_t batch,
                       const void *const *inputs, void *const *outputs);
/// What failed last.
const char *@NAME@_session_error(const @NAME@_session *session);

#ifdef __cplusplus
}
#endif

#endif
