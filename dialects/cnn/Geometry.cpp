//===- Geometry.cpp - Where the elements of a tensor type lie -------------===//

#include "dialects/cnn/Geometry.h"

using namespace mlir;

namespace halcyon::cnn {

int64_t blocksOf(Type type) {
  int64_t block = layoutOf(type).getBlock();
  return (cast<RankedTensorType>(type).getDimSize(1) + block - 1) / block;
}

/// Dimensions that follow each other densely, innermost first.
static BufferGeometry dense(ArrayRef<int64_t> outermostFirst) {
  BufferGeometry result;
  int64_t stride = 1;
  for (int64_t size : llvm::reverse(outermostFirst)) {
    bool batch = ShapedType::isDynamic(size);
    result.dims.push_back({0, batch ? kBatch : size, stride});
    stride *= batch ? 1 : size;
  }
  return result;
}

BufferGeometry geometryOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  ArrayRef<int64_t> shape = tensor.getShape();
  if (auto packed = dyn_cast_or_null<PackedAttr>(tensor.getEncoding()))
    return dense(packed.physicalShape(shape));
  // A decoded picture, height x width x channels of bytes.
  if (shape.size() == 3 && tensor.isDynamicDim(0) && tensor.isDynamicDim(1)) {
    BufferGeometry result;
    result.dims = {{0, shape[2], 1},
                   {0, kAtRunTime, shape[2]},
                   {0, kAtRunTime, kAtRunTime}};
    return result;
  }
  if (shape.size() != 4)
    return dense(shape);

  LayoutAttr layout = layoutOf(type);
  ArrayRef<int64_t> halo = layout.getHalo();
  int64_t height = shape[2] + halo[0] + halo[2];
  int64_t width = shape[3] + halo[1] + halo[3];
  int64_t channels = layout.getChannels() ? layout.getChannels() : shape[1];
  int64_t batch = ShapedType::isDynamic(shape[0]) ? kBatch : shape[0];
  BufferGeometry result;
  if (layout.getOrder() == "nhwc") {
    result.dims = {{0, shape[1], 1},
                   {-halo[1], width, channels},
                   {-halo[0], height, channels * width},
                   {0, batch, channels * width * height}};
    return result;
  }
  int64_t block = layout.getBlock();
  int64_t blocks = (channels + block - 1) / block;
  result.dims = {{-halo[1], width, block},
                 {-halo[0], height, block * width},
                 {0, blocksOf(type), block * width * height},
                 {0, batch, block * width * height * blocks}};
  if (block > 1)
    result.dims.insert(result.dims.begin(), {0, block, 1});
  return result;
}

BufferGeometry interiorOf(Type type) {
  BufferGeometry result = geometryOf(type);
  auto tensor = cast<RankedTensorType>(type);
  if (tensor.getRank() != 4 || !layoutOf(type).hasHalo())
    return result;
  unsigned x = layoutOf(type).getOrder() == "nchw" ? 0 : 1;
  for (unsigned axis : {0, 1}) {
    BufferDim &dim = result.dims[x + axis];
    result.offset -= dim.min * dim.stride;
    dim = {0, tensor.getDimSize(3 - axis), dim.stride};
  }
  return result;
}

SmallVector<BufferGeometry> bordersOf(Type type) {
  SmallVector<BufferGeometry> result;
  auto tensor = cast<RankedTensorType>(type);
  LayoutAttr layout = layoutOf(type);
  if (tensor.getRank() != 4 || !layout.hasHalo())
    return result;
  ArrayRef<int64_t> halo = layout.getHalo();
  int64_t height = tensor.getDimSize(2), width = tensor.getDimSize(3);
  unsigned x = layout.getOrder() == "nchw" ? 0 : 1, y = x + 1;
  auto add = [&](int64_t y0, int64_t rows, int64_t x0, int64_t columns) {
    if (rows == 0 || columns == 0)
      return;
    BufferGeometry part = geometryOf(type);
    part.offset = (y0 - part.dims[y].min) * part.dims[y].stride +
                  (x0 - part.dims[x].min) * part.dims[x].stride;
    part.dims[y] = {y0, rows, part.dims[y].stride};
    part.dims[x] = {x0, columns, part.dims[x].stride};
    result.push_back(part);
  };
  add(-halo[0], halo[0], -halo[1], width + halo[1] + halo[3]);
  add(height, halo[2], -halo[1], width + halo[1] + halo[3]);
  add(0, height, -halo[1], halo[1]);
  add(0, height, width, halo[3]);
  return result;
}

int64_t elementsOf(Type type) {
  BufferGeometry geometry = geometryOf(type);
  if (geometry.dims.empty())
    return 1;
  const BufferDim &outer = geometry.dims.back();
  return outer.extent == kBatch ? outer.stride : outer.stride * outer.extent;
}

int64_t elementBytes(Type type) {
  return (cast<RankedTensorType>(type).getElementTypeBitWidth() + 7) / 8;
}

} // namespace halcyon::cnn
