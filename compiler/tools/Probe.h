//===- Probe.h - A network whose inside can be looked at ------------------===//
//
// A model with more inputs and outputs than it was written with: values of
// layers, and gradients, which the compiler's own differentiation gives. What is
// differentiated is a weighted sum of a layer's channels; the weights are
// inputs, so that one program serves every class and channel.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TOOLS_PROBE_H
#define HALCYON_COMPILER_TOOLS_PROBE_H

#include "compiler/tools/Driver.h"

#include <map>

namespace halcyon {

/// A dense tensor of f32.
struct Numbers {
  std::vector<int64_t> shape;
  std::vector<float> values;

  static Numbers zeros(std::vector<int64_t> shape);
  int64_t count() const { return values.size(); }
};
using NamedNumbers = std::map<std::string, Numbers>;

/// As a safetensors file. False, after a message, where it can't be written.
bool writeNumbers(const std::string &path, const NamedNumbers &numbers);

/// A layer's value.
struct ProbedLayer {
  std::string path, kind;
  mlir::Value value;
  std::vector<int64_t> sizes; ///< without the batch
  bool isMap() const { return sizes.size() == 3; }
};

class Probe {
public:
  /// Which element of each channel counts: their mean, or the middle one.
  enum class Element { Mean, Middle };

  /// `driver` has parsed the model and checked its weights.
  explicit Probe(Driver &driver) : driver(driver) {}
  ~Probe();

  /// Finds the model's one input, of pictures, its layers, and its first output.
  bool begin();
  const std::vector<ProbedLayer> &layers() const { return all; }
  /// The layer of this path; the last one, where several have it.
  const ProbedLayer *find(llvm::StringRef path) const;
  const std::vector<int64_t> &inputSizes() const { return sizes; }
  const ProbedLayer *output() const { return result; }
  const std::string &labels() const { return labelText; }

  /// Makes the value an output. Returns its name.
  std::string show(mlir::Value value, llvm::StringRef path);
  std::string showInput() { return show(input.getResult(), "input"); }
  /// Makes the gradient of the value an output. What is in `zeros` is then to be
  /// given to every run.
  std::string watch(const ProbedLayer &layer);
  std::string watchInput() const { return "grad:" + inputName; }
  /// Adds the layer to what is differentiated. Returns the name of the input
  /// that weighs its channels, N x C, of which zeros are in `zeros`.
  std::string aim(const ProbedLayer &layer, Element element);

  /// Makes the program; nothing is added after that.
  bool compile();
  /// Runs it on `batch` images: on a file, or on what `given` has for the input.
  /// Inputs that `given` lacks are zeros. Leaves the outputs named in `wanted`.
  bool run(int64_t batch, llvm::StringRef picture, const NamedNumbers &given,
           llvm::ArrayRef<std::string> wanted, NamedNumbers &results);
  const std::string &nameOfInput() const { return inputName; }

private:
  Driver &driver;
  cnn::ModelOp model;
  cnn::InputOp input;
  std::vector<int64_t> sizes;
  std::vector<ProbedLayer> all;
  const ProbedLayer *result = nullptr;
  std::string inputName, labelText, program;
  std::map<std::string, std::vector<int64_t>> zeros; ///< inputs, without the batch
  mlir::Value loss;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_PROBE_H
