//===- Detect.h - See Detect.td ---------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_DETECT_H
#define HALCYON_DIALECTS_CNN_DETECT_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Detect.h.inc"

#endif // HALCYON_DIALECTS_CNN_DETECT_H
