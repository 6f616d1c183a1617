#include "lenet.h"
#include "mlp.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
  halcyon_session *a, *b;
  if (lenet_session_create(&lenet_program, NULL, &a, NULL) ||
      mlp_session_create(&mlp_program, NULL, &b, NULL))
    return 1;
  void *image = calloc(1, lenet_port_bytes(&lenet_program.inputs[0], 1));
  float x[10], y[10];
  lenet_session_bind_input(a, 0, image);
  lenet_session_bind_output(a, 0, x);
  mlp_session_bind_input(b, 0, image);
  mlp_session_bind_output(b, 0, y);
  if (lenet_session_run(a) || mlp_session_run(b))
    return 1;
  lenet_session_destroy(a);
  mlp_session_destroy(b);
  free(image);
  printf("lenet %d mlp %d\n", (int)lenet_program.outputs[0].shape[1],
         (int)mlp_program.outputs[0].shape[1]);
  return 0;
}
