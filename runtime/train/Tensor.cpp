//===- Tensor.cpp - Named tensors, in memory and in files -----------------===//

#include "Tensor.h"

#include "cli/support.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace halcyon::train {

/// What no vector of any target goes beyond, and a cache line's size.
static constexpr size_t alignment = 64;

size_t bytesOf(Element element) {
  static constexpr size_t sizes[] = {4, 8, 4, 8, 1};
  return sizes[size_t(element)];
}

const char *nameOf(Element element) {
  static constexpr const char *names[] = {"F32", "F64", "I32", "I64", "U8"};
  return names[size_t(element)];
}

void Tensor::Free::operator()(std::byte *pointer) const { free(pointer); }

Tensor::Tensor(Element element, std::vector<int64_t> sizes)
    : element(element), shape(std::move(sizes)) {
  size_t room = (bytes() + alignment - 1) / alignment * alignment;
  auto *pointer = static_cast<std::byte *>(
      aligned_alloc(alignment, std::max(room, alignment)));
  if (!pointer)
    throw Failure("out of memory");
  memset(pointer, 0, std::max(room, alignment));
  memory.reset(pointer);
}

size_t Tensor::size() const {
  size_t count = 1;
  for (int64_t size : shape)
    count *= size_t(size);
  return count;
}

double Tensor::at(size_t i) const {
  switch (element) {
  case Element::F32:
    return as<float>()[i];
  case Element::F64:
    return as<double>()[i];
  case Element::I32:
    return as<int32_t>()[i];
  case Element::I64:
    return double(as<int64_t>()[i]);
  case Element::U8:
    return as<uint8_t>()[i];
  }
  return 0;
}

void Tensor::set(size_t i, double value) {
  switch (element) {
  case Element::F32:
    as<float>()[i] = float(value);
    break;
  case Element::F64:
    as<double>()[i] = value;
    break;
  case Element::I32:
    as<int32_t>()[i] = int32_t(value);
    break;
  case Element::I64:
    as<int64_t>()[i] = int64_t(value);
    break;
  case Element::U8:
    as<uint8_t>()[i] = uint8_t(value);
    break;
  }
}

void Tensor::fill(double value) {
  for (size_t i = 0, count = size(); i < count; ++i)
    set(i, value);
}

