//===- sessions.h - Sessions of the runtime's tests -----------------------===//

#ifndef HALCYON_TEST_SESSIONS_H
#define HALCYON_TEST_SESSIONS_H

#include "program.h"

struct Session {
  halcyon_session *S = nullptr;
  halcyon_error Error = {};
  explicit Session(uint32_t Threads,
                   const halcyon_program &P = halcyon_program_main,
                   halcyon_options Options = {}) {
    Options.threads = Threads;
    halcyon_session_create(&P, &Options, &S, &Error);
  }
  ~Session() { halcyon_session_destroy(S); }
  operator halcyon_session *() { return S; }
};

/// A program of one kernel that a test gives.
struct OneKernel {
  halcyon_kernel Kernel;
  halcyon_call Call = {};
  halcyon_function Function = {0, 0, 1, 0};
  halcyon_program Program = {};
  explicit OneKernel(halcyon_kernel K) : Kernel(K) {
    Program.version = HALCYON_PROGRAM_VERSION;
    Program.num_kernels = Program.num_calls = Program.num_functions = 1;
    Program.alignment = 64;
    Program.kernels = &Kernel;
    Program.calls = &Call;
    Program.functions = &Function;
    Program.strings = "";
    Program.name = "one";
  }
};

inline void makeImages(float *In, unsigned Batch) {
  for (unsigned I = 0; I != Batch * 16; ++I)
    In[I] = float(I % 23) / 8;
}

inline bool isRight(const float *In, const float *Out, unsigned Batch) {
  for (unsigned N = 0; N != Batch; ++N)
    for (unsigned K = 0; K != 3; ++K) {
      float Sum = 0;
      for (unsigned X = 0; X != 4; ++X)
        Sum += 2 * In[N * 16 + K * 4 + X] + 0.5f;
      if (Out[N * 3 + K] != Sum * float(K + 1))
        return false;
    }
  return true;
}

#endif // HALCYON_TEST_SESSIONS_H
