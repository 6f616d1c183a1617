//===- Weights.h - See Weights.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_WEIGHTS_H
#define HALCYON_DIALECTS_CNN_WEIGHTS_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Weights.h.inc"

#endif // HALCYON_DIALECTS_CNN_WEIGHTS_H
