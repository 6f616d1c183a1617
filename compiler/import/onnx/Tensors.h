//===- Tensors.h - Tensors of ONNX files ----------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_TENSORS_H
#define HALCYON_COMPILER_IMPORT_ONNX_TENSORS_H

#include "compiler/import/onnx/HostTensor.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"

namespace onnx {
class TensorProto;
class SparseTensorProto;
} // namespace onnx

namespace halcyon::onnx {

/// Tensors of a file and of the files beside it.
class TensorReader {
public:
  /// `folder` holds external data; `owner` keeps the protos alive.
  TensorReader(llvm::StringRef folder, std::shared_ptr<const void> owner)
      : folder(folder), owner(std::move(owner)) {}

  /// The tensor, after checking that its data fit its shape. Nothing, with the
  /// reason, where they don't.
  std::optional<HostTensor> read(const ::onnx::TensorProto &proto,
                                 std::string &error);
  std::optional<HostTensor> read(const ::onnx::SparseTensorProto &proto,
                                 std::string &error);
  /// A hash of the external files' sizes and times.
  uint64_t externalId() const { return id; }

private:
  std::optional<llvm::StringRef> external(const ::onnx::TensorProto &proto,
                                          uint64_t wanted,
                                          std::shared_ptr<const void> &keeps,
                                          std::string &error);

  std::string folder;
  std::shared_ptr<const void> owner;
  llvm::StringMap<std::shared_ptr<llvm::MemoryBuffer>> files;
  uint64_t id = 0;
};

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_TENSORS_H
