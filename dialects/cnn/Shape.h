//===- Shape.h - See Shape.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_SHAPE_H
#define HALCYON_DIALECTS_CNN_SHAPE_H

#include "dialects/cnn/Cnn.h"
#include "dialects/cnn/ShapeEnums.h.inc"
#define GET_OP_CLASSES
#include "dialects/cnn/Shape.h.inc"

#endif // HALCYON_DIALECTS_CNN_SHAPE_H
