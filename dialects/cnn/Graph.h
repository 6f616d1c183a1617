//===- Graph.h - See Graph.td ---------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_GRAPH_H
#define HALCYON_DIALECTS_CNN_GRAPH_H

#include "dialects/cnn/Cnn.h"

#define GET_OP_CLASSES
#include "dialects/cnn/Graph.h.inc"

#endif // HALCYON_DIALECTS_CNN_GRAPH_H
