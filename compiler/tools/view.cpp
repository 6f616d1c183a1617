//===- view.cpp - halcyon view: pictures of what a network does -----------===//

#include "compiler/tools/Viewer.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace halcyon {

static int view();

static Subcommand command("view", "Pictures of filters, features, and of what decides",
                          view);
static ModelOptions model(command.command);
static cl::list<std::string> pictures(cl::Positional, cl::desc("photo.png ..."),
                                      cl::sub(command.command));
static cl::opt<std::string> output("o", cl::desc("The folder to write"),
                                   cl::value_desc("folder"), cl::Required,
                                   cl::sub(command.command));
static cl::opt<bool> force("force", cl::desc("Replace a folder of other files"),
                           cl::sub(command.command));
static cl::list<std::string>
    only("only", cl::CommaSeparated,
         cl::desc("Of filters, features, cam, saliency, maximise, map"),
         cl::value_desc("kinds"), cl::sub(command.command));
static cl::list<std::string> layers("layers", cl::CommaSeparated,
                                    cl::desc("Whose filters and features: conv1,layer1.*"),
                                    cl::value_desc("patterns"), cl::sub(command.command));
static cl::opt<std::string> className("class",
                                      cl::desc("The class to explain (the likeliest)"),
                                      cl::value_desc("number or label"),
                                      cl::sub(command.command));
static cl::opt<std::string> camLayer("cam-layer",
                                     cl::desc("Whose maps say where (the last ones)"),
                                     cl::value_desc("layer"), cl::sub(command.command));
static cl::opt<std::string> mapLayer("map-layer",
                                     cl::desc("By what pictures are alike (before the output)"),
                                     cl::value_desc("layer"), cl::sub(command.command));
static cl::opt<std::string> mapBy("map-by", cl::desc("pca or tsne (pca)"),
                                  cl::value_desc("way"), cl::init("pca"),
                                  cl::sub(command.command));
static cl::list<std::string> units("maximise", cl::CommaSeparated,
                                   cl::desc("Units to find pictures for (the classes)"),
                                   cl::value_desc("layer:channel"), cl::sub(command.command));
static cl::opt<unsigned> steps("steps", cl::desc("Of the search for such pictures (64)"),
                               cl::init(64), cl::sub(command.command));
static cl::opt<unsigned> most("most", cl::desc("Maps and filters shown of a layer (64)"),
                              cl::init(64), cl::sub(command.command));

static int view() {
  static constexpr StringLiteral kinds[] = {"filters",  "features", "cam",
                                            "saliency", "maximise", "map"};
  ViewOptions options;
  options.pictures.assign(pictures.begin(), pictures.end());
  options.layers.assign(layers.begin(), layers.end());
  options.units.assign(units.begin(), units.end());
  options.kinds.insert(only.begin(), only.end());
  for (const std::string &kind : options.kinds)
    if (!is_contained(kinds, kind))
      return !fail("--only " + kind + ": there are " + join(ArrayRef(kinds), ", "));
  options.byDefault = only.empty();
  if (only.empty()) {
    options.kinds = {"filters"};
    if (!pictures.empty())
      options.kinds.insert({"features", "cam", "saliency"});
    if (pictures.size() > 2)
      options.kinds.insert("map");
    if (!units.empty())
      options.kinds.insert("maximise");
  }
  for (StringRef kind : {"features", "cam", "saliency", "map"})
    if (pictures.empty() && options.kinds.count(kind.str()))
      return !fail("--only " + kind + " needs pictures");
  if (mapBy != "pca" && mapBy != "tsne")
    return !fail("--map-by " + mapBy + ": there are pca and tsne");
  options.camLayer = camLayer;
  options.mapLayer = mapLayer;
  options.classAsked = className;
  options.neighbours = mapBy == "tsne";
  options.steps = steps;
  options.most = std::max(1u, most.getValue());
  std::string error;
  OutputFolder folder(output, force, error);
  if (!error.empty())
    return !fail(error);
  Driver driver(model);
  if (!driver.findMachine() || !driver.parse() || !driver.checkModelWeights() ||
      !Viewer(driver, options, folder).run())
    return 1;
  error = folder.finish();
  if (!error.empty())
    return !fail(error);
  outs() << output << "/index.html\n";
  return 0;
}

} // namespace halcyon
