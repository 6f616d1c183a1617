//===- HostTensor.cpp - Numbers that are known while importing ------------===//

#include "compiler/import/onnx/HostTensor.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace llvm;

namespace halcyon::onnx {

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

namespace {
struct TypeFacts {
  StringRef name;
  unsigned bits;
  Kind kind;
};
} // namespace

static const TypeFacts &factsOf(DataType type) {
  static const TypeFacts facts[] = {
      {"undefined", 0, Kind::Int},      {"float", 32, Kind::F32},
      {"uint8", 8, Kind::Int},          {"int8", 8, Kind::Int},
      {"uint16", 16, Kind::Int},        {"int16", 16, Kind::Int},
      {"int32", 32, Kind::Int},         {"int64", 64, Kind::Int},
      {"string", 0, Kind::Int},         {"bool", 8, Kind::Bool},
      {"float16", 16, Kind::F32},       {"double", 64, Kind::F64},
      {"uint32", 32, Kind::Int},        {"uint64", 64, Kind::U64},
      {"complex64", 64, Kind::F32},     {"complex128", 128, Kind::F64},
      {"bfloat16", 16, Kind::F32},      {"float8e4m3fn", 8, Kind::F32},
      {"float8e4m3fnuz", 8, Kind::F32}, {"float8e5m2", 8, Kind::F32},
      {"float8e5m2fnuz", 8, Kind::F32}, {"uint4", 4, Kind::Int},
      {"int4", 4, Kind::Int},           {"float4e2m1", 4, Kind::F32},
      {"float8e8m0", 8, Kind::F32},     {"uint2", 2, Kind::Int},
      {"int2", 2, Kind::Int}};
  size_t index = static_cast<size_t>(type);
  return facts[index < std::size(facts) ? index : 0];
}

StringRef nameOf(DataType type) { return factsOf(type).name; }
unsigned bitsOf(DataType type) { return factsOf(type).bits; }
unsigned bytesOf(DataType type) { return divideCeil(bitsOf(type), 8); }
Kind kindOf(DataType type) { return factsOf(type).kind; }

bool isFloat(DataType type) {
  return type == DataType::F32 || type == DataType::F64 ||
         type == DataType::F16 || type == DataType::BF16;
}
bool isNumeric(DataType type) {
  return bitsOf(type) && type != DataType::Complex64 &&
         type != DataType::Complex128;
}

/// The formats of numbers that C++ has no type for.
static const fltSemantics *semanticsOf(DataType type) {
  switch (type) {
  case DataType::F16:
    return &APFloat::IEEEhalf();
  case DataType::BF16:
    return &APFloat::BFloat();
  case DataType::F8E4M3FN:
    return &APFloat::Float8E4M3FN();
  case DataType::F8E4M3FNUZ:
    return &APFloat::Float8E4M3FNUZ();
  case DataType::F8E5M2:
    return &APFloat::Float8E5M2();
  case DataType::F8E5M2FNUZ:
    return &APFloat::Float8E5M2FNUZ();
  case DataType::F8E8M0:
    return &APFloat::Float8E8M0FNU();
  case DataType::F4E2M1:
    return &APFloat::Float4E2M1FN();
  default:
    return nullptr;
  }
}

Scalar Scalar::as(Kind to) const {
  if (to == kind)
    return *this;
  if (isFloat(to))
    return real(asReal(), to);
  if (to == Kind::Bool)
    return integer(isFloat(kind) ? f != 0 : i != 0 || batch != 0, to);
  Scalar result = *this;
  result.kind = to;
  if (isFloat(kind)) {
    result.f = 0;
    // Beyond the range there is no answer; the ends are the nearest.
    if (std::isnan(f))
      result.i = 0;
    else if (to == Kind::U64 && f >= 0x1p63)
      result.i = f >= 0x1p64 ? -1 : int64_t(uint64_t(f));
    else
      result.i = f >= 0x1p63 ? INT64_MAX : f < -0x1p63 ? INT64_MIN : int64_t(f);
  }
  return result;
}

std::optional<int64_t> elementCount(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  bool empty = is_contained(shape, 0);
  for (int64_t size : shape)
    if (size < 0 || (!empty && MulOverflow(count, size, count)))
      return std::nullopt;
  return empty ? 0 : count;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

template <typename T> static T load(const char *at) {
  T value;
  memcpy(&value, at, sizeof value);
  return value;
}

static Scalar loadElement(DataType type, const char *at) {
  auto whole = [](int64_t value) { return Scalar::integer(value); };
  switch (type) {
  case DataType::F32:
    return Scalar::real(load<float>(at));
  case DataType::F64:
    return Scalar::real(load<double>(at), Kind::F64);
  case DataType::Bool:
    return Scalar::integer(*at != 0, Kind::Bool);
  case DataType::U8:
  case DataType::U4:
  case DataType::U2:
    return whole(uint8_t(*at));
  case DataType::I8:
  case DataType::I4:
  case DataType::I2:
    return whole(int8_t(*at));
  case DataType::U16:
    return whole(load<uint16_t>(at));
  case DataType::I16:
    return whole(load<int16_t>(at));
  case DataType::U32:
    return whole(load<uint32_t>(at));
  case DataType::I32:
    return whole(load<int32_t>(at));
  case DataType::I64:
    return whole(load<int64_t>(at));
  case DataType::U64:
    return Scalar::integer(load<uint64_t>(at), Kind::U64);
  default:
    break;
  }
  const fltSemantics *semantics = semanticsOf(type);
  if (!semantics)
    report_fatal_error("elements of this type are no numbers");
  unsigned bits = APFloat::getSizeInBits(*semantics);
  uint64_t raw = bits > 8 ? load<uint16_t>(at) : uint8_t(*at);
  APFloat value(*semantics, APInt(bits, raw));
  bool lost;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
  return Scalar::real(value.convertToDouble());
}

template <typename T> static void append(std::string &bytes, T value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

static void storeElement(DataType type, const Scalar &value,
                         std::string &bytes) {
  int64_t whole = value.as(Kind::Int).i;
  switch (type) {
  case DataType::F32:
    return append(bytes, float(value.asReal()));
  case DataType::F64:
    return append(bytes, value.asReal());
  case DataType::Bool:
    return append(bytes, uint8_t(value.as(Kind::Bool).i));
  case DataType::U4:
    return append(bytes, uint8_t(whole & 15));
  case DataType::U2:
    return append(bytes, uint8_t(whole & 3));
  case DataType::I4:
    return append(bytes, int8_t(SignExtend64<4>(whole & 15)));
  case DataType::I2:
    return append(bytes, int8_t(SignExtend64<2>(whole & 3)));
  default:
    break;
  }
  if (const fltSemantics *semantics = semanticsOf(type)) {
    APFloat number(value.asReal());
    bool lost;
    number.convert(*semantics, APFloat::rmNearestTiesToEven, &lost);
    uint64_t raw = number.bitcastToAPInt().getZExtValue();
    bytes.append(reinterpret_cast<const char *>(&raw), bytesOf(type));
    return;
  }
  bytes.append(reinterpret_cast<const char *>(&whole), bytesOf(type));
}

Scalar HostTensor::at(int64_t index) const {
  Scalar value =
      loadElement(dataType, bytes.data() + (one ? 0 : index * bytesOf(dataType)));
  if (batch)
    value.batch = (*batch)[index];
  return value;
}

std::optional<Scalar> HostTensor::uniform() const {
  int64_t size = count();
  if (size == 0 || batch)
    return std::nullopt;
  unsigned width = bytesOf(dataType);
  if (!one)
    for (int64_t i = 1; i < size; ++i)
      if (memcmp(bytes.data(), bytes.data() + i * width, width) != 0)
        return std::nullopt;
  return at(0);
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

HostTensor HostTensor::splat(DataType type, ArrayRef<int64_t> shape,
                             Scalar value) {
  HostTensor result = of(type, {}, value);
  result.sizes.assign(shape.begin(), shape.end());
  result.one = true;
  return result;
}

HostTensor HostTensor::of(DataType type, ArrayRef<int64_t> shape,
                          ArrayRef<Scalar> values) {
  auto bytes = std::make_shared<std::string>();
  bytes->reserve(values.size() * bytesOf(type));
  bool any = false;
  for (const Scalar &value : values) {
    storeElement(type, value, *bytes);
    any |= value.batch != 0;
  }
  HostTensor result(type, shape, bytes, *bytes);
  if (any) {
    auto coefficients = std::make_shared<std::vector<int64_t>>();
    for (const Scalar &value : values)
      coefficients->push_back(value.batch);
    result.batch = coefficients;
  }
  return result;
}

HostTensor HostTensor::integers(ArrayRef<int64_t> values) {
  auto scalars = map_to_vector(values, [](int64_t v) { return Scalar::integer(v); });
  return of(DataType::I64, {int64_t(values.size())}, scalars);
}

HostTensor HostTensor::withBatch(int64_t size) const {
  std::vector<Scalar> numbers;
  for (int64_t i = 0, n = count(); i < n; ++i) {
    Scalar number = at(i);
    number.i += number.batch * size;
    number.batch = 0;
    numbers.push_back(number);
  }
  return of(dataType, sizes, numbers);
}

HostTensor HostTensor::reshaped(ArrayRef<int64_t> shape) const {
  HostTensor result = *this;
  result.sizes.assign(shape.begin(), shape.end());
  return result;
}

HostTensor HostTensor::reinterpreted(DataType type) const {
  HostTensor result = *this;
  result.dataType = type;
  return result;
}

HostTensor HostTensor::transposed(ArrayRef<int64_t> order) const {
  SmallVector<int64_t> shape;
  for (int64_t axis : order)
    shape.push_back(sizes[axis]);
  if (one)
    return reshaped(shape);
  // Strides of the source in the order of the result.
  SmallVector<int64_t> strides(rank(), 1), step, index(rank(), 0);
  for (int64_t i = rank() - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * sizes[i + 1];
  for (int64_t axis : order)
    step.push_back(strides[axis]);
  unsigned width = bytesOf(dataType);
  auto moved = std::make_shared<std::string>();
  moved->resize(bytes.size());
  auto coefficients = std::make_shared<std::vector<int64_t>>();
  for (int64_t i = 0, from = 0, total = count(); i < total; ++i) {
    memcpy(moved->data() + i * width, bytes.data() + from * width, width);
    if (batch)
      coefficients->push_back((*batch)[from]);
    for (int64_t d = rank() - 1; d >= 0; --d) {
      from += step[d];
      if (++index[d] < shape[d])
        break;
      from -= step[d] * shape[d];
      index[d] = 0;
    }
  }
  HostTensor result(dataType, shape, moved, *moved);
  if (batch)
    result.batch = coefficients;
  return result;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

ArrayRef<float> HostTensor::floats(std::vector<float> &storage) const {
  if (dataType == DataType::F32 && !one &&
      reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) == 0)
    return ArrayRef(reinterpret_cast<const float *>(bytes.data()), count());
  if (one) {
    storage.assign(count(), float(real(0)));
    return storage;
  }
  storage.resize(count());
  if (dataType == DataType::F32) {
    memcpy(storage.data(), bytes.data(), bytes.size());
    return storage;
  }
  for (size_t i = 0; i < storage.size(); ++i)
    storage[i] = float(real(i));
  return storage;
}

std::string HostTensor::dense() const {
  if (!one)
    return bytes.str();
  std::string result;
  result.reserve(count() * bytes.size());
  for (int64_t i = 0, total = count(); i < total; ++i)
    result += bytes;
  return result;
}

} // namespace halcyon::onnx
