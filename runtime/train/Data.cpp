//===- Data.cpp - Where samples come from ---------------------------------===//

#include "Data.h"

#include "cli/support.h"

#include <algorithm>
#include <cstring>
#include <dirent.h>
#include <map>
#include <sys/stat.h>

namespace halcyon::train {

static bool isFolder(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

static bool exists(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

/// The names in a folder, in order, hidden ones left out.
static std::vector<std::string> listFolder(const std::string &path) {
  DIR *folder = opendir(path.c_str());
  if (!folder)
    throw Failure("can't read the folder " + path + ": " + strerror(errno));
  std::vector<std::string> names;
  while (dirent *entry = readdir(folder))
    if (entry->d_name[0] != '.')
      names.push_back(entry->d_name);
  closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

static std::string join(const std::string &folder, const std::string &name) {
  return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}

Raw decodePicture(const std::string &path, int channels) {
  std::vector<uint8_t> file = readFile(path);
  cli::Picture picture;
  cli::Failure why;
  if (!cli::decodePicture(file.data(), file.size(), uint32_t(channels), picture, why))
    throw Failure(path + ": " + why.Text);
  Raw raw;
  raw.channels = channels;
  raw.height = int(picture.Height);
  raw.width = int(picture.Width);
  raw.bytes.assign(picture.Pixels.Data,
                   picture.Pixels.Data + size_t(raw.height) * raw.width * channels);
  return raw;
}

static bool looksLikePicture(const std::string &name) {
  size_t dot = name.rfind('.');
  if (dot == std::string::npos)
    return false;
  std::string end = name.substr(dot + 1);
  std::transform(end.begin(), end.end(), end.begin(),
                 [](unsigned char c) { return char(tolower(c)); });
  return end == "png" || end == "jpg" || end == "jpeg";
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

namespace {

class Images : public Dataset {
public:
  Images(const std::string &path, int channels) : channels(channels) {
    for (const std::string &folder : listFolder(path)) {
      std::string inside = join(path, folder);
      if (!isFolder(inside))
        continue;
      for (const std::string &file : listFolder(inside))
        if (looksLikePicture(file))
          files.push_back({join(inside, file), int32_t(classes.size())});
      classes.push_back(folder);
    }
    if (files.empty())
      throw Failure(path + ": there are no folders of PNG or JPEG pictures, one "
                           "for each class");
  }
  size_t size() const override { return files.size(); }
  int32_t label(size_t i) const override { return files[i].second; }
  std::string name(size_t i) const override { return files[i].first; }
  Raw read(size_t i) const override {
    Raw raw = decodePicture(files[i].first, channels);
    raw.label = files[i].second;
    return raw;
  }

private:
  int channels;
  std::vector<std::pair<std::string, int32_t>> files;
};

class Pairs : public Dataset {
public:
  Pairs(const std::string &images, const std::string &masks, int channels)
      : channels(channels) {
    std::map<std::string, std::string> byStem;
    auto stem = [](const std::string &name) { return name.substr(0, name.rfind('.')); };
    for (const std::string &file : listFolder(masks))
      if (looksLikePicture(file))
        byStem[stem(file)] = join(masks, file);
    for (const std::string &file : listFolder(images)) {
      if (!looksLikePicture(file))
        continue;
      auto mask = byStem.find(stem(file));
      if (mask == byStem.end())
        throw Failure(join(images, file) + ": it has no mask in " + masks);
      files.push_back({join(images, file), mask->second});
    }
    if (files.empty())
      throw Failure(images + ": there are no PNG or JPEG pictures");
  }
  size_t size() const override { return files.size(); }
  std::string name(size_t i) const override { return files[i].first; }
  Raw read(size_t i) const override {
    Raw raw = decodePicture(files[i].first, channels),
        mask = decodePicture(files[i].second, 1);
    if (mask.height != raw.height || mask.width != raw.width)
      throw Failure(files[i].second + ": the mask is " + std::to_string(mask.width) +
                    " x " + std::to_string(mask.height) + ", its picture " +
                    std::to_string(raw.width) + " x " + std::to_string(raw.height));
    raw.mask.assign(mask.bytes.begin(), mask.bytes.end());
    return raw;
  }

private:
  int channels;
  std::vector<std::pair<std::string, std::string>> files;
};

//===----------------------------------------------------------------------===//
// Files of many pictures
//===----------------------------------------------------------------------===//

/// Pictures of one size, one after another in memory.
class Packed : public Dataset {
public:
  size_t size() const override { return labels.size(); }
  int32_t label(size_t i) const override { return labels[i]; }
  std::string name(size_t i) const override {
    return path + ", picture " + std::to_string(i);
  }
  Raw read(size_t i) const override {
    Raw raw;
    raw.channels = channels;
    raw.height = height;
    raw.width = width;
    raw.label = labels[i];
    size_t bytes = size_t(channels) * height * width;
    raw.bytes.assign(pixels.data() + i * bytes, pixels.data() + (i + 1) * bytes);
    return raw;
  }

protected:
  std::string path;
  int channels = 1, height = 0, width = 0;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
};

class Mnist : public Packed {
public:
  Mnist(const std::string &folder, bool validation) {
    std::string which = validation ? "t10k" : "train";
    uint32_t sizes[3], count[3];
    path = find(folder, which, "images", 3);
    pixels = readIdx(path, 3, sizes);
    std::string labelPath = find(folder, which, "labels", 1);
    std::vector<uint8_t> found = readIdx(labelPath, 1, count);
    if (count[0] != sizes[0])
      throw Failure(path + ": " + std::to_string(sizes[0]) + " pictures, but " +
                    std::to_string(count[0]) + " labels");
    labels.assign(found.begin(), found.end());
    height = int(sizes[1]);
    width = int(sizes[2]);
    for (char digit = '0'; digit <= '9'; ++digit)
      classes.push_back(std::string(1, digit));
  }

private:
  static std::string find(const std::string &folder, const std::string &which,
                          const std::string &what, int rank) {
    for (const char *mark : {"-", "."})
      for (const char *end : {"", ".gz"}) {
        std::string file = join(folder, which + "-" + what + mark + "idx" +
                                            std::to_string(rank) + "-ubyte" + end);
        if (exists(file))
          return file;
      }
    throw Failure(folder + ": there is no " + which + "-" + what + "-idx" +
                  std::to_string(rank) + "-ubyte");
  }

  static std::vector<uint8_t> readIdx(const std::string &path, unsigned rank,
                                      uint32_t (&sizes)[3]) {
    std::vector<uint8_t> file = readFile(path);
    size_t header = 4 + 4 * size_t(rank);
    if (file.size() < header || file[0] || file[1] || file[2] != 8 || file[3] != rank)
      throw Failure(path + ": not an IDX file of bytes in " + std::to_string(rank) +
                    " dimensions");
    unsigned __int128 bytes = 1;
    for (unsigned i = 0; i < rank; ++i) {
      const uint8_t *at = file.data() + 4 + 4 * size_t(i);
      sizes[i] = uint32_t(at[0]) << 24 | uint32_t(at[1]) << 16 | uint32_t(at[2]) << 8 | at[3];
      bytes *= sizes[i];
    }
    if (bytes > file.size() - header)
      throw Failure(path + ": truncated IDX file");
    file.erase(file.begin(), file.begin() + long(header));
    return file;
  }
};

/// CIFAR's binary files: labels, then red, green and blue planes, 32 x 32 each.
class Cifar : public Packed {
public:
  Cifar(const std::string &folder, bool hundred, bool validation) {
    std::vector<std::string> files;
    if (hundred)
      files = {validation ? "test.bin" : "train.bin"};
    else if (validation)
      files = {"test_batch.bin"};
    else
      for (int i = 1; i <= 5; ++i)
        files.push_back("data_batch_" + std::to_string(i) + ".bin");
    path = folder;
    channels = 3;
    height = width = 32;
    const size_t plane = 32 * 32, skip = hundred ? 2 : 1, record = skip + 3 * plane;
    for (const std::string &name : files) {
      std::string file = join(folder, name);
      std::vector<uint8_t> bytes = readFile(file);
      if (bytes.empty() || bytes.size() % record)
        throw Failure(file + ": not a whole number of CIFAR's pictures");
      for (size_t at = 0; at < bytes.size(); at += record) {
        labels.push_back(bytes[at + skip - 1]);
        for (size_t i = 0; i < plane; ++i)
          for (size_t c = 0; c < 3; ++c)
            pixels.push_back(bytes[at + skip + c * plane + i]);
      }
    }
    std::string list = join(folder, hundred ? "fine_label_names.txt" : "batches.meta.txt");
    if (exists(list)) {
      std::vector<uint8_t> text = readFile(list);
      std::string word;
      for (uint8_t c : text) {
        if (c == '\n' && !word.empty())
          classes.push_back(std::exchange(word, ""));
        else if (c != '\n' && c != '\r')
          word += char(c);
      }
    }
  }
};

/// Tensors whose first dimension counts samples.
class Arrays : public Dataset {
public:
  Arrays(std::string path, Tensor images, Tensor labels)
      : path(std::move(path)), images(std::move(images)), labels(std::move(labels)) {
    if (this->images.shape.empty() || this->images.shape[0] < 1)
      throw Failure(this->path + ": it holds no images");
    if (this->labels.data() && (this->labels.shape.empty() ||
                                this->labels.shape[0] != this->images.shape[0]))
      throw Failure(this->path + ": there are not as many labels as images");
    hasClasses = this->labels.data() && this->labels.shape.size() == 1 &&
                 this->labels.element != Element::F32 &&
                 this->labels.element != Element::F64;
  }
  size_t size() const override { return size_t(images.shape[0]); }
  int32_t label(size_t i) const override {
    return hasClasses ? int32_t(labels.at(i)) : -1;
  }
  std::string name(size_t i) const override {
    return path + ", row " + std::to_string(i);
  }
  Raw read(size_t i) const override {
    Raw raw;
    const std::vector<int64_t> &shape = images.shape;
    size_t count = images.size() / size();
    raw.channels = shape.size() >= 4 ? int(shape[1]) : 1;
    raw.height = shape.size() >= 3 ? int(shape[shape.size() - 2]) : 1;
    raw.width = int(shape.size() >= 2 ? shape.back() : 1);
    raw.numbers.resize(count);
    // Bytes are a picture's, from 0 to 255.
    float scale = images.element == Element::U8 ? 1.0f / 255 : 1;
    for (size_t k = 0; k < count; ++k)
      raw.numbers[k] = scale * float(images.at(i * count + k));
    if (!labels.data())
      return raw;
    size_t each = labels.size() / size();
    raw.label = hasClasses ? label(i) : 0;
    bool isMask = labels.shape.size() >= 3 && labels.element != Element::F32 &&
                  labels.element != Element::F64;
    for (size_t k = 0; k < each; ++k) {
      raw.target.push_back(float(labels.at(i * each + k)));
      if (isMask)
        raw.mask.push_back(int32_t(labels.at(i * each + k)));
    }
    return raw;
  }

private:
  std::string path;
  Tensor images, labels;
  bool hasClasses = false;
};

class Subset : public Dataset {
public:
  Subset(std::shared_ptr<Dataset> from, std::vector<uint32_t> chosen)
      : whole(std::move(from)), indices(std::move(chosen)) {
    classes = whole->classes;
  }
  size_t size() const override { return indices.size(); }
  int32_t label(size_t i) const override { return whole->label(indices[i]); }
  std::string name(size_t i) const override { return whole->name(indices[i]); }
  Raw read(size_t i) const override { return whole->read(indices[i]); }

private:
  std::shared_ptr<Dataset> whole;
  std::vector<uint32_t> indices;
};

} // namespace

std::unique_ptr<Dataset> subset(std::shared_ptr<Dataset> whole,
                                std::vector<uint32_t> indices) {
  return std::make_unique<Subset>(std::move(whole), std::move(indices));
}

//===----------------------------------------------------------------------===//
// From the plan
//===----------------------------------------------------------------------===//

static std::unique_ptr<Dataset> openSource(const Json &call, const Wanted &wanted) {
  std::string source = call.at("call");
  auto text = [&](const char *name) { return call.at(name).get<std::string>(); };
  if (source == "images")
    return std::make_unique<Images>(text("path"), wanted.channels);
  if (source == "pairs")
    return std::make_unique<Pairs>(text("images"), text("masks"), wanted.channels);
  if (source == "coco")
    return openCoco(text("images"), text("boxes"), call.at("most"), wanted.channels);
  if (source == "mnist")
    return std::make_unique<Mnist>(text("path"), wanted.validation);
  if (source == "cifar10" || source == "cifar100")
    return std::make_unique<Cifar>(text("path"), source == "cifar100", wanted.validation);
  if (source == "npy") {
    Tensor labels;
    if (!text("labels").empty())
      labels = readNpy(text("labels"));
    return std::make_unique<Arrays>(text("images"), readNpy(text("images")),
                                    std::move(labels));
  }
  if (source == "safetensors") {
    TensorFile file = readSafetensors(text("path"));
    auto image = file.tensors.find(text("image")), label = file.tensors.find(text("label"));
    if (image == file.tensors.end())
      throw Failure(text("path") + ": there is no tensor '" + text("image") + "'");
    Tensor labels;
    if (label != file.tensors.end())
      labels = std::move(label->second);
    return std::make_unique<Arrays>(text("path"), std::move(image->second),
                                    std::move(labels));
  }
  throw Failure("this program knows no source of data '" + source + "'");
}

std::unique_ptr<Dataset> openDataset(const Json &call, const Wanted &wanted) {
  std::unique_ptr<Dataset> all = openSource(call, wanted);
  size_t take = call.value("take", 0);
  if (take == 0 || take >= all->size())
    return all;
  std::vector<uint32_t> first(take);
  for (size_t i = 0; i < take; ++i)
    first[i] = uint32_t(i);
  return subset(std::move(all), std::move(first));
}

} // namespace halcyon::train
