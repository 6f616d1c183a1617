//===- Print.cpp - A program as text --------------------------------------===//
//
// Calls that feed one another alone become chains; what is used more than once
// gets a variable. A variable whose value is not read again takes the next one.
//
//===----------------------------------------------------------------------===//

#include "compiler/write/Program.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;

namespace halcyon::write {

/// Where lines end.
static constexpr size_t lineWidth = 100;

namespace {
class BodyPrinter {
public:
  BodyPrinter(const Body &body, std::string indent, StringSet<> reserved)
      : body(body), indent(std::move(indent)), reserved(std::move(reserved)),
        uses(body.useCounts()), names(uses.size()), lastUse(uses.size(), 0),
        isInline(uses.size(), false) {}

  /// The body of a block, which ends with `return`.
  std::string block(ArrayRef<std::string> params);
  /// The body of a model.
  std::string model(ArrayRef<Port> outputs);
  /// The body of a loop, whose result takes the place of its first parameter.
  std::string loop(ArrayRef<std::string> params);

private:
  void plan();
  bool goesInline(int value, const Node &user, size_t operand) const;
  bool isShort(int value) const;
  bool readsSize(int value) const;
  void visitLeaves(int value, function_ref<void(int)> visit) const;
  std::string freshName(StringRef wanted, size_t statement);
  bool isFree(StringRef name, size_t statement) const;
  void statement(size_t number);
  void assign(const std::string &name, const std::string &lead, int value);
  std::string loopHead(const Node &node) const;

  /// An expression; lines after the first begin at `column` or beyond.
  std::string expression(int value, size_t column) const;
  std::string operand(int value, size_t column) const;
  std::string chain(int value, size_t column) const;
  std::string callText(const Node &node, unsigned skip, size_t column) const;

