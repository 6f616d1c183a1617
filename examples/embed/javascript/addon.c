// LeNet for Node: classify(picture, width, height) gives the ten logits of a gray
// picture, a Uint8Array.

#include "lenet.h"

#include <node_api.h>

static napi_value fail(napi_env env, const char *text) {
  napi_throw_error(env, NULL, text);
  return NULL;
}

static napi_value classify(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, length = 0;
  void *pixels = NULL;
  napi_typedarray_type type;
  halcyon_picture picture = {NULL, 0, 0, 1, 0};
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 3 ||
      napi_get_typedarray_info(env, arguments[0], &type, &length, &pixels, NULL, NULL) != napi_ok ||
      type != napi_uint8_array ||
      napi_get_value_uint32(env, arguments[1], &picture.width) != napi_ok ||
      napi_get_value_uint32(env, arguments[2], &picture.height) != napi_ok ||
      length != (size_t)picture.width * picture.height)
    return fail(env, "give a Uint8Array of width x height, width and height");
  picture.pixels = pixels;

  halcyon_session *session;
  halcyon_error error;
  if (lenet_session_create(&lenet_program, NULL, &session, &error))
    return fail(env, error.text);
  float image[28 * 28];
  void *logits;
  napi_value buffer, result;
  napi_create_arraybuffer(env, 10 * sizeof(float), &logits, &buffer);
  if (lenet_session_prepare_image(session, 0, &picture, image) ||
      lenet_session_set_input(session, "image", image, sizeof image) ||
      lenet_session_set_output(session, "logits", logits, 10 * sizeof(float)) ||
      lenet_session_run(session))
    fail(env, lenet_session_error(session));
  lenet_session_destroy(session);
  napi_create_typedarray(env, napi_float32_array, 10, buffer, 0, &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "classify", NAPI_AUTO_LENGTH, classify, NULL, &function);
  napi_set_named_property(env, exports, "classify", function);
  return exports;
}
