//===- Blocks.cpp - Parts that repeat become blocks -----------------------===//
//
// A part of a body that computes one value, and stands in several places with
// the same operations, becomes a block; what differs becomes its parameters.
// Names that the source gave to layers stay: those inside of a block are what
// follows the name of the call. The part whose block saves most is taken first.
//
//===----------------------------------------------------------------------===//

#include "compiler/write/Program.h"

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <optional>

using namespace llvm;

namespace halcyon::write {

/// The longest block: one of DenseNet or Inception has 30 operations.
static constexpr size_t maxLength = 60;
static constexpr size_t maxEntries = 3;

namespace {
/// A segment of one of the bodies.
struct Place {
  size_t body;
  Segment segment;
  std::string prefix;              ///< of the names inside
  std::vector<std::string> inside; ///< what follows it, of each named node
};

/// One block to be, and where it stands.
struct Candidate {
  std::vector<Place> places;
  int saved = 0;
};

class BlockFinder {
public:
  explicit BlockFinder(Program &program) : program(program) {}
  /// Makes the block that saves most. False where none saves anything.
  bool makeOne();

private:
  Body &bodyOf(size_t index) {
    return index == 0 ? program.body : program.blocks[index - 1].body;
  }
  void collect(size_t index, std::map<size_t, std::vector<Place>> &found);
  bool takeNames(Place &place, const StringMap<size_t> &modules);
  size_t keyOf(const Place &place, ArrayRef<size_t> structures);
  unsigned costOf(const Place &place);
  void rate(Candidate &candidate);
  void make(Candidate &candidate);
  Definition define(Candidate &candidate, std::vector<Node> &calls);

