//===- Conv.h - See Conv.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_CONV_H
#define HALCYON_DIALECTS_CNN_CONV_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Conv.h.inc"

#endif // HALCYON_DIALECTS_CNN_CONV_H
