// @MODEL@ on a device: memory there, and one kernel's call after another. The kernels'
// callers, and Halide's runtime for the device, are in lib/@LIBRARY@.

#include "@NAME@.h"
#include "halcyon/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What Halide's runtime reads, as HalideRuntime.h has it.
struct device_interface;
typedef struct {
  int32_t min, extent, stride;
  uint32_t flags;
} dimension;
typedef struct {
  uint64_t device;
  const struct device_interface *interface;
  uint8_t *host;
  uint64_t flags;
  uint8_t code, bits;
  uint16_t lanes;
  int32_t dimensions;
  dimension *dim;
  void *padding;
} buffer;
enum { HOST_DIRTY = 1, DEVICE_DIRTY = 2, IS_FLOAT = 2 };
struct device_interface {
  int (*device_malloc)(void *context, buffer *of, const struct device_interface *self);
  int (*device_free)(void *context, buffer *of);
  int (*device_sync)(void *context, buffer *of);
  void (*device_release)(void *context, const struct device_interface *self);
  int (*copy_to_host)(void *context, buffer *of);
  int (*copy_to_device)(void *context, buffer *of, const struct device_interface *self);
};
const struct device_interface *@INTERFACE@(void);
typedef void (*error_handler)(void *context, const char *text);
error_handler halide_set_error_handler(error_handler handler);

@TABLES@
// A row of numbers on the device. Halide's runtime for Direct3D asks for their type.
typedef struct {
  buffer row;
  dimension dim;
  uint64_t bytes;
} block;

struct @NAME@_session {
  const struct device_interface *device;
  block arena, weights, inputs[INPUTS], outputs[OUTPUTS];
  buffer buffers[VIEWS];
  dimension dims[VIEWS][HALCYON_MAX_RANK];
  uint32_t batch;
  char error[256], spoken[200];
};

// Halide's runtime calls it for a session, whose calls it gets the address of.
static void speak(void *context, const char *text) {
  @NAME@_session *s = context;
  if (s && !s->spoken[0])
    snprintf(s->spoken, sizeof s->spoken, "%s", text);
}

static int fail(@NAME@_session *s, const char *what) {
  snprintf(s->error, sizeof s->error, "%s: %s", what,
           s->spoken[0] ? s->spoken : "the device said no more");
  return 1;
}

static uint64_t port_bytes(const halcyon_port *port, uint64_t batch) {
  uint64_t bytes = (port->type_bits + 7u) / 8u;
  for (unsigned i = 0; i != port->rank; ++i)
    bytes *= port->shape[i] == HALCYON_BATCH ? batch : (uint64_t)port->shape[i];
  return bytes;
}

size_t @NAME@_input_bytes(uint32_t index, uint32_t batch) {
  return index < INPUTS ? (size_t)port_bytes(&inputs[index], batch) : 0;
}

size_t @NAME@_output_bytes(uint32_t index, uint32_t batch) {
  return index < OUTPUTS ? (size_t)port_bytes(&outputs[index], batch) : 0;
}

static void release(@NAME@_session *s, block *b) {
  if (b->row.device)
    s->device->device_free(s, &b->row);
  memset(b, 0, sizeof *b);
}

static int reserve(@NAME@_session *s, block *b, uint64_t bytes) {
  const uint64_t count = bytes ? (bytes + 3) / 4 : 1;
  release(s, b);
  if (count > INT32_MAX)
    return 1;
  b->bytes = bytes;
  b->dim.extent = (int32_t)count;
  b->dim.stride = 1;
  b->row.code = IS_FLOAT;
  b->row.bits = 32;
  b->row.lanes = 1;
  b->row.dimensions = 1;
  b->row.dim = &b->dim;
  return s->device->device_malloc(s, &b->row, s->device);
}

// Copies a whole block, which has a multiple of four bytes, by way of memory that has
// as many where the tensor has not.
static int copy(@NAME@_session *s, block *b, void *memory, int in) {
  const size_t room = (size_t)b->dim.extent * 4;
  void *whole = room == b->bytes ? memory : calloc(1, room);
  int code = 1;
  if (!whole)
    return code;
  if (in && whole != memory)
    memcpy(whole, memory, (size_t)b->bytes);
  b->row.host = whole;
  b->row.flags = in ? HOST_DIRTY : DEVICE_DIRTY;
  code = in ? s->device->copy_to_device(s, &b->row, s->device)
            : s->device->copy_to_host(s, &b->row);
  b->row.host = NULL;
  b->row.flags = 0;
  if (!in && whole != memory)
    memcpy(memory, whole, (size_t)b->bytes);
  if (whole != memory)
    free(whole);
  return code;
}

static int load(@NAME@_session *s, const char *path) {
  unsigned char header[32];
  static const unsigned char expected[32] = {@HEADER@};
  unsigned char *weights;
  FILE *file;
  int good;
  if (!WEIGHT_BYTES)
    return 0;
  weights = malloc((size_t)WEIGHT_BYTES);
  file = fopen(path, "rb");
  good = weights && file && fread(header, 1, 32, file) == 32 &&
         memcmp(header, expected, 32) == 0 && fseek(file, @WEIGHTS_AT@, SEEK_SET) == 0 &&
         fread(weights, 1, (size_t)WEIGHT_BYTES, file) == WEIGHT_BYTES;
  if (file)
    fclose(file);
  if (!good) {
    snprintf(s->error, sizeof s->error, "%s: not the weights of this program", path);
  } else if (reserve(s, &s->weights, WEIGHT_BYTES) || copy(s, &s->weights, weights, 1)) {
    fail(s, "the weights have no place on the device");
    good = 0;
  }
  free(weights);
  return !good;
}

