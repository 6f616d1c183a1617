//===- Adjoint.cpp - Gradients that Halide derives ------------------------===//
//
// The operation's definition is differentiated by propagate_adjoints (Li et al.,
// Differentiable Programming for Image Processing and Deep Learning in Halide,
// 2018). What it scatters is computed where pure variables remain, in parallel
// over them, on a device in threads.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Algorithm.h"
#include "compiler/kernels/GpuLoops.h"
#include "compiler/kernels/Loops.h"
#include "dialects/cnn/IndexAnalysis.h"
#include "dialects/cnn/Support.h"

using namespace mlir;
using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace halcyon {

namespace {
/// What it computes; how, the kernels for CPUs and for devices say.
class DerivedAdjoint : public Kernel {
public:
  bool isGeneral() const override { return true; }
  bool isFallback() const override { return true; }

  bool handles(const Group &group, const Target &,
               std::string &why) const override {
    auto adjoint = group.anchorAs<cnn::AdjointOp>();
    return adjoint &&
           findAlgorithm(adjoint.getForward()->getName().getStringRef()) &&
           llvm::hasSingleElement(group.block().without_terminator());
  }

  SmallVector<LayoutChoice> layouts(const Group &group,
                                    const Target &) const override {
    return {uniformLayout(group, "nchw")};
  }

  double cost(const Group &group, const Target &target) const override {
    return groupSeconds(group, target, 0.02);
  }

protected:
  /// An output of the group: its Func, the variables of the logical dimensions, and
  /// its type.
  struct Root {
    Func func;
    std::vector<Var> vars;
    RankedTensorType type;
  };
  static std::vector<Root> define(KernelBuilder &b) {
    auto adjoint = b.group.anchorAs<cnn::AdjointOp>();
    Operation *forward = adjoint.getForward();
    Block &body = adjoint.getBody().front();
    LogicalGroup logical(batchOf(b));
    SmallVector<Func> inputs;
    for (auto [argument, value] :
         llvm::zip(body.getArguments(), adjoint.getInputs())) {
      inputs.push_back(logicalInput(b, value));
      logical.bind(argument, inputs.back());
    }
    // One Func whose derivative is asked for: the results, weighted.
    SmallVector<Halide::Derivative> derivatives;
    for (auto [index, result] : llvm::enumerate(forward->getResults())) {
      LogicalTensor tensor = logical.get(result);
      Func weight = logicalInput(
          b, adjoint.getInputs()[body.getNumArguments() + index]);
      std::vector<Halide::Range> bounds;
      Halide::Region inside;
      for (const Expr &size : tensor.sizes) {
        bounds.emplace_back(0, size - 1);
        inside.emplace_back(0, size);
      }
      // Elements that no result reads are reached as if there were results
      // beyond the last one.
      Func defined = tensor.func;
      if (auto indexed = dyn_cast<cnn::IndexedOp>(forward)) {
        weight = Halide::BoundaryConditions::constant_exterior(
            weight, Halide::Internal::make_zero(weight.type()), inside);
        defined = overPlaces(indexed, tensor);
      }
      derivatives.push_back(Halide::propagate_adjoints(defined, weight, bounds));
    }
    std::vector<Root> roots;
    for (auto [index, wrt] : llvm::enumerate(adjoint.getWrt())) {
      auto type = cnn::tensorOf(adjoint.getResults()[index]);
      std::vector<Var> vars = logicalVars(type.getRank());
      std::vector<Expr> at(vars.begin(), vars.end());
      Expr sum;
      for (Halide::Derivative &derivative : derivatives) {
        Func gradient = derivative(inputs[wrt]);
        if (!gradient.defined())
          continue;
        Expr part = gradient(at);
        sum = sum.defined() ? sum + part : part;
      }
      if (!sum.defined())
        sum = Halide::Internal::make_zero(storedType(type));
      roots.push_back({b.output(index, vars, sum), vars, type});
    }
    return roots;
  }

private:
  /// The argument of the region on which a coordinate depends, if it is one; all
  /// of them in `found`.
  static Value dependsOn(Value coordinate, Block &body,
                         llvm::SmallPtrSetImpl<void *> &found) {
    auto argument = dyn_cast<BlockArgument>(coordinate);
    if (argument && argument.getOwner() == &body) {
      found.insert(argument.getAsOpaquePointer());
      return argument;
    }
    if (Operation *maker = coordinate.getDefiningOp())
      for (Value operand : maker->getOperands())
        dependsOn(operand, body, found);
    return {};
  }

  /// Of an operation that has an index in several coordinates of one read, as
  /// reshaping has it, or of one sum: a sum over all places of the result, so that
  /// nothing has to be solved for the index, which Halide does wrongly (its issue
  /// 7385). Indices that are coordinates by themselves stay.
  static Func overPlaces(cnn::IndexedOp op, const LogicalTensor &tensor) {
    Block &body = op.getBody().front();
    llvm::SmallPtrSet<void *, 4> mixed;
    bool several = false;
    auto look = [&](auto coordinates) {
      llvm::SmallPtrSet<void *, 4> before;
      for (Value coordinate : coordinates) {
        llvm::SmallPtrSet<void *, 4> own;
        bool plain = bool(dependsOn(coordinate, body, own));
        for (void *argument : own) {
          several |= !before.insert(argument).second;
          if (!plain)
            mixed.insert(argument);
        }
      }
    };
    cnn::IndexAnalysis facts(op);
    op.walk([&](cnn::ReadOp read) { look(read.getAt()); });
    op.walk([&](cnn::ReduceOp reduce) { look(SmallVector<Value>(facts.keys(reduce))); });
    if (!several || tensor.func.has_update_definition())
      return tensor.func;
    std::vector<Var> args = tensor.func.args();
    Halide::Region places;
    for (auto [size, argument] :
         llvm::zip(tensor.sizes, llvm::reverse(body.getArguments())))
      places.emplace_back(
          0, mixed.contains(argument.getAsOpaquePointer()) ? size : Expr(1));
    Halide::RDom r(places);
    std::vector<Expr> at;
    std::map<std::string, Expr> names;
    for (auto [i, argument] : llvm::enumerate(llvm::reverse(body.getArguments()))) {
      bool moved = mixed.contains(argument.getAsOpaquePointer());
      at.push_back(moved ? Expr(r[i]) : Expr(args[i]));
      names[args[i].name()] = at.back();
    }
    Func sum("places");
    std::vector<Expr> pure(args.begin(), args.end());
    sum(pure) = Halide::Internal::make_zero(tensor.func.type());
    sum(at) += Halide::Internal::substitute(names, tensor.func.value());
    return sum;
  }
};

class Adjoint : public DerivedAdjoint {
public:
  StringRef name() const override { return "adjoint"; }
  void build(KernelBuilder &b) const override {
    std::vector<Func> roots;
    for (Root &root : define(b)) {
      scheduleLogical(b, root.func, root.type.getShape());
      roots.push_back(root.func);
    }
    scheduleUpdates(b, roots);
  }

private:
  /// Computes what has updates as a whole, each update in vectors and in
  /// parallel over the variables that its place is free of sums in.
  static void scheduleUpdates(KernelBuilder &b, const std::vector<Func> &roots) {
    std::vector<Halide::Internal::Function> functions;
    for (const Func &root : roots)
      functions.push_back(root.function());
    auto isRoot = [&](const std::string &name) {
      return llvm::any_of(roots, [&](const Func &f) { return f.name() == name; });
    };
    for (auto &[name, function] : Halide::Internal::build_environment(functions)) {
      if (!function.has_update_definition() || isRoot(name))
        continue;
      Func f(function);
      f.compute_root();
      std::vector<Var> args = f.args();
      if (args.size() > 1)
        f.parallel(args.back());
      for (int i = 0; i < f.num_update_definitions(); ++i)
        scheduleUpdate(b, f, i);
    }
  }

  static void scheduleUpdate(KernelBuilder &b, Func f, int index) {
    SmallVector<std::pair<size_t, Var>> pure;
    std::vector<Var> args = f.args();
    for (auto [at, value] : llvm::enumerate(f.update_args(index)))
      if (auto *variable = value.as<Halide::Internal::Variable>())
        if (!variable->reduction_domain.defined() && !variable->param.defined() &&
            variable->name == args[at].name())
          pure.push_back({at, args[at]});
    if (pure.empty())
      return;
    auto stage = f.update(index);
    if (pure.size() > 1 || pure.front().first != 0)
      stage.parallel(pure.back().second);
    if (pure.front().first == 0)
      stage.vectorize(pure.front().second,
                      b.target.lanes * 4 / std::max(4, f.types()[0].bytes()),
                      TailStrategy::GuardWithIf);
  }
};

/// A thread for each element, and for each place of an update that is free of sums.
class GpuAdjoint : public DerivedAdjoint {
public:
  StringRef name() const override { return "gpu_adjoint"; }
  bool isForDevice() const override { return true; }
  void build(KernelBuilder &b) const override {
    std::vector<Func> roots;
    for (Root &root : define(b)) {
      std::vector<int64_t> extents;
      for (int64_t size : llvm::reverse(root.type.getShape()))
        extents.push_back(ShapedType::isDynamic(size) ? 1 << 20 : size);
      scheduleThreads(root.func, root.vars, extents);
      roots.push_back(root.func);
    }
    storeSumsOnDevice(roots);
  }
};
} // namespace

static RegisterKernel<Adjoint> adjoint;
static RegisterKernel<GpuAdjoint> gpuAdjoint;

} // namespace halcyon
