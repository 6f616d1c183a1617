//===- Program.cpp - A model on its way to text ---------------------------===//

#include "compiler/write/Program.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace llvm;

namespace halcyon::write {

//===----------------------------------------------------------------------===//
// Words and names
//===----------------------------------------------------------------------===//

std::string wordOf(StringRef text, StringRef otherwise) {
  std::string word;
  for (char c : text.take_front(60))
    word += isAlnum(c) ? c : '_';
  StringRef trimmed = StringRef(word).trim('_');
  if (trimmed.empty())
    return otherwise.str();
  if (isDigit(trimmed.front()))
    return otherwise.str() + "_" + trimmed.str();
  return trimmed.str();
}

std::string Program::freeName(StringRef wanted) {
  unsigned &count = taken[wanted.str()];
  if (++count == 1)
    return wanted.str();
  // The counted name may be somebody's own.
  std::string name = wanted.str() + "_" + std::to_string(count);
  return taken.count(name) ? freeName(wanted) : freeName(name);
}

Name nameOf(StringRef text) {
  Name name;
  while (!text.empty()) {
    bool digits = isDigit(text.front());
    StringRef part = text.take_while([&](char c) { return isDigit(c) == digits; });
    text = text.drop_front(part.size());
    int64_t number;
    NamePart piece;
    // 007 is no number.
    bool plain = part.size() < 9 && (part.size() == 1 || part.front() != '0');
    if (digits && plain && !part.getAsInteger(10, number)) {
      piece.isNumber = true;
      piece.number.value = number;
    } else {
      piece.text = part.str();
    }
    name.push_back(std::move(piece));
  }
  return name;
}

std::string textOf(const Name &name) {
  std::string text;
  for (const NamePart &part : name) {
    if (!part.isNumber)
      text += part.text;
    else if (part.number.text.empty())
      text += literalText(part.number.value);
    else
      text += "{" + part.number.text + "}";
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Literals
//===----------------------------------------------------------------------===//

std::string numberText(double value, bool isSingle) {
  if (value == std::floor(value) && std::fabs(value) < 1e9)
    return std::to_string(int64_t(value));
  char text[40];
  for (int digits = 1; digits <= 17; ++digits) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    double read = strtod(text, nullptr);
    if (isSingle ? float(read) == float(value) : read == value)
      break;
  }
  // 1e-05 is written 1e-5.
  auto [digits, exponent] = StringRef(text).split('e');
  if (exponent.empty())
    return text;
  bool negative = exponent.consume_front("-");
  exponent = exponent.ltrim("+0");
  return (digits + "e" + (negative ? "-" : "") + exponent).str();
}

std::string literalText(const Literal &literal) {
  if (auto *number = std::get_if<int64_t>(&literal))
    return std::to_string(*number);
  if (auto *real = std::get_if<double>(&literal))
    return numberText(*real, /*isSingle=*/false);
  if (auto *flag = std::get_if<bool>(&literal))
    return *flag ? "true" : "false";
  if (auto *word = std::get_if<std::string>(&literal))
    return *word;
  auto *numbers = std::get_if<std::vector<int64_t>>(&literal);
  if (!numbers)
    return "";
  std::string text = "(";
  for (int64_t number : *numbers)
    text += (text.size() > 1 ? ", " : "") + std::to_string(number);
  return text + ")";
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

std::vector<unsigned> Body::useCounts() const {
  std::vector<unsigned> uses(params.size() + nodes.size(), 0);
  for (const Node &node : nodes)
    for (int input : node.inputs)
      ++uses[input];
  for (int result : results)
    ++uses[result];
  return uses;
}

void forEachLiteral(Node &node, function_ref<void(Argument &)> visit) {
  for (Argument &number : node.number)
    visit(number);
  for (Argument &arg : node.args)
    visit(arg);
  for (NamePart &part : node.name)
    if (part.isNumber)
      visit(part.number);
  for (Argument &number : node.list)
    visit(number);
  if (node.kind == Node::If)
    visit(node.condition);
  if (node.body)
    for (Node &inner : node.body->nodes)
      forEachLiteral(inner, visit);
}

/// Numbers may vary from one use of a block to the next; that a bias is there, a
/// mode or a kind of padding may not.
static std::string structureOf(const Argument &arg, bool expressions) {
  if (!arg.text.empty())
    return expressions ? "#" : "=" + arg.text;
  if (std::holds_alternative<int64_t>(arg.value) ||
      std::holds_alternative<std::vector<int64_t>>(arg.value))
    return "#";
  return literalText(arg.value);
}

std::string structureOf(const Node &node, bool expressions) {
  std::string text = std::to_string(node.kind) + node.callee + "(";
  auto add = [&](const Argument &arg) {
    text += structureOf(arg, expressions) + ",";
  };
  for (const Argument &number : node.number)
    add(number);
  for (const Argument &arg : node.args)
    add(arg);
  text += ")" + std::to_string(node.inputs.size()) + "'";
  for (const NamePart &part : node.name)
    if (part.isNumber)
      add(part.number);
    else
      text += part.text;
  text += "'" + std::to_string(node.columns) + (node.counted ? "n" : "");
  for (const Argument &number : node.list)
    add(number);
  if (node.kind == Node::If)
    add(node.condition);
  if (!node.body)
    return text;
  text += "{";
  for (const Node &inner : node.body->nodes) {
    text += structureOf(inner, expressions) + ":";
    for (int input : inner.inputs)
      text += std::to_string(input) + ",";
  }
  for (int result : node.body->results)
    text += ">" + std::to_string(result);
  return text + "}";
}

unsigned costOf(const Node &node) {
  unsigned cost = 1 + !node.name.empty() + 2 * (node.kind != Node::Call);
  for (const Argument &arg : node.args)
    cost += !arg.isLeftOut();
  if (node.body)
    for (const Node &inner : node.body->nodes)
      cost += costOf(inner);
  return cost;
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

std::vector<size_t> lastReaders(const Body &body) {
  std::vector<size_t> readers(body.nodes.size(), 0);
  auto read = [&](int value, size_t reader) {
    if (body.nodeOf(value))
      readers[value - body.params.size()] = reader;
  };
  for (auto [i, node] : enumerate(body.nodes))
    for (int input : node.inputs)
      read(input, i);
  for (int result : body.results)
    read(result, body.nodes.size());
  return readers;
}

std::optional<Segment> segmentOf(const Body &body, size_t begin, size_t end,
                                 const std::vector<size_t> &readers) {
  Segment segment{begin, end, {}, -1};
  for (size_t i = begin; i < end; ++i) {
    if (readers[i] >= end) {
      if (segment.exit >= 0)
        return std::nullopt;
      segment.exit = body.valueOf(i);
    }
    for (int input : body.nodes[i].inputs)
      if (input < body.valueOf(begin) && !is_contained(segment.entries, input))
        segment.entries.push_back(input);
  }
  if (segment.exit < 0 || segment.entries.empty())
    return std::nullopt;
  return segment;
}

Body cutOut(const Body &body, const Segment &segment) {
  static constexpr StringRef names[] = {"x", "y", "z"};
  Body part;
  auto moved = [&](int value) {
    auto entry = find(segment.entries, value);
    if (entry != segment.entries.end())
      return int(entry - segment.entries.begin());
    return value - body.valueOf(segment.begin) + int(segment.entries.size());
  };
  for (auto [i, entry] : enumerate(segment.entries)) {
    part.params.push_back(names[i % std::size(names)].str());
    const Node *maker = body.nodeOf(entry);
    part.shapes.push_back(maker ? maker->shape : body.shapes[entry]);
  }
  for (size_t i = segment.begin; i < segment.end; ++i) {
    part.nodes.push_back(body.nodes[i]);
    for (int &input : part.nodes.back().inputs)
      input = moved(input);
  }
  part.results = {moved(segment.exit)};
  return part;
}

void replaceSegment(Body &body, const Segment &segment, Node node) {
  int first = body.valueOf(segment.begin), last = body.valueOf(segment.end);
  auto moved = [&](int value) {
    if (value < first)
      return value;
    return value < last ? first : value - (last - first) + 1;
  };
  body.nodes[segment.begin] = std::move(node);
  body.nodes.erase(body.nodes.begin() + segment.begin + 1,
                   body.nodes.begin() + segment.end);
  for (size_t i = segment.begin + 1; i < body.nodes.size(); ++i)
    for (int &input : body.nodes[i].inputs)
      input = moved(input);
  for (int &result : body.results)
    result = moved(result);
}

} // namespace halcyon::write
