//===- View.h - Pictures of what a network does ---------------------------===//

#ifndef HALCYON_COMPILER_TOOLS_VIEWER_H
#define HALCYON_COMPILER_TOOLS_VIEWER_H

#include "compiler/emit/Folder.h"
#include "compiler/tools/Pixels.h"
#include "compiler/tools/Probe.h"

#include <set>

namespace halcyon {

/// What `halcyon view` is asked for.
struct ViewOptions {
  std::vector<std::string> pictures;
  bool byDefault = false;           ///< nobody asked for these kinds
  std::set<std::string> kinds;      ///< filters, features, cam, saliency, maximise, map
  std::vector<std::string> layers;  ///< patterns; all, where there are none
  std::string camLayer, mapLayer;   ///< found, where empty
  std::string classAsked;           ///< a number or a label; the likeliest, where empty
  std::vector<std::string> units;   ///< layer:channel, to maximise
  bool neighbours = false;          ///< the map by t-SNE
  int64_t steps = 64, most = 64;    ///< of ascent; pictures in a grid
};

/// Makes all of it, and the page that shows it.
class Viewer {
public:
  Viewer(Driver &driver, const ViewOptions &options, OutputFolder &folder)
      : driver(driver), options(options), folder(folder), probe(driver) {}
  /// False after a message.
  bool run();

private:
  struct Unit {
    const ProbedLayer *layer;
    int64_t channel;
    std::string mix;
  };

  bool wants(llvm::StringRef kind) const { return options.kinds.count(kind.str()); }
  bool chosen(llvm::StringRef path) const;
  void findFilters();
  bool showFilters();
  bool prepare();
  bool findUnits();
  bool findClass();
  bool showPicture(const std::string &picture, size_t number);
  bool explainPicture(const std::string &picture, const std::string &name,
                      int64_t wanted, const Numbers &seen);
  bool maximise();
  bool showMap();
  std::string className(int64_t index) const;
  /// Writes a picture and shows it on the page.
  bool add(const std::string &file, const Pixels &pixels, const std::string &caption);
  bool finish();

  Driver &driver;
  ViewOptions options;
  OutputFolder &folder;
  Probe probe;
  struct Filters {
    std::string path, weight;
    std::vector<int64_t> shape;
  };
  std::vector<Filters> filters;
  const ProbedLayer *cam = nullptr, *embedded = nullptr;
  std::string camGradient, camValue, outputValue, outputMix, inputValue, embeddedValue;
  std::vector<std::pair<const ProbedLayer *, std::string>> features;
  std::vector<Unit> units;
  int64_t classIndex = -1;
  std::vector<std::string> labels;
  std::vector<std::vector<float>> embeddings;
  std::vector<Pixels> thumbnails;
  std::vector<std::string> names;
  NamedNumbers numbers;
  std::string page;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_VIEWER_H
