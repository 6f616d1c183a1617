//===- Tensor.h - Named tensors, in memory and in files -------------------===//

#ifndef HALCYON_TRAIN_TENSOR_H
#define HALCYON_TRAIN_TENSOR_H

#include "Support.h"

#include <nlohmann/json.hpp>

#include <map>
#include <memory>

namespace halcyon::train {

using Json = nlohmann::json;

enum class Element : uint8_t { F32, F64, I32, I64, U8 };

size_t bytesOf(Element element);
/// As safetensors spell it.
const char *nameOf(Element element);

/// A dense row-major tensor, aligned for any kernel.
class Tensor {
public:
  Tensor() = default;
  Tensor(Element element, std::vector<int64_t> shape);

  Element element = Element::F32;
  std::vector<int64_t> shape;

  size_t size() const;
  size_t bytes() const { return size() * bytesOf(element); }
  std::byte *data() { return memory.get(); }
  const std::byte *data() const { return memory.get(); }
  template <class T> T *as() { return reinterpret_cast<T *>(memory.get()); }
  template <class T> const T *as() const {
    return reinterpret_cast<const T *>(memory.get());
  }

  /// An element as a number, whatever the type.
  double at(size_t index) const;
  void set(size_t index, double value);
  void fill(double value);
  bool isFinite() const;

private:
  struct Free {
    void operator()(std::byte *pointer) const;
  };
  std::unique_ptr<std::byte[], Free> memory;
};

using Tensors = std::map<std::string, Tensor>;

struct TensorFile {
  Tensors tensors;
  std::map<std::string, std::string> notes; ///< its __metadata__
};

/// Reads a safetensors file. Types that are none of ours become f32.
TensorFile readSafetensors(const std::string &path);

/// Writes one, whole or not at all.
void writeSafetensors(const std::string &path,
                      const std::map<std::string, const Tensor *> &tensors,
                      const std::map<std::string, std::string> &notes = {});

/// Reads a `.npy` file of numbers.
Tensor readNpy(const std::string &path);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_TENSOR_H
