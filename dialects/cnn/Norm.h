//===- Norm.h - See Norm.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_NORM_H
#define HALCYON_DIALECTS_CNN_NORM_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Norm.h.inc"

#endif // HALCYON_DIALECTS_CNN_NORM_H
