//===- Cast.cpp - Conversions of elements ---------------------------------===//

#include "compiler/import/onnx/Graph.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace halcyon;
using namespace halcyon::onnx;

static LogicalResult castTo(NodeContext &node, DataType type) {
  const Tensor x = node.in(0);
  if (!isNumeric(type) || !isNumeric(x.type))
    return node.fail("there is no conversion of " + nameOf(x.type) + " to " +
                     nameOf(type) + " here");
  return node.set(node.cast(x, type));
}

static LogicalResult importCast(NodeContext &node) {
  auto type = DataType(node.integer("to"));
  // The first versions name the type.
  if (type == DataType::Undefined)
    type = llvm::StringSwitch<DataType>(node.word("to"))
               .Case("FLOAT", DataType::F32)
               .Case("DOUBLE", DataType::F64)
               .Case("INT32", DataType::I32)
               .Case("INT64", DataType::I64)
               .Case("UINT8", DataType::U8)
               .Case("INT8", DataType::I8)
               .Case("BOOL", DataType::Bool)
               .Default(DataType::Undefined);
  return castTo(node, type);
}
static RegisterOperator castOperator("Cast", importCast);
static RegisterTakes takesCast(castOperator);

static LogicalResult importCastLike(NodeContext &node) {
  return castTo(node, node.in(1).type);
}
static RegisterOperator castLike("CastLike", importCastLike);