bool Tensor::isFinite() const {
  for (size_t i = 0, count = size(); i < count; ++i)
    if (!std::isfinite(at(i)))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Elements of other types
//===----------------------------------------------------------------------===//

static float fromHalf(uint16_t half) {
  int exponent = half >> 10 & 31, fraction = half & 1023;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                : std::ldexp(fraction, -24);
  return float(half & 0x8000 ? -value : value);
}

static float fromBfloat(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

/// Elements of Halide's type code and bits as a tensor of one of our types.
static Tensor convert(const uint8_t *data, uint8_t code, uint8_t bits,
                      std::vector<int64_t> shape, const std::string &what) {
  struct Kept {
    uint8_t code, bits;
    Element element;
  };
  static constexpr Kept kept[] = {{2, 32, Element::F32}, {2, 64, Element::F64},
                                  {0, 32, Element::I32}, {0, 64, Element::I64},
                                  {1, 8, Element::U8}};
  for (const Kept &type : kept)
    if (type.code == code && type.bits == bits) {
      Tensor tensor(type.element, std::move(shape));
      memcpy(tensor.data(), data, tensor.bytes());
      return tensor;
    }
  Tensor tensor(Element::F32, std::move(shape));
  size_t width = (bits + 7u) / 8;
  for (size_t i = 0, count = tensor.size(); i < count; ++i) {
    uint64_t raw = 0;
    memcpy(&raw, data + i * width, width);
    unsigned spare = unsigned(64 - 8 * width);
    if (code == 3 && bits == 16)
      tensor.as<float>()[i] = fromBfloat(uint16_t(raw));
    else if (code == 2 && bits == 16)
      tensor.as<float>()[i] = fromHalf(uint16_t(raw));
    else if (code == 0)
      tensor.as<float>()[i] = float(int64_t(raw << spare) >> spare);
    else if (code == 1)
      tensor.as<float>()[i] = float(raw);
    else
      throw Failure(what + " has elements of an unknown type");
  }
  return tensor;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

TensorFile readSafetensors(const std::string &path) {
  const std::vector<uint8_t> file = readFile(path);
  auto damaged = [&](const std::string &what) {
    return Failure(path + ": not a safetensors file: " + what);
  };
  uint64_t length = 0;
  if (file.size() < 8)
    throw damaged("it is too short");
  memcpy(&length, file.data(), 8);
  if (length > file.size() - 8)
    throw damaged("its header is longer than the file");
  const uint8_t *data = file.data() + 8 + length;
  size_t room = file.size() - 8 - length;
  Json header = Json::parse(file.data() + 8, data, nullptr, false);
  if (!header.is_object())
    throw damaged("its header is no JSON");
  static const std::map<std::string, std::pair<uint8_t, uint8_t>> types = {
      {"F32", {2, 32}}, {"F16", {2, 16}}, {"F64", {2, 64}}, {"BF16", {3, 16}},
      {"I8", {0, 8}},   {"I16", {0, 16}}, {"I32", {0, 32}}, {"I64", {0, 64}},
      {"U8", {1, 8}},   {"U16", {1, 16}}, {"U32", {1, 32}}, {"U64", {1, 64}},
      {"BOOL", {1, 8}}};
  TensorFile result;
  try {
    for (auto &[name, entry] : header.items()) {
      if (name == "__metadata__") {
        result.notes = entry.get<std::map<std::string, std::string>>();
        continue;
      }
      auto type = types.find(entry.at("dtype").get<std::string>());
      if (type == types.end())
        throw damaged("tensor " + name + " has an unknown type");
      auto shape = entry.at("shape").get<std::vector<int64_t>>();
      auto offsets = entry.at("data_offsets").get<std::vector<uint64_t>>();
      unsigned __int128 bytes = type->second.second / 8;
      for (int64_t size : shape)
        bytes = size < 0 || bytes > room ? room + 1 : bytes * uint64_t(size);
      if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room ||
          bytes != offsets[1] - offsets[0])
        throw damaged("tensor " + name + " lies outside the file");
      result.tensors[name] = convert(data + offsets[0], type->second.first,
                                     type->second.second, shape, path);
    }
  } catch (const Json::exception &) {
    throw damaged("its header is not what it should be");
  }
  return result;
}

void writeSafetensors(const std::string &path,
                      const std::map<std::string, const Tensor *> &tensors,
                      const std::map<std::string, std::string> &notes) {
  Json header = Json::object();
  if (!notes.empty())
    header["__metadata__"] = notes;
  size_t offset = 0;
  for (auto &[name, tensor] : tensors) {
    header[name] = {{"dtype", nameOf(tensor->element)},
                    {"shape", tensor->shape},
                    {"data_offsets", {offset, offset + tensor->bytes()}}};
    offset += tensor->bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t length = text.size();
  std::vector<std::span<const std::byte>> pieces = {
      std::as_bytes(std::span(&length, 1)), std::as_bytes(std::span(text))};
  for (auto &[name, tensor] : tensors)
    pieces.push_back({tensor->data(), tensor->bytes()});
  writeWhole(path, pieces);
}

Tensor readNpy(const std::string &path) {
  std::vector<uint8_t> file = readFile(path);
  cli::Tensor found;
  cli::Failure why;
  if (!cli::parseNpy(file.data(), file.size(), found, why))
    throw Failure(path + ": " + why.Text);
  std::vector<int64_t> shape(found.Shape, found.Shape + found.Rank);
  return convert(file.data() + found.Offset, found.Type.Code, found.Type.Bits,
                 std::move(shape), path);
}

} // namespace halcyon::train
