//===- Geometry.h - Where the elements of a tensor type lie ---------------===//
//
// The one place that turns a type with a layout into sizes, strides and
// offsets. Kernels, the memory plan and the program table all ask here.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_GEOMETRY_H
#define HALCYON_DIALECTS_CNN_GEOMETRY_H

#include "dialects/cnn/Cnn.h"

namespace halcyon::cnn {

/// An extent that is the batch.
constexpr int64_t kBatch = -1;
/// An extent or stride known at run time alone (a decoded picture).
constexpr int64_t kAtRunTime = -2;

struct BufferDim {
  int64_t min, extent, stride; ///< in elements
};

/// A strided window, dimensions innermost first, as Halide counts them.
struct BufferGeometry {
  llvm::SmallVector<BufferDim> dims;
  int64_t offset = 0; ///< elements from the buffer's first byte to the mins
};

/// The window that a value of this type is, its halo included: nchw16c is
/// (lane, x, y, block, n), nchw (x, y, c, n), nhwc (c, x, y, n), rank 2 (c, n),
/// a weight its physical dimensions, a picture of bytes (c, x, y), any other tensor its dimensions in
/// reverse. The mins of x and y are -left and -top.
BufferGeometry geometryOf(mlir::Type type);

/// The same window without its halo: the mins of x and y are 0.
BufferGeometry interiorOf(mlir::Type type);

/// The rectangles of the halo: top, bottom, left, right, those that exist.
/// Their union with the interior covers the window once.
llvm::SmallVector<BufferGeometry> bordersOf(mlir::Type type);

/// Elements of the whole buffer per image (in all, for a weight).
int64_t elementsOf(mlir::Type type);
/// Bytes of an element in memory; a truth value has one.
int64_t elementBytes(mlir::Type type);
/// Bytes of the whole buffer per image (in all, for a weight).
inline int64_t bytesOf(mlir::Type type) {
  return elementBytes(type) * elementsOf(type);
}

/// Whether a tensor's size does not depend on the batch.
inline bool isFixed(mlir::Type type) {
  return mlir::cast<mlir::RankedTensorType>(type).hasStaticShape();
}

/// Channel blocks of a blocked layout: ceil(C / block).
int64_t blocksOf(mlir::Type type);

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_GEOMETRY_H
