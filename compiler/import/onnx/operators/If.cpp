//===- If.cpp - Choices ---------------------------------------------------===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// The results of a branch, whose nodes stand in place of the choice.
static std::optional<SmallVector<Tensor>> importBranch(NodeContext &node,
                                                       StringRef name) {
  auto failed = [&](const Twine &why) {
    (void)node.fail(why);
    return std::nullopt;
  };
  const Graph *branch = node.graph(name);
  if (!branch || branch->outputs.size() != node.node.outputs.size())
    return failed("its branch has another number of results");
  Importer &importer = node.importer();
  if (!importer.importNodes(*branch))
    return std::nullopt;
  SmallVector<Tensor> results;
  for (const Port &output : branch->outputs) {
    auto found = importer.values.find(output.name);
    if (found == importer.values.end())
      return failed("its branch does not make its results");
    results.push_back(found->second);
  }
  return results;
}

/// Where it is known which branch is taken it alone is there. Where the data decide
/// both are, and their results are chosen from.
static LogicalResult importIf(NodeContext &node) {
  if (!node.has(0))
    return node.fail("it has no condition");
  const Tensor condition = node.in(0);
  if (condition.isKnown() && condition.known.count() == 1) {
    bool taken = condition.known.at(0).as(Kind::Int).i;
    auto results = importBranch(node, taken ? "then_branch" : "else_branch");
    if (!results)
      return failure();
    for (auto [i, result] : llvm::enumerate(*results))
      if (failed(node.set(i, result)))
        return failure();
    return success();
  }
  if (openAxis(condition.shape) >= 0)
    return node.mixesBatch("it chooses for all images at once");
  if (condition.type != DataType::Bool || elementCount(condition.sizes()) != 1)
    return node.fail("its condition is one truth value");
  auto yes = importBranch(node, "then_branch");
  auto no = yes ? importBranch(node, "else_branch") : std::nullopt;
  if (!no)
    return failure();
  Tensor one = node.reshape(condition, {});
  for (auto [i, a, b] : llvm::enumerate(*yes, *no)) {
    if (a.shape != b.shape || a.type != b.type || a.isCounted() || b.isCounted())
      return node.fail("which branch it takes is not known while compiling, and the "
                       "branches make results of different shapes or types; an input "
                       "of the model gets its numbers by --value NAME=FILE");
    if (failed(node.set(i, node.map({one, a, b}, a.type, [](ArrayRef<Expr> e) {
          return select(e[0], e[1], e[2]);
        }))))
      return failure();
  }
  return success();
}
static RegisterOperator choice("If", importIf);
