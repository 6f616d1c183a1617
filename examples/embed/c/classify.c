// Prints which digit a picture (PGM, 8 bits) shows.

#include "lenet.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *text) {
  fprintf(stderr, "error: %s\n", text);
  return 1;
}

int main(int count, char **arguments) {
  FILE *file = fopen(count > 1 ? arguments[1] : "", "rb");
  halcyon_picture picture = {NULL, 0, 0, 1, 0};
  if (!file || fscanf(file, "P5 %u %u 255", &picture.width, &picture.height) != 2 ||
      picture.width > 4096 || picture.height > 4096)
    return fail("give a picture as .pgm");
  fgetc(file);
  size_t size = (size_t)picture.width * picture.height;
  uint8_t *pixels = malloc(size);
  if (!pixels || fread(pixels, 1, size, file) != size)
    return fail("the picture is cut short");
  fclose(file);
  picture.pixels = pixels;

  halcyon_session *session;
  halcyon_error error;
  if (lenet_session_create(&lenet_program, NULL, &session, &error))
    return fail(error.text);
  float image[28 * 28];
  if (lenet_session_prepare_image(session, 0, &picture, image) ||
      lenet_session_set_input(session, "image", image, sizeof image) ||
      lenet_session_run(session))
    return fail(lenet_session_error(session));
  const float *logits = lenet_session_output(session, "logits", NULL);
  int best = 0;
  for (int digit = 1; digit < 10; ++digit)
    if (logits[digit] > logits[best])
      best = digit;
  printf("%d\n", best);
  lenet_session_destroy(session);
  free(pixels);
  return 0;
}
