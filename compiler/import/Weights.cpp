//===- Weights.cpp - Where parameters come from ---------------------------===//

#include "compiler/import/Weights.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/xxhash.h"

#include <cmath>
#include <set>

using namespace mlir;

namespace halcyon {

namespace {

//===----------------------------------------------------------------------===//
// safetensors
//===----------------------------------------------------------------------===//

struct Entry {
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

class Safetensors : public WeightSource {
public:
  /// Reads the header; false, with the reason, where it does not hold.
  bool open(StringRef path, std::string &error);

  std::optional<std::vector<int64_t>> shapeOf(StringRef name) const override {
    auto found = entries.find(name);
    if (found == entries.end())
      return std::nullopt;
    return found->second.shape;
  }
  ArrayRef<float> read(StringRef name, ArrayRef<int64_t> shape,
                       std::vector<float> &storage) const override;
  uint64_t id() const override { return llvm::xxh3_64bits(file->getBuffer()); }
  std::vector<std::string> names() const override {
    std::vector<std::string> result;
    for (auto &entry : entries)
      result.push_back(entry.getKey().str());
    llvm::sort(result);
    return result;
  }

private:
  std::unique_ptr<llvm::MemoryBuffer> file;
  const char *data = nullptr;
  llvm::StringMap<Entry> entries;
};

/// Numbers from a seed: scaled so that values neither fade nor explode through
/// the layers, the statistics of norms not trivial.
class Seeded : public WeightSource {
public:
  explicit Seeded(uint64_t seed) : seed(seed) {}

  std::optional<std::vector<int64_t>> shapeOf(StringRef) const override {
    return std::nullopt;
  }
  ArrayRef<float> read(StringRef name, ArrayRef<int64_t> shape,
                       std::vector<float> &storage) const override;
  uint64_t id() const override { return seed; }
  std::vector<std::string> names() const override { return {}; }

private:
  uint64_t seed;
};

} // namespace

/// Bytes per element of the dtypes that become f32; 0 for others.
static unsigned dtypeBytes(StringRef dtype) {
  return llvm::StringSwitch<unsigned>(dtype)
      .Case("F16", 2)
      .Case("BF16", 2)
      .Case("F32", 4)
      .Case("F64", 8)
      .Case("I64", 8)
      .Default(0);
}

bool Safetensors::open(StringRef path, std::string &error) {
  auto opened = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!opened) {
    error = opened.getError().message();
    return false;
  }
  file = std::move(*opened);
  StringRef bytes = file->getBuffer();
  uint64_t length =
      bytes.size() < 8 ? 0 : llvm::support::endian::read64le(bytes.data());
  if (bytes.size() < 8 || length > bytes.size() - 8 || length > (100u << 20)) {
    error = "not a safetensors file, or cut short";
    return false;
  }
  auto parsed = llvm::json::parse(bytes.substr(8, length));
  if (!parsed) {
    error = "not a safetensors file: " + llvm::toString(parsed.takeError());
    return false;
  }
  auto *object = parsed->getAsObject();
  data = bytes.data() + 8 + length;
  uint64_t available = bytes.size() - 8 - length;
  for (auto &member : object ? *object : llvm::json::Object()) {
    StringRef name = member.first;
    if (name == "__metadata__")
      continue;
    auto *info = member.second.getAsObject();
    auto *shape = info ? info->getArray("shape") : nullptr;
    auto *offsets = info ? info->getArray("data_offsets") : nullptr;
    auto dtype = info ? info->getString("dtype") : std::nullopt;
    if (!shape || !offsets || !dtype || offsets->size() != 2) {
      error = "the entry '" + name.str() + "' is broken";
      return false;
    }
    Entry entry{dtype->str(), {}, 0, 0};
    uint64_t count = 1;
    bool fits = true;
    for (auto &size : *shape) {
      auto value = size.getAsInteger();
      fits &= value && *value >= 0 &&
              (*value == 0 || count <= available / uint64_t(*value) * 8 + 8);
      if (!fits)
        break;
      entry.shape.push_back(*value);
      count *= *value;
    }
    auto begin = (*offsets)[0].getAsUINT64(), end = (*offsets)[1].getAsUINT64();
    fits &= begin && end && *begin <= *end && *end <= available;
    unsigned width = dtypeBytes(entry.dtype);
    fits &= !width || (begin && end && count * width == *end - *begin);
    if (!fits) {
      error = "the entry '" + name.str() +
              "' reaches outside the file or does not match its shape";
      return false;
    }
    entry.begin = *begin;
    entry.end = *end;
    entries[name] = std::move(entry);
  }
  return true;
}

static float halfToFloat(uint16_t bits) {
  return llvm::APFloat(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits))
      .convertToFloat();
}

ArrayRef<float> Safetensors::read(StringRef name, ArrayRef<int64_t> shape,
                                  std::vector<float> &storage) const {
  const Entry &entry = entries.find(name)->second;
  const char *from = data + entry.begin;
  unsigned width = dtypeBytes(entry.dtype);
  size_t count = (entry.end - entry.begin) / width;
  if (entry.dtype == "F32" && reinterpret_cast<uintptr_t>(from) % 4 == 0)
    return ArrayRef(reinterpret_cast<const float *>(from), count);
  storage.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const char *at = from + i * width;
    using namespace llvm::support::endian;
    if (entry.dtype == "F32")
      memcpy(&storage[i], at, 4);
    else if (entry.dtype == "F64")
      storage[i] = llvm::bit_cast<double>(read64le(at));
    else if (entry.dtype == "I64")
      storage[i] = static_cast<int64_t>(read64le(at));
    else if (entry.dtype == "BF16")
      storage[i] = llvm::bit_cast<float>(uint32_t(read16le(at)) << 16);
    else
      storage[i] = halfToFloat(read16le(at));
  }
  return storage;
}

