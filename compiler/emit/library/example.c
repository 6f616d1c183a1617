// Runs @NAME@ once, on .npy files of f32 (one an input, N = 1) or on zeros, and
// prints the beginning of every output.
//
//     cc example.c -Iinclude -Llib -l@NAME@@NEEDS@@RPATH@ -o example
//     ./example [input.npy ...]

#include "@NAME@.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *why) {
  fprintf(stderr, "error: %s: %s\n", what, why);
  exit(1);
}

// The numbers of a little-endian, row-major .npy file of exactly this size.
static void readNpy(const char *path, void *data, size_t bytes) {
  unsigned char start[10];
  char header[4096] = "";
  FILE *file = fopen(path, "rb");
  if (!file)
    die(path, "can't be opened");
  if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\1", 7))
    die(path, "is not a .npy file of version 1");
  size_t length = start[8] + 256u * start[9];
  if (length >= sizeof header || fread(header, 1, length, file) != length)
    die(path, "has a damaged header");
  if (!strstr(header, "'<f4'") || !strstr(header, "'fortran_order': False"))
    die(path, "does not hold f32 in row-major order");
  if (fread(data, 1, bytes, file) != bytes || fgetc(file) != EOF)
    die(path, "does not have the input's size");
  fclose(file);
}

int main(int count, char **arguments) {
  const halcyon_program *program = &@NAME@_program;
  halcyon_session *session;
  halcyon_error error;
  if (@NAME@_session_create(program, NULL, &session, &error))
    die("session", error.text);

  for (uint32_t i = 0; i < program->num_inputs; ++i) {
    size_t bytes = @NAME@_port_bytes(&program->inputs[i], 1);
    void *data = calloc(1, bytes); // lent to the session until the end
    if (!data)
      die("input", "out of memory");
    if ((int)i + 1 < count)
      readNpy(arguments[i + 1], data, bytes);
    @NAME@_session_bind_input(session, i, data);
  }
  float *outputs[64] = {0};
  for (uint32_t i = 0; i < program->num_outputs && i < 64; ++i) {
    outputs[i] = malloc(@NAME@_port_bytes(&program->outputs[i], 1));
    @NAME@_session_bind_output(session, i, outputs[i]);
  }
  if (@NAME@_session_run(session))
    die("run", @NAME@_session_error(session));

  for (uint32_t i = 0; i < program->num_outputs && i < 64; ++i) {
    size_t size = @NAME@_port_bytes(&program->outputs[i], 1) / sizeof(float);
    printf("%s:", program->strings + program->outputs[i].name);
    for (size_t j = 0; j < size && j < 10; ++j)
      printf(" %.9g", outputs[i][j]);
    printf(size > 10 ? " ...\n" : "\n");
  }
  @NAME@_session_destroy(session);
  return 0;
}
