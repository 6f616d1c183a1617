//===- Linear.h - See Linear.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_LINEAR_H
#define HALCYON_DIALECTS_CNN_LINEAR_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Linear.h.inc"

#endif // HALCYON_DIALECTS_CNN_LINEAR_H
