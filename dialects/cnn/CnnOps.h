//===- CnnOps.h - Every operation of the cnn dialect ----------------------===//

#ifndef HALCYON_DIALECTS_CNN_CNNOPS_H
#define HALCYON_DIALECTS_CNN_CNNOPS_H

#include "dialects/cnn/Conv.h"
#include "dialects/cnn/Gradient.h"
#include "dialects/cnn/Graph.h"
#include "dialects/cnn/Indexed.h"
#include "dialects/cnn/Linear.h"
#include "dialects/cnn/Map.h"
#include "dialects/cnn/Norm.h"
#include "dialects/cnn/Pool.h"
#include "dialects/cnn/Shape.h"
#include "dialects/cnn/Train.h"
#include "dialects/cnn/Weights.h"

#endif // HALCYON_DIALECTS_CNN_CNNOPS_H
