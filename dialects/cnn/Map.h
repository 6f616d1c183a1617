//===- Map.h - See Map.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_MAP_H
#define HALCYON_DIALECTS_CNN_MAP_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Map.h.inc"

#endif // HALCYON_DIALECTS_CNN_MAP_H
