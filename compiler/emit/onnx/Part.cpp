//===- Part.cpp - Some layers of a model as a model of their own ----------===//

#include "compiler/emit/onnx/Part.h"
#include "compiler/dsl/Diagnostics.h"
#include "compiler/emit/Interface.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace halcyon {

using OpSet = llvm::SetVector<Operation *>;

static bool isLayer(Operation &op) {
  return !isa<cnn::InputOp, cnn::OutputOp, cnn::WeightOp>(op);
}

/// Whether `path` is the layer `name` or lies within it.
static bool isWithin(StringRef path, StringRef name) {
  return path.consume_front(name) && (path.empty() || path.front() == '.');
}

/// Says so where a name is of no layer.
static std::string checkNames(Block &body, ArrayRef<std::string> layers) {
  // A path's last steps need not be given.
  llvm::StringSet<> known;
  for (Operation &op : body)
    if (isLayer(op)) {
      std::string path = cnn::layerLocation(op.getLoc()).path;
      for (StringRef rest = path; !rest.empty();
           rest = rest.contains('.') ? rest.rsplit('.').first : "")
        known.insert(rest);
    }
  SmallVector<StringRef> words;
  for (const auto &word : known)
    words.push_back(word.getKey());
  llvm::sort(words);
  for (const std::string &name : layers)
    if (!known.contains(name))
      return "the model has no layer '" + dsl::printable(name) + "'" +
             dsl::didYouMean(name, words);
  return "";
}

/// What comes after an operation of `some`, those included.
static OpSet after(Block &body, const OpSet &some) {
  OpSet found;
  for (Operation &op : body)
    if (some.contains(&op) || llvm::any_of(op.getOperands(), [&](Value value) {
          return found.contains(value.getDefiningOp());
        }))
      found.insert(&op);
  return found;
}

/// What comes before one.
static OpSet before(Block &body, const OpSet &some) {
  OpSet found;
  for (Operation &op : llvm::reverse(body))
    if (some.contains(&op) || llvm::any_of(op.getUsers(), [&](Operation *user) {
          return found.contains(user);
        }))
      found.insert(&op);
  return found;
}

ModelPart findPart(cnn::ModelOp model, ArrayRef<std::string> layers, std::string &error) {
  ModelPart part;
  Block &body = model.getBody().front();
  error = checkNames(body, layers);
  if (!error.empty())
    return part;
  OpSet named;
  for (Operation &op : body)
    if (isLayer(op) && llvm::any_of(layers, [&](StringRef name) {
          return isWithin(cnn::layerLocation(op.getLoc()).path, name);
        }))
      named.insert(&op);
  const OpSet later = after(body, named), earlier = before(body, named);
  SmallVector<Operation *> rest;
  for (Operation &op : body)
    if (later.contains(&op) && earlier.contains(&op))
      part.ops.insert(&op);
    else if (later.contains(&op) || isa<cnn::OutputOp>(op))
      rest.push_back(&op);
  for (Operation *op : part.ops)
    op->moveBefore(&body, body.end());
  for (Operation *op : rest)
    op->moveBefore(&body, body.end());

  for (Operation *op : part.ops) {
    for (Value value : op->getOperands())
      if (Operation *from = value.getDefiningOp();
          !isa<cnn::WeightOp>(from) && !part.ops.contains(from))
        part.inputs.insert(value);
    for (Value value : op->getResults())
      if (llvm::any_of(value.getUsers(),
                       [&](Operation *user) { return !part.ops.contains(user); }))
        part.outputs.insert(value);
  }
  part.name = model.getSymName().str();
  for (const std::string &name : layers)
    part.name += "_" + identifierOf(name);
  return part;
}

/// A name for a value of the model as a port, which no other port has.
static std::string portName(Value value, llvm::StringSet<> &taken) {
  Operation *from = value.getDefiningOp();
  auto input = dyn_cast<cnn::InputOp>(from);
  std::string path = input ? input.getName().str() : cnn::layerLocation(from->getLoc()).path;
  const std::string stem = path.empty() ? "value" : identifierOf(path);
  std::string name = stem;
  for (unsigned i = 2; !taken.insert(name).second; ++i)
    name = stem + "_" + std::to_string(i);
  return name;
}

OwningOpRef<cnn::ModelOp> ModelPart::copy() const {
  Operation *model = ops.front()->getParentOp();
  OpBuilder builder(model->getContext());
  OwningOpRef<cnn::ModelOp> result = cnn::ModelOp::create(builder, model->getLoc(), name);
  for (NamedAttribute attribute : model->getDiscardableAttrs())
    if (attribute.getName() != cnn::kTrainAttr)
      (*result)->setAttr(attribute.getName(), attribute.getValue());
  builder.setInsertionPointToStart(&result->getBody().emplaceBlock());
  IRMapping copies;
  llvm::StringSet<> taken;
  for (Value value : inputs)
    copies.map(value, cnn::InputOp::create(builder, value.getLoc(), value.getType(),
                                           builder.getStringAttr(portName(value, taken)),
                                           DictionaryAttr())
                          .getResult());
  for (Operation *op : ops) {
    for (Value operand : op->getOperands())
      if (!copies.contains(operand))
        builder.clone(*operand.getDefiningOp(), copies);
    builder.clone(*op, copies);
  }
  for (Value value : outputs)
    cnn::OutputOp::create(builder, value.getLoc(), copies.lookup(value),
                          portName(value, taken), StringAttr());
  return result;
}

} // namespace halcyon