  const Body &body;
  std::string indent;
  StringSet<> reserved;
  std::vector<unsigned> uses;
  std::vector<std::string> names;
  std::vector<size_t> lastUse; ///< the statement that reads a value last
  std::vector<bool> isInline;
  std::vector<int> roots;      ///< values that statements make
  std::vector<std::string> wanted; ///< names that outputs want
  std::string out;
};
} // namespace

//===----------------------------------------------------------------------===//
// What becomes a statement
//===----------------------------------------------------------------------===//

/// Something like `sigmoid(x)`, to be read among operators.
bool BodyPrinter::isShort(int value) const {
  const Node *node = body.nodeOf(value);
  if (!node || node->kind != Node::Call || node->hasWeights)
    return false;
  bool plain = all_of(node->args, [](const Argument &a) { return a.isLeftOut(); });
  return plain && all_of(node->inputs, [&](int input) { return !isInline[input]; });
}

bool BodyPrinter::goesInline(int value, const Node &user, size_t operand) const {
  const Node *node = body.nodeOf(value);
  if (!node || node->kind == Node::Loop || uses[value] != 1 ||
      user.kind != Node::Call)
    return false;
  // Branches below one another are a statement of their own.
  if (node->callee == "concat" &&
      any_of(node->inputs, [&](int input) { return isInline[input]; }))
    return false;
  if (user.callee == "concat")
    return node->kind == Node::Call && !node->isOperator && node->callee != "concat";
  if (user.isOperator || user.inputs.size() > 1)
    return isShort(value) || (!user.isOperator && operand == 0 && !node->isOperator &&
                              node->kind == Node::Call);
  return node->kind == Node::Call;
}

void BodyPrinter::visitLeaves(int value, function_ref<void(int)> visit) const {
  SmallVector<int> stack = {value};
  bool root = true;
  while (!stack.empty()) {
    int next = stack.pop_back_val();
    if (!root && !isInline[next]) {
      visit(next);
      continue;
    }
    root = false;
    if (const Node *node = body.nodeOf(next))
      stack.append(node->inputs.begin(), node->inputs.end());
  }
}

bool BodyPrinter::readsSize(int value) const {
  const Node *node = body.nodeOf(value);
  bool reads = false;
  if (node)
    forEachLiteral(const_cast<Node &>(*node), [&](Argument &arg) {
      reads |= StringRef(arg.text).contains("x.channels");
    });
  for (int input : node ? ArrayRef<int>(node->inputs) : ArrayRef<int>())
    reads = reads || (isInline[input] && readsSize(input));
  return reads;
}

void BodyPrinter::plan() {
  for (const Node &node : body.nodes)
    for (auto [operand, input] : enumerate(node.inputs))
      isInline[input] = goesInline(input, node, operand);
  for (size_t i = 0; i < body.nodes.size(); ++i)
    if (!isInline[body.valueOf(i)])
      roots.push_back(body.valueOf(i));
  for (auto [statement, root] : enumerate(roots))
    visitLeaves(root, [&, statement = statement](int leaf) {
      lastUse[leaf] = statement;
    });
  for (int result : body.results)
    lastUse[result] = roots.size();
  // An expression of the first parameter's size means that parameter.
  for (auto [statement, root] : enumerate(roots))
    if (readsSize(root))
      lastUse[0] = std::max(lastUse[0], statement);
  wanted.resize(uses.size());
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

/// Whether no value of this name is read after the statement.
bool BodyPrinter::isFree(StringRef name, size_t statement) const {
  if (reserved.contains(name))
    return false;
  for (size_t value = 0; value < names.size(); ++value)
    if (names[value] == name && lastUse[value] > statement)
      return false;
  return true;
}

/// Names of variables, the main road first.
static constexpr StringRef pool[] = {"x", "y", "z", "u", "v", "w", "a",
                                     "b", "c", "d", "e", "f", "g", "h"};
static size_t rank(StringRef name) { return find(pool, name) - std::begin(pool); }

std::string BodyPrinter::freshName(StringRef wanted, size_t statement) {
  if (!wanted.empty() && isFree(wanted, statement))
    return wanted.str();
  for (StringRef name : pool)
    if (isFree(name, statement))
      return name.str();
  for (unsigned i = 1;; ++i)
    if (std::string name = "t" + std::to_string(i); isFree(name, statement))
      return name;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

static std::string argumentText(const Argument &arg) {
  return arg.text.empty() ? literalText(arg.value) : arg.text;
}

std::string BodyPrinter::callText(const Node &node, unsigned skip,
                                  size_t column) const {
  std::string args;
  size_t inner = column + node.callee.size() + 1;
  for (int input : drop_begin(node.inputs, skip)) {
    // Branches stand below one another.
    bool lines = node.callee == "concat" && isInline[input];
    if (!args.empty())
      args += lines ? ",\n" + std::string(inner, ' ') : ", ";
    args += operand(input, inner);
  }
  for (const Argument &arg : node.args)
    if (!arg.isLeftOut())
      args += (args.empty() ? "" : ", ") + (arg.named ? arg.name + "=" : "") +
              argumentText(arg);
  std::string text = node.callee;
  if (!args.empty())
    text += "(" + args + ")";
  else if (skip == 0)
    text += "()";
  if (!node.name.empty())
    text += " as \"" + textOf(node.name) + "\"";
  return text;
}

std::string BodyPrinter::operand(int value, size_t column) const {
  return isInline[value] ? expression(value, column) : names[value];
}

std::string BodyPrinter::expression(int value, size_t column) const {
  const Node &node = *body.nodeOf(value);
  if (node.kind == Node::If) {
    BodyPrinter inner(*node.body, indent, reserved);
    inner.plan();
    for (auto [i, input] : enumerate(node.inputs))
      inner.names[i] = names[input];
    return "if " + argumentText(node.condition) + " { " +
           inner.expression(node.body->results[0], column + 5) + " } else { " +
           names[node.inputs[0]] + " }";
  }
  if (node.isOperator) {
    std::string sides[2];
    size_t next = 0;
    for (int side : {0, 1}) {
      if (!node.number[side].isLeftOut()) {
        sides[side] = literalText(node.number[side].value);
        continue;
      }
      int input = node.inputs[next];
      next += node.inputs.size() > 1;
      const Node *maker = isInline[input] ? body.nodeOf(input) : nullptr;
      if (maker && !maker->isOperator)
        sides[side] = callText(*maker, 0, column);
      else
        sides[side] = operand(input, column);
      bool binds = maker && (maker->callee == "*" || maker->callee == "/") &&
                   (node.callee == "+" || node.callee == "-");
      if (maker && maker->isOperator && !binds)
        sides[side] = "(" + sides[side] + ")";
    }
    return sides[0] + " " + node.callee + " " + sides[1];
  }
  return chain(value, column);
}

/// Calls from the first one on, each fed by the one before.
std::string BodyPrinter::chain(int value, size_t column) const {
  SmallVector<const Node *> calls;
  int head = value;
  bool functional = false;
  while (true) {
    const Node &node = *body.nodeOf(head);
    calls.push_back(&node);
    functional = node.callee == "concat" ||
                 (node.inputs.size() > 1 && !isInline[node.inputs[0]] &&
                  !node.hasWeights && node.args.empty());
    if (functional || node.inputs.empty())
      break;
    head = node.inputs[0];
    const Node *maker = body.nodeOf(head);
    if (!isInline[head] || maker->isOperator)
      break;
  }
  std::string text;
  if (functional || calls.back()->inputs.empty()) {
    text = callText(*calls.pop_back_val(), 0, column);
  } else {
    text = operand(head, column);
    const Node &first = *calls.back();
    bool bare = isInline[head] && first.inputs.size() == 1 && first.name.empty() &&
                callText(first, 1, column) == first.callee;
    if (bare) {
      text = first.callee + "(" + text + ")";
      calls.pop_back();
    }
  }
  size_t total = column + text.size();
  for (const Node *call : calls)
    total += callText(*call, 1, column).size() + 4;
  size_t arrow = column + text.size() + 1;
  bool isBroken = total > lineWidth;
  if (isBroken && text.size() > 24)
    arrow = column + 2;
  size_t at = column + text.size();
  bool first = true;
  for (const Node *call : reverse(calls)) {
    std::string next = callText(*call, 1, arrow + 3);
    // A norm stays with the layer before it.
    bool begins = call->hasWeights && any_of(call->args, [](const Argument &arg) {
      return !arg.named && !arg.isLeftOut();
    });
    if (isBroken && !first && (begins || at + next.size() + 4 > lineWidth)) {
      text += "\n" + std::string(arrow, ' ') + "-> " + next;
      at = arrow + 3 + next.size();
    } else {
      text += " -> " + next;
      at += 4 + next.size();
    }
    first = false;
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void BodyPrinter::assign(const std::string &name, const std::string &lead,
                         int value) {
  std::string begin = indent + lead;
  out += begin + expression(value, begin.size()) + "\n";
  names[value] = name;
}

std::string BodyPrinter::loopHead(const Node &node) const {
  std::string variables;
  for (const std::string &variable : node.variables)
    variables += (variables.empty() ? "" : ", ") + variable;
  if (node.columns == 0)
    return "for " + variables + " in " + argumentText(node.list[0]) + ".." +
           argumentText(node.list[1]) + " {\n";
  std::vector<std::string> rows;
  for (auto [i, value] : enumerate(node.list)) {
    bool first = i % node.columns == 0, last = (i + 1) % node.columns == 0;
    if (first)
      rows.emplace_back(node.columns > 1 ? "(" : "");
    rows.back() += (first ? "" : ", ") + argumentText(value) +
                   (node.columns > 1 && last ? ")" : "");
  }
  ArrayRef<std::string> taken(node.variables);
  std::string names;
  for (const std::string &variable : taken.drop_front(node.counted))
    names += (names.empty() ? "" : ", ") + variable;
  if (node.columns > 1)
    names = "(" + names + ")";
  std::string head = "for " + (node.counted ? taken[0] + ", " : "") + names + " in [";
  std::string line = join(rows, ", ");
  if (indent.size() + head.size() + line.size() < lineWidth)
    return head + line + "] {\n";
  line.clear();
  for (auto [i, row] : enumerate(rows)) {
    bool wraps = line.empty() || indent.size() + line.size() - line.rfind('\n') +
                                         row.size() > lineWidth - 4;
    line += wraps ? (i ? ",\n" : "\n") + indent + "  " + row : ", " + row;
  }
  return head + line + "\n" + indent + "] {\n";
}

void BodyPrinter::statement(size_t number) {
  int value = roots[number];
  const Node &node = *body.nodeOf(value);
  // What is read here last hands on its name.
  std::string before;
  visitLeaves(value, [&](int leaf) {
    bool ends = lastUse[leaf] == number && isFree(names[leaf], number);
    if (ends && (before.empty() || rank(names[leaf]) < rank(before)))
      before = names[leaf];
  });
  std::string name =
      freshName(wanted[value].empty() ? before : wanted[value], number);
  if (node.kind != Node::Loop)
    return assign(name, name + " = ", value);
  const std::string &start = names[node.inputs[0]];
  if (start != name)
    out += indent + name + " = " + start + "\n";
  std::vector<std::string> params = {name};
  StringSet<> inside = reserved;
  for (int input : drop_begin(node.inputs))
    params.push_back(names[input]);
  for (size_t other = 0; other < names.size(); ++other)
    if (!names[other].empty() && lastUse[other] >= number && names[other] != name)
      inside.insert(names[other]);
  for (const std::string &variable : node.variables)
    inside.insert(variable);
  out += indent + loopHead(node) +
         BodyPrinter(*node.body, indent + "  ", inside).loop(params) + indent + "}\n";
  names[value] = name;
}

std::string BodyPrinter::loop(ArrayRef<std::string> params) {
  plan();
  copy(params, names.begin());
  // What the loop does not carry stays as it is.
  for (const std::string &param : params.drop_front())
    reserved.insert(param);
  wanted[body.results[0]] = params[0];
  for (size_t i = 0; i < roots.size(); ++i) {
    lastUse[0] = std::min(lastUse[0], roots.size() - 1);
    statement(i);
  }
  if (names[body.results[0]] != params[0])
    out += indent + params[0] + " = " + names[body.results[0]] + "\n";
  return out;
}

std::string BodyPrinter::block(ArrayRef<std::string> params) {
  plan();
  copy(params, names.begin());
  int result = body.results[0];
  bool last = !roots.empty() && roots.back() == result && uses[result] == 1 &&
              body.nodeOf(result)->kind != Node::Loop;
  for (size_t i = 0; i + last < roots.size(); ++i)
    statement(i);
  if (last)
    assign("", "return ", result);
  else
    out += indent + "return " + names[result] + "\n";
  return out;
}

std::string BodyPrinter::model(ArrayRef<Port> outputs) {
  plan();
  copy(body.params, names.begin());
  // Inputs keep their names.
  for (size_t value = 0; value < body.params.size(); ++value)
    lastUse[value] = roots.size() + 1;
  for (auto [port, result] : zip(outputs, body.results))
    if (body.nodeOf(result))
      wanted[result] = port.name;
  for (size_t i = 0; i < roots.size(); ++i)
    statement(i);
  std::string lines = out + "\n";
  for (auto [port, result] : zip(outputs, body.results))
    lines += indent + "output " + port.name +
             (names[result] == port.name ? "" : " = " + names[result]) + "\n";
  return lines;
}

std::string print(const Program &program) {
  std::string text;
  bool apart = false;
  for (const std::string &op : program.ops) {
    bool lines = StringRef(op).count('\n') > 1;
    text += (text.empty() || !(lines || apart) ? "" : "\n") + op;
    apart = lines;
  }
  for (const Definition &block : program.blocks) {
    text += text.empty() ? "" : "\n";
    StringSet<> reserved;
    text += "block " + block.name + "(";
    for (auto [i, param] : enumerate(block.body.params))
      text += (i ? ", " : "") + param;
    for (const Argument &param : block.params) {
      reserved.insert(param.name);
      text += ", " + param.name;
      if (!std::holds_alternative<std::monostate>(param.otherwise))
        text += " = " + literalText(param.otherwise);
    }
    text += ") {\n" + BodyPrinter(block.body, "  ", reserved).block(block.body.params) +
            "}\n";
  }
  text += (text.empty() ? "" : "\n") + ("model " + program.name + "() {\n");
  for (const Port &input : program.inputs)
    text += "  input " + input.name + ": " + input.type + "\n";
  return text + "\n" + BodyPrinter(program.body, "  ", {}).model(program.outputs) +
         "}\n";
}

} // namespace halcyon::write
