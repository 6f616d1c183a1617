//===- Explanation.h - What the compiler knows of each layer --------------===//
//
// The facts behind `halcyon explain`: the layers as the model has them, and the
// kernels that they became.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_TOOLS_EXPLANATION_H
#define HALCYON_COMPILER_TOOLS_EXPLANATION_H

#include "compiler/tools/Driver.h"

#include "llvm/ADT/DenseMap.h"

namespace halcyon {

/// What one element of a feature map depends on, along one axis of the input,
/// in its pixels: the element at 0 sees [first, end), the next one `step`
/// further.
struct ReceptiveField {
  double first = 0, end = 1, step = 1;
  bool whole = false; ///< all of the input, whatever its size
};

/// The part of a receptive field that matters, along one axis: of the gradient of
/// a layer's middle element 95 % lie in `size` pixels, which for the element at 0
/// begin at `first`. 0 pixels where nothing was measured.
struct EffectiveField {
  double first = 0, size = 0;
};

/// A layer of the model, as the user wrote it.
struct LayerFacts {
  mlir::Location loc; ///< what a layer and its kernel have in common
  cnn::LayerLocation at;
  std::string kind;  ///< "conv", "relu"
  std::string shape; ///< of the output, without the batch
  std::vector<int64_t> sizes;
  int64_t parameters = 0; ///< learned numbers
  int64_t statistics = 0; ///< running means and variances
  double flops = 0;       ///< per image
  double bytes = 0;       ///< read and written per image, its weights included
  std::vector<size_t> reads; ///< the layers whose outputs it reads, as indices
  ReceptiveField field[2] = {};    ///< y, x
  EffectiveField effective[2] = {};
  std::vector<int64_t> pad;   ///< top, left, bottom, right, if it pads
  std::string padMode;        ///< "same", "same_upper", ..., or empty
  /// The kernels that compute it, as indices; and what became of the layer:
  /// "computed", "fused", "folded", "in place", "no work".
  std::vector<size_t> kernels;
  std::string fate;
};

/// An algorithm that was thought of.
struct Alternative {
  std::string algorithm;
  double ms = -1;    ///< by the cost model, if it applies
  double error = -1; ///< to be expected, if it computes the layer
  std::string why;   ///< why it does not
};

struct KernelFacts {
  cnn::LayerLocation at;
  std::vector<size_t> reads; ///< the kernels whose outputs it reads, as indices
  int64_t live = 0; ///< bytes of the arena in use while it runs, per image
  std::string algorithm;
  /// How its filters are stored, or what it writes where it has none; and why
  /// that is f32 where bf16 was asked for.
  std::string precision, keptF32;
  std::vector<std::string> inputs; ///< layouts of feature maps
  std::vector<std::string> outputs;
  std::string schedule; ///< as a line of a schedule file
  double ms = 0;        ///< by the cost model
  double error = 0, maxError = 0; ///< to be expected, and allowed
  double flops = 0, bytes = 0;
  std::string reason;
  std::vector<Alternative> candidates;
  bool conversion = false; ///< changes a layout and nothing else
};

struct Explanation {
  std::vector<LayerFacts> layers;
  std::vector<KernelFacts> kernels; ///< in the order of their calls
  size_t distinctKernels = 0;
  size_t chainedCalls = 0; ///< that take a batch in parts, of so many images
  int64_t partImages = 0;
  int64_t weights = 0, arena = 0, arenaBound = 0; ///< bytes
};

/// Takes the driver's module, just parsed, through the pipeline. False after
/// a message.
bool explainModule(Driver &driver, Explanation &result);

/// Measures the effective fields of the layers that see more than those they
/// read. Takes seconds: the model is made a program, and run. False after a
/// message.
bool measureFields(const ModelOptions &options, Explanation &result);

/// The sums of what layers and kernels say.
struct Totals {
  explicit Totals(const Explanation &facts);
  int64_t parameters = 0, statistics = 0, conversions = 0;
  double flops = 0, ms = 0, arenaRatio = 1;
};

/// All facts as JSON.
void writeJson(llvm::raw_ostream &os, const Driver &driver,
               const Explanation &facts, unsigned indent);
/// All facts as one HTML page, which needs no other file.
std::string explanationPage(const Driver &driver, const Explanation &facts);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_EXPLANATION_H
