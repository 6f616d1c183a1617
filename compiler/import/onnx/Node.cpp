//===- Node.cpp - What importers of operators work with -------------------===//

#include "compiler/import/onnx/Graph.h"

#include "llvm/ADT/STLExtras.h"

#include <charconv>
#include <set>

using namespace mlir;
using llvm::StringRef;
using llvm::Twine;

namespace halcyon::onnx {

//===----------------------------------------------------------------------===//
// The registry
//===----------------------------------------------------------------------===//

using Versions = std::map<int64_t, ImportFunction>;

static std::map<std::string, Versions> &registry() {
  static std::map<std::string, Versions> operators;
  return operators;
}

RegisterOperator::RegisterOperator(StringRef name, ImportFunction import,
                                   int64_t since, StringRef domain)
    : key((domain + ":" + name).str()) {
  registry()[key][since] = import;
}

static std::set<std::pair<std::string, Operand>> &takers() {
  static std::set<std::pair<std::string, Operand>> keys;
  return keys;
}

RegisterTakes::RegisterTakes(ArrayRef<RegisterOperator> operators,
                             std::initializer_list<Operand> kinds) {
  for (const RegisterOperator &op : operators)
    for (Operand kind : kinds)
      takers().insert({op.key, kind});
}

bool takesOperand(StringRef domain, StringRef name, Operand kind) {
  return takers().count({(domain + ":" + name).str(), kind});
}

ImportFunction findOperator(StringRef domain, StringRef name, int64_t opset) {
  auto found = registry().find((domain + ":" + name).str());
  if (found == registry().end())
    return nullptr;
  auto next = found->second.upper_bound(opset);
  return next == found->second.begin() ? nullptr : std::prev(next)->second;
}

//===----------------------------------------------------------------------===//
// Operands and attributes
//===----------------------------------------------------------------------===//

NodeContext::NodeContext(Importer &importer, const Node &node)
    : node(node), owner(importer), layerPath(importer.pathOf(node)),
      location(importer.locationOf(node, layerPath)) {}

OpBuilder &NodeContext::builder() { return owner.builder; }

bool NodeContext::has(unsigned i) const {
  return i < node.inputs.size() && !node.inputs[i].empty();
}

const Tensor &NodeContext::in(unsigned i) const {
  static const Tensor none;
  return has(i) ? owner.values.at(node.inputs[i]) : none;
}

SmallVector<Tensor> NodeContext::all() const {
  SmallVector<Tensor> tensors;
  for (unsigned i = 0; i < size(); ++i)
    if (has(i))
      tensors.push_back(in(i));
  return tensors;
}

std::optional<HostTensor> NodeContext::known(unsigned i) {
  if (!has(i)) {
    (void)fail("operand " + Twine(i + 1) + " is missing");
    return std::nullopt;
  }
  const Tensor &tensor = in(i);
  if (tensor.isKnown())
    return tensor.known;
  (void)fail("its operand '" + node.inputs[i] +
             "' decides about shapes, and is not known while compiling; an input "
             "of the model gets its numbers by --value NAME=FILE");
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> NodeContext::knownIntegers(unsigned i) {
  auto tensor = known(i);
  if (!tensor)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (int64_t k = 0, n = tensor->count(); k < n; ++k) {
    Scalar number = tensor->at(k).as(Kind::Int);
    // The batch itself is an open size; anything else of it is no number.
    if (number.batch == 1 && number.i == 0) {
      result.push_back(kBatchNumber);
      continue;
    }
    if (number.batch) {
      (void)mixesBatch("a size is computed from it");
      return std::nullopt;
    }
    result.push_back(number.i);
  }
  return result;
}

std::optional<SmallVector<double>> NodeContext::knownReals(unsigned i) {
  auto tensor = known(i);
  if (!tensor)
    return std::nullopt;
  SmallVector<double> result;
  for (int64_t k = 0, n = tensor->count(); k < n; ++k)
    result.push_back(tensor->real(k));
  return result;
}

std::optional<SmallVector<int64_t>>
NodeContext::integersAt(unsigned i, StringRef attribute, bool &isGiven) {
  isGiven = true;
  if (has(i))
    return knownIntegers(i);
  isGiven = given(attribute);
  std::vector<int64_t> numbers = integers(attribute);
  return SmallVector<int64_t>(numbers.begin(), numbers.end());
}

template <typename T>
static const T *attributeOf(const Node &node, StringRef name) {
  auto found = node.attributes.find(name.str());
  if (found == node.attributes.end())
    return nullptr;
  return std::get_if<T>(&found->second.value);
}

bool NodeContext::given(StringRef name) const {
  return node.attributes.count(name.str());
}
int64_t NodeContext::integer(StringRef name, int64_t otherwise) const {
  auto *value = attributeOf<int64_t>(node, name);
  return value ? *value : otherwise;
}
double NodeContext::number(StringRef name, double otherwise) const {
  auto *value = attributeOf<float>(node, name);
  if (!value)
    return otherwise;
  // The number that was meant: 1e-5, not the f32 that is nearest to it.
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, *value);
  double result = 0;
  std::from_chars(text, end.ptr, result);
  return result;
}
std::string NodeContext::word(StringRef name, StringRef otherwise) const {
  auto *value = attributeOf<std::string>(node, name);
  return value ? *value : otherwise.str();
}
std::vector<int64_t> NodeContext::integers(StringRef name,
                                           std::vector<int64_t> otherwise) const {
  auto *value = attributeOf<std::vector<int64_t>>(node, name);
  return value ? *value : otherwise;
}
std::vector<std::string> NodeContext::words(StringRef name) const {
  auto *value = attributeOf<std::vector<std::string>>(node, name);
  return value ? *value : std::vector<std::string>();
}
std::vector<float> NodeContext::numbers(StringRef name) const {
  auto *value = attributeOf<std::vector<float>>(node, name);
  return value ? *value : std::vector<float>();
}
const HostTensor *NodeContext::tensor(StringRef name) const {
  return attributeOf<HostTensor>(node, name);
}
const Graph *NodeContext::graph(StringRef name) const {
  auto *value = attributeOf<std::shared_ptr<Graph>>(node, name);
  return value ? value->get() : nullptr;
}

std::optional<int64_t> NodeContext::axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  (void)fail("there is no axis " + Twine(axis) + " of " + Twine(rank));
  return std::nullopt;
}

std::optional<Shape> NodeContext::axes(ArrayRef<int64_t> numbers,
                                       int64_t rank) {
  Shape result;
  for (int64_t number : numbers) {
    auto found = axis(number, rank);
    if (!found)
      return std::nullopt;
    if (llvm::is_contained(result, *found)) {
      (void)fail("the axis " + Twine(number) + " is named twice");
      return std::nullopt;
    }
    result.push_back(*found);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Results and messages
//===----------------------------------------------------------------------===//

LogicalResult NodeContext::set(unsigned i, Tensor tensor) {
  if (bad || (!tensor.isKnown() && !tensor.value)) {
    bad = true;
    return failure();
  }
  if (i < node.outputs.size() && !node.outputs[i].empty())
    owner.values[node.outputs[i]] = std::move(tensor);
  return success();
}

LogicalResult NodeContext::fail(const Twine &message) {
  if (!bad)
    owner.errors.push_back(owner.describe(node) + ": " + message.str());
  bad = true;
  return failure();
}

LogicalResult NodeContext::mixesBatch(const Twine &how) {
  if (owner.mixed.empty())
    owner.mixed = owner.describe(node) + ": " + how.str();
  bad = true;
  return failure();
}

} // namespace halcyon::onnx
