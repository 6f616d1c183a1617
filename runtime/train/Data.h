//===- Data.h - Where samples come from -----------------------------------===//

#ifndef HALCYON_TRAIN_DATA_H
#define HALCYON_TRAIN_DATA_H

#include "Picture.h"
#include "Tensor.h"

#include <memory>

namespace halcyon::train {

/// A decoded picture as its file has it: bytes, or numbers of a tensor's.
struct Raw {
  int channels = 0, height = 0, width = 0;
  std::vector<uint8_t> bytes;  ///< interleaved, as cameras order them
  std::vector<float> numbers;  ///< planar, where the data are no picture
  std::vector<float> target;   ///< of labels that are no class
  std::vector<int32_t> mask;
  std::vector<Marked> boxes;
  int32_t label = 0;
};

/// Samples by number. Reading is allowed in any thread.
class Dataset {
public:
  virtual ~Dataset() = default;
  virtual size_t size() const = 0;
  virtual Raw read(size_t index) const = 0;
  /// Without reading the picture; -1 where there are no classes.
  virtual int32_t label(size_t) const { return -1; }
  /// The file, and the place in it, for messages.
  virtual std::string name(size_t index) const = 0;
  /// Names of the classes, where the data have some.
  std::vector<std::string> classes;
};

/// A file's picture, of so many channels.
Raw decodePicture(const std::string &path, int channels);

/// Pictures of a folder and the boxes that a file in COCO's form has for them; at
/// most `most` of a picture.
std::unique_ptr<Dataset> openCoco(const std::string &folder, const std::string &file,
                                  size_t most, int channels);

/// What a source needs to know of the model.
struct Wanted {
  int channels = 0; ///< of the picture input
  bool validation = false;
};

/// The first call of a chain: {"call": "images", "path": ...}.
std::unique_ptr<Dataset> openDataset(const Json &call, const Wanted &wanted);

/// A part of a dataset: those of `indices`.
std::unique_ptr<Dataset> subset(std::shared_ptr<Dataset> whole,
                                std::vector<uint32_t> indices);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_DATA_H
