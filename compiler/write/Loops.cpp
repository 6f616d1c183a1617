//===- Loops.cpp - What repeats in a row becomes a loop -------------------===//
//
// Parts that follow one another, each reading the value of the one before, and
// equal but for numbers, become the body of a loop. Numbers in names that count
// up become the loop's index, others a list that it goes through. Short parts
// are taken first, so that loops come to stand in loops.
//
//===----------------------------------------------------------------------===//

#include "compiler/write/Program.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <optional>

using namespace llvm;

namespace halcyon::write {

static constexpr size_t maxPeriod = 40;

namespace {
/// Equal parts in a row.
struct Run {
  size_t begin, period, count;
  int start;                       ///< what the first part reads
  std::vector<Segment> segments;   ///< `start` or the value before comes first
  std::vector<std::vector<Argument>> literals; ///< of every part
  std::vector<size_t> counters, columns;       ///< literals that vary
  int saved = 0;
};

class LoopFinder {
public:
  LoopFinder(Body &body, ArrayRef<Argument> params, unsigned &loops)
      : body(body), loops(loops) {
    for (const Argument &param : params)
      reserved.insert(param.name);
  }
  void run();

private:
  std::optional<Run> runAt(size_t begin, size_t period);
  bool add(Run &run);
  void rate(Run &run);
  void make(Run &run);

