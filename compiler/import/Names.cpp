//===- Names.cpp - State dicts with timm's names --------------------------===//
//
// The examples have torchvision's names. timm calls the layers of the same
// networks otherwise, but has them in the same order: its names are put in that
// order, and stand for the model's, one after the other. Every pair must agree
// in its role and in its shape, or none is taken.
//
//===----------------------------------------------------------------------===//

#include "compiler/import/Weights.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <map>

using namespace mlir;

namespace halcyon {

bool holdsSameElements(ArrayRef<int64_t> shape, ArrayRef<int64_t> wanted) {
  auto withoutOnes = [](ArrayRef<int64_t> sizes) {
    SmallVector<int64_t> result(sizes);
    llvm::erase(result, 1);
    return result;
  };
  if (withoutOnes(shape) == withoutOnes(wanted))
    return true;
  // A convolution of volumes, whose taps along the depth are channels.
  if (shape.size() == 5 && wanted.size() == 4 && shape[0] == wanted[0] &&
      shape[2] > 0 && wanted[1] % shape[2] == 0 && shape[1] == wanted[1] / shape[2] &&
      shape.take_back(2) == wanted.take_back(2))
    return true;
  // A dense layer as a convolution whose window is the whole map.
  return shape.size() == 4 && wanted.size() == 2 && shape[0] == wanted[0] &&
         shape[1] > 0 && shape[2] > 0 && shape[3] > 0 &&
         wanted[1] % shape[1] == 0 && shape[2] == wanted[1] / shape[1] / shape[3];
}

namespace {

/// What stands side by side in timm's names, in the order of the layers. The
/// first line that has all of a level is that level's.
constexpr StringLiteral kOrders[] = {
    "weight bias running_mean running_var",
    "conv_stem bn1 blocks conv_head bn2 classifier", // MobileNet, EfficientNet
    "conv bn1",
    "conv_dw bn1 se conv_pw bn2",
    "conv_pw bn1 conv_dw bn2 se conv_pwl bn3",
    "conv_reduce conv_expand",
    "stem stages head", // ConvNeXt
    "downsample blocks",
    "conv_dw norm mlp gamma",
    "norm fc",
    "fc1 fc2",
    "features pre_logits head", // VGG
};

/// The names of a file as a tree of their parts.
struct Level {
  std::map<std::string, Level> parts;

  /// Appends full names in the order of the layers; false where none is known.
  bool order(const std::string &prefix, std::vector<std::string> &names) const;
};

/// Weights of another source under other names.
class Renamed : public WeightSource {
public:
  Renamed(std::unique_ptr<WeightSource> source,
          std::map<std::string, std::string, std::less<>> origin)
      : source(std::move(source)), origin(std::move(origin)) {}

