//===- Safetensors.cpp - Weights as a safetensors file --------------------===//

#include "compiler/import/Safetensors.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"

using namespace llvm;

namespace halcyon {

/// f32 in files of every kind: it is what the language's weights are.
std::string writeSafetensors(const std::map<std::string, std::string> &names,
                             const WeightSource &weights, StringRef path) {
  json::Object header;
  uint64_t offset = 0;
  for (const auto &[name, source] : names) {
    auto shape = weights.shapeOf(source);
    if (!shape)
      return "there is no weight '" + source + "'";
    uint64_t bytes = sizeof(float);
    for (int64_t size : *shape)
      bytes *= size;
    header[name] = json::Object{{"dtype", "F32"},
                                {"shape", json::Array(*shape)},
                                {"data_offsets", json::Array{offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(header));
  text.append(-text.size() & 7, ' ');
  std::error_code code;
  raw_fd_ostream file(path, code, sys::fs::CD_CreateAlways);
  if (code)
    return code.message();
  char length[8];
  support::endian::write64le(length, text.size());
  file << StringRef(length, 8) << text;
  std::vector<float> storage;
  for (const auto &[name, source] : names) {
    ArrayRef<float> values = weights.read(source, *weights.shapeOf(source), storage);
    file.write(reinterpret_cast<const char *>(values.data()),
               values.size() * sizeof(float));
  }
  file.close();
  if (!file.has_error())
    return "";
  std::string error = file.error().message();
  file.clear_error();
  return error;
}

} // namespace halcyon
