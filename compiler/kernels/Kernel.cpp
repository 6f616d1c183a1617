//===- Kernel.cpp - The registry and what kernels share -------------------===//

#include "compiler/kernels/Kernel.h"
#include "dialects/cnn/Support.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace halcyon {

//===----------------------------------------------------------------------===//
// Group
//===----------------------------------------------------------------------===//

Group::Group(Block &block) : body(block) {
  for (Operation &op : block.without_terminator())
    if (cast<cnn::ComputeOpInterface>(op).isAnchor())
      anchorOps.push_back(&op);
}

bool Group::isWeight(Value value) {
  return cnn::isFixed(value.getType());
}

bool Group::hasPrologue() const {
  return anchor() && llvm::any_of(anchor()->getOperands(), [](Value operand) {
           return operand.getDefiningOp() != nullptr;
         });
}

//===----------------------------------------------------------------------===//
// Registry
//===----------------------------------------------------------------------===//

static std::vector<std::unique_ptr<Kernel>> &owned() {
  static std::vector<std::unique_ptr<Kernel>> kernels;
  return kernels;
}
static std::vector<const Kernel *> &registry() {
  static std::vector<const Kernel *> kernels;
  return kernels;
}

void registerKernel(std::unique_ptr<Kernel> kernel) {
  // By name, so that the order does not depend on how files are linked.
  auto &all = registry();
  auto at = std::lower_bound(all.begin(), all.end(), kernel->name(),
                             [](const Kernel *k, StringRef name) {
                               return k->name() < name;
                             });
  all.insert(at, kernel.get());
  owned().push_back(std::move(kernel));
}

ArrayRef<const Kernel *> allKernels() { return registry(); }

const Kernel *findKernel(StringRef name) {
  for (const Kernel *kernel : registry())
    if (kernel->name() == name)
      return kernel;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

Kernel::~Kernel() = default;

/// Whether kernels for vectors and feature maps in f32 or bf16 can read or
/// write the value; `written` is always one with a batch.
static bool isOrdinary(Value value, bool written) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.getElementType().isF32() && !type.getElementType().isBF16())
    return isa<cnn::ImageOp>(*value.user_begin()) && !written;
  if (cnn::isFixed(type))
    return !written;
  return type.getRank() == 2 || type.getRank() == 4;
}

bool Kernel::takes(const Group &group, const Target &target,
                   std::string &why) const {
  if (isForDevice() != target.device.has_value())
    return false;
  if (!isGeneral()) {
    auto ordinary = [](bool written) {
      return [=](Value value) { return isOrdinary(value, written); };
    };
    if (!llvm::all_of(group.inputs(), ordinary(false)) ||
        !llvm::all_of(group.outputs(), ordinary(true)))
      return false;
    // What an anchor slides over or multiplies has a batch.
    if (group.anchor() && group.anchor()->getNumOperands() &&
        cnn::isFixed(group.anchor()->getOperand(0).getType()))
      return false;
  }
  return handles(group, target, why);
}

cnn::PackedAttr Kernel::packing(const Group &group, unsigned input,
                                const LayoutChoice &choice,
                                const Target &) const {
  auto type = cast<RankedTensorType>(group.inputs()[input].getType());
  cnn::LayoutAttr output = choice.outputs.front();
  if (type.getRank() != 1 || !output || !output.isBlocked())
    return {};
  std::string block = std::to_string(output.getBlock());
  return cnn::PackedAttr::get(type.getContext(), "O" + block + "o");
}

//===----------------------------------------------------------------------===//
// Schedules
//===----------------------------------------------------------------------===//

cnn::ScheduleAttr Kernel::schedule(const Group &group, const Target &) const {
  return makeSchedule(group.block().front().getContext(), name(), {});
}

SmallVector<ScheduleParameter> Kernel::parameters(const Group &group,
                                                  const Target &target) const {
  SmallVector<ScheduleParameter> result;
  for (NamedAttribute param : schedule(group, target).getParams()) {
    int64_t value = cast<IntegerAttr>(param.getValue()).getInt();
    result.push_back({param.getName().strref(), value, value, {value}});
  }
  return result;
}

SmallVector<cnn::ScheduleAttr> Kernel::space(const Group &group,
                                             const Target &target) const {
  return spaceFrom(group, target, {{}});
}

