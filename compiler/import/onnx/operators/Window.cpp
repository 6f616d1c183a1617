//===- Window.cpp - Operators that slide a window over maps ---------------===//

#include "compiler/import/onnx/operators/Window.h"

using namespace mlir;

namespace halcyon::onnx {

Expr Window::inside(Coords places) const {
  Expr result(true);
  for (auto [place, size] : llvm::zip(places, inputs))
    result = result && Expr(0) <= place && place < Expr(size);
  return result;
}

SmallVector<Expr> Window::nearest(Coords places) const {
  SmallVector<Expr> result(places);
  for (unsigned d = 0; d < rank(); ++d)
    result[d] = clamp(places[d], Expr(0), Expr(inputs[d] - 1));
  return result;
}

SmallVector<Expr> Window::places(Coords i, Coords u) const {
  SmallVector<Expr> result;
  for (unsigned d = 0; d < rank(); ++d)
    result.push_back(place(d, i[d], u[d]));
  return result;
}

bool Window::isPadded() const {
  auto any = [](const Shape &pads) {
    return llvm::any_of(pads, [](int64_t pad) { return pad != 0; });
  };
  return any(before) || any(after);
}

Window2d twoDimensional(const Window &window) {
  Window2d flat{window.kernel, window.stride, window.dilation, {}};
  Shape before = window.before, after = window.after;
  if (window.rank() == 1) {
    for (Shape *numbers : {&flat.kernel, &flat.stride, &flat.dilation})
      numbers->insert(numbers->begin(), 1);
    before.insert(before.begin(), 0);
    after.insert(after.begin(), 0);
  }
  flat.pad = {before[0], before[1], after[0], after[1]};
  return flat;
}

/// Sizes that no network has, and that overflow what is computed from them.
static bool isReasonable(ArrayRef<int64_t> numbers, int64_t least) {
  return llvm::all_of(numbers, [&](int64_t number) {
    return number >= least && number <= (int64_t(1) << 30);
  });
}

std::optional<Window> readWindow(NodeContext &node, const Tensor &x,
                                 ArrayRef<int64_t> kernel) {
  auto wrong = [&](const llvm::Twine &message) {
    (void)node.fail(message);
    return std::nullopt;
  };
  if (x.rank() < 3)
    return wrong("its input has no spatial dimensions");
  Window window;
  size_t rank = x.rank() - 2;
  window.inputs.assign(x.shape.begin() + 2, x.shape.end());
  auto numbers = [&](StringRef name, size_t count, int64_t otherwise) {
    std::vector<int64_t> values =
        node.integers(name, std::vector<int64_t>(count, otherwise));
    if (values.empty())
      values.assign(count, otherwise);
    return Shape(values.begin(), values.end());
  };
  window.kernel = numbers("kernel_shape", rank, 0);
  if (!kernel.empty()) {
    if (node.given("kernel_shape") && ArrayRef(window.kernel) != kernel)
      return wrong("kernel_shape is not the shape of its weights");
    window.kernel.assign(kernel.begin(), kernel.end());
  }
  window.stride = numbers("strides", rank, 1);
  window.dilation = numbers("dilations", rank, 1);
  Shape pads = numbers("pads", 2 * rank, 0);
  window.ceil = node.integer("ceil_mode");
  if (window.kernel.size() != rank || window.stride.size() != rank ||
      window.dilation.size() != rank || pads.size() != 2 * rank)
    return wrong("its window has another number of dimensions than its input");
  if (!isReasonable(window.kernel, 1) || !isReasonable(window.stride, 1) ||
      !isReasonable(window.dilation, 1) ||
      !isReasonable(pads, -(int64_t(1) << 30)) ||
      !isReasonable(window.inputs, 0))
    return wrong("a size of its window is out of range");
  window.before.assign(pads.begin(), pads.begin() + rank);
  window.after.assign(pads.begin() + rank, pads.end());
  std::string automatic = node.word("auto_pad", "NOTSET");
  if (automatic != "NOTSET") {
    window.before.assign(rank, 0);
    window.after.assign(rank, 0);
  }
  for (unsigned d = 0; d < rank; ++d) {
    int64_t n = window.inputs[d], stride = window.stride[d];
    int64_t reach = window.dilation[d] * (window.kernel[d] - 1) + 1;
    if (StringRef(automatic).starts_with("SAME")) {
      int64_t outputs = (n + stride - 1) / stride;
      int64_t total = std::max<int64_t>(0, (outputs - 1) * stride + reach - n);
      bool lower = automatic == "SAME_LOWER";
      window.before[d] = lower ? total - total / 2 : total / 2;
      window.after[d] = total - window.before[d];
      window.outputs.push_back(outputs);
      continue;
    }
    int64_t room = n + window.before[d] + window.after[d] - reach;
    if (room < 0)
      return wrong("a window of " + llvm::Twine(reach) +
                   " does not fit a size of " + llvm::Twine(n) + " padded by " +
                   llvm::Twine(window.before[d] + window.after[d]));
    int64_t count = (room + (window.ceil ? stride - 1 : 0)) / stride + 1;
    // No window begins in the padding at the end.
    if (window.ceil && (count - 1) * stride >= n + window.before[d])
      --count;
    window.outputs.push_back(count);
  }
  return window;
}

} // namespace halcyon::onnx
