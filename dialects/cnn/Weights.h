//===- Weights.h - See Weights.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_WEIGHTS_H
#define HALCYON_DIALECTS_CNN_WEIGHTS_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Weights.h.inc"

namespace halcyon::cnn {

/// The bits of the bf16 nearest to `value`, the even one of two.
inline uint16_t toBf16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if (value != value) // a quiet NaN, whatever its payload
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// The shape of a weight of so many groups once it is turned over: input and output
/// channels are exchanged within groups.
llvm::SmallVector<int64_t> adjointShape(llvm::ArrayRef<int64_t> shape, int64_t groups);

/// Whether a value is computed from the model's weights alone, and so known when
/// the program is made.
bool isPrepared(mlir::Value value);

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_WEIGHTS_H
