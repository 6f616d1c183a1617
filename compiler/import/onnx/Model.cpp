//===- Model.cpp - An ONNX file, read and checked -------------------------===//

#include "compiler/import/onnx/Model.h"
#include "compiler/import/onnx/OwnOperators.h"
#include "compiler/import/onnx/Tensors.h"

#include "onnx-ml.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"

#include <deque>

using namespace llvm;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace halcyon::onnx {

/// What inlining functions may make of a file, and how deep.
static constexpr size_t maxNodes = 200000;
static constexpr unsigned maxCalls = 32;

bool isOnnxFile(StringRef path) { return path.ends_with_insensitive(".onnx"); }

/// Names come from the file: what a terminal would obey is left out.
static std::string shown(StringRef text) {
  std::string result;
  for (char c : text.take_front(200))
    result += isPrint(c) ? c : '?';
  return result;
}

namespace {

using Versions = std::map<std::string, int64_t>;

class Reader {
public:
  Reader(Model &model, std::shared_ptr<ModelProto> proto, raw_ostream &errors)
      : model(model), proto(std::move(proto)), errors(errors),
        tensors(sys::path::parent_path(model.path), this->proto) {}

  bool run();

private:
  /// A call of a function: what its names stand for in the caller.
  struct Call {
    std::string prefix;
    StringMap<std::string> names;
    const NodeProto *node = nullptr;
    const FunctionProto *function = nullptr;
    unsigned depth = 0;
    unsigned number = 0;
  };

  bool fail(const Twine &message) {
    errors << model.path << ": error: " << message << "\n";
    good = false;
    return false;
  }
  void readGraph(const GraphProto &from, const Versions &versions,
                 const Call &call, Graph &to);
  void readNode(const NodeProto &from, const Versions &versions,
                const Call &call, unsigned number, Graph &to);
  void inlineFunction(const NodeProto &from, const FunctionProto &function,
                      const Call &call, unsigned number, Graph &to);
  std::optional<Attribute> readAttribute(const AttributeProto &from,
                                         const Versions &versions,
                                         const Call &call, StringRef where);
  Port readPort(const ::onnx::ValueInfoProto &from);
  void order(Graph &graph);
  std::string nameIn(const Call &call, const std::string &name) const;

  Model &model;
  std::shared_ptr<ModelProto> proto;
  raw_ostream &errors;
  TensorReader tensors;
  std::map<std::string, const FunctionProto *> functions;
  size_t nodes = 0;
  unsigned calls = 0;
  bool good = true;
};

} // namespace

/// "ai.onnx" is another name of ONNX's own domain.
static std::string domainOf(const std::string &domain) {
  return domain == "ai.onnx" ? "" : domain;
}

static std::string functionKey(const std::string &domain,
                               const std::string &name,
                               const std::string &overload) {
  return domainOf(domain) + "\n" + name + "\n" + overload;
}

static Versions
versionsOf(const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>
               &imports) {
  Versions versions;
  for (const auto &import : imports)
    versions[domainOf(import.domain())] = import.version();
  return versions;
}

std::string Reader::nameIn(const Call &call, const std::string &name) const {
  if (name.empty() || call.prefix.empty())
    return name;
  auto found = call.names.find(name);
  return found != call.names.end() ? found->second : call.prefix + name;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

std::optional<Attribute> Reader::readAttribute(const AttributeProto &from,
                                               const Versions &versions,
                                               const Call &call,
                                               StringRef where) {
  if (!from.ref_attr_name().empty()) {
    // An attribute of the function that this node is in.
    for (const AttributeProto &given :
         call.node ? call.node->attribute()
                   : google::protobuf::RepeatedPtrField<AttributeProto>())
      if (given.name() == from.ref_attr_name())
        return readAttribute(given, versions, Call(), where);
    if (call.function)
      for (const AttributeProto &given : call.function->attribute_proto())
        if (given.name() == from.ref_attr_name())
          return readAttribute(given, versions, Call(), where);
    return std::nullopt; // left out by the caller
  }
  Attribute result;
  std::string why;
  auto type = from.type();
  // Files of the first versions say no type.
  if (type == AttributeProto::UNDEFINED) {
    if (from.has_i())
      type = AttributeProto::INT;
    else if (from.has_f())
      type = AttributeProto::FLOAT;
    else if (from.has_s())
      type = AttributeProto::STRING;
    else if (from.has_t())
      type = AttributeProto::TENSOR;
    else if (from.has_g())
      type = AttributeProto::GRAPH;
    else if (from.floats_size())
      type = AttributeProto::FLOATS;
    else if (from.strings_size())
      type = AttributeProto::STRINGS;
    else
      type = AttributeProto::INTS;
  }
  switch (type) {
  case AttributeProto::INT:
    result.value = int64_t(from.i());
    break;
  case AttributeProto::FLOAT:
    result.value = from.f();
    break;
  case AttributeProto::STRING:
    result.value = from.s();
    break;
  case AttributeProto::INTS:
    result.value = std::vector<int64_t>(from.ints().begin(), from.ints().end());
    break;
  case AttributeProto::FLOATS:
    result.value =
        std::vector<float>(from.floats().begin(), from.floats().end());
    break;
  case AttributeProto::STRINGS:
    result.value = std::vector<std::string>(from.strings().begin(),
                                            from.strings().end());
    break;
  case AttributeProto::TENSOR:
  case AttributeProto::SPARSE_TENSOR: {
    auto tensor = type == AttributeProto::TENSOR
                      ? tensors.read(from.t(), why)
                      : tensors.read(from.sparse_tensor(), why);
    if (!tensor) {
      fail(where + ", attribute '" + shown(from.name()) + "': " + why);
      return std::nullopt;
    }
    result.value = *tensor;
    break;
  }
  case AttributeProto::GRAPH: {
    auto graph = std::make_shared<Graph>();
    readGraph(from.g(), versions, call, *graph);
    result.value = graph;
    break;
  }
  default:
    // Kinds that no operator here reads.
    break;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

void Reader::readNode(const NodeProto &from, const Versions &versions,
                      const Call &call, unsigned number, Graph &to) {
  if (++nodes > maxNodes) {
    if (good)
      fail("more than " + Twine(maxNodes) + " nodes");
    return;
  }
  std::string domain = domainOf(from.domain());
  auto found =
      functions.find(functionKey(domain, from.op_type(), from.overload()));
  // A function of ours is an operator here.
  if (found != functions.end() &&
      !(domain == kOwnDomain && from.op_type() == kSuppress))
    return inlineFunction(from, *found->second, call, number, to);
  Node node;
  node.number = number;
  node.name = call.prefix + from.name();
  node.op = from.op_type();
  node.domain = domain;
  auto version = versions.find(domain);
  node.opset = version != versions.end() ? version->second : 1;
  for (const std::string &input : from.input())
    node.inputs.push_back(nameIn(call, input));
  for (const std::string &output : from.output())
    node.outputs.push_back(nameIn(call, output));
  std::string where =
      ("node " + Twine(number) + " '" + shown(node.name) + "' (" +
       shown(node.op) + ")")
          .str();
  for (const AttributeProto &attribute : from.attribute())
    if (auto value = readAttribute(attribute, versions, call, where))
      node.attributes[attribute.name()] = std::move(*value);
  to.nodes.push_back(std::move(node));
}

void Reader::inlineFunction(const NodeProto &from, const FunctionProto &function,
                            const Call &call, unsigned number, Graph &to) {
  if (call.depth == maxCalls) {
    if (good)
      fail("functions call each other more than " + Twine(maxCalls) +
           " deep, at '" + shown(function.name()) + "'");
    return;
  }
  Call inner;
  inner.depth = call.depth + 1;
  inner.number = number;
  inner.function = &function;
  // The attributes of the call as the callee sees them: those of the caller
  // that it passes on are looked up first.
  auto resolved = std::make_unique<NodeProto>(from);
  for (AttributeProto &attribute : *resolved->mutable_attribute()) {
    if (attribute.ref_attr_name().empty() || !call.node)
      continue;
    for (const AttributeProto &given : call.node->attribute())
      if (given.name() == attribute.ref_attr_name()) {
        std::string name = attribute.name();
        attribute = given;
        attribute.set_name(name);
        break;
      }
  }
  inner.node = resolved.get();
  std::string name = from.name().empty()
                         ? function.name() + "_" + std::to_string(++calls)
                         : from.name();
  inner.prefix = call.prefix + name + "/";
  for (int i = 0; i < function.input_size(); ++i)
    inner.names[function.input(i)] =
        i < from.input_size() ? nameIn(call, from.input(i)) : "";
  for (int i = 0; i < function.output_size() && i < from.output_size(); ++i)
    if (!from.output(i).empty())
      inner.names[function.output(i)] = nameIn(call, from.output(i));
  Versions versions = versionsOf(function.opset_import());
  for (const NodeProto &node : function.node())
    if (good)
      readNode(node, versions, inner, number, to);
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

Port Reader::readPort(const ::onnx::ValueInfoProto &from) {
  Port port;
  port.name = from.name();
  port.isTensor = from.type().has_tensor_type();
  const auto &tensor = from.type().tensor_type();
  port.type = DataType(tensor.elem_type());
  port.hasShape = tensor.has_shape();
  for (const auto &dim : tensor.shape().dim())
    port.sizes.push_back(dim.has_dim_value() && dim.dim_value() >= 0
                             ? dim.dim_value()
                             : -1);
  return port;
}

void Reader::readGraph(const GraphProto &from, const Versions &versions,
                       const Call &call, Graph &to) {
  to.name = from.name();
  std::string why;
  auto take = [&](const std::string &name, std::optional<HostTensor> tensor) {
    if (!tensor)
      fail("the initializer '" + shown(name) + "': " + why);
    else if (!to.initializers.emplace(nameIn(call, name), *tensor).second)
      fail("there are two initializers '" + shown(name) + "'");
  };
  for (const auto &tensor : from.initializer())
    take(tensor.name(), tensors.read(tensor, why));
  for (const auto &tensor : from.sparse_initializer())
    take(tensor.values().name(), tensors.read(tensor, why));
  for (const auto &input : from.input())
    if (!to.initializers.count(nameIn(call, input.name())))
      to.inputs.push_back(readPort(input));
  for (const auto &output : from.output())
    to.outputs.push_back(readPort(output));
  for (auto *ports : {&to.inputs, &to.outputs})
    for (Port &port : *ports)
      port.name = nameIn(call, port.name);
  for (int i = 0; i < from.node_size() && nodes <= maxNodes; ++i)
    readNode(from.node(i), versions, call, call.number ? call.number : i + 1,
             to);
  order(to);
}

/// Kahn's order; nodes stay as they stand where that is an order already.
void Reader::order(Graph &graph) {
  StringMap<unsigned> maker;
  for (auto [i, node] : llvm::enumerate(graph.nodes))
    for (const std::string &output : node.outputs)
      if (!output.empty() && (!maker.try_emplace(output, i).second ||
                              graph.initializers.count(output))) {
        fail("'" + shown(output) + "' is made twice, last by node " +
             Twine(node.number));
        return;
      }
  std::vector<unsigned> missing(graph.nodes.size(), 0);
  std::vector<SmallVector<unsigned, 2>> users(graph.nodes.size());
  bool ordered = true;
  for (auto [i, node] : llvm::enumerate(graph.nodes))
    for (const std::string &input : node.inputs) {
      auto found = maker.find(input);
      if (input.empty() || found == maker.end())
        continue;
      ++missing[i];
      users[found->second].push_back(i);
      ordered &= found->second < i;
    }
  if (ordered)
    return;
  std::deque<unsigned> ready;
  for (unsigned i = 0; i < missing.size(); ++i)
    if (missing[i] == 0)
      ready.push_back(i);
  std::vector<Node> sorted;
  while (!ready.empty()) {
    unsigned next = ready.front();
    ready.pop_front();
    for (unsigned user : users[next])
      if (--missing[user] == 0)
        ready.push_back(user);
    sorted.push_back(graph.nodes[next]);
  }
  if (sorted.size() != graph.nodes.size()) {
    auto stuck = llvm::find_if(missing, [](unsigned n) { return n > 0; });
    const Node &node = graph.nodes[stuck - missing.begin()];
    fail("node " + Twine(node.number) + " '" + shown(node.name) + "' (" +
         shown(node.op) + ") waits for its own result: the graph has a cycle");
    return;
  }
  graph.nodes = std::move(sorted);
}

bool Reader::run() {
  if (!proto->has_graph())
    return fail("not an ONNX model: it has no graph");
  Versions versions = versionsOf(proto->opset_import());
  // Before version 3 of the format there was one set of operators.
  if (versions.empty() && proto->ir_version() < 3)
    versions[""] = 1;
  model.opset = versions.count("") ? versions[""] : 0;
  model.producer = shown(proto->producer_name());
  for (const FunctionProto &function : proto->functions())
    functions[functionKey(function.domain(), function.name(),
                          function.overload())] = &function;
  readGraph(proto->graph(), versions, Call(), model.graph);
  model.id ^= tensors.externalId();
  return good;
}

std::unique_ptr<Model> readModel(StringRef path, raw_ostream &errors) {
  auto model = std::make_unique<Model>();
  model->path = path.str();
  auto wrong = [&](const Twine &message) {
    errors << path << ": error: " << message << "\n";
    return nullptr;
  };
  if (sys::fs::is_directory(path))
    return wrong("it is a folder");
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file)
    return wrong(file.getError().message());
  StringRef bytes = (*file)->getBuffer();
  if (bytes.size() > INT32_MAX)
    return wrong("larger than 2 GiB; such models keep their weights in external "
                 "data");
  google::protobuf::io::ArrayInputStream stream(bytes.data(), bytes.size());
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT32_MAX);
  auto proto = std::make_shared<ModelProto>();
  google::protobuf::SetLogHandler(nullptr);
  if (!proto->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return wrong("not an ONNX model, or cut short, or nested too deep");
  model->id = xxh3_64bits(bytes);
  file->reset(); // protobuf has copied it
  Reader reader(*model, proto, errors);
  if (!reader.run())
    return nullptr;
  return model;
}

} // namespace halcyon::onnx
