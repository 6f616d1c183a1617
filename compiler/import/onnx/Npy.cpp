//===- Npy.cpp - Tensors from files of their own --------------------------===//

#include "compiler/import/onnx/Model.h"
#include "compiler/import/onnx/Tensors.h"

#include "onnx-ml.pb.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace halcyon::onnx {

/// The value of a key in the header, a Python dictionary.
static StringRef entryOf(StringRef header, StringRef key) {
  size_t at = header.find(("'" + key + "':").str());
  if (at == StringRef::npos)
    return "";
  return header.substr(at + key.size() + 3).ltrim();
}

static std::optional<HostTensor>
readNpy(std::shared_ptr<MemoryBuffer> file, std::string &error) {
  StringRef bytes = file->getBuffer();
  error = "not a .npy file, or cut short";
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12)
    return std::nullopt;
  bool old = bytes[6] == 1;
  size_t begin = old ? 10 : 12;
  size_t length = old ? support::endian::read16le(bytes.data() + 8)
                      : support::endian::read32le(bytes.data() + 8);
  if (length > bytes.size() - begin)
    return std::nullopt;
  StringRef header = bytes.substr(begin, length);
  StringRef descr = entryOf(header, "descr").drop_front(1).split('\'').first;
  auto type = StringSwitch<DataType>(descr)
                  .Case("<f4", DataType::F32)
                  .Case("<f8", DataType::F64)
                  .Case("<f2", DataType::F16)
                  .Case("|b1", DataType::Bool)
                  .Case("|u1", DataType::U8)
                  .Case("|i1", DataType::I8)
                  .Case("<u2", DataType::U16)
                  .Case("<i2", DataType::I16)
                  .Case("<u4", DataType::U32)
                  .Case("<i4", DataType::I32)
                  .Case("<u8", DataType::U64)
                  .Case("<i8", DataType::I64)
                  .Default(DataType::Undefined);
  if (type == DataType::Undefined ||
      !entryOf(header, "fortran_order").starts_with("False")) {
    error = "elements of this type or order are not read";
    return std::nullopt;
  }
  SmallVector<int64_t> shape;
  StringRef sizes = entryOf(header, "shape");
  if (!sizes.consume_front("("))
    return std::nullopt;
  sizes = sizes.split(')').first;
  for (StringRef size : llvm::split(sizes, ',')) {
    int64_t number;
    if (size.trim().empty())
      continue;
    if (size.trim().getAsInteger(10, number))
      return std::nullopt;
    shape.push_back(number);
  }
  auto count = elementCount(shape);
  StringRef data = bytes.substr(begin + length);
  if (!count || *count > (int64_t(1) << 40) ||
      data.size() != uint64_t(*count) * bytesOf(type))
    return std::nullopt;
  error.clear();
  return HostTensor(type, shape, file, data);
}

std::optional<HostTensor> readTensorFile(StringRef path, std::string &error) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file) {
    error = file.getError().message();
    return std::nullopt;
  }
  if (path.ends_with(".npy"))
    return readNpy(std::move(*file), error);
  auto proto = std::make_shared<::onnx::TensorProto>();
  if ((*file)->getBufferSize() > INT32_MAX ||
      !proto->ParseFromArray((*file)->getBufferStart(),
                             (*file)->getBufferSize())) {
    error = "it holds no tensor";
    return std::nullopt;
  }
  return TensorReader(sys::path::parent_path(path), proto).read(*proto, error);
}

} // namespace halcyon::onnx
