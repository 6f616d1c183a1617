//===- Coco.cpp - Pictures with boxes, as COCO's files describe them -------===//

#include "Data.h"

#include <algorithm>
#include <map>

namespace halcyon::train {

namespace {
class Coco : public Dataset {
public:
  Coco(const std::string &folder, const std::string &file, size_t most, int channels)
      : channels(channels) {
    std::vector<uint8_t> bytes = readFile(file);
    Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, false);
    auto wrong = [&](const std::string &what) { throw Failure(file + ": " + what); };
    if (!json.is_object())
      wrong("no JSON object");
    try {
      read(json, folder, wrong);
    } catch (const Json::exception &) {
      wrong("not in COCO's form: images with id and file_name, annotations with "
            "image_id, category_id and bbox, categories with id and name");
    }
    if (entries.empty())
      wrong("there are no images");
    for (const Entry &entry : entries)
      if (entry.boxes.size() > most)
        wrong(entry.path + " has " + std::to_string(entry.boxes.size()) +
              " boxes; say most=" + std::to_string(entry.boxes.size()));
  }
  size_t size() const override { return entries.size(); }
  std::string name(size_t i) const override { return entries[i].path; }
  Raw read(size_t i) const override {
    Raw raw = decodePicture(entries[i].path, channels);
    raw.boxes = entries[i].boxes;
    return raw;
  }

private:
  struct Entry {
    std::string path;
    std::vector<Marked> boxes;
  };

  template <class Wrong>
  void read(const Json &json, const std::string &folder, const Wrong &wrong) {
    // Classes in the order of their numbers.
    std::map<int64_t, std::string> names;
    for (const Json &category : json.at("categories"))
      names[category.at("id").get<int64_t>()] = category.value("name", "");
    std::map<int64_t, int32_t> kinds;
    for (auto &[id, name] : names) {
      kinds[id] = int32_t(classes.size());
      classes.push_back(name);
    }
    std::map<int64_t, size_t> byId;
    for (const Json &image : json.at("images")) {
      byId[image.at("id").get<int64_t>()] = entries.size();
      std::string file = image.at("file_name");
      entries.push_back({folder + (folder.ends_with("/") ? "" : "/") + file, {}});
    }
    for (const Json &annotation : json.at("annotations")) {
      // A crowd is no object to be found.
      if (annotation.value("iscrowd", 0))
        continue;
      auto image = byId.find(annotation.at("image_id").get<int64_t>());
      auto kind = kinds.find(annotation.at("category_id").get<int64_t>());
      std::vector<double> box = annotation.at("bbox");
      if (image == byId.end() || kind == kinds.end() || box.size() != 4)
        wrong("an annotation whose image, category or box of four numbers there is not: " +
              annotation.dump().substr(0, 200));
      entries[image->second].boxes.push_back(
          {box[0], box[1], box[0] + box[2], box[1] + box[3], kind->second});
    }
  }

  int channels;
  std::vector<Entry> entries;
};
} // namespace

std::unique_ptr<Dataset> openCoco(const std::string &folder, const std::string &file,
                                  size_t most, int channels) {
  return std::make_unique<Coco>(folder, file, most, channels);
}

} // namespace halcyon::train
