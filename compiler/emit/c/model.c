// The model @MODEL@ in ISO C11, from kernels for @TARGET@.
//
// With GCC or clang, vectors are those of the compiler; -D@UPPER@_SCALAR, and other
// compilers, have loops over their lanes instead. -O3 -march=native makes either fast.

#include "@NAME@.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) && !defined(@UPPER@_SCALAR)
#define HALCYON_VECTORS 1
#else
#define HALCYON_VECTORS 0
#endif
#define HALCYON_INLINE static inline

/// A window on memory. The pointer is the element at every dimension's `min`;
/// extents and strides count elements.
typedef struct {
  int32_t min, extent, stride;
} halcyon_dim;
typedef struct {
  const void *host;
  halcyon_dim dim[@RANK@];
} halcyon_buffer;

@THREADS_DEFINED@//===--- Vectors ---===//

@HELPERS@
//===--- Kernels ---===//

@KERNELS@
//===--- The model ---===//

size_t @NAME@_memory_bytes(uint32_t batch) {
  const uint64_t bytes = (uint64_t)batch * @ARENA@u + @FIXED@u;
  return @BATCH_IS_WRONG@ || bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

@WEIGHTS_DEFINED@
int @NAME@_run(const void *weights_, void *memory_, @TEAM@uint32_t batch@PARAMETERS@) {
  const unsigned char *const weights = weights_;
  unsigned char *const memory = memory_;
  int status;
  if (@BATCH_IS_WRONG@)
    return @UPPER@_BAD_ARGUMENT;
@CALLS@  (void)weights;
  (void)memory;
  return @UPPER@_OK;
}
@IMAGES@
