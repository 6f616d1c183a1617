// Runs @NAME@ once, on .npy files (one an input, N = @ONE@) or on zeros, and prints the
// beginning of every output.
//
//     cc -std=c11 -O3 -march=native@FLAGS@ example.c @NAME@.c -lm -o example
//     ./example [input.npy ...]

#include "@NAME@.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// The numbers of a little-endian, row-major .npy file of exactly this size.
static void *input(const char *path, size_t bytes) {
  unsigned char start[10];
  void *data = room(bytes);
  if (!path)
    return data;
  FILE *file = fopen(path, "rb");
  if (!file)
    die(path, "can't be opened");
  if (fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\1", 7))
    die(path, "is not a .npy file of version 1");
  if (fseek(file, start[8] + 256L * start[9], SEEK_CUR) != 0 ||
      fread(data, 1, bytes, file) != bytes || fgetc(file) != EOF)
    die(path, "does not have the input's size");
  fclose(file);
  return data;
}

#define PRINT(type, name, count)                                               \
  do {                                                                         \
    printf("%s:", #name);                                                      \
    for (size_t i = 0; i < (count) && i < 10; ++i)                             \
      printf(" %.9g", (double)((const type *)name)[i]);                        \
    printf((count) > 10 ? " ...\n" : "\n");                                    \
  } while (0)

int main(int count, char **arguments) {
@TAKE_WEIGHTS@  void *memory = room(@NAME@_memory_bytes(@ONE@));
@READ@@ROOM@@TAKE_TEAM@  if (@NAME@_run(weights, memory, @GIVE_TEAM@@ONE@@ARGUMENTS@))
    die("run", "out of memory");
@END_TEAM@@PRINT@@FREE@  free(memory);
@GIVE_WEIGHTS@  (void)count, (void)arguments;
  return 0;
}
