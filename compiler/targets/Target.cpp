//===- Target.cpp - Targets by name ---------------------------------------===//

#include "compiler/targets/TargetFamily.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace halcyon {

static const TargetFamily *const families[] = {&x86Family, &armFamily};

std::optional<Target> findTarget(StringRef name, std::string &known) {
  if (name.empty() || name == "host") {
    HostFacts facts = hostFacts();
    for (const TargetFamily *family : families)
      if (auto target = family->host(facts)) {
        target->machine = target->name;
        target->name = "host";
        return target;
      }
  }
  SmallVector<StringRef> names = {"host"};
  for (const TargetFamily *family : families) {
    if (auto target = family->find(name)) {
      target->machine = target->name;
      return target;
    }
    family->names(names);
  }
  known = join(names, ", ");
  return std::nullopt;
}

} // namespace halcyon
