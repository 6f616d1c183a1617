//===- Tensors.cpp - Tensors of ONNX files --------------------------------===//

#include "compiler/import/onnx/Tensors.h"

#include "onnx-ml.pb.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;
using ::onnx::TensorProto;

namespace halcyon::onnx {

/// No tensor of a network is larger: 2^40 elements.
static constexpr int64_t maxElements = int64_t(1) << 40;

template <typename T> static void append(std::string &bytes, T value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

/// Elements of less than a byte, packed from the lowest bits on, one a byte.
static std::string unpack(StringRef packed, DataType type, int64_t count) {
  unsigned bits = bitsOf(type), perByte = 8 / bits;
  bool isSigned = type == DataType::I4 || type == DataType::I2;
  std::string bytes;
  bytes.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t value = uint8_t(packed[i / perByte]) >> (i % perByte * bits);
    value &= (1 << bits) - 1;
    bytes.push_back(isSigned ? char(SignExtend32(value, bits)) : char(value));
  }
  return bytes;
}

/// The data of the field in which a type is kept where it is not raw, in the
/// form that raw data have.
static std::string typedBytes(const TensorProto &proto, DataType type) {
  std::string bytes;
  auto all = [&](const auto &field, auto cast) {
    for (auto value : field)
      append(bytes, decltype(cast)(value));
  };
  switch (type) {
  case DataType::F32:
  case DataType::Complex64:
    all(proto.float_data(), float());
    break;
  case DataType::F64:
  case DataType::Complex128:
    all(proto.double_data(), double());
    break;
  case DataType::I64:
    all(proto.int64_data(), int64_t());
    break;
  case DataType::U64:
    all(proto.uint64_data(), uint64_t());
    break;
  case DataType::U32:
    all(proto.uint64_data(), uint32_t());
    break;
  case DataType::I32:
    all(proto.int32_data(), int32_t());
    break;
  case DataType::U16:
  case DataType::I16:
  case DataType::F16:
  case DataType::BF16:
    all(proto.int32_data(), uint16_t());
    break;
  default:
    all(proto.int32_data(), uint8_t());
    break;
  }
  return bytes;
}

std::optional<StringRef>
TensorReader::external(const TensorProto &proto, uint64_t wanted,
                       std::shared_ptr<const void> &keeps, std::string &error) {
  std::string location;
  uint64_t offset = 0, length = wanted;
  for (const auto &entry : proto.external_data()) {
    StringRef value = entry.value();
    if (entry.key() == "location")
      location = value.str();
    else if ((entry.key() == "offset" && value.getAsInteger(10, offset)) ||
             (entry.key() == "length" && value.getAsInteger(10, length))) {
      error = "its " + entry.key() + " '" + value.str() + "' is no number";
      return std::nullopt;
    }
  }
  if (length != wanted) {
    error = "its external data are " + std::to_string(length) +
            " bytes, its shape needs " + std::to_string(wanted);
    return std::nullopt;
  }
  // A model can name files of its own folder alone, also through links.
  SmallString<256> path(folder), real, base;
  if (location.empty() || location.find('\0') != std::string::npos ||
      sys::path::is_absolute(location) ||
      llvm::is_contained(
          llvm::make_range(sys::path::begin(location), sys::path::end(location)),
          "..")) {
    error = "its external data '" + location +
            "' are not in the folder of the model";
    return std::nullopt;
  }
  sys::path::append(path, location);
  std::shared_ptr<MemoryBuffer> &file = files[path];
  if (!file) {
    if (sys::fs::real_path(path, real) ||
        sys::fs::real_path(folder.empty() ? "." : folder, base) ||
        !sys::fs::is_regular_file(real)) {
      error = "there is no file '" + path.str().str() + "'";
      return std::nullopt;
    }
    if (!StringRef(real).starts_with((base + "/").str()) && base != "/") {
      error = "its external data '" + location +
              "' are not in the folder of the model";
      return std::nullopt;
    }
    auto opened = MemoryBuffer::getFile(real, /*IsText=*/false,
                                        /*RequiresNullTerminator=*/false);
    if (!opened) {
      error = "can't read '" + path.str().str() + "': " +
              opened.getError().message();
      return std::nullopt;
    }
    file = std::move(*opened);
    id ^= xxh3_64bits(file->getBuffer());
  }
  uint64_t size = file->getBufferSize();
  if (offset > size || wanted > size - offset) {
    error = "its external data reach outside the file '" + location + "'";
    return std::nullopt;
  }
  keeps = file;
  return file->getBuffer().substr(offset, wanted);
}

std::optional<HostTensor> TensorReader::read(const TensorProto &proto,
                                             std::string &error) {
  auto type = DataType(proto.data_type());
  if (!bitsOf(type)) {
    error = type == DataType::String
                ? "it holds text; there are tensors of numbers alone"
                : "its element type " + std::to_string(proto.data_type()) +
                      " is unknown";
    return std::nullopt;
  }
  SmallVector<int64_t> shape(proto.dims().begin(), proto.dims().end());
  std::optional<int64_t> count = elementCount(shape);
  if (!count || *count > maxElements) {
    error = "its sizes are negative or too large";
    return std::nullopt;
  }
  uint64_t wanted = divideCeil(uint64_t(*count) * bitsOf(type), 8);
  std::shared_ptr<const void> keeps = owner;
  StringRef bytes;
  if (proto.data_location() == TensorProto::EXTERNAL) {
    auto found = external(proto, wanted, keeps, error);
    if (!found)
      return std::nullopt;
    bytes = *found;
  } else if (proto.has_raw_data()) {
    bytes = proto.raw_data();
  } else {
    auto typed = std::make_shared<std::string>(typedBytes(proto, type));
    bytes = *typed;
    keeps = typed;
  }
  if (bytes.size() != wanted) {
    error = "it has " + std::to_string(bytes.size()) +
            " bytes of data, its shape needs " + std::to_string(wanted);
    return std::nullopt;
  }
  if (bitsOf(type) < 8) {
    auto unpacked = std::make_shared<std::string>(unpack(bytes, type, *count));
    return HostTensor(type, shape, unpacked, *unpacked);
  }
  return HostTensor(type, shape, keeps, bytes);
}

std::optional<HostTensor>
TensorReader::read(const ::onnx::SparseTensorProto &proto, std::string &error) {
  auto values = read(proto.values(), error);
  if (!values)
    return std::nullopt;
  auto indices = read(proto.indices(), error);
  if (!indices)
    return std::nullopt;
  SmallVector<int64_t> shape(proto.dims().begin(), proto.dims().end());
  std::optional<int64_t> count = elementCount(shape);
  // What is sparse in the file is dense here: no more than 2^28 elements.
  int64_t stored = values->count(), rank = shape.size();
  bool flat = indices->rank() == 1;
  if (!count || *count > (1 << 28) || values->rank() != 1 ||
      indices->type() != DataType::I64 ||
      indices->count() != (flat ? stored : stored * rank)) {
    error = "its sparse data do not fit its shape";
    return std::nullopt;
  }
  unsigned width = bytesOf(values->type());
  auto dense = std::make_shared<std::string>(*count * width, '\0');
  for (int64_t i = 0; i < stored; ++i) {
    int64_t at = flat ? indices->integer(i) : 0;
    bool inside = !flat || (at >= 0 && at < *count);
    for (int64_t d = 0; !flat && d < rank; ++d) {
      int64_t index = indices->integer(i * rank + d);
      inside &= index >= 0 && index < shape[d];
      at = at * shape[d] + index;
      if (!inside)
        break;
    }
    if (!inside) {
      error = "its sparse data lie outside its shape";
      return std::nullopt;
    }
    memcpy(dense->data() + at * width, values->data().data() + i * width, width);
  }
  return HostTensor(values->type(), shape, dense, *dense);
}

} // namespace halcyon::onnx
