//===- Cnn.h - The cnn dialect --------------------------------------------===//
//
// What a convolutional network computes. The families of operations are in
// Conv.h, Pool.h and so on; CnnOps.h includes them all.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_CNN_H
#define HALCYON_DIALECTS_CNN_CNN_H

#include "dialects/cnn/Layer.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace halcyon::cnn {

/// The window of the input that one output element reads, per axis (y, x).
/// Identity where size and stride are 1.
struct Window {
  int64_t size[2] = {1, 1}; ///< taps, dilation counted in
  int64_t stride[2] = {1, 1};
  int64_t pad[2] = {0, 0}; ///< top, left
  bool global = false;     ///< reads the whole map
};

template <typename Op>
class ReadsShapeOnly : public mlir::OpTrait::TraitBase<Op, ReadsShapeOnly> {};

/// One dimension of a packed weight in memory: `count` steps along the weight's
/// dimension `dim`, each of `step` elements.
struct PackedDim {
  int dim;
  int64_t count, step;
};

/// Bounds the error of a model, of a layer or of a kernel; see CnnBase.td.
constexpr llvm::StringLiteral kMaxErrorAttr = "cnn.max_error";
/// The bound where nothing is said, of layers that store in f32 and of those
/// that read or store bf16, which itself resolves 4e-3 of a value.
constexpr double kDefaultMaxError = 1e-3, kDefaultBf16MaxError = 1e-2;
/// What a bound can be: f32 itself resolves 6e-8 of a value.
constexpr double kLeastMaxError = 1e-7, kMostMaxError = 1;

/// Whether the operation can have a bound of its own.
bool takesMaxError(mlir::Operation *op);
/// Its own bound, or else that of the model that it is in, or the default.
double maxErrorOf(mlir::Operation *op);

/// Of a model all of whose sizes stay as they are: it has no batch to open.
constexpr llvm::StringLiteral kFixedAttr = "cnn.fixed";

/// Whether every result, and every operand whose size depends on the batch, has
/// the batch outermost, and the results depend on what the operands hold.
bool hasBatches(mlir::Operation *op);

/// What the language asks of a layer: "f32" or "bf16".
constexpr llvm::StringLiteral kPrecisionAttr = "cnn.precision";
/// Asks of an operation that stands for a layer what is asked of the layer.
void copyPrecision(mlir::Operation *from, mlir::Operation *to);
/// Why a kernel is f32 where bf16 was asked for.
constexpr llvm::StringLiteral kKeptF32Attr = "cnn.kept_f32";

/// Whether types are pairwise equal but for their encodings.
bool differInLayoutOnly(mlir::TypeRange l, mlir::TypeRange r);
/// Whether types are pairwise equal but for their encodings and for being f32
/// or bf16.
bool differInStorageOnly(mlir::TypeRange l, mlir::TypeRange r);

/// A tensor of the given logical shape; an outermost -1 is the batch.
mlir::RankedTensorType tensorType(mlir::MLIRContext *context,
                                  llvm::ArrayRef<int64_t> shape);

/// "64x56x56": the shape without the batch, as messages show it.
std::string shapeText(mlir::Type type);

/// The parts of a layer's location: its path and where it stands.
struct LayerLocation {
  std::string path; ///< "layer1.0.conv1", empty where there is none
  std::string file;
  unsigned line = 0, column = 0;
};
LayerLocation layerLocation(mlir::Location loc);

} // namespace halcyon::cnn

#include "dialects/cnn/CnnDialect.h.inc"
#include "dialects/cnn/CnnEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/cnn/CnnAttrs.h.inc"
#include "dialects/cnn/CnnInterfaces.h.inc"

namespace halcyon::cnn {

/// The layout of a tensor type; "nchw" without halo where it has no encoding.
LayoutAttr layoutOf(mlir::Type type);
mlir::RankedTensorType withLayout(mlir::Type type, LayoutAttr layout);

/// The precision in which a tensor is stored; f32 for what is no bf16.
Precision precisionOf(mlir::Type type);
mlir::RankedTensorType withPrecision(mlir::Type type, Precision precision);
inline bool isBf16(mlir::Type type) {
  return precisionOf(type) == Precision::bf16;
}

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_CNN_H