SmallVector<cnn::ScheduleAttr>
Kernel::spaceFrom(const Group &group, const Target &target,
                  ArrayRef<Assignment> beginnings) const {
  cnn::ScheduleAttr first = schedule(group, target);
  llvm::SetVector<cnn::ScheduleAttr> found;
  found.insert(first);
  SmallVector<Assignment> all(beginnings.begin(), beginnings.end());
  for (const ScheduleParameter &parameter : parameters(group, target)) {
    SmallVector<Assignment> longer;
    for (Assignment &begun : all) {
      if (llvm::is_contained(llvm::make_first_range(begun), parameter.name)) {
        longer.push_back(begun);
        continue;
      }
      for (int64_t value : parameter.values) {
        longer.push_back(begun);
        longer.back().push_back({parameter.name, value});
      }
    }
    all = std::move(longer);
  }
  for (const Assignment &assignment : all) {
    std::string why;
    auto candidate = makeSchedule(first.getContext(), name(), assignment);
    if (checkSchedule(group, target, candidate, why))
      found.insert(candidate);
  }
  return found.takeVector();
}

std::pair<StringRef, StringRef> splitParameter(StringRef name) {
  auto [term, key] = name.split('_');
  for (StringRef family : {"task", "tile", "threads", "unroll"})
    if (term == family)
      return {term, key};
  return {name, ""};
}

bool checkParameter(ArrayRef<ScheduleParameter> known, StringRef name,
                    int64_t value, std::string &why) {
  auto spell = [](StringRef name) {
    auto [term, key] = splitParameter(name);
    return key.empty() ? term.str() : (term + "(" + key + ")").str();
  };
  auto *parameter = llvm::find_if(
      known, [&](const ScheduleParameter &p) { return p.name == name; });
  if (parameter == known.end()) {
    why = "it has no " + spell(name);
    std::string list;
    for (const ScheduleParameter &p : known)
      list += (list.empty() ? "" : ", ") + spell(p.name);
    why += list.empty() ? ", nor any other parameter" : "; there are " + list;
    return false;
  }
  if (value >= parameter->least && value <= parameter->most)
    return true;
  auto text = [&](int64_t value) -> std::string {
    return !parameter->flag ? std::to_string(value) : value ? "yes" : "no";
  };
  why = spell(name) + " of this layer is ";
  if (parameter->least == parameter->most)
    why += text(parameter->least) + " and nothing else";
  else
    why += parameter->flag ? "yes or no"
           : parameter->least == 0
               ? "fit, or from 1 to " + text(parameter->most)
               : "from " + text(parameter->least) + " to " + text(parameter->most);
  return false;
}

bool Kernel::checkSchedule(const Group &group, const Target &target,
                           cnn::ScheduleAttr schedule, std::string &why) const {
  SmallVector<ScheduleParameter> known = parameters(group, target);
  for (NamedAttribute param : schedule.getParams()) {
    auto value = dyn_cast<IntegerAttr>(param.getValue());
    if (!value || !value.getType().isSignlessInteger(64)) {
      why = param.getName().str() + " is no number";
      return false;
    }
    if (!checkParameter(known, param.getName(), value.getInt(), why))
      return false;
  }
  return holds(group, target, completeSchedule(group, target, schedule), why);
}

cnn::ScheduleAttr Kernel::completeSchedule(const Group &group,
                                           const Target &target,
                                           cnn::ScheduleAttr schedule) const {
  // Defaults are costly to find; a search has all values already.
  if (llvm::all_of(parameters(group, target), [&](const ScheduleParameter &p) {
        return schedule.getParams().contains(p.name);
      }))
    return schedule;
  Assignment all;
  for (NamedAttribute param : this->schedule(group, target).getParams()) {
    int64_t otherwise = cast<IntegerAttr>(param.getValue()).getInt();
    StringRef key = param.getName().strref();
    all.push_back({key, schedule.param(key, otherwise)});
  }
  return makeSchedule(schedule.getContext(), name(), all);
}

