// Two images in batches of one and two, in two sessions: alone and together they give
// the same. Then what is wrong gets a text.
#include "lenet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  static float images[2][784], together[20], alone[2][10], again[10];
  char error[256];
  for (int i = 0; i != 784; ++i)
    images[0][i] = (float)(i * 37 % 101) / 101, images[1][i] = (float)(i * 7 % 13) / 13;
  lenet_session *s = lenet_session_create("lenet.weights", error);
  lenet_session *t = lenet_session_create("lenet.weights", NULL);
  if (!s || !t)
    return printf("error: %s\n", error), 1;
  const void *in[1] = {images};
  void *out[1] = {together};
  int bad = lenet_session_run(s, 2, in, out);
  for (int i = 0; i != 2; ++i) {
    in[0] = images[i];
    out[0] = alone[i];
    bad |= lenet_session_run(i ? t : s, 1, in, out);
  }
  out[0] = again;
  bad |= lenet_session_run(s, 1, in, out);
  if (bad)
    return printf("error: %s %s\n", lenet_session_error(s), lenet_session_error(t)), 1;
  printf("together %s, again %s, images %s\n",
         memcmp(together, alone, sizeof together) ? "differ" : "equal",
         memcmp(again, alone[1], sizeof again) ? "differ" : "equal",
         memcmp(alone[0], alone[1], sizeof again) ? "differ" : "equal");
  printf("%d %s\n", lenet_session_run(s, 0, in, out), lenet_session_error(s));
  printf("%d %d\n", (int)lenet_input_bytes(0, 3), (int)lenet_output_bytes(1, 3));
  lenet_session_destroy(s);
  lenet_session_destroy(t);
  printf("%s\n", lenet_session_create("lenet.c", error) ? "taken" : error);
  return 0;
}
