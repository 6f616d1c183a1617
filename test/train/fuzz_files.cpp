//===- fuzz_files.cpp - Arbitrary bytes as a program's files --------------===//
//
// test/fuzz/run_fuzz.py files builds it and runs it. The first byte says what
// the others are: a program's user names the file, its contents come from anywhere.
//
//===----------------------------------------------------------------------===//

#include "cli/support.h"
#include "train/Data.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>

using namespace halcyon;

using Bytes = std::span<const uint8_t>;

static void check(bool holds) {
  if (!holds)
    __builtin_trap();
}

namespace {
struct Folder {
  std::string path = std::filesystem::temp_directory_path() / "fuzz-files-XXXXXX";
  Folder() { check(mkdtemp(path.data())); }
  ~Folder() { std::filesystem::remove_all(path); }
};
} // namespace

/// A file of these bytes, where readers of files find it.
static std::string fileOf(Bytes bytes, const std::string &name) {
  static const Folder folder;
  std::string path = folder.path + "/" + name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), long(bytes.size()));
  return path;
}

/// What throws must say why, in one of our own exceptions.
template <class Read> static void refuses(Read read) {
  try {
    read();
  } catch (const train::Failure &failure) {
    check(*failure.what());
  }
}

static bool liesInside(const cli::Tensor &tensor, Bytes bytes) {
  return tensor.Offset <= bytes.size() && tensor.Bytes <= bytes.size() - tensor.Offset;
}

static void npy(Bytes bytes) {
  cli::Tensor tensor, again;
  cli::Failure why;
  if (cli::parseNpy(bytes.data(), bytes.size(), tensor, why)) {
    check(liesInside(tensor, bytes));
    cli::Buffer header;
    if (cli::makeNpyHeader(tensor, header, why)) {
      // The header alone is a file only where there are no data.
      bool whole = cli::parseNpy(header.Data, header.Size, again, why);
      check(whole == (tensor.Bytes == 0));
      check(again.Type == tensor.Type && again.Rank == tensor.Rank &&
            std::equal(tensor.Shape, tensor.Shape + tensor.Rank, again.Shape));
    }
  } else {
    check(*why.Text);
  }
  std::string path = fileOf(bytes, "file.npy");
  refuses([&] { train::readNpy(path); });
}

static void safetensors(Bytes bytes) {
  cli::Tensor tensor;
  cli::Failure why;
  if (cli::findSafetensor(bytes.data(), bytes.size(), "x", tensor, why))
    check(liesInside(tensor, bytes));
  else
    check(*why.Text);
  std::string path = fileOf(bytes, "file.safetensors");
  refuses([&] {
    // What is written is what was read, for both readers.
    train::TensorFile first = train::readSafetensors(path);
    std::map<std::string, const train::Tensor *> tensors;
    for (auto &[name, value] : first.tensors)
      tensors[name] = &value;
    train::writeSafetensors(path, tensors, first.notes);
    train::TensorFile again = train::readSafetensors(path);
    check(again.notes == first.notes && again.tensors.size() == first.tensors.size());
    std::vector<uint8_t> file = train::readFile(path);
    for (auto &[name, value] : first.tensors) {
      const train::Tensor &other = again.tensors.at(name);
      check(other.element == value.element && other.shape == value.shape &&
            std::equal(value.data(), value.data() + value.bytes(), other.data()));
      if (value.shape.size() > cli::MaxRank || name.size() > 500 ||
          name.find('\0') != std::string::npos)
        continue;
      check(cli::findSafetensor(file.data(), file.size(), name.c_str(), tensor, why) &&
            tensor.Bytes == value.bytes());
    }
  });
}

/// Decoders take as long as a picture is large, however short its file.
static bool isHuge(Bytes d) {
  auto number = [&](size_t at) { return uint64_t(d[at]) << 8 | d[at + 1]; };
  if (d.size() >= 24 && d[0] == 0x89)
    return d[16] || d[17] || d[20] || d[21] || number(18) * number(22) > 1 << 20;
  for (size_t i = 0; i + 9 <= d.size(); ++i)
    if (d[i] == 0xff && d[i + 1] >> 4 == 0xc && number(i + 5) * number(i + 7) > 1 << 20)
      return true;
  return false;
}

static void picture(Bytes bytes) {
  if (isHuge(bytes))
    return;
  for (uint32_t channels : {1u, 3u}) {
    cli::Picture made;
    cli::Failure why;
    if (cli::decodePicture(bytes.data(), bytes.size(), channels, made, why))
      check(made.Pixels.Size == size_t(made.Width) * made.Height * channels &&
            made.Pixels.Size > 0);
    else
      check(*why.Text);
  }
}

static void samples(const train::Dataset &data) {
  check(data.size() > 0);
  for (size_t i = 0; i < std::min<size_t>(data.size(), 3); ++i) {
    train::Raw raw = data.read(i);
    check(raw.bytes.size() == size_t(raw.channels) * size_t(raw.height) * size_t(raw.width));
    check(data.label(i) >= 0 && !data.name(i).empty());
  }
}

static void boxes(Bytes bytes) {
  std::string path = fileOf(bytes, "boxes.json");
  refuses([&] {
    auto data = train::openCoco("/nowhere", path, 4, 3);
    for (size_t i = 0; i < data->size(); ++i)
      check(!data->name(i).empty());
  });
}

static void digits(Bytes bytes) {
  if (bytes.size() < 2)
    return;
  size_t images = std::min<size_t>(bytes[0] | bytes[1] << 8, bytes.size() - 2);
  std::string path = fileOf(bytes.subspan(2, images), "train-images-idx3-ubyte");
  fileOf(bytes.subspan(2 + images), "train-labels-idx1-ubyte");
  path.resize(path.rfind('/'));
  refuses([&] {
    samples(*train::openDataset({{"call", "mnist"}, {"path", path}}, {.channels = 1}));
  });
}

static void cifar(Bytes bytes) {
  std::string path = fileOf(bytes, "train.bin");
  path.resize(path.rfind('/'));
  refuses([&] {
    samples(*train::openDataset({{"call", "cifar100"}, {"path", path}}, {.channels = 3}));
  });
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static constexpr struct {
    char mark;
    void (*read)(Bytes);
  } kinds[] = {{'n', npy},   {'s', safetensors}, {'p', picture},
               {'b', boxes}, {'d', digits},      {'c', cifar}};
  for (auto kind : kinds)
    if (size && data[0] == uint8_t(kind.mark)) {
      kind.read({data + 1, size - 1});
      return 0;
    }
  return -1;
}
