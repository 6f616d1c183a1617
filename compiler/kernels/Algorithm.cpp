//===- Algorithm.cpp - What operations compute, in Halide -----------------===//

#include "compiler/kernels/Algorithm.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

static llvm::StringMap<Define> &algorithms() {
  static llvm::StringMap<Define> all;
  return all;
}

RegisterAlgorithm::RegisterAlgorithm(StringRef operation, Define define) {
  algorithms()[operation] = define;
}

Define findAlgorithm(StringRef operation) {
  return algorithms().lookup(operation);
}

bool isDefined(const Group &group) {
  return group.anchors().size() <= 1 &&
         llvm::all_of(group.block().without_terminator(), [](Operation &op) {
           return isa<cnn::MapOp>(op) ||
                  findAlgorithm(op.getName().getStringRef());
         });
}

std::vector<Var> logicalVars(size_t rank) {
  std::vector<Var> vars;
  for (size_t i = 0; i < rank; ++i)
    vars.emplace_back("d" + std::to_string(i));
  return vars;
}

std::vector<Expr> LogicalGroup::sizesOf(Type type) const {
  std::vector<Expr> sizes;
  for (int64_t size : llvm::reverse(cast<RankedTensorType>(type).getShape()))
    sizes.push_back(ShapedType::isDynamic(size) ? batch : Expr((int)size));
  return sizes;
}

void LogicalGroup::bind(Value value, Func func) {
  values[value.getAsOpaquePointer()] = {func, sizesOf(value.getType())};
}

/// Each operand is read where it meets the result: a size of 1 at 0, a vector
/// along the channels.
LogicalTensor LogicalGroup::defineMap(cnn::MapOp map) {
  auto type = cnn::tensorOf(map.getResult());
  std::vector<Var> vars = logicalVars(type.getRank());
  SmallVector<Expr> arguments;
  for (Value operand : map.getInputs()) {
    LogicalTensor tensor = get(operand);
    auto from = cnn::tensorOf(operand);
    std::vector<Expr> at;
    if (from.getRank() == 1 && type.getRank() > 1) {
      at.push_back(from.getDimSize(0) == 1
                       ? Expr(0)
                       : Expr(vars[type.getRank() - 2]));
    } else {
      for (auto [index, size] : llvm::enumerate(llvm::reverse(from.getShape())))
        at.push_back(size == 1 ? Expr(0) : Expr(vars[index]));
    }
    arguments.push_back(tensor.func(at));
  }
  Func f("map");
  f(vars) = scalarRegion(map.getBody().front(), arguments, /*smooth=*/true)[0];
  return {f, sizesOf(type)};
}

LogicalTensor LogicalGroup::get(Value value) {
  auto found = values.find(value.getAsOpaquePointer());
  if (found != values.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  LogicalTensor result;
  if (auto map = dyn_cast<cnn::MapOp>(op)) {
    result = defineMap(map);
  } else {
    Define define = findAlgorithm(op->getName().getStringRef());
    assert(define && "an operation without a definition");
    SmallVector<LogicalTensor> operands;
    for (Value operand : op->getOperands())
      operands.push_back(get(operand));
    result.sizes = sizesOf(value.getType());
    Func func = define(op, operands, sizesOf(op->getResult(0).getType()));
    // Of a tuple each result is a Func of its own.
    for (auto [index, other] : llvm::enumerate(op->getResults())) {
      if (op->getNumResults() == 1)
        break;
      Func part("part" + std::to_string(index));
      std::vector<Var> vars = func.args();
      part(vars) = func(std::vector<Expr>(vars.begin(), vars.end()))[index];
      bind(other, part);
    }
    if (op->getNumResults() > 1)
      return get(value);
    result.func = func;
  }
  values[value.getAsOpaquePointer()] = result;
  return result;
}

Func logicalInput(KernelBuilder &b, Value argument) {
  auto type = cast<RankedTensorType>(argument.getType());
  std::vector<Var> vars = logicalVars(type.getRank());
  std::vector<Expr> at(vars.begin(), vars.end());
  if (type.getRank() == 4)
    at = b.coordinates(type, {at[3], Expr(), at[2], at[1], at[0]});
  Func f("in" + std::to_string(cast<BlockArgument>(argument).getArgNumber()) +
         "_logical");
  f(vars) = b.read(argument, at);
  return f;
}

void scheduleLogical(KernelBuilder &b, Func func, ArrayRef<int64_t> shape,
                     bool flat) {
  std::vector<Var> args = func.args();
  if (args.empty())
    return;
  int bytes = std::max(1, func.types()[0].bytes());
  int lanes = std::max(1, b.target.lanes * 4 / bytes);
  auto guard = TailStrategy::GuardWithIf;
  int64_t inner = ShapedType::isDynamic(shape.back()) ? 1 << 20 : shape.back();
  Var task("task"), chunk("chunk");
  while (flat && args.size() > 1) {
    Var fused("flat" + std::to_string(args.size()));
    func.fuse(args[0], args[1], fused);
    args[0] = fused;
    args.erase(args.begin() + 1);
  }
  if (args.size() == 1) {
    // Vectors are no longer than what there is: Halide keeps one element in
    // memory that is not aligned for more.
    int64_t count = 1;
    for (int64_t size : shape)
      count = ShapedType::isDynamic(size) ? 1 << 20 : count * size;
    if (count == 1)
      return;
    lanes = (int)std::min<int64_t>(lanes, count);
    func.split(args[0], task, chunk, 16 * 1024 / bytes, guard)
        .vectorize(chunk, lanes, guard)
        .parallel(task);
    return;
  }
  if (inner >= 4)
    func.vectorize(args[0], (int)std::min<int64_t>(lanes, inner), guard);
  Var rows = args[1];
  for (size_t i = 2; i < args.size(); ++i) {
    Var fused("rows" + std::to_string(i));
    func.fuse(rows, args[i], fused);
    rows = fused;
  }
  int perTask = (int)std::clamp<int64_t>(32 * 1024 / (inner * bytes), 1, 4096);
  func.split(rows, task, chunk, perTask, guard).parallel(task);
}

} // namespace halcyon