  Program &program;
};
} // namespace

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// The steps that all names begin with; of a single one, all but its last.
static std::vector<StringRef> commonSteps(ArrayRef<std::string> names) {
  SmallVector<StringRef> steps;
  StringRef(names.front()).split(steps, '.');
  if (names.size() == 1)
    steps.pop_back();
  for (const std::string &name : names.drop_front()) {
    SmallVector<StringRef> others;
    StringRef(name).split(others, '.');
    size_t same = 0;
    while (same < std::min(steps.size(), others.size()) &&
           steps[same] == others[same])
      ++same;
    steps.truncate(same);
  }
  return {steps.begin(), steps.end()};
}

/// How many layers' names begin with each name that stands for several.
static StringMap<size_t> modulesOf(const Body &body) {
  StringMap<size_t> modules;
  for (const Node &node : body.nodes) {
    std::string name = textOf(node.name);
    for (size_t dot = 0; dot < name.size(); dot = dot + 1) {
      dot = std::min(name.find('.', dot), name.size());
      ++modules[StringRef(name).take_front(dot)];
    }
  }
  return modules;
}

/// Whether the layers' names are one name and what follows it, and no layer of
/// that name stands elsewhere: a block is a whole module of the source.
bool BlockFinder::takeNames(Place &place, const StringMap<size_t> &modules) {
  const Body &body = bodyOf(place.body);
  std::vector<std::string> names;
  for (size_t i = place.segment.begin; i < place.segment.end; ++i)
    if (!body.nodes[i].name.empty())
      names.push_back(textOf(body.nodes[i].name));
  if (names.empty())
    return true;
  std::vector<StringRef> steps = commonSteps(names);
  if (steps.empty())
    return false;
  place.prefix = join(steps, ".");
  if (modules.lookup(place.prefix) != names.size())
    return false;
  for (const std::string &name : names)
    place.inside.push_back(
        name.size() > place.prefix.size() ? name.substr(place.prefix.size() + 1)
                                          : "");
  return true;
}

//===----------------------------------------------------------------------===//
// Where something repeats
//===----------------------------------------------------------------------===//

static std::vector<size_t> structuresOf(const Body &body) {
  std::vector<size_t> structures;
  for (Node node : body.nodes) {
    bool isNamed = !node.name.empty();
    node.name.clear();
    structures.push_back(hash_combine(structureOf(node, /*expressions=*/true), isNamed));
  }
  return structures;
}

/// Equal for places that can be one block.
size_t BlockFinder::keyOf(const Place &place, ArrayRef<size_t> structures) {
  const Body &body = bodyOf(place.body);
  const Segment &segment = place.segment;
  hash_code key = hash_value(segment.exit - body.valueOf(segment.begin));
  for (size_t i = segment.begin; i < segment.end; ++i) {
    key = hash_combine(key, structures[i]);
    for (int input : body.nodes[i].inputs) {
      auto entry = find(segment.entries, input);
      key = hash_combine(key, entry != segment.entries.end()
                                  ? -1 - (entry - segment.entries.begin())
                                  : input - body.valueOf(segment.begin));
    }
  }
  for (const std::string &name : place.inside)
    key = hash_combine(key, name);
  return key;
}

void BlockFinder::collect(size_t index,
                          std::map<size_t, std::vector<Place>> &found) {
  const Body &body = bodyOf(index);
  std::vector<size_t> readers = lastReaders(body);
  std::vector<size_t> structures = structuresOf(body);
  StringMap<size_t> modules = modulesOf(body);
  size_t count = body.nodes.size();
  // A block is not its own body.
  size_t longest = std::min(index ? count - 1 : count, maxLength);
  for (size_t begin = 0; begin < count; ++begin)
    for (size_t end = begin + 2; end <= std::min(count, begin + longest); ++end) {
      std::optional<Segment> segment = segmentOf(body, begin, end, readers);
      if (!segment || segment->entries.size() > maxEntries)
        continue;
      Place place{index, *segment, "", {}};
      if (takeNames(place, modules))
        found[keyOf(place, structures)].push_back(std::move(place));
    }
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

namespace {
/// One literal of a block in every place where it stands.
using Column = std::vector<Argument>;

/// Finds how few parameters say all that differs.
class Parameters {
public:
  explicit Parameters(std::vector<int64_t> channels)
      : channels(std::move(channels)) {}
  /// The expression for a literal with these values.
  std::string expressionFor(const Column &values);
  std::vector<Argument> params;
  std::vector<Column> columns;

private:
  static std::optional<std::vector<int64_t>> whole(const Column &values);
  static std::string multiple(StringRef base, ArrayRef<int64_t> of,
                              ArrayRef<int64_t> values);
  std::vector<int64_t> channels; ///< of the first entry in every place
};
} // namespace

static bool same(const Argument &a, const Argument &b) {
  return a.text == b.text && a.value == b.value;
}

std::optional<std::vector<int64_t>> Parameters::whole(const Column &values) {
  std::vector<int64_t> numbers;
  for (const Argument &value : values) {
    auto *number = std::get_if<int64_t>(&value.value);
    if (!number || !value.text.empty())
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

/// "2 * base" or "base / 2" where that holds everywhere.
std::string Parameters::multiple(StringRef base, ArrayRef<int64_t> of,
                                 ArrayRef<int64_t> values) {
  int64_t times = of[0] > 0 && values[0] % of[0] == 0 ? values[0] / of[0] : 0;
  int64_t parts = values[0] > 0 && of[0] % values[0] == 0 ? of[0] / values[0] : 0;
  for (auto [a, b] : zip(of, values)) {
    times = a * times == b ? times : 0;
    parts = b * parts == a ? parts : 0;
  }
  if (times == 1)
    return base.str();
  if (times > 1)
    return std::to_string(times) + " * " + base.str();
  return parts > 1 ? base.str() + " / " + std::to_string(parts) : "";
}

std::string Parameters::expressionFor(const Column &values) {
  for (auto [param, column] : zip(params, columns))
    if (std::equal(column.begin(), column.end(), values.begin(), same))
      return param.name;
  std::optional<std::vector<int64_t>> numbers = whole(values);
  bool counts = numbers && (values[0].name == "channels" ||
                            values[0].name == "groups" ||
                            values[0].name == "features");
  if (counts) {
    if (channels.size() == numbers->size())
      if (std::string text = multiple("x.channels", channels, *numbers); !text.empty())
        return text;
    for (auto [param, column] : zip(params, columns))
      if (StringRef(param.name).starts_with("channels"))
        if (auto base = whole(column))
          if (std::string text = multiple(param.name, *base, *numbers); !text.empty())
            return text;
  }
  Argument param;
  // A layer of this name may be called in the block.
  std::string wanted = values[0].name == "pad" ? "padding" : values[0].name;
  if (wanted.empty())
    wanted = "number";
  param.name = wanted;
  for (unsigned i = 2; any_of(params, [&](const Argument &other) {
         return other.name == param.name;
       });
       ++i)
    param.name = wanted + "_" + std::to_string(i);
  // What a layer takes by itself, the block does, too.
  size_t usual = count_if(values, [](const Argument &v) { return v.isLeftOut(); });
  if (values[0].named && usual > 0) {
    param.otherwise = values[0].otherwise;
    param.named = true;
  }
  params.push_back(param);
  columns.push_back(values);
  return param.name;
}

//===----------------------------------------------------------------------===//
// What a block is called
//===----------------------------------------------------------------------===//

/// A name for what is in it, as people call such blocks.
static std::string kindOf(const Body &body) {
  unsigned convs = 0, depthwise = 0, adds = 0, joins = 0, pools = 0, products = 0;
  bool norm = false;
  unsigned wide = 0;
  std::string last;
  for (const Node &node : body.nodes) {
    bool conv = node.callee == "conv";
    convs += conv;
    for (const Argument &arg : node.args) {
      depthwise += conv && arg.name == "groups" && !arg.isLeftOut();
      wide += conv && arg.name == "kernel" && arg.value != Literal(int64_t(1));
    }
    adds += node.callee == "+";
    products += node.callee == "*";
    joins += node.callee == "concat";
    pools += node.callee == "global_avgpool";
    norm |= node.callee == "batchnorm";
    last = node.callee;
  }
  const Node *result = body.nodeOf(body.results[0]);
  bool joined = result && result->callee == "concat";
  if (joined && is_contained(result->inputs, 0))
    return "dense_layer";
  if (joined)
    return result->inputs.size() > 2 ? "inception" : convs == 3 ? "fire" : "joined";
  if (pools && products && !wide)
    return "squeeze_excite";
  if (depthwise && convs >= 2)
    return adds ? "inverted_residual" : convs > 2 ? "mbconv" : "separable";
  if (adds)
    return wide == 1 && convs >= 3 ? "bottleneck" : "residual";
  if (convs == 2 && norm)
    return "double_conv";
  if (convs == 1 && norm)
    return last == "batchnorm" || !isAlpha(last[0]) ? "conv_norm"
                                                    : "conv_norm_" + last;
  if (convs == 1 && body.nodes.size() == 2 && isAlpha(last[0]))
    return body.nodes[0].callee == "conv" ? "conv_" + last : last + "_conv";
  return convs ? "unit" : "part";
}

//===----------------------------------------------------------------------===//
// Making a block
//===----------------------------------------------------------------------===//

Definition BlockFinder::define(Candidate &candidate, std::vector<Node> &calls) {
  Definition block;
  std::vector<Body> bodies;
  std::vector<int64_t> channels;
  for (Place &place : candidate.places) {
    bodies.push_back(cutOut(bodyOf(place.body), place.segment));
    if (!bodies.back().shapes[0].empty())
      channels.push_back(bodies.back().shapes[0][0]);
    for (auto [i, node] : enumerate(bodies.back().nodes))
      node.name.clear();
  }
  std::vector<std::vector<Argument *>> literals(bodies.size());
  for (auto [body, list] : zip(bodies, literals))
    for (Node &node : body.nodes)
      forEachLiteral(node, [&, &list = list](Argument &arg) { list.push_back(&arg); });
  Parameters parameters(channels);
  std::vector<std::pair<Argument *, std::string>> texts;
  for (size_t i = 0; i < literals[0].size(); ++i) {
    Column values;
    for (auto &list : literals)
      values.push_back(*list[i]);
    // An expression means something where it stands, and not in the block.
    bool constant = all_of(values, [&](const Argument &value) {
      return value.text.empty() && same(value, values[0]);
    });
    if (!constant)
      texts.push_back({literals[0][i], parameters.expressionFor(values)});
  }
  for (auto &[literal, text] : texts)
    literal->text = text;
  block.params = parameters.params;
  // Those that must be given come first.
  std::vector<size_t> order;
  for (bool named : {false, true})
    for (auto [i, param] : enumerate(parameters.params))
      if (param.named == named)
        order.push_back(i);
  block.params.clear();
  for (size_t i : order)
    block.params.push_back(parameters.params[i]);
  block.body = bodies[0];
  const Place &first = candidate.places[0];
  size_t next = 0;
  const Body &source = bodyOf(first.body);
  for (auto [i, node] : enumerate(block.body.nodes))
    if (!source.nodes[first.segment.begin + i].name.empty())
      node.name = {NamePart{first.inside[next++]}};
  for (auto [p, place] : enumerate(candidate.places)) {
    const Body &body = bodyOf(place.body);
    Node call;
    call.inputs = place.segment.entries;
    call.shape = body.nodeOf(place.segment.exit)->shape;
    for (const Node &node : block.body.nodes)
      call.hasWeights |= node.hasWeights;
    if (!place.prefix.empty())
      call.name = nameOf(place.prefix);
    for (size_t i : order) {
      Argument arg = parameters.columns[i][p];
      arg.name = parameters.params[i].name;
      arg.otherwise = parameters.params[i].otherwise;
      arg.named = parameters.params[i].named;
      if (std::holds_alternative<std::monostate>(arg.value))
        arg.value = arg.otherwise;
      call.args.push_back(std::move(arg));
    }
    calls.push_back(std::move(call));
  }
  return block;
}

unsigned BlockFinder::costOf(const Place &place) {
  unsigned cost = 0;
  for (size_t i = place.segment.begin; i < place.segment.end; ++i)
    cost += write::costOf(bodyOf(place.body).nodes[i]);
  return cost;
}

/// Words that the block saves.
void BlockFinder::rate(Candidate &candidate) {
  std::vector<Node> calls;
  Definition block = define(candidate, calls);
  const std::vector<Node> &nodes = block.body.nodes;
  candidate.saved = -int(3 + block.params.size());
  for (const Node &node : nodes)
    candidate.saved -= write::costOf(node);
  // An activation belongs to the layer before it.
  if (!nodes[0].hasWeights && write::costOf(nodes[0]) == 1 &&
      nodes[0].inputs.size() == 1)
    candidate.saved -= 2;
  for (auto [place, call] : zip(candidate.places, calls))
    candidate.saved += int(costOf(place)) -
                       int(write::costOf(call) + call.inputs.size() - 1);
}

void BlockFinder::make(Candidate &candidate) {
  std::vector<Node> calls;
  Definition block = define(candidate, calls);
  block.name = program.freeName(kindOf(block.body));
  // The last ones first, so that places before them stay.
  for (size_t i = candidate.places.size(); i-- > 0;) {
    calls[i].callee = block.name;
    replaceSegment(bodyOf(candidate.places[i].body), candidate.places[i].segment,
                   calls[i]);
  }
  // A block stands before those that call it.
  size_t at = program.blocks.size();
  for (const Place &place : candidate.places)
    at = std::min(at, place.body ? place.body - 1 : at);
  program.blocks.insert(program.blocks.begin() + at, std::move(block));
}

bool BlockFinder::makeOne() {
  std::map<size_t, std::vector<Place>> found;
  for (size_t index = 0; index <= program.blocks.size(); ++index)
    collect(index, found);
  Candidate best;
  for (auto &[key, places] : found) {
    if (places.size() < 2)
      continue;
    Candidate candidate;
    for (Place &place : places) {
      const Place *last =
          candidate.places.empty() ? nullptr : &candidate.places.back();
      bool overlaps = last && last->body == place.body &&
                      last->segment.end > place.segment.begin;
      if (!overlaps)
        candidate.places.push_back(place);
    }
    // A call takes a word at least.
    if (candidate.places.size() < 2 ||
        int(candidate.places.size() - 1) *
                int(costOf(candidate.places[0]) - 1) <= best.saved)
      continue;
    rate(candidate);
    // Of two that save the same, the one that comes first.
    auto before = [](const Candidate &a, const Candidate &b) {
      const Place &x = a.places[0], &y = b.places[0];
      return std::tuple(x.body, x.segment.begin, x.segment.end) <
             std::tuple(y.body, y.segment.begin, y.segment.end);
    };
    if (candidate.saved > best.saved ||
        (candidate.saved > 0 && candidate.saved == best.saved &&
         before(candidate, best)))
      best = std::move(candidate);
  }
  if (best.saved <= 0)
    return false;
  make(best);
  return true;
}

/// Names that are but a word and a number, "n16" or "Conv_3", say nothing that
/// the language's own names would not.
static void dropCountedNames(Body &body) {
  size_t all = 0, counted = 0;
  for (const Node &node : body.nodes) {
    all += !node.name.empty();
    counted += node.name.size() == 2 && node.name[1].isNumber;
  }
  if (counted < 10 || counted * 10 < all * 9)
    return;
  for (Node &node : body.nodes)
    node.name.clear();
}

void findBlocks(Program &program) {
  dropCountedNames(program.body);
  BlockFinder finder(program);
  while (finder.makeOne())
    ;
}

} // namespace halcyon::write
