//===- Detect.cpp - What detectors do with boxes, as nodes of ONNX --------===//

#include "compiler/emit/onnx/Export.h"
#include "compiler/import/onnx/OwnOperators.h"
#include "dialects/cnn/Detect.h"

#include "onnx-ml.pb.h"

using namespace mlir;
using namespace halcyon;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

static NodeProto *add(FunctionProto &to, StringRef op,
                      ArrayRef<StringRef> inputs, StringRef output) {
  NodeProto *node = to.add_node();
  node->set_op_type(op.str());
  for (StringRef input : inputs)
    node->add_input(input.str());
  node->add_output(output.str());
  return node;
}

static AttributeProto *attribute(NodeProto *node, StringRef name,
                                 AttributeProto::AttributeType type) {
  AttributeProto *attribute = node->add_attribute();
  attribute->set_name(name.str());
  attribute->set_type(type);
  return attribute;
}
static void integer(NodeProto *node, StringRef name, int64_t value) {
  attribute(node, name, AttributeProto::INT)->set_i(value);
}

static void constant(FunctionProto &to, StringRef name, int64_t value) {
  NodeProto *node = add(to, "Constant", {}, name);
  attribute(node, "value_int", AttributeProto::INT)->set_i(value);
}
static void constants(FunctionProto &to, StringRef name,
                      ArrayRef<int64_t> values) {
  NodeProto *node = add(to, "Constant", {}, name);
  AttributeProto *list = attribute(node, "value_ints", AttributeProto::INTS);
  for (int64_t value : values)
    list->add_ints(value);
}

/// NonMaxSuppression wants scores, and names places: the earlier of two
/// candidates has the larger score, what is none a score below the least one,
/// and ones are scattered to the places.
static void defineSuppress(FunctionProto &to) {
  for (StringRef name : {"boxes", "candidates", "threshold"})
    to.add_input(name.str());
  to.add_output("kept");
  constant(to, "zero", 0);
  constant(to, "one", 1);
  constants(to, "axis", {1});
  constants(to, "ends", {0, 2});
  add(to, "Shape", {"candidates"}, "sizes");
  add(to, "Gather", {"sizes", "one"}, "size");
  add(to, "Range", {"zero", "size", "one"}, "place");
  add(to, "Sub", {"size", "place"}, "rank");
  add(to, "Neg", {"one"}, "none");
  integer(add(to, "Cast", {"candidates"}, "may"), "to", TensorProto::BOOL);
  add(to, "Where", {"may", "rank", "none"}, "order");
  integer(add(to, "Cast", {"order"}, "score"), "to", TensorProto::FLOAT);
  add(to, "Unsqueeze", {"score", "axis"}, "scores");
  integer(add(to, "Cast", {"zero"}, "least"), "to", TensorProto::FLOAT);
  add(to, "NonMaxSuppression", {"boxes", "scores", "size", "threshold", "least"},
      "chosen");
  integer(add(to, "Gather", {"chosen", "ends"}, "places"), "axis", 1);
  integer(add(to, "Gather", {"chosen", "one"}, "label"), "axis", 1);
  add(to, "Add", {"label", "one"}, "whole");
  integer(add(to, "Cast", {"whole"}, "ones"), "to", TensorProto::FLOAT);
  add(to, "ConstantOfShape", {"sizes"}, "nothing");
  add(to, "ScatterND", {"nothing", "places", "ones"}, "kept");
}

static LogicalResult writeSuppress(Operation *op, OnnxWriter &w) {
  SmallVector<std::string> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(w.name(operand));
  w.result(op, w.call(halcyon::onnx::kSuppress, inputs, defineSuppress));
  return success();
}
static RegisterOnnxWriter suppress("cnn.suppress", writeSuppress);
