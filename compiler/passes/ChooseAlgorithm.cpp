//===- ChooseAlgorithm.cpp - A kernel for every fused group ---------------===//
//
// Asks every kernel whether it computes the group and what it costs, with the
// conversions that it brings with it, and takes the cheapest. What ruled the others out is kept as the reason.
//
//===----------------------------------------------------------------------===//

#include "compiler/kernels/Kernel.h"
#include "compiler/passes/AssignLayout.h"
#include "compiler/passes/Passes.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace halcyon {
#define GEN_PASS_DEF_CHOOSEALGORITHM
#include "compiler/passes/Passes.h.inc"

namespace {

/// The orders in which a value can be had without a conversion, as far as that
/// is decided: nothing where it is not known yet.
SmallVector<StringRef> ordersOf(Value value, const Target &target) {
  Operation *producer = value.getDefiningOp();
  if (isa_and_nonnull<cnn::InputOp>(producer))
    return {"nchw"};
  SmallVector<StringRef> orders;
  auto fused = dyn_cast_or_null<cnn::FusedOp>(producer);
  const Kernel *kernel =
      fused && fused.getSchedule() ? findKernel(fused.getSchedule()->getAlgorithm())
                                   : nullptr;
  if (!kernel)
    return orders;
  unsigned number = cast<OpResult>(value).getResultNumber();
  Group group(fused.getBody().front());
  for (const LayoutChoice &choice : kernel->layouts(group, target))
    if (number < choice.outputs.size() && choice.outputs[number])
      orders.push_back(choice.outputs[number].getOrder());
  return orders;
}

/// Seconds of the conversions that a kernel brings with it: of what it reads from
/// groups before it, in `orders` of each operand, and of what the caller gets.
double conversionsOf(cnn::FusedOp fused, ArrayRef<SmallVector<StringRef>> orders,
                     const Group &group, const Kernel *kernel, const Target &target) {
  const auto choices = kernel->layouts(group, target);
  if (choices.empty())
    return 0;
  double seconds = 0;
  for (auto [index, operand] : llvm::enumerate(fused->getOperands())) {
    if (!orders[index].empty() &&
        llvm::none_of(choices, [&](const LayoutChoice &choice) {
          cnn::LayoutAttr mine = choice.inputs[index];
          return !mine || llvm::is_contained(orders[index], mine.getOrder());
        }))
      seconds += conversionSeconds(operand, target);
  }
  for (auto [index, result] : llvm::enumerate(fused->getResults()))
    if (llvm::any_of(result.getUsers(), llvm::IsaPred<cnn::OutputOp>) &&
        llvm::none_of(choices, [&](const LayoutChoice &choice) {
          cnn::LayoutAttr mine = choice.outputs[index];
          return !mine || mine.getOrder() == "nchw";
        }))
      seconds += conversionSeconds(result, target);
  return seconds;
}

struct ChooseAlgorithm : impl::ChooseAlgorithmBase<ChooseAlgorithm> {
  using ChooseAlgorithmBase::ChooseAlgorithmBase;

  void runOnOperation() override {
    std::optional<Target> machine = targetFor(getOperation(), target);
    if (!machine)
      return signalPassFailure();
    bool forcedSomewhere = false;
    bool good = true;
    getOperation().walk([&](cnn::FusedOp fused) {
      if (!fused.getSchedule() || !fused.getReason())
        good &= choose(fused, *machine, forcedSomewhere);
    });
    if (!good)
      return signalPassFailure();
    if (!algorithm.empty() && !forcedSomewhere) {
      std::string names;
      for (const Kernel *kernel : allKernels())
        names += (names.empty() ? "" : ", ") + kernel->name().str();
      if (!findKernel(algorithm)) {
        getOperation().emitError("unknown algorithm '" + algorithm +
                                 "'; there are " + names);
        return signalPassFailure();
      }
    }
  }

  /// Whether the schedule that a group has already can hold.
  static bool checkGiven(cnn::FusedOp fused, const Group &group,
                         const Target &machine) {
    cnn::ScheduleAttr given = *fused.getSchedule();
    const Kernel *kernel = findKernel(given.getAlgorithm());
    std::string why;
    if (!kernel)
      why = "there is no such kernel";
    else if (!kernel->takes(group, machine, why))
      why = why.empty() ? "it is a kernel of other layers" : why;
    else if (fused.getLayout() &&
             layoutsFor(kernel->layouts(group, machine), *fused.getLayout())
                 .empty())
      why = "not with layout " + fused.getLayout()->str();
    else if (double error = kernel->error(group, machine);
             error > cnn::maxErrorOf(fused))
      why = beyondMaxError(error, cnn::maxErrorOf(fused));
    else
      kernel->checkSchedule(group, machine, given, why);
    if (!why.empty())
      fused.emitError("'" + given.getAlgorithm().str() +
                      "' does not run this layer as scheduled: " + why);
    return why.empty();
  }

  bool choose(cnn::FusedOp fused, const Target &machine, bool &forcedSomewhere) {
    Group group(fused.getBody().front());
    const Kernel *best = nullptr, *forced = nullptr, *closest = nullptr;
    double bestCost = 0, leastError = 0;
    const double maxError = cnn::maxErrorOf(fused);
    std::string others, refused;
    SmallVector<SmallVector<StringRef>> orders;
    for (Value operand : fused->getOperands())
      orders.push_back(ordersOf(operand, machine));
    auto consider = [&](const Kernel *kernel) {
      std::string why;
      if (!kernel->takes(group, machine, why)) {
        // Kernels of other layers have nothing to say here.
        if (!why.empty())
          others += "; " + kernel->name().str() + ": " + why;
        return;
      }
      double error = kernel->error(group, machine);
      if (!closest || error < leastError) {
        closest = kernel;
        leastError = error;
      }
      if (error > maxError) {
        why = beyondMaxError(error, maxError);
        others += "; " + kernel->name().str() + ": " + why;
        if (kernel->name() == algorithm)
          refused = why;
        return;
      }
      double cost = kernel->cost(group, machine) +
                    conversionsOf(fused, orders, group, kernel, machine);
      others += llvm::formatv("; {0} {1:F3} ms", kernel->name(), cost * 1e3);
      if (kernel->name() == algorithm)
        forced = kernel;
      if (!best || cost < bestCost) {
        best = kernel;
        bestCost = cost;
      }
    };
    auto isAsked = [&](const Kernel *kernel) {
      return !kernel->isFallback() || kernel->name() == algorithm;
    };
    for (const Kernel *kernel : allKernels())
      if (isAsked(kernel))
        consider(kernel);
    for (const Kernel *kernel : allKernels())
      if (!best && !isAsked(kernel))
        consider(kernel);
    if (!best && closest) {
      fused.emitError("no algorithm for this layer stays within max_error " +
                      errorText(maxError) + "; the least is " +
                      errorText(leastError) + ", of " + closest->name());
      return false;
    }
    if (!best) {
      fused.emitError("no kernel computes this layer");
      return false;
    }
    // A schedule that is there already stays; only the others' costs are noted.
    if (fused.getSchedule()) {
      fused.setReason("as scheduled" + others);
      return checkGiven(fused, group, machine);
    }
    if (!refused.empty())
      fused.emitWarning(algorithm + " is not taken here: " + refused);
    std::string reason = "cheapest by the cost model";
    if (forced) {
      best = forced;
      forcedSomewhere = true;
      reason = "asked for";
    }
    fused.setScheduleAttr(best->schedule(group, machine));
    fused.setReason(reason + others);
    return true;
  }
};

} // namespace
} // namespace halcyon
