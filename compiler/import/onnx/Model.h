//===- Model.h - An ONNX file, read and checked ---------------------------===//
//
// What protobuf read, in the form that importers want: functions inlined, nodes
// in an order in which every value is made before it is used.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_MODEL_H
#define HALCYON_COMPILER_IMPORT_ONNX_MODEL_H

#include "compiler/import/onnx/HostTensor.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

#include <map>
#include <variant>

namespace halcyon::onnx {

struct Graph;

/// An attribute of a node.
struct Attribute {
  std::variant<std::monostate, int64_t, float, std::string,
               std::vector<int64_t>, std::vector<float>,
               std::vector<std::string>, HostTensor, std::shared_ptr<Graph>>
      value;
};

struct Node {
  std::string name, op, domain;
  std::vector<std::string> inputs, outputs; ///< empty where left out
  std::map<std::string, Attribute> attributes;
  int64_t opset = 1;   ///< the version of its domain
  unsigned number = 0; ///< its place in the file, from 1
};

/// An input or output as declared.
struct Port {
  std::string name;
  DataType type = DataType::Undefined;
  bool isTensor = true;
  bool hasShape = false;
  std::vector<int64_t> sizes; ///< -1 where it is open
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<Port> inputs, outputs; ///< inputs with an initializer left out
  std::map<std::string, HostTensor> initializers;
};

struct Model {
  Graph graph;
  std::string path, producer;
  int64_t opset = 0; ///< of ONNX's own operators
  uint64_t id = 0;   ///< differs where the file does
};

/// Whether a file is to be read as ONNX, by its name.
bool isOnnxFile(llvm::StringRef path);

/// Reads a model. Null after a line that says what is wrong.
std::unique_ptr<Model> readModel(llvm::StringRef path,
                                 llvm::raw_ostream &errors);

/// Reads a tensor from a file of its own: .npy, or else ONNX's TensorProto.
std::optional<HostTensor> readTensorFile(llvm::StringRef path,
                                         std::string &error);

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_MODEL_H
