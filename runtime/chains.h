//===- chains.h - Calls in their order ------------------------------------===//

#ifndef HALCYON_RUNTIME_CHAINS_H
#define HALCYON_RUNTIME_CHAINS_H

#include "session.h"

namespace halcyon {

/// Moves what a call sees of the batch by `Images` images, to `Count` of them.
/// A buffer that holds a part of the batch stays where it is.
inline void moveCall(halcyon_session &S, const halcyon_call &Call, int64_t Images,
                     uint32_t Count) {
  for (uint32_t I = Call.first_view; I != Call.first_view + Call.num_views; ++I) {
    const halcyon_view &View = S.Program->views[I];
    halide_buffer_t &Buffer = S.Buffers[I];
    for (unsigned D = 0; D != View.rank; ++D)
      if (View.dims[D].extent == HALCYON_BATCH) {
        Buffer.dim[D].extent = int32_t(Count);
        if (!View.images)
          Buffer.host += Images * View.dims[D].stride * (View.type_bits / 8);
      }
  }
}

/// Makes the calls of a function in their order, those of a chain in turn for
/// every part of the batch, by Run(index of the call), until one gives other than 0.
template <typename Runner>
int runCalls(halcyon_session &S, const halcyon_function &F, Runner Run) {
  const halcyon_call *Calls = S.Program->calls;
  const uint32_t End = F.first_call + F.num_calls;
  for (uint32_t I = F.first_call; I != End;) {
    const uint32_t Chain = Calls[I].chain;
    if (!Chain) {
      if (int Code = Run(I))
        return Code;
      ++I;
      continue;
    }
    const uint32_t Images = Calls[I].images;
    for (uint32_t First = 0; First < S.Batch; First += Images) {
      const uint32_t Left = S.Batch - First;
      for (uint32_t C = I; C != I + Chain; ++C) {
        moveCall(S, Calls[C], First, Images < Left ? Images : Left);
        const int Code = Run(C);
        moveCall(S, Calls[C], -int64_t(First), S.Batch);
        if (Code)
          return Code;
      }
    }
    I += Chain;
  }
  return 0;
}

} // namespace halcyon

#endif // HALCYON_RUNTIME_CHAINS_H
