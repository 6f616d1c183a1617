//===- HostTensor.h - Numbers that are known while importing --------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_HOSTTENSOR_H
#define HALCYON_COMPILER_IMPORT_ONNX_HOSTTENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace halcyon::onnx {

/// Element types, with the numbers that ONNX gives them.
enum class DataType : int32_t {
  Undefined = 0,
  F32 = 1,
  U8 = 2,
  I8 = 3,
  U16 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  String = 8,
  Bool = 9,
  F16 = 10,
  F64 = 11,
  U32 = 12,
  U64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BF16 = 16,
  F8E4M3FN = 17,
  F8E4M3FNUZ = 18,
  F8E5M2 = 19,
  F8E5M2FNUZ = 20,
  U4 = 21,
  I4 = 22,
  F4E2M1 = 23,
  F8E8M0 = 24,
  U2 = 25,
  I2 = 26
};

/// "float16", as ONNX's documents write it.
llvm::StringRef nameOf(DataType type);
/// Bits of an element in a file; 0 for what has no fixed size.
unsigned bitsOf(DataType type);
/// Bytes of an element in a HostTensor: less than a byte becomes one.
unsigned bytesOf(DataType type);

/// In what elements of a type are computed; Index is for coordinates. U64 differs
/// from Int in divisions and comparisons alone.
enum class Kind : uint8_t { Bool, Index, Int, U64, F32, F64 };
Kind kindOf(DataType type);
inline bool isFloat(Kind kind) { return kind >= Kind::F32; }
/// float, double, float16, bfloat16.
bool isFloat(DataType type);
/// Whether there is arithmetic in this type, of bits of any width.
bool isNumeric(DataType type);

/// A number. Whole ones may depend on the batch: i + batch * N.
struct Scalar {
  Kind kind = Kind::Int;
  int64_t i = 0;
  double f = 0;
  int64_t batch = 0;

  static Scalar integer(int64_t value, Kind kind = Kind::Int) {
    return {kind, value, 0, 0};
  }
  static Scalar real(double value, Kind kind = Kind::F32) {
    return {kind, 0, kind == Kind::F32 ? double(float(value)) : value, 0};
  }
  double asReal() const {
    if (isFloat(kind))
      return f;
    return kind == Kind::U64 ? double(uint64_t(i)) : double(i);
  }
  Scalar as(Kind kind) const;
};

/// Shapes whose product does not overflow. Nothing where it would.
std::optional<int64_t> elementCount(llvm::ArrayRef<int64_t> shape);

/// A dense, row-major tensor that does not change and shares its memory.
class HostTensor {
public:
  HostTensor() = default;
  /// `owner` keeps `bytes` alive.
  HostTensor(DataType type, llvm::ArrayRef<int64_t> shape,
             std::shared_ptr<const void> owner, llvm::StringRef bytes)
      : dataType(type), sizes(shape.begin(), shape.end()),
        owner(std::move(owner)), bytes(bytes) {}

  /// One number everywhere; needs no memory.
  static HostTensor splat(DataType type, llvm::ArrayRef<int64_t> shape,
                          Scalar value);
  /// From numbers, in row-major order.
  static HostTensor of(DataType type, llvm::ArrayRef<int64_t> shape,
                       llvm::ArrayRef<Scalar> values);
  static HostTensor integers(llvm::ArrayRef<int64_t> values);

  bool valid() const { return dataType != DataType::Undefined; }
  DataType type() const { return dataType; }
  llvm::ArrayRef<int64_t> shape() const { return sizes; }
  int64_t rank() const { return sizes.size(); }
  int64_t count() const { return *elementCount(sizes); }
  /// The element's bytes, one tensor after the other; of a splat, one element.
  llvm::StringRef data() const { return bytes; }
  bool isSplat() const { return one; }

  Scalar at(int64_t index) const;
  double real(int64_t index) const { return at(index).asReal(); }
  int64_t integer(int64_t index) const { return at(index).as(Kind::Int).i; }
  /// Whether numbers depend on the batch.
  bool dependsOnBatch() const { return batch != nullptr; }
  /// The single number that all elements are, if they are.
  std::optional<Scalar> uniform() const;

  /// The numbers with a batch of this size.
  HostTensor withBatch(int64_t size) const;
  HostTensor reshaped(llvm::ArrayRef<int64_t> shape) const;
  HostTensor transposed(llvm::ArrayRef<int64_t> order) const;
  /// The same bytes as another type of the same width.
  HostTensor reinterpreted(DataType type) const;

  /// The elements as f32, in the source or in `storage`.
  llvm::ArrayRef<float> floats(std::vector<float> &storage) const;
  /// Every element's bytes; a splat is written out.
  std::string dense() const;

private:
  DataType dataType = DataType::Undefined;
  llvm::SmallVector<int64_t, 4> sizes;
  std::shared_ptr<const void> owner;
  llvm::StringRef bytes;
  bool one = false;
  /// What the elements' numbers are times the batch, where any is.
  std::shared_ptr<const std::vector<int64_t>> batch;
};

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_HOSTTENSOR_H
