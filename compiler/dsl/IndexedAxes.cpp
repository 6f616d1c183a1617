//===- IndexedAxes.cpp - How far indices go -------------------------------===//
//
// An index of an op in index notation has a range of its own, or runs along the
// axis where it is an index by itself.
//
//===----------------------------------------------------------------------===//

#include "Elaborator.h"

using namespace halcyon;
using namespace halcyon::dsl;
using llvm::SmallVector;
using llvm::SMRange;
using llvm::StringRef;

static mlir::RankedTensorType typeOf(const Value &tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.asMlir().getType());
}

namespace {
/// Finds where a name is an index by itself, `x[n, k]`: it runs along that axis.
class AxisFinder {
public:
  AxisFinder(StringRef name, const Frame &frame) : name(name), frame(frame) {}

  struct Axis {
    const Value *tensor;
    size_t dim;
    SMRange where;
    int64_t size() const { return typeOf(*tensor).getDimSize(dim); }
  };
  /// Where it stands alone, and where something is added to it.
  SmallVector<Axis> axes, shifted;

  void visit(const Body &body) {
    for (const Stmt *statement : body)
      visit(*statement);
  }
  void visit(const Node &node);

private:
  bool isTerm(const Expr &expr) const;
  void visitIndex(const IndexExpr &expr);

  StringRef name;
  const Frame &frame;
};
} // namespace

/// Whether the name is a term of a sum: `i`, `i + u - 1`.
bool AxisFinder::isTerm(const Expr &expr) const {
  if (auto *word = llvm::dyn_cast<NameExpr>(&expr))
    return word->name == name;
  auto *binary = llvm::dyn_cast<BinaryExpr>(&expr);
  if (!binary)
    return false;
  return (binary->op == BinaryOp::Add &&
          (isTerm(*binary->lhs) || isTerm(*binary->rhs))) ||
         (binary->op == BinaryOp::Sub && isTerm(*binary->lhs));
}

void AxisFinder::visitIndex(const IndexExpr &expr) {
  visit(*expr.base);
  const Value *tensor = nullptr;
  if (auto *base = llvm::dyn_cast<NameExpr>(expr.base)) {
    auto found = frame.variables.find(base->name);
    if (found != frame.variables.end() && found->second.value.isTensor())
      tensor = &found->second.value;
  }
  for (auto [dim, index] : llvm::enumerate(expr.indices)) {
    bool alone = llvm::isa<NameExpr>(index);
    if (!alone)
      visit(*index);
    if (tensor && isTerm(*index) && (int64_t)dim < typeOf(*tensor).getRank())
      (alone ? axes : shifted).push_back({tensor, dim, index->range});
  }
}

void AxisFinder::visit(const Node &node) {
  auto optional = [&](const Node *child) {
    if (child)
      visit(*child);
  };
  switch (node.kind) {
  case NodeKind::Sequence:
    for (const Expr *item : llvm::cast<SequenceExpr>(node).items)
      visit(*item);
    return;
  case NodeKind::Unary:
    return visit(*llvm::cast<UnaryExpr>(node).operand);
  case NodeKind::Binary:
    visit(*llvm::cast<BinaryExpr>(node).lhs);
    return visit(*llvm::cast<BinaryExpr>(node).rhs);
  case NodeKind::Call:
    visit(*llvm::cast<CallExpr>(node).callee);
    for (const Argument &argument : llvm::cast<CallExpr>(node).args)
      visit(*argument.value);
    return;
  case NodeKind::Member:
    return visit(*llvm::cast<MemberExpr>(node).base);
  case NodeKind::Index:
    return visitIndex(llvm::cast<IndexExpr>(node));
  case NodeKind::Each: {
    auto &each = llvm::cast<EachExpr>(node);
    for (const IndexRangeExpr &index : each.indices) {
      optional(index.range);
      // Inside, the name is another index.
      if (index.name.text == name)
        return;
    }
    return visit(*each.value);
  }
  case NodeKind::If:
    visit(*llvm::cast<IfExpr>(node).condition);
    visit(llvm::cast<IfExpr>(node).thenBody);
    return visit(llvm::cast<IfExpr>(node).elseBody);
  case NodeKind::Assign:
    for (const Expr *value : llvm::cast<AssignStmt>(node).values)
      visit(*value);
    return;
  case NodeKind::Return:
    for (const Expr *value : llvm::cast<ReturnStmt>(node).values)
      visit(*value);
    return;
  case NodeKind::For:
    visit(*llvm::cast<ForStmt>(node).list);
    return visit(llvm::cast<ForStmt>(node).body);
  case NodeKind::ExprStmt:
    return visit(*llvm::cast<ExprStmt>(node).value);
  default:
    return;
  }
}

