//===- Pool.h - See Pool.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_POOL_H
#define HALCYON_DIALECTS_CNN_POOL_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Pool.h.inc"

#endif // HALCYON_DIALECTS_CNN_POOL_H
