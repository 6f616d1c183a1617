//===- IndexedReader.h - What index notation reads ------------------------===//

#ifndef HALCYON_COMPILER_KERNELS_INDEXEDREADER_H
#define HALCYON_COMPILER_KERNELS_INDEXEDREADER_H

#include "compiler/kernels/Builder.h"
#include "dialects/cnn/Support.h"

namespace halcyon {

/// Whether a builder's points are places in tensors of this type.
inline bool hasPoints(mlir::Type type) {
  auto tensor = mlir::cast<mlir::RankedTensorType>(type);
  return !cnn::isFixed(type) &&
         (tensor.getRank() == 2 || tensor.getRank() == 4);
}

/// Whether all operands can be read where they are needed: what is computed in
/// the same kernel has points, all else lies in memory.
inline bool isReadable(cnn::IndexedOp op) {
  return llvm::all_of(op.getInputs(), [](mlir::Value input) {
    return mlir::isa<mlir::BlockArgument>(input) || hasPoints(input.getType());
  });
}

/// The elements that an operation of a builder's group reads; `isReadable`.
class IndexedReader {
public:
  IndexedReader(KernelBuilder &b, cnn::IndexedOp op) : b(b), op(op) {}

  /// The channel of the result's element as one number, and as it lies there.
  Halide::Expr channel;
  Point own;

  Halide::Expr operator()(cnn::ReadOp read, llvm::ArrayRef<Halide::Expr> at) {
    mlir::Value tensor = op.getInputs()[read.getOperand()];
    mlir::RankedTensorType type = cnn::tensorOf(tensor);
    bool map = type.getRank() == 4 && !Group::isWeight(tensor);
    if (hasPoints(type)) {
      Point p = {at[0], Halide::Expr(), at[1], Halide::Expr(), Halide::Expr()};
      if (map) {
        p.y = at[2];
        p.x = at[3];
        split(p);
      }
      return mlir::isa<mlir::BlockArgument>(tensor) ? b.load(tensor, p, type)
                                                    : b.at(tensor, p);
    }
    std::vector<Halide::Expr> place(at.rbegin(), at.rend());
    if (mlir::isa_and_nonnull<cnn::PackedAttr>(type.getEncoding())) {
      Point p = {Halide::Expr(), Halide::Expr(), at[0], Halide::Expr(),
                 Halide::Expr()};
      split(p);
      place = b.coordinates(type, p);
    }
    return b.read(tensor, place);
  }

private:
  /// In blocks, the element's own channel is a block and a lane already.
  void split(Point &p) const {
    if (!own.cb.defined() || !p.c.same_as(channel))
      return;
    p.cb = own.cb;
    p.c = own.c;
  }

  KernelBuilder &b;
  cnn::IndexedOp op;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_KERNELS_INDEXEDREADER_H