  Body &body;
  unsigned &loops;
  StringSet<> reserved;
  std::vector<size_t> readers;
  std::vector<std::string> structures;
};
} // namespace

/// Takes one more part into the run, if it is like the first.
bool LoopFinder::add(Run &run) {
  size_t begin = run.begin + run.count * run.period, end = begin + run.period;
  if (end > body.nodes.size())
    return false;
  std::optional<Segment> segment = segmentOf(body, begin, end, readers);
  if (!segment)
    return false;
  std::vector<int> entries;
  int carried = run.count ? run.segments.back().exit : -1;
  for (size_t i = 0; i < run.period; ++i) {
    const Node &node = body.nodes[begin + i], &first = body.nodes[run.begin + i];
    if (structures[begin + i] != structures[run.begin + i] ||
        node.inputs.size() != first.inputs.size())
      return false;
    for (auto [input, other] : zip(node.inputs, first.inputs)) {
      bool inside = input >= body.valueOf(begin);
      if (inside) {
        if (input - body.valueOf(begin) != other - body.valueOf(run.begin))
          return false;
      } else if (input == carried) {
        if (other >= body.valueOf(run.begin) || (run.start >= 0 && run.start != other))
          return false;
        run.start = other;
      } else if (run.count && input != other) {
        return false;
      }
    }
  }
  // Between two parts, one value is handed on.
  if (run.count) {
    const Segment &before = run.segments.back();
    if (run.start < 0 || readers[before.exit - body.params.size()] >= end ||
        segment->exit - body.valueOf(begin) !=
            run.segments[0].exit - body.valueOf(run.begin))
      return false;
    // What is carried is not read beside.
    for (size_t i = 0; i < run.period; ++i)
      for (auto [input, other] :
           zip(body.nodes[begin + i].inputs, body.nodes[run.begin + i].inputs))
        if ((other == run.start) != (input == before.exit) &&
            input < body.valueOf(begin))
          return false;
  }
  run.segments.push_back(*segment);
  ++run.count;
  return true;
}

static bool countsUp(ArrayRef<std::vector<Argument>> parts, size_t literal) {
  auto *first = std::get_if<int64_t>(&parts[0][literal].value);
  for (auto [i, part] : enumerate(parts))
    if (!first || !part[literal].text.empty() ||
        part[literal].value != Literal(*first + int64_t(i)))
      return false;
  return true;
}

void LoopFinder::rate(Run &run) {
  for (const Segment &segment : run.segments) {
    std::vector<Argument> &list = run.literals.emplace_back();
    for (size_t i = segment.begin; i < segment.end; ++i)
      forEachLiteral(body.nodes[i], [&](Argument &arg) { list.push_back(arg); });
  }
  // Numbers in names have no parameter's name.
  unsigned distinct = 0;
  std::vector<size_t> shown;
  for (size_t l = 0; l < run.literals[0].size(); ++l) {
    bool constant = all_of(run.literals, [&](const std::vector<Argument> &part) {
      return part[l].value == run.literals[0][l].value;
    });
    if (constant)
      continue;
    if (run.literals[0][l].name.empty() && countsUp(run.literals, l)) {
      run.counters.push_back(l);
      continue;
    }
    run.columns.push_back(l);
    bool known = any_of(shown, [&](size_t other) {
      return all_of(run.literals, [&](const std::vector<Argument> &part) {
        return part[other].value == part[l].value;
      });
    });
    if (!known)
      shown.push_back(l), ++distinct;
  }
  unsigned inside = 0;
  for (size_t i = 0; i < run.period; ++i)
    inside += costOf(body.nodes[run.begin + i]);
  // An activation belongs to the layer before it.
  const Node &first = body.nodes[run.begin];
  bool isLate = !first.hasWeights && costOf(first) == 1 && first.inputs.size() == 1;
  run.saved = int((run.count - 1) * inside) - 2 - isLate - int(distinct * (run.count + 1));
}

std::optional<Run> LoopFinder::runAt(size_t begin, size_t period) {
  Run run{begin, period, 0, -1, {}, {}, {}, {}};
  while (add(run))
    ;
  if (run.count < 2)
    return std::nullopt;
  rate(run);
  return run;
}

static void collectVariables(const Body &body, StringSet<> &names) {
  for (const Node &node : body.nodes)
    if (node.body) {
      for (const std::string &name : node.variables)
        names.insert(name);
      collectVariables(*node.body, names);
    }
}

void LoopFinder::make(Run &run) {
  const Segment &first = run.segments[0];
  Segment whole{run.begin, run.begin + run.count * run.period, {run.start},
                run.segments.back().exit};
  for (int entry : first.entries)
    if (entry != run.start)
      whole.entries.push_back(entry);
  Segment part = first;
  part.entries = whole.entries;

  Node loop;
  loop.kind = Node::Loop;
  loop.inputs = whole.entries;
  loop.shape = body.nodeOf(whole.exit)->shape;
  loop.body = std::make_shared<Body>(cutOut(body, part));
  for (const Node &node : loop.body->nodes)
    loop.hasWeights |= node.hasWeights;
  StringSet<> names = reserved;
  collectVariables(*loop.body, names);
  std::vector<Argument *> literals;
  for (Node &node : loop.body->nodes)
    forEachLiteral(node, [&](Argument &arg) { literals.push_back(&arg); });

  // The index is called i, j or k by how deep it is in the end.
  std::string index = "\4" + std::to_string(loops++) + "\5";
  auto number = [&](size_t literal) {
    return std::get<int64_t>(run.literals[0][literal].value);
  };
  auto counting = [&](int64_t from, int64_t least) {
    int64_t more = from - least;
    return more == 0 ? index
           : more > 0 ? index + " + " + std::to_string(more)
                      : index + " - " + std::to_string(-more);
  };
  loop.counted = !run.counters.empty();
  int64_t least = 0;
  std::vector<size_t> shown;
  std::vector<std::string> variables;
  for (size_t literal : run.columns) {
    auto same = find_if(shown, [&](size_t other) {
      return all_of(run.literals, [&](const std::vector<Argument> &values) {
        return values[other].value == values[literal].value;
      });
    });
    if (same == shown.end()) {
      std::string wanted = run.literals[0][literal].name;
      if (wanted.empty())
        wanted = "at";
      if (wanted == "pad")
        wanted = "padding";
      std::string name = wanted;
      for (unsigned i = 2; !names.insert(name).second; ++i)
        name = wanted + "_" + std::to_string(i);
      shown.push_back(literal);
      variables.push_back(name);
      literals[literal]->text = name;
    } else {
      literals[literal]->text = variables[same - shown.begin()];
    }
  }
  if (shown.empty()) {
    least = run.counters.empty() ? 1 : number(run.counters[0]);
    loop.list = {Argument{"first", least},
                 Argument{"last", least + int64_t(run.count) - 1}};
    loop.variables = {index};
  } else {
    loop.columns = shown.size();
    for (const std::vector<Argument> &values : run.literals)
      for (size_t literal : shown)
        loop.list.push_back(values[literal]);
    if (loop.counted)
      loop.variables.push_back(index);
    llvm::append_range(loop.variables, variables);
  }
  if (run.count == 2 && run.period == 1)
    loop.unrolled = std::make_shared<Body>(cutOut(body, whole));
  for (size_t literal : run.counters)
    literals[literal]->text = counting(number(literal), least);
  replaceSegment(body, whole, std::move(loop));
}

void LoopFinder::run() {
  for (size_t period = 1; period <= maxPeriod; ++period) {
    for (bool found = true; found;) {
      readers = lastReaders(body);
      structures.clear();
      for (const Node &node : body.nodes)
        structures.push_back(structureOf(node, /*expressions=*/false));
      std::optional<Run> best;
      for (size_t begin = 0; begin + 2 * period <= body.nodes.size(); ++begin) {
        // Most nodes are not like those a period later.
        if (structures[begin] != structures[begin + period])
          continue;
        std::optional<Run> run = runAt(begin, period);
        if (run && run->saved > 0 && (!best || run->saved > best->saved))
          best = std::move(run);
      }
      found = best.has_value();
      if (found)
        make(*best);
    }
  }
}

/// Two calls in a row are as short without a loop; it may have been part of
/// another one.
static void unroll(Body &body) {
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    std::shared_ptr<Body> calls = body.nodes[i].unrolled;
    if (!calls)
      continue;
    std::vector<int> inputs = body.nodes[i].inputs;
    int first = body.valueOf(i), more = int(calls->nodes.size()) - 1;
    auto inner = [&](int value) {
      int params = calls->params.size();
      return value < params ? inputs[value] : first + value - params;
    };
    auto outer = [&](int value) {
      return value == first ? inner(calls->results[0])
                            : value + (value > first ? more : 0);
    };
    for (size_t j = i + 1; j < body.nodes.size(); ++j)
      for (int &input : body.nodes[j].inputs)
        input = outer(input);
    for (int &result : body.results)
      result = outer(result);
    for (Node &node : calls->nodes)
      for (int &input : node.inputs)
        input = inner(input);
    body.nodes.erase(body.nodes.begin() + i);
    body.nodes.insert(body.nodes.begin() + i, calls->nodes.begin(), calls->nodes.end());
    i += more;
  }
}

