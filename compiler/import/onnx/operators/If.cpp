//===- If.cpp - Choices of which the outcome is known ---------------------===//

#include "compiler/import/onnx/Graph.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

/// The nodes of the branch that is taken stand in place of the choice.
static LogicalResult importIf(NodeContext &node) {
  if (!node.has(0) || !node.in(0).isKnown() || node.in(0).known.count() != 1)
    return node.fail("which branch it takes is not known while compiling; an "
                     "input of the model gets its numbers by --value NAME=FILE");
  bool taken = node.in(0).known.at(0).as(Kind::Int).i;
  const Graph *branch = node.graph(taken ? "then_branch" : "else_branch");
  if (!branch || branch->outputs.size() != node.node.outputs.size())
    return node.fail("its branch has another number of results");
  Importer &importer = node.importer();
  if (!importer.importNodes(*branch))
    return failure();
  for (auto [i, output] : llvm::enumerate(branch->outputs)) {
    auto found = importer.values.find(output.name);
    if (found == importer.values.end())
      return node.fail("its branch does not make its results");
    if (failed(node.set(i, found->second)))
      return failure();
  }
  return success();
}
static RegisterOperator choice("If", importIf);
