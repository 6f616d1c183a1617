//===- Ast.h - The tree of a model file -----------------------------------===//
//
// A node is owned by its File and never freed alone, so that a tree of any
// shape is released without recursion. `depth` bounds what walks it.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_AST_H
#define HALCYON_COMPILER_DSL_AST_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Casting.h"
#include "llvm/Support/SMLoc.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace halcyon::dsl {

enum class NodeKind {
  // Expressions.
  Number,
  Bool,
  String,
  Name,
  Sequence,
  Unary,
  Binary,
  Call,
  Member,
  Index,
  If,
  Instance,
  Each,
  LastExpr = Each,
  // Statements.
  Assign,
  Return,
  For,
  Precision,
  ExprStmt,
  Input,
  Output,
  Clause,
  Broken,
};

struct Node {
  const NodeKind kind;
  llvm::SMRange range;

  Node(NodeKind kind, llvm::SMRange range) : kind(kind), range(range) {}
  virtual ~Node() = default;
};

/// A word of the source and its place.
struct Identifier {
  llvm::StringRef text;
  llvm::SMRange range;
};

struct Expr : Node {
  unsigned depth = 1;

  using Node::Node;
  static bool classof(const Node *n) { return n->kind <= NodeKind::LastExpr; }
};

using Stmt = Node;
using Body = std::vector<Stmt *>;

/// Gives a node type its kind, constructor and classof.
template <typename Base, NodeKind K> struct NodeOf : Base {
  explicit NodeOf(llvm::SMRange range) : Base(K, range) {}
  static bool classof(const Node *n) { return n->kind == K; }
};

struct NumberExpr : NodeOf<Expr, NodeKind::Number> {
  using NodeOf::NodeOf;
  bool isInt = true;
  int64_t integer = 0;
  double real = 0;
  llvm::StringRef unit; ///< "steps" or "epochs", in training
};

struct BoolExpr : NodeOf<Expr, NodeKind::Bool> {
  using NodeOf::NodeOf;
  bool value = false;
};

/// Text with interpolations: `text` of each part, then its `value`.
struct StringExpr : NodeOf<Expr, NodeKind::String> {
  struct Part {
    std::string text;
    Expr *value = nullptr;
  };
  using NodeOf::NodeOf;
  std::vector<Part> parts;
};

struct NameExpr : NodeOf<Expr, NodeKind::Name> {
  using NodeOf::NodeOf;
  llvm::StringRef name;
};

/// `[a, b]` or `(a, b)`.
struct SequenceExpr : NodeOf<Expr, NodeKind::Sequence> {
  using NodeOf::NodeOf;
  bool isList = true;
  std::vector<Expr *> items;
};

enum class UnaryOp { Neg, Not };

struct UnaryExpr : NodeOf<Expr, NodeKind::Unary> {
  using NodeOf::NodeOf;
  UnaryOp op = UnaryOp::Neg;
  Expr *operand = nullptr;
};

enum class BinaryOp {
  // clang-format off
  Or, And, Eq, Ne, Lt, Le, Gt, Ge, Range, Add, Sub, Mul, Div, Mod, Pow
  // clang-format on
};

/// How an operator is written, and how tightly it binds.
llvm::StringRef spelling(BinaryOp op);
unsigned precedence(BinaryOp op);

struct BinaryExpr : NodeOf<Expr, NodeKind::Binary> {
  using NodeOf::NodeOf;
  BinaryOp op = BinaryOp::Add;
  llvm::SMRange opRange;
  Expr *lhs = nullptr, *rhs = nullptr;
};

struct Argument {
  Identifier name; ///< empty for a positional argument
  Expr *value = nullptr;
};

/// `f(a, b)`, or `a -> f(b)`, which is the same with `arrow` set and `a` first.
struct CallExpr : NodeOf<Expr, NodeKind::Call> {
  using NodeOf::NodeOf;
  Expr *callee = nullptr;
  std::vector<Argument> args;
  bool arrow = false;
  bool parentheses = true; ///< `a -> f` has none
  StringExpr *as = nullptr;
};

struct MemberExpr : NodeOf<Expr, NodeKind::Member> {
  using NodeOf::NodeOf;
  Expr *base = nullptr;
  Identifier member;
};

/// `list[i]`, or an element of a tensor: `x[n, c, i, j]`.
struct IndexExpr : NodeOf<Expr, NodeKind::Index> {
  using NodeOf::NodeOf;
  Expr *base = nullptr;
  std::vector<Expr *> indices;
};

struct IfExpr : NodeOf<Expr, NodeKind::If> {
  using NodeOf::NodeOf;
  Expr *condition = nullptr;
  Body thenBody, elseBody;
  bool hasElse = false;
};

/// `instance encoder(64)`.
struct InstanceExpr : NodeOf<Expr, NodeKind::Instance> {
  using NodeOf::NodeOf;
  CallExpr *call = nullptr;
};

/// An index and what it runs through: `i in 0..4`, or `i`, along a whole axis.
struct IndexRangeExpr {
  Identifier name;
  Expr *range = nullptr;
};

