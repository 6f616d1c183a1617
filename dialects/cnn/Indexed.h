//===- Indexed.h - See Indexed.td -----------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_INDEXED_H
#define HALCYON_DIALECTS_CNN_INDEXED_H

#include "dialects/cnn/Cnn.h"

#include "dialects/cnn/IndexedEnums.h.inc"
#define GET_OP_CLASSES
#include "dialects/cnn/Indexed.h.inc"

#endif // HALCYON_DIALECTS_CNN_INDEXED_H