  std::optional<std::vector<int64_t>> shapeOf(StringRef name) const override {
    auto found = origin.find(name.str());
    return found == origin.end() ? std::nullopt
                                 : source->shapeOf(found->second);
  }
  ArrayRef<float> read(StringRef name, ArrayRef<int64_t> shape,
                       std::vector<float> &storage) const override {
    return source->read(origin.at(name.str()), shape, storage);
  }
  uint64_t id() const override { return source->id(); }
  std::vector<std::string> names() const override {
    std::vector<std::string> result;
    for (auto &[name, other] : origin)
      result.push_back(name);
    return result;
  }

private:
  std::unique_ptr<WeightSource> source;
  std::map<std::string, std::string, std::less<>> origin;
};

} // namespace

bool Level::order(const std::string &prefix,
                  std::vector<std::string> &names) const {
  auto visit = [&](StringRef part, const Level &level) {
    std::string name = prefix.empty() ? part.str() : prefix + "." + part.str();
    if (!level.parts.empty())
      return level.order(name, names);
    names.push_back(name);
    return true;
  };
  auto isNumber = [](const auto &part) {
    return part.first.size() < 5 && llvm::all_of(part.first, llvm::isDigit);
  };
  if (llvm::all_of(parts, isNumber)) {
    std::map<unsigned, const Level *> byNumber;
    for (auto &[part, level] : parts)
      byNumber[std::stoul(part)] = &level;
    return llvm::all_of(byNumber, [&](auto &entry) {
      return visit(std::to_string(entry.first), *entry.second);
    });
  }
  for (StringRef line : kOrders) {
    SmallVector<StringRef> words;
    line.split(words, ' ');
    if (llvm::all_of(parts, [&](auto &part) {
          return llvm::is_contained(words, part.first);
        }))
      return llvm::all_of(words, [&](StringRef word) {
        auto found = parts.find(word.str());
        return found == parts.end() || visit(word, found->second);
      });
  }
  return false;
}

std::unique_ptr<WeightSource>
withModelNames(std::unique_ptr<WeightSource> source, ModuleOp module) {
  // The model's names, in the order of its layers.
  std::vector<std::pair<std::string, std::vector<int64_t>>> wanted;
  llvm::StringSet<> met;
  bool complete = true;
  module.walk([&](cnn::WeightOp weight) {
    if (!met.insert(weight.getName()).second)
      return;
    complete &= source->shapeOf(weight.getName()).has_value();
    wanted.emplace_back(weight.getName().str(),
                        cast<RankedTensorType>(weight.getType()).getShape());
  });
  if (complete)
    return source;
  Level root;
  for (const std::string &name : source->names()) {
    if (StringRef(name).ends_with("num_batches_tracked"))
      continue;
    Level *level = &root;
    SmallVector<StringRef> parts;
    StringRef(name).split(parts, '.');
    if (parts.size() > 16)
      return source;
    for (StringRef part : parts)
      level = &level->parts[part.str()];
  }
  std::vector<std::string> names;
  if (!root.order("", names) || names.size() != wanted.size())
    return source;
  std::map<std::string, std::string, std::less<>> origin;
  for (auto &&[name, entry] : llvm::zip(names, wanted)) {
    // "weight" and so on; a factor of its own has any name in both.
    auto roleOf = [](StringRef path) {
      StringRef role = path.rsplit('.').second;
      return kOrders[0].contains(role) ? role : StringRef();
    };
    auto shape = source->shapeOf(name);
    bool sameRole = roleOf(name) == roleOf(entry.first);
    if (!shape || !sameRole || !holdsSameElements(*shape, entry.second))
      return source;
    origin[entry.first] = name;
  }
  return std::make_unique<Renamed>(std::move(source), std::move(origin));
}

namespace {
class Members : public WeightSource {
public:
  explicit Members(std::vector<std::unique_ptr<WeightSource>> sources)
      : sources(std::move(sources)) {}

  std::optional<std::vector<int64_t>> shapeOf(StringRef name) const override {
    return of(name).shapeOf(name);
  }
  ArrayRef<float> read(StringRef name, ArrayRef<int64_t> shape,
                       std::vector<float> &storage) const override {
    const WeightSource &source = of(name);
    return source.read(name, shape, storage);
  }
  uint64_t id() const override {
    uint64_t id = 0;
    for (auto &source : sources)
      id = 0x100000001b3 * id ^ source->id();
    return id;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> result = sources.front()->names();
    for (size_t i = 1; i < sources.size(); ++i)
      for (const std::string &name : sources[i]->names())
        result.push_back("member_" + std::to_string(i + 1) + "." + name);
    llvm::sort(result);
    return result;
  }

private:
  /// Whose name it is, and what it calls it.
  const WeightSource &of(StringRef &name) const {
    StringRef rest = name;
    unsigned member;
    if (rest.consume_front("member_") && !rest.consumeInteger(10, member) &&
        rest.consume_front(".") && member >= 2 && member <= sources.size()) {
      name = rest;
      return *sources[member - 1];
    }
    return *sources.front();
  }

  std::vector<std::unique_ptr<WeightSource>> sources;
};
} // namespace

std::unique_ptr<WeightSource>
joinMembers(std::vector<std::unique_ptr<WeightSource>> members) {
  return std::make_unique<Members>(std::move(members));
}

} // namespace halcyon