//===----------------------------------------------------------------------===//
// Seeds
//===----------------------------------------------------------------------===//

/// SplitMix64: Steele, Lea, Flood, Fast splittable pseudorandom number
/// generators, 2014. The counter form gives each element its own number.
static uint64_t splitmix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

ArrayRef<float> Seeded::read(StringRef name, ArrayRef<int64_t> shape,
                             std::vector<float> &storage) const {
  size_t count = 1, fanIn = 1;
  for (auto [index, size] : llvm::enumerate(shape)) {
    count *= size;
    fanIn *= index ? size : 1;
  }
  // value = centre + width * u, u uniform in [-1, 1).
  float centre = 0, width = 0.1f;
  if (shape.size() > 1)
    width = std::sqrt(6.0 / fanIn); // Kaiming's bound, for ReLU
  else if (name.ends_with("running_var"))
    centre = 1, width = 0.5f;
  else if (name.ends_with("weight"))
    centre = 1, width = 0.2f;
  uint64_t stream = splitmix(seed) ^ llvm::xxh3_64bits(name);
  storage.resize(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = splitmix(stream + i * 0x9e3779b97f4a7c15);
    storage[i] = centre + width * (float(bits >> 40) * 0x1p-23f - 1.0f);
  }
  return storage;
}

template <typename T> static void append(std::string &bytes, T value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
}

std::string elementsAs(ArrayRef<float> values, Type element) {
  std::string bytes;
  unsigned width = (element.getIntOrFloatBitWidth() + 7) / 8;
  bytes.reserve(values.size() * width);
  for (float value : values) {
    if (element.isF64()) {
      append(bytes, double(value));
    } else if (element.isF16()) {
      llvm::APFloat half(value);
      bool lost;
      half.convert(llvm::APFloat::IEEEhalf(),
                   llvm::APFloat::rmNearestTiesToEven, &lost);
      append(bytes, uint16_t(half.bitcastToAPInt().getZExtValue()));
    } else {
      auto whole = int64_t(value);
      bytes.append(reinterpret_cast<const char *>(&whole), width);
    }
  }
  return bytes;
}

std::string WeightSource::readAs(StringRef name, ArrayRef<int64_t> shape,
                                 Type element) const {
  std::vector<float> storage;
  return elementsAs(read(name, shape, storage), element);
}

std::unique_ptr<WeightSource> openWeights(StringRef where, std::string &error) {
  if (where.consume_front("seed:")) {
    uint64_t seed;
    if (!where.getAsInteger(10, seed))
      return std::make_unique<Seeded>(seed);
    error = "a seed is a whole number: seed:1";
    return nullptr;
  }
  auto file = std::make_unique<Safetensors>();
  if (file->open(where, error))
    return file;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::string text(ArrayRef<int64_t> shape) {
  std::string result;
  for (int64_t size : shape)
    result += (result.empty() ? "" : "x") + std::to_string(size);
  return result.empty() ? "a single number" : result;
}

bool checkWeights(ModuleOp module, const WeightSource &source, StringRef where,
                  raw_ostream &errors) {
  std::vector<std::string> names = source.names();
  if (names.empty() && !where.ends_with(".safetensors"))
    return true;
  bool good = true;
  std::set<std::string> used;
  module.walk([&](cnn::WeightOp weight) {
    StringRef name = weight.getName();
    if (!used.insert(name.str()).second)
      return;
    ArrayRef<int64_t> wanted =
        cast<RankedTensorType>(weight.getType()).getShape();
    auto shape = source.shapeOf(name);
    if (shape && holdsSameElements(*shape, wanted))
      return;
    good = false;
    cnn::LayerLocation at = cnn::layerLocation(weight.getLoc());
    errors << at.file << ":" << at.line << ":" << at.column << ": error: ";
    if (!shape) {
      errors << "no weight '" << name << "' (" << text(wanted) << ") in "
             << where << "\n";
      std::string nearest;
      unsigned best = 4;
      for (const std::string &candidate : names) {
        unsigned distance = StringRef(candidate).edit_distance(name, true, best);
        if (distance < best && !used.count(candidate)) {
          best = distance;
          nearest = candidate;
        }
      }
      if (!nearest.empty())
        errors << "   note: there is '" << nearest << "' ("
               << text(*source.shapeOf(nearest)) << ")\n";
    } else {
      errors << "the weight '" << name << "' is " << text(*shape) << " in "
             << where << ", and this layer needs " << text(wanted) << "\n";
    }
  });
  for (const std::string &name : names)
    if (good && !used.count(name) &&
        !StringRef(name).ends_with("num_batches_tracked"))
      errors << "warning: nothing uses the weight '" << name << "' ("
             << text(*source.shapeOf(name)) << ") of " << where << "\n";
  return good;
}

} // namespace halcyon
