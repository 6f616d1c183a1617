//===- Support.h - Shared by the operations' shape rules ------------------===//

#ifndef HALCYON_DIALECTS_CNN_SUPPORT_H
#define HALCYON_DIALECTS_CNN_SUPPORT_H

#include "dialects/cnn/Cnn.h"

namespace halcyon::cnn {

inline mlir::RankedTensorType tensorOf(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}
inline int64_t sizeOf(mlir::Value value, unsigned dim) {
  return tensorOf(value).getDimSize(dim);
}

/// Elements per image: the product of all sizes but the first.
inline double elementsPerImage(mlir::Type type) {
  double count = 1;
  for (int64_t size :
       mlir::cast<mlir::RankedTensorType>(type).getShape().drop_front())
    count *= size;
  return count;
}

/// Positions that a window of `kernel` taps takes in n + pad cells:
/// floor((n + pad - dilation * (kernel - 1) - 1) / stride + 1), or less than 1.
inline int64_t windowCount(int64_t n, int64_t pad, int64_t kernel,
                           int64_t stride, int64_t dilation, bool ceil = false) {
  int64_t room = n + pad - dilation * (kernel - 1) - 1;
  if (room < 0)
    return 0;
  return (room + (ceil ? stride - 1 : 0)) / stride + 1;
}

/// Reports that `x` is not N x C x H x W. Returns true where it is.
bool expectMaps(LayerContext &context, llvm::StringRef layer,
                llvm::StringRef param = "x");

/// Reports a pair whose numbers are below `least`.
bool expectAtLeast(LayerContext &context, llvm::StringRef param, int64_t least);

/// The padding that a Pad argument asks for.
struct Padding {
  std::vector<int64_t> pad = {0, 0, 0, 0};
  AutoPad mode = AutoPad::none;
};

/// Resolves a Pad argument for a window; reports an even kernel under `same`.
mlir::FailureOr<Padding> resolvePad(LayerContext &context,
                                    llvm::StringRef layer,
                                    llvm::ArrayRef<int64_t> kernel,
                                    llvm::ArrayRef<int64_t> dilation);

/// The four numbers that `mode` stands for, for an input of h x w.
std::vector<int64_t> padNumbers(AutoPad mode, llvm::ArrayRef<int64_t> pad,
                                llvm::ArrayRef<int64_t> size,
                                llvm::ArrayRef<int64_t> kernel,
                                llvm::ArrayRef<int64_t> stride,
                                llvm::ArrayRef<int64_t> dilation);

LayerParam padParam(LayerValue defaultValue);

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_SUPPORT_H
