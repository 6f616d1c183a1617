//===- Target.cpp - Targets by name ---------------------------------------===//

#include "compiler/targets/TargetFamily.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace halcyon {

static const TargetFamily *const families[] = {&x86Family, &armFamily, &riscvFamily,
                                               &wasmFamily};

/// The target of a CPU's name.
static std::optional<Target> findCpu(StringRef name) {
  if (name.empty() || name == "host") {
    HostFacts facts = hostFacts();
    for (const TargetFamily *family : families)
      if (auto target = family->host(facts)) {
        target->machine = target->name;
        target->name = "host";
        return target;
      }
  }
  for (const TargetFamily *family : families)
    if (auto target = family->find(name)) {
      target->machine = target->name;
      return target;
    }
  return std::nullopt;
}

std::optional<Target> findTarget(StringRef name, std::string &known) {
  if (auto target = findCpu(name))
    return target;
  auto [cpu, device] = name.contains('+') ? name.split('+')
                                          : std::pair(StringRef("host"), name);
  if (auto target = findCpu(cpu); target && addDevice(*target, device))
    return target;
  SmallVector<StringRef> names = {"host"}, devices;
  for (const TargetFamily *family : families)
    family->names(names);
  deviceNames(devices);
  known = join(names, ", ") + ", and of devices " + join(devices, ", ") +
          ", or both as CPU+DEVICE";
  return std::nullopt;
}

} // namespace halcyon