double Kernel::error(const Group &group, const Target &) const {
  return sumError(groupTerms(group));
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

std::string layoutText(const LayoutChoice &choice) {
  StringRef from, to;
  for (cnn::LayoutAttr layout : choice.outputs)
    if (layout)
      to = layout.getOrder();
  for (cnn::LayoutAttr layout : choice.inputs)
    if (layout && layout.getOrder() != to && from.empty())
      from = layout.getOrder();
  if (from.empty() || to.empty())
    return (from + to).str();
  return (from + " -> " + to).str();
}

SmallVector<LayoutChoice> layoutsFor(ArrayRef<LayoutChoice> choices,
                                     StringRef text) {
  auto those = [&](auto test) {
    SmallVector<LayoutChoice> result;
    llvm::copy_if(choices, std::back_inserter(result), test);
    return result;
  };
  auto exact = those(
      [&](const LayoutChoice &choice) { return layoutText(choice) == text; });
  if (!exact.empty())
    return exact;
  return those([&](const LayoutChoice &choice) {
    return llvm::any_of(choice.outputs, [&](cnn::LayoutAttr layout) {
      return layout && layout.getOrder() == text;
    });
  });
}

LayoutChoice uniformLayout(const Group &group, StringRef order) {
  LayoutChoice choice;
  auto layoutFor = [&](Value value) -> cnn::LayoutAttr {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() != 4 || Group::isWeight(value))
      return {};
    return cnn::LayoutAttr::get(type.getContext(), order);
  };
  for (Value input : group.inputs())
    choice.inputs.push_back(layoutFor(input));
  for (Value output : group.outputs())
    choice.outputs.push_back(layoutFor(output));
  return choice;
}

cnn::ScheduleAttr
makeSchedule(MLIRContext *context, StringRef name,
             ArrayRef<std::pair<StringRef, int64_t>> params) {
  Builder builder(context);
  SmallVector<NamedAttribute> attributes;
  for (auto [key, value] : params)
    attributes.push_back(
        builder.getNamedAttr(key, builder.getI64IntegerAttr(value)));
  return cnn::ScheduleAttr::get(context, name,
                                builder.getDictionaryAttr(attributes));
}

double rooflineSeconds(const Target &target, double flops, double bytes,
                       double efficiency) {
  double arithmetic = flops / (target.flops * target.cores * efficiency);
  double rate = bytes > target.l2 * target.cores
                    ? target.totalBandwidth
                    : target.l2Bandwidth * target.cores;
  return std::max(arithmetic, bytes / rate) + target.callSeconds;
}

double sumError(double terms) {
  // A sum rounds once a term, by half of 2^-23 at most, and signs are random.
  // Measured for 9 to 4608 terms: up to 6.6e-8 times the root, mostly 5e-8
  // (test/kernels/ConvErrors.cpp).
  return 1e-7 * std::sqrt(terms);
}

double groupTerms(const Group &group) {
  double terms = 0;
  for (Operation *anchor : group.anchors())
    if (double flops = cast<cnn::ComputeOpInterface>(anchor).getFlops();
        flops > 0)
      terms += std::max(
          1.0, flops / 2 / cnn::elementsPerImage(anchor->getResult(0).getType()));
  return terms;
}

std::string errorText(double error) {
  int exponent = (int)std::floor(std::log10(error) + 1e-9);
  double unit = std::pow(10, exponent - 2);
  int digits = (int)std::ceil(error / unit - 1e-6);
  if (digits == 1000) {
    digits = 100;
    ++exponent;
  }
  std::string text = llvm::formatv("{0}.{1,0+2}", digits / 100, digits % 100);
  text = StringRef(text).rtrim('0').rtrim('.').str();
  return exponent ? text + "e" + std::to_string(exponent) : text;
}

std::string beyondMaxError(double error, double maxError) {
  return "error " + errorText(error) + " beyond max_error " +
         errorText(maxError);
}

double groupBytes(const Group &group) {
  double bytes = 0;
  for (Value input : group.inputs())
    bytes += cnn::bytesOf(input.getType());
  for (Value output : group.outputs())
    bytes += cnn::bytesOf(output.getType());
  return bytes;
}

double groupFlops(const Group &group) {
  double flops = 0;
  for (Operation &op : group.block().without_terminator())
    flops += cast<cnn::ComputeOpInterface>(op).getFlops();
  return flops;
}

} // namespace halcyon