//===----------------------------------------------------------------------===//
// Names of indices
//===----------------------------------------------------------------------===//

static void replaceAll(std::string &text, StringRef from, StringRef to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;)
    text.replace(at, from.size(), to);
}

static void nameIndices(Body &body, unsigned depth) {
  static constexpr StringRef letters[] = {"i", "j", "k"};
  for (Node &node : body.nodes) {
    if (node.kind != Node::Loop)
      continue;
    std::string letter = depth < std::size(letters) ? letters[depth].str()
                                                    : "i" + std::to_string(depth);
    if (!node.variables.empty() && node.variables[0][0] == '\4') {
      std::string index = node.variables[0];
      node.variables[0] = letter;
      forEachLiteral(node, [&](Argument &arg) { replaceAll(arg.text, index, letter); });
      ++depth;
    }
    nameIndices(*node.body, depth);
    depth -= node.variables[0] == letter;
  }
}

void findLoops(Program &program) {
  unsigned loops = 0;
  LoopFinder(program.body, {}, loops).run();
  unroll(program.body);
  nameIndices(program.body, 0);
  for (Definition &block : program.blocks) {
    LoopFinder(block.body, block.params, loops).run();
    unroll(block.body);
    nameIndices(block.body, 0);
  }
}

} // namespace halcyon::write
