//===- program.h - The table that a compiled program consists of ----------===//
//
// The compiler writes one `halcyon_program` per model, as constant data; the
// runtime walks it. Nothing in it is executable but the kernels' addresses.
//
// All integers are little-endian and of fixed size. A table is read only by a
// runtime of the same HALCYON_PROGRAM_VERSION. Every table is immutable and
// may be shared by any number of sessions in any number of threads.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_PROGRAM_H
#define HALCYON_PROGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HALCYON_PROGRAM_VERSION 6

/// Where the bytes of a view lie.
enum halcyon_space {
  HALCYON_ARENA = 0,   ///< the session's arena; address = arena + batch * slot + offset
  HALCYON_WEIGHTS = 1, ///< prepared weights; address = weights + offset
  HALCYON_INPUT = 2,   ///< the caller's tensor of input `index`, dense NCHW
  HALCYON_OUTPUT = 3,  ///< the caller's tensor of output `index`, dense NCHW
  HALCYON_IMAGE = 4    ///< a decoded picture: u8, dims (channel, x, y), sizes known at run time
};

/// An extent that is the session's batch size.
#define HALCYON_BATCH (-1)
/// An extent or stride that comes from the decoded picture.
#define HALCYON_DYNAMIC (-2)
#define HALCYON_MAX_RANK 8

/// Bytes of weights in one buffer of a device: not every device binds more at once,
/// and some allocate no more. Larger weights lie in several, cut between tensors.
#define HALCYON_MOST_BOUND ((uint64_t)96 << 20)

/// One dimension of a view, in elements, as Halide counts them. The pointer of
/// a view is the address of the element at every dimension's `min`.
typedef struct halcyon_dim {
  int32_t min;
  int32_t extent; ///< or HALCYON_BATCH, HALCYON_DYNAMIC
  int32_t stride;
} halcyon_dim;

/// A kernel's argument: a strided window on one of the spaces.
typedef struct halcyon_view {
  uint8_t space;     ///< enum halcyon_space
  uint8_t type_code; ///< Halide's: 0 int, 1 uint, 2 float, 3 bfloat
  uint8_t type_bits;
  uint8_t rank;
  uint32_t index;  ///< which input or output
  uint64_t slot;   ///< HALCYON_ARENA: bytes per image before this buffer
  uint64_t offset; ///< bytes, independent of the batch
  halcyon_dim dims[HALCYON_MAX_RANK]; ///< innermost first
  uint32_t images; ///< HALCYON_ARENA: holds so many of the batch at a time; 0: all
  uint32_t reserved;
} halcyon_view;

/// One kernel call. Its arguments are `num_views` views from `first_view` on,
/// inputs first, in the kernel's own order.
typedef struct halcyon_call {
  uint32_t kernel; ///< index into `kernels`
  uint32_t first_view;
  uint32_t num_views;
  uint32_t layer;     ///< string: the layer's path, "layer1.0.conv1"
  uint32_t line;      ///< line of the model file; 0 where there is none
  uint32_t algorithm; ///< string: "winograd4", "direct", ...
  double flops;       ///< per image, 2 for a multiply-add, of the layer's definition
  double bytes;       ///< per image, of inputs, outputs and weights, each once
  uint32_t chain;  ///< of a chain's first call: how many calls it is, made in turn
                   ///< for every part of the batch; else 0
  uint32_t images; ///< of a call in a chain: images of a part
} halcyon_call;

/// A straight line of calls. Function 0 is `infer`.
typedef struct halcyon_function {
  uint32_t name; ///< string
  uint32_t first_call;
  uint32_t num_calls;
  uint32_t reserved;
} halcyon_function;

/// An input or output tensor, dense and row-major in its logical order (NCHW).
typedef struct halcyon_port {
  uint32_t name;    ///< string
  uint8_t type_code, type_bits;
  uint16_t rank;
  int64_t shape[HALCYON_MAX_RANK]; ///< outermost first; HALCYON_BATCH for N
  int32_t image_function; ///< input: function that fills one image of it from a picture, or -1
  uint32_t labels;  ///< output: string, one label per line, or UINT32_MAX
  uint32_t softmax; ///< output: 1 where the values already are probabilities
  /// Where the data decide how many elements there are, `shape` has room for
  /// the most, and zeros lie behind them: dimension `counted_axis` has as many
  /// as output `counted_by - 1`, one i64, says. 0 where that is not so.
  uint16_t counted_by, counted_axis;
} halcyon_port;

/// A kernel as Halide exports it: args[0] points to the user context, a
/// `void *`; the rest are `halide_buffer_t *`. Returns 0 or an error.
typedef int (*halcyon_kernel)(void **args);

typedef struct halcyon_program {
  uint32_t version; ///< HALCYON_PROGRAM_VERSION
  uint32_t num_kernels, num_views, num_calls, num_functions;
  uint32_t num_inputs, num_outputs;
  uint32_t alignment;    ///< bytes, of the arena and of every buffer in it
  uint64_t arena_bytes;  ///< per image
  uint64_t fixed_bytes;  ///< behind those of all images, whatever the batch: what
                         ///< chains need more, then tensors without a batch
  uint64_t weight_bytes;
  const halcyon_kernel *kernels;
  const halcyon_view *views;
  const halcyon_call *calls;
  const halcyon_function *functions;
  const halcyon_port *inputs;
  const halcyon_port *outputs;
  const char *strings;   ///< NUL-terminated strings; a string is its byte offset
  const void *weights;   ///< embedded weights, 64-byte aligned, or NULL: beside the program
  const char *name;      ///< the model's
  const char *target;    ///< "x86-64-linux-avx512..." as Halide prints it
  const char *cpu_features; ///< space-separated LLVM feature names that the kernels need
  uint64_t weights_id;   ///< hash of the weights; a weights file begins with it
  uint32_t only_batch;   ///< the only batch that it computes; 0 where it is free
  /// Gives Halide's interface to the device that the kernels run on (its
  /// halide_device_interface_t); NULL for kernels of a CPU.
  const void *(*device)(void);
} halcyon_program;

#ifdef __cplusplus
}
#endif

#endif // HALCYON_PROGRAM_H
