// Runs @NAME@ once, on files of raw numbers as they lie in memory (one an input, N = @ONE@)
// or on zeros, and prints the beginning of every output that is f32.
//
//     @COMMAND@
//     ./example [input.bin ...]

#include "@NAME@.h"

#include <stdio.h>
#include <stdlib.h>

enum { INPUTS = @INPUTS@, OUTPUTS = @OUTPUTS@, BATCH = @ONE@ };

static void die(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  exit(1);
}

static void *room(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory)
    die("tensor", "out of memory");
  return memory;
}

int main(int count, char **arguments) {
  static const int is_float[OUTPUTS] = {@FLOATS@};
  char error[256];
  void *inputs[INPUTS], *outputs[OUTPUTS];
  @NAME@_session *session = @NAME@_session_create("@NAME@.weights", error);
  if (!session)
    die("session", error);
  for (int i = 0; i != INPUTS; ++i) {
    const size_t bytes = @NAME@_input_bytes((uint32_t)i, BATCH);
    inputs[i] = room(bytes);
    if (i + 1 < count) {
      FILE *file = fopen(arguments[i + 1], "rb");
      if (!file || fread(inputs[i], 1, bytes, file) != bytes || fgetc(file) != EOF)
        die(arguments[i + 1], "is not a file of the input's size");
      fclose(file);
    }
  }
  for (int i = 0; i != OUTPUTS; ++i)
    outputs[i] = room(@NAME@_output_bytes((uint32_t)i, BATCH));
  if (@NAME@_session_run(session, BATCH, (const void *const *)inputs, outputs))
    die("run", @NAME@_session_error(session));
  for (int i = 0; i != OUTPUTS; ++i) {
    const size_t size = @NAME@_output_bytes((uint32_t)i, BATCH) / sizeof(float);
    printf("%d:", i);
    for (size_t j = 0; is_float[i] && j < size && j < 10; ++j)
      printf(" %.9g", ((const float *)outputs[i])[j]);
    printf(size > 10 ? " ...\n" : "\n");
  }
  @NAME@_session_destroy(session);
  return 0;
}