@NAME@_session *@NAME@_session_create(const char *weights, char error[256]) {
  @NAME@_session *s = calloc(1, sizeof *s);
  if (!s) {
    if (error)
      strcpy(error, "out of memory");
    return NULL;
  }
  halide_set_error_handler(speak);
  s->device = @INTERFACE@();
  if (load(s, weights)) {
    if (error)
      memcpy(error, s->error, sizeof s->error);
    @NAME@_session_destroy(s);
    return NULL;
  }
  return s;
}

void @NAME@_session_destroy(@NAME@_session *s) {
  if (!s)
    return;
  release(s, &s->arena);
  release(s, &s->weights);
  for (uint32_t i = 0; i != INPUTS; ++i)
    release(s, &s->inputs[i]);
  for (uint32_t i = 0; i != OUTPUTS; ++i)
    release(s, &s->outputs[i]);
  free(s);
}

// A kernel gets the whole block that a view is in, and where the view begins in it, in
// units of the alignment, as its `host`.
static void put_view(@NAME@_session *s, uint32_t index) {
  const halcyon_view *view = &views[index];
  const block *of = view->space == HALCYON_ARENA     ? &s->arena
                    : view->space == HALCYON_WEIGHTS ? &s->weights
                    : view->space == HALCYON_INPUT   ? &s->inputs[view->index]
                                                     : &s->outputs[view->index];
  const uint64_t slots = view->space == HALCYON_ARENA ? s->batch * view->slot : 0;
  buffer *b = &s->buffers[index];
  b->device = of->row.device;
  b->interface = of->row.interface;
  b->host = (uint8_t *)(uintptr_t)((view->offset + slots) / ALIGNMENT);
  b->code = view->type_code;
  b->bits = view->type_bits;
  b->lanes = 1;
  b->dimensions = view->rank;
  b->dim = s->dims[index];
  for (unsigned d = 0; d != view->rank; ++d) {
    b->dim[d].min = view->dims[d].min;
    b->dim[d].extent =
        view->dims[d].extent == HALCYON_BATCH ? (int32_t)s->batch : view->dims[d].extent;
    b->dim[d].stride = view->dims[d].stride;
  }
}

// Whether every tensor has less than 2^31 elements.
static int fits(uint32_t batch) {
  for (uint32_t c = 0; c != CALLS; ++c)
    for (uint32_t v = calls[c].first_view; v != calls[c].first_view + calls[c].num_views; ++v) {
      int64_t last = 0;
      for (unsigned d = 0; d != views[v].rank; ++d) {
        const halcyon_dim *dim = &views[v].dims[d];
        last += (dim->extent == HALCYON_BATCH ? (int64_t)batch - 1 : dim->extent - 1) *
                (int64_t)dim->stride;
      }
      if (last > INT32_MAX)
        return 0;
    }
  return 1;
}

static int set_batch(@NAME@_session *s, uint32_t batch) {
  int code;
  if (batch == s->batch)
    return 0;
  if (!batch || batch > INT32_MAX || (ONLY_BATCH && batch != ONLY_BATCH) || !fits(batch)) {
    snprintf(s->error, sizeof s->error, "a batch of %lu images is not possible",
             (unsigned long)batch);
    return 1;
  }
  s->batch = 0; // until all has its place
  code = reserve(s, &s->arena, batch * ARENA_BYTES + FIXED_BYTES);
  for (uint32_t i = 0; i != INPUTS; ++i)
    code |= reserve(s, &s->inputs[i], port_bytes(&inputs[i], batch));
  for (uint32_t i = 0; i != OUTPUTS; ++i)
    code |= reserve(s, &s->outputs[i], port_bytes(&outputs[i], batch));
  if (code)
    return fail(s, "the tensors have no place on the device");
  s->batch = batch;
  for (uint32_t c = 0; c != CALLS; ++c)
    for (uint32_t v = 0; v != calls[c].num_views; ++v)
      put_view(s, calls[c].first_view + v);
  return 0;
}

static int call(@NAME@_session *s, const halcyon_call *of) {
  void *context = s;
  void *arguments[1 + MOST_VIEWS];
  arguments[0] = &context;
  for (uint32_t v = 0; v != of->num_views; ++v)
    arguments[1 + v] = &s->buffers[of->first_view + v];
  return kernels[of->kernel](arguments);
}

int @NAME@_session_run(@NAME@_session *s, uint32_t batch, const void *const *from,
                       void *const *to) {
  s->spoken[0] = 0;
  if (set_batch(s, batch))
    return 1;
  for (uint32_t i = 0; i != INPUTS; ++i)
    if (copy(s, &s->inputs[i], (void *)(uintptr_t)from[i], 1)) // it is only read
      return fail(s, "an input can't be copied to the device");
  for (uint32_t c = 0; c != CALLS; ++c)
    if (call(s, &calls[c]))
      return fail(s, strings + calls[c].layer);
  for (uint32_t i = 0; i != OUTPUTS; ++i)
    if (copy(s, &s->outputs[i], to[i], 0))
      return fail(s, "an output can't be copied from the device");
  return 0;
}

const char *@NAME@_session_error(const @NAME@_session *s) { return s->error; }
