//===- halide_support.cpp - What kernels call -----------------------------===//
//
// Kernels are compiled with `no_runtime` and `user_context`; these few
// functions are all that they need at run time. Each finds its session through
// the user context. In a linked program they are local symbols, so that a host
// process with Halide of its own is not disturbed.
//
//===----------------------------------------------------------------------===//

#include "session.h"

#include <cstring>

using namespace halcyon;

static ThreadContext &contextOf(void *UserContext) {
  return *static_cast<ThreadContext *>(UserContext);
}

extern "C" {

int halide_do_par_for(void *UserContext, halide_task_t Task, int Min, int Size,
                      uint8_t *Closure) {
  ThreadContext &Context = contextOf(UserContext);
  return Context.Pool->run(Context, Task, Min, Size, Closure);
}

void *halide_malloc(void *UserContext, size_t Bytes) {
  ThreadContext &Context = contextOf(UserContext);
  return Context.Blocks.allocate(Context.Session->Memory, Bytes);
}

void halide_free(void *UserContext, void *Memory) {
  contextOf(UserContext).Blocks.release(Memory);
}

void halide_print(void *UserContext, const char *Text) {
  halcyon_session &S = *contextOf(UserContext).Session;
  say(S.Logger, HALCYON_LOG_INFO, Text);
}

/// The first message of a run is kept; the kernel's result says that it failed.
void halide_error(void *UserContext, const char *Text) {
  halcyon_session &S = *contextOf(UserContext).Session;
  if (S.KernelSpoke.exchange(true))
    return;
  size_t Length = strnlen(Text, sizeof(S.KernelText) - 1);
  while (Length && Text[Length - 1] == '\n')
    --Length;
  memcpy(S.KernelText, Text, Length);
  S.KernelText[Length] = 0;
}

} // extern "C"
