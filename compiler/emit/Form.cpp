//===- Form.cpp - What a model can be written as --------------------------===//

#include "compiler/emit/Form.h"
#include "compiler/codegen/DeviceRuntime.h"
#include "compiler/targets/Elf.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace halcyon {

static std::vector<std::unique_ptr<Form>> &registry() {
  static std::vector<std::unique_ptr<Form>> forms;
  return forms;
}

void registerForm(std::unique_ptr<Form> form) {
  registry().push_back(std::move(form));
}

std::vector<const Form *> allForms() {
  std::vector<const Form *> forms;
  for (const auto &form : registry())
    forms.push_back(form.get());
  llvm::sort(forms, [](const Form *a, const Form *b) { return a->name < b->name; });
  return forms;
}

bool Emission::succeeded(const std::string &error) const {
  if (!error.empty())
    errors << "error: " << error << "\n";
  return error.empty();
}

std::string whoRuns(const Target &target, StringRef native) {
  const Elf *elf = elfOf(target);
  return !elf ? "" : isNative(*elf) ? native.str() : "a C program under qemu-user";
}

std::string refuseLinking(const Target &target) {
  std::string why = refuseDevice(target);
  if (!why.empty())
    return why;
  return elfOf(target) ? ""
             : "it is linked for Linux alone, not for " + target.name;
}

} // namespace halcyon
