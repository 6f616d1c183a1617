//===- Program.h - A model on its way to text -----------------------------===//
//
// What a model says in the language, without layout: calls with arguments,
// bodies of blocks and loops. It begins as one flat body, a call for each
// operation; blocks and loops are found in it, and it is printed.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_WRITE_PROGRAM_H
#define HALCYON_COMPILER_WRITE_PROGRAM_H

#include "dialects/cnn/CnnOps.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace halcyon::write {

/// A number, a list of numbers, a word, true or false.
using Literal = std::variant<std::monostate, int64_t, double, bool, std::string,
                             std::vector<int64_t>>;

/// A literal, or, in a block or a loop, an expression of what varies there.
struct Argument {
  std::string name; ///< of the parameter
  Literal value = {};
  Literal otherwise = {}; ///< what holds where it is left out
  bool named = false;     ///< written with its name
  std::string text = {};  ///< the expression, where it is no literal

  bool isLeftOut() const {
    return text.empty() && (value == otherwise ||
                            std::holds_alternative<std::monostate>(value));
  }
};

/// A part of a layer's name: text, or a number that may come to vary.
struct NamePart {
  std::string text;
  Argument number = {};
  bool isNumber = false;
};
using Name = std::vector<NamePart>;

/// "layer1.0" as text and numbers; the plain text of a name.
Name nameOf(llvm::StringRef text);
std::string textOf(const Name &name);

struct Body;

/// One value of a body: a call of a layer, an op, an operator or a block; a
/// loop; or a part that is there if a condition holds.
struct Node {
  enum Kind { Call, Loop, If } kind = Call;
  std::string callee;
  bool isOperator = false; ///< between its two operands
  std::vector<int> inputs;
  /// Of an operator between a tensor and a number.
  Argument number[2] = {};
  std::vector<Argument> args = {};
  Name name = {};          ///< empty where the layer is not named
  bool hasWeights = false; ///< so that its name matters
  std::vector<int64_t> shape = {}; ///< of the value, without the batch

  /// Of a loop: the list as text, its variables, what is in it. Values that
  /// come in are the body's parameters, the first of which is carried along.
  /// Of a condition: the first parameter is the value where it does not hold.
  std::shared_ptr<Body> body = nullptr;
  std::vector<Argument> list = {}; ///< numbers of the list, see Loops.cpp
  std::vector<std::string> variables = {};
  size_t columns = 0; ///< of the list; 0: a range
  bool counted = false;
  std::shared_ptr<Body> unrolled = nullptr;
  Argument condition = {};
};

/// Values are numbered: parameters first, then one for each node.
struct Body {
  std::vector<std::string> params; ///< the names of tensors that come in
  std::vector<std::vector<int64_t>> shapes; ///< theirs
  std::vector<Node> nodes;
  std::vector<int> results;

  int valueOf(size_t node) const { return int(params.size() + node); }
  Node *nodeOf(int value) {
    return value < int(params.size()) ? nullptr : &nodes[value - params.size()];
  }
  const Node *nodeOf(int value) const {
    return const_cast<Body *>(this)->nodeOf(value);
  }
  std::vector<unsigned> useCounts() const;
};

struct Definition {
  std::string name;
  std::vector<Argument> params; ///< `otherwise` is the default
  Body body;
};

struct Port {
  std::string name, type; ///< "f32[N, 3, 224, 224]"
};

struct Program {
  std::string name;
  std::vector<std::string> ops; ///< definitions, as text
  std::vector<Definition> blocks;
  std::vector<Port> inputs, outputs;
  Body body;
  /// Names that mean something already.
  std::map<std::string, unsigned> taken;

  /// `wanted` as a word of the language that nothing else is called.
  std::string freeName(llvm::StringRef wanted);
};

/// A word of the language made of any text.
std::string wordOf(llvm::StringRef text, llvm::StringRef otherwise);

/// Visits every literal of a node that could be another one: arguments, numbers
/// in names, what is in a loop. The order is the same for equal structures.
void forEachLiteral(Node &node, llvm::function_ref<void(Argument &)> visit);

/// What nodes have in common that can be one with arguments: all but numbers
/// and operands. `expressions` may differ, too, where they become arguments.
std::string structureOf(const Node &node, bool expressions);

/// A part of a body that computes one value from others.
struct Segment {
  size_t begin = 0, end = 0;
  std::vector<int> entries; ///< values from outside, as they are first read
  int exit = -1;            ///< the value that is read outside
};

/// For every node the last one that reads its value, `end` for what is returned.
std::vector<size_t> lastReaders(const Body &body);
/// Nothing where several values, or none, are read outside.
std::optional<Segment> segmentOf(const Body &body, size_t begin, size_t end,
                                 const std::vector<size_t> &readers);
/// The nodes of a segment as a body of their own.
Body cutOut(const Body &body, const Segment &segment);
/// Puts one node in place of nodes that compute one value.
void replaceSegment(Body &body, const Segment &segment, Node node);

/// What a node takes to write and read, in words.
unsigned costOf(const Node &node);

std::string literalText(const Literal &literal);
/// The shortest decimal that reads as this number, of f32 or f64.
std::string numberText(double value, bool isSingle);

/// Finds parts that repeat, and makes blocks of them.
void findBlocks(Program &program);
/// Makes loops of what repeats one after the other.
void findLoops(Program &program);

/// The program as text.
std::string print(const Program &program);

} // namespace halcyon::write

#endif // HALCYON_COMPILER_WRITE_PROGRAM_H