/// What an index without a range runs through, by the axis along which it reads.
std::optional<IndexBounds>
Elaborator::wholeAxis(const Identifier &name,
                      llvm::function_ref<void(AxisVisitor)> formulas) {
  AxisFinder finder(name.text, *frame);
  formulas([&](const Node &node) { finder.visit(node); });
  if (finder.axes.empty())
    finder.axes = finder.shifted;
  if (finder.axes.empty()) {
    error(name.range, "nothing says how far '" + name.text + "' goes",
          {"it runs along a whole axis where it is an index, as in x[" +
               name.text.str() + "]; or write: " + name.text.str() +
               " in 0..x.height - 1"});
    return std::nullopt;
  }
  const AxisFinder::Axis &first = finder.axes.front();
  for (const AxisFinder::Axis &axis : finder.axes)
    if (axis.size() != first.size()) {
      auto text = [&](const AxisFinder::Axis &axis) {
        int64_t size = axis.size();
        return describe(*axis.tensor) + ", where it runs through " +
               (mlir::ShapedType::isDynamic(size) ? "the batch"
                                                  : std::to_string(size));
      };
      error(axis.where,
            "'" + name.text + "' runs along axes of different sizes\n" +
                text(first) + "; " + text(axis),
            {"say what it runs through: " + name.text.str() +
             " in 0.." + std::to_string(std::max<int64_t>(
                             1, std::min(first.size() < 0 ? axis.size()
                                                          : first.size(),
                                         axis.size() < 0 ? first.size()
                                                         : axis.size()) -
                                    1))});
      return std::nullopt;
    }
  bool batch = mlir::ShapedType::isDynamic(first.size());
  return IndexBounds{0, batch ? -1 : first.size()};
}

/// `a..b`, of numbers known while compiling.
std::optional<IndexBounds> Elaborator::explicitRange(const IndexRangeExpr &index) {
  const Expr &range = *index.range;
  auto *dots = llvm::dyn_cast<BinaryExpr>(&range);
  if (!dots || dots->op != BinaryOp::Range) {
    error(range.range, "an index runs through a..b",
          {"write: " + index.name.text.str() + " in 0..2"});
    return std::nullopt;
  }
  int64_t ends[2];
  for (auto [end, side] : {std::pair(0, dots->lhs), std::pair(1, dots->rhs)}) {
    Value value = evaluate(*side);
    if (value.isPoison())
      return std::nullopt;
    if (!value.isInt()) {
      bool varies = value.isScalar();
      error(side->range,
            varies ? "the ends of a range are known while compiling"
                   : "a range ends at a whole number, not at " + kindText(value),
            varies ? std::vector<std::string>{"a sum over some of a range only: "
                                              "sum(if k <= i { x[n, k] } else "
                                              "{ 0 } for k)"}
                   : std::vector<std::string>{});
      return std::nullopt;
    }
    ends[end] = value.asInt();
  }
  int64_t size;
  if (__builtin_sub_overflow(ends[1], ends[0], &size) || size < 0 ||
      size >= maxIndex || std::abs(ends[0]) > maxIndex) {
    error(range.range, size < 0 ? "this range is empty"
                                : "this range has too many numbers");
    return std::nullopt;
  }
  return IndexBounds{ends[0], size + 1};
}