/// `value for u in -1..1, k`, the argument of a sum or the like, or a list.
struct EachExpr : NodeOf<Expr, NodeKind::Each> {
  using NodeOf::NodeOf;
  Expr *value = nullptr;
  std::vector<IndexRangeExpr> indices;
  bool brackets = false;
};

/// What a statement assigns to: a name, or a tuple of patterns.
struct Pattern {
  Identifier name; ///< empty for a tuple
  std::vector<Pattern> items;
  llvm::SMRange range;
};

struct AssignStmt : NodeOf<Stmt, NodeKind::Assign> {
  using NodeOf::NodeOf;
  std::vector<Pattern> targets;
  std::vector<Expr *> values;
};

struct ReturnStmt : NodeOf<Stmt, NodeKind::Return> {
  using NodeOf::NodeOf;
  std::vector<Expr *> values;
};

/// `for x in list` or, counting from 0, `for i, x in list`.
struct ForStmt : NodeOf<Stmt, NodeKind::For> {
  using NodeOf::NodeOf;
  std::vector<Pattern> targets;
  Expr *list = nullptr;
  Body body;
};

/// `precision bf16 { ... }`.
struct PrecisionStmt : NodeOf<Stmt, NodeKind::Precision> {
  using NodeOf::NodeOf;
  Identifier name;
  Body body;
};

struct ExprStmt : NodeOf<Stmt, NodeKind::ExprStmt> {
  using NodeOf::NodeOf;
  Expr *value = nullptr;
};

/// `input image: f32[N, 3, 224, 224] from image(resize=256)`.
struct InputStmt : NodeOf<Stmt, NodeKind::Input> {
  using NodeOf::NodeOf;
  Identifier name, elementType;
  llvm::SMRange typeRange;
  std::vector<Expr *> dims;
  CallExpr *source = nullptr;
};

/// `output boxes = b, scores = s labels "coco.txt"`.
struct OutputStmt : NodeOf<Stmt, NodeKind::Output> {
  struct Item {
    Identifier name; ///< empty where none is given
    Expr *value = nullptr;
    StringExpr *labels = nullptr;
  };
  using NodeOf::NodeOf;
  std::vector<Item> items;
};

/// A line that says how to train: `batch 64`, `rate of fc = 10 * base`, `from
/// "a.safetensors" except fc`, `freeze stem until epoch 5`, `step d minimize x`.
struct ClauseStmt : NodeOf<Stmt, NodeKind::Clause> {
  using NodeOf::NodeOf;
  Identifier keyword;
  std::vector<Identifier> parts; ///< of the model, by their paths
  std::vector<Argument> items;
  Expr *until = nullptr;
  /// Whether the parts, behind what is said, are those that it does not count for.
  bool isException() const {
    return !parts.empty() && !items.empty() &&
           parts.front().range.Start.getPointer() >
               items.front().value->range.Start.getPointer();
  }
};

/// A statement that did not parse, and the names it may have assigned.
struct BrokenStmt : NodeOf<Stmt, NodeKind::Broken> {
  using NodeOf::NodeOf;
  std::vector<llvm::StringRef> names;
};

struct File;

/// A parameter. A weight, `weight a: f32[x.channels]`, is made at the call.
struct Param {
  Identifier name;
  Expr *defaultValue = nullptr;
  bool isWeight = false;
  Identifier elementType = {};
  std::vector<Expr *> dims = {};
};

/// A block, an op or a model.
struct Definition {
  enum Kind { Block, Op, Model, Broken };
  Kind kind;
  Identifier name;
  llvm::SMRange range; ///< of its first line
  std::vector<Param> params;
  std::vector<Argument> properties; ///< of a model or op: max_error=1e-4
  /// Of an op in index notation, those of the result.
  std::vector<IndexRangeExpr> indices;
  bool isIndexed = false;
  Body body;               ///< of a block or model, or of an op without formula
  Expr *formula = nullptr; ///< of an op
  const File *file = nullptr;
};

/// `train name { ... }`.
struct Training {
  Identifier name;
  Body body;
  const File *file = nullptr;
  bool broken = false;
  /// The frame of a training that names its models itself.
  Definition models;
};

struct ImportItem {
  std::string path;
  llvm::SMRange range;
  const File *file = nullptr; ///< once loaded
};

struct File {
  std::string path;
  bool isLibrary = false;
  /// Something at file level did not parse: a name may be missing for that.
  bool incomplete = false;
  std::vector<ImportItem> imports;
  std::vector<std::unique_ptr<Definition>> definitions;
  std::vector<std::unique_ptr<Training>> trainings;
  std::vector<std::unique_ptr<Node>> nodes; ///< owns the trees

  const Definition *find(llvm::StringRef name) const {
    for (const auto &definition : definitions)
      if (definition->name.text == name)
        return definition.get();
    return nullptr;
  }
};

/// Prints a file in a canonical form that parses to the same tree.
void printAst(const File &file, llvm::raw_ostream &os);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_AST_H
