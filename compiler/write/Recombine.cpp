//===- Recombine.cpp - Elementwise operations that were one ---------------===//
//
// Files spell functions out in several nodes: relu6 as max and min, leaky_relu as
// a comparison and a choice. A tree of elementwise operations of which each is
// read once is the same as one operation with all of their formulas; where the
// library has an op for that, or something between is not of f32, it becomes one.
//
//===----------------------------------------------------------------------===//

#include "compiler/write/Formulas.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace halcyon::write {

/// The deepest tree: functions of the library are of a few operations.
static constexpr unsigned maxDepth = 6;

/// The operand as an operation that can be part of its only reader.
static cnn::MapOp partOf(cnn::MapOp reader, Value operand) {
  auto map = operand.getDefiningOp<cnn::MapOp>();
  if (!map || !llvm::all_of(operand.getUsers(), [&](Operation *user) {
        return user == reader;
      }))
    return {};
  int64_t rank = cast<RankedTensorType>(reader.getType()).getRank();
  bool sameRank = llvm::all_of(map->getOperands(), [&](Value input) {
    return cast<RankedTensorType>(input.getType()).getRank() == rank;
  });
  return sameRank && cast<RankedTensorType>(map.getType()).getRank() == rank
             ? map
             : cnn::MapOp();
}

/// 0 <= x is written x >= 0.
static void turn(arith::CmpFOp compare) {
  using Predicate = arith::CmpFPredicate;
  static const std::map<Predicate, Predicate> turned = {
      {Predicate::OLE, Predicate::OGE}, {Predicate::OLT, Predicate::OGT},
      {Predicate::OGE, Predicate::OLE}, {Predicate::OGT, Predicate::OLT}};
  auto found = turned.find(compare.getPredicate());
  Value left = compare.getLhs(), right = compare.getRhs();
  if (!left.getDefiningOp<arith::ConstantOp>() || found == turned.end())
    return;
  compare.setPredicate(found->second);
  compare.getLhsMutable().assign(right);
  compare.getRhsMutable().assign(left);
}

/// x * 2 is written 2 * x.
static void turn(arith::MulFOp product) {
  Value left = product.getLhs(), right = product.getRhs();
  if (left.getDefiningOp<arith::ConstantOp>() ||
      !right.getDefiningOp<arith::ConstantOp>())
    return;
  product.getLhsMutable().assign(right);
  product.getRhsMutable().assign(left);
}

/// The operation with its parts of `depth` levels in one, in front of it; null
/// where it has none.
static cnn::MapOp combined(cnn::MapOp map, unsigned depth) {
  OpBuilder builder(map);
  SmallVector<Value> inputs;
  auto made = cnn::MapOp::create(builder, map.getLoc(), map.getType(),
                                 map.getFunction(), ValueRange());
  Block *block = builder.createBlock(&made.getBody());
  bool found = false;
  auto element = [&](auto &self, cnn::MapOp op, unsigned levels) -> Value {
    IRMapping mapping;
    Block &body = op.getBody().front();
    for (auto [operand, argument] :
         llvm::zip(op.getInputs(), body.getArguments())) {
      cnn::MapOp part = levels ? partOf(op, operand) : cnn::MapOp();
      found |= bool(part);
      if (part) {
        mapping.map(argument, self(self, part, levels - 1));
        continue;
      }
      size_t known = llvm::find(inputs, operand) - inputs.begin();
      if (known == inputs.size()) {
        inputs.push_back(operand);
        block->addArgument(argument.getType(), op.getLoc());
      }
      mapping.map(argument, block->getArgument(known));
    }
    for (Operation &inner : body.without_terminator())
      builder.clone(inner, mapping);
    return mapping.lookupOrDefault(body.getTerminator()->getOperand(0));
  };
  Value result = element(element, map, depth);
  cnn::YieldOp::create(builder, map.getLoc(), result);
  for (auto compare : block->getOps<arith::CmpFOp>())
    turn(compare);
  for (auto product : block->getOps<arith::MulFOp>())
    turn(product);
  made.getInputsMutable().assign(inputs);
  if (found)
    return made;
  made.erase();
  return {};
}

static bool readsOthers(cnn::MapOp map) {
  return llvm::any_of(map.getInputs(), [&](Value input) {
    Type element = cast<RankedTensorType>(input.getType()).getElementType();
    return !element.isF32() && partOf(map, input);
  });
}

void Formulas::recombine(cnn::ModelOp model) {
  SmallVector<cnn::MapOp> maps(model.getOps<cnn::MapOp>());
  auto replace = [&](cnn::MapOp map, cnn::MapOp other) {
    map.replaceAllUsesWith(other.getResult());
    map.erase();
  };
  // From the end, so that a tree is found at its root.
  for (cnn::MapOp map : llvm::reverse(maps)) {
    if (map.use_empty()) {
      map.erase();
      continue;
    }
    bool weights = llvm::any_of(map.getInputs(), [](Value input) {
      return input.getDefiningOp<cnn::WeightOp>() != nullptr;
    });
    bool done = false;
    unsigned last = 0;
    for (unsigned depth = maxDepth; depth > 0 && !done && !weights; --depth) {
      cnn::MapOp made = combined(map, depth);
      if (!made)
        break;
      unsigned size = made.getBody().front().getOperations().size();
      Node node;
      if (size != last && asLibraryOp(made, node)) {
        replace(map, made);
        done = true;
      } else {
        made.erase();
      }
      last = size;
    }
    while (!done && readsOthers(map)) {
      cnn::MapOp made = combined(map, 1);
      replace(map, made);
      map = made;
    }
  }
}

} // namespace halcyon::write
