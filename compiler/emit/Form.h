//===- Form.h - What a model can be written as ----------------------------===//
//
// A form is one class in one file, which registers itself: `halcyon emit`, its
// help and its messages ask here what there is.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_EMIT_FORM_H
#define HALCYON_COMPILER_EMIT_FORM_H

#include "compiler/codegen/Objects.h"
#include "compiler/emit/Folder.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>

namespace halcyon {

/// A model, as far as the form wants it made, and where to write.
struct Emission {
  mlir::ModuleOp module;
  exec::ProgramOp program; ///< null for forms that read the graph
  const WeightSource &weights;
  const Target &target;
  KernelCompilerOptions kernels;
  std::string path;       ///< what the user called it
  OutputFolder *folder;   ///< null for forms that are one file
  llvm::raw_ostream &errors;
  bool embedWeights = false; ///< in the source, instead of a file beside it
  bool threads = false; ///< the source can run in several
  std::vector<std::string> layers = {}; ///< those wanted; empty: the whole model

  /// Says what went wrong, if anything did; returns whether nothing did.
  bool succeeded(const std::string &error) const;
};

class Form {
public:
  Form(llvm::StringRef name, llvm::StringRef summary)
      : name(name), summary(summary) {}
  virtual ~Form() = default;

  const llvm::StringRef name;    ///< as `--for` has it
  const llvm::StringRef summary; ///< what comes out

  /// Whether it is one file. Otherwise it is a folder.
  virtual bool isFile() const { return false; }
  /// Whether it is made of the graph that the language describes, rather than
  /// of the kernels that were chosen for a target.
  virtual bool readsGraph() const { return false; }
  /// Whether it is made of a model's forward and backward passes, each a program of
  /// its own, whose weights are inputs.
  virtual bool readsPasses() const { return false; }
  /// Whether weights can lie in its source as well as beside it.
  virtual bool embedsWeights() const { return false; }
  /// Whether its source can be made to run in several threads.
  virtual bool takesThreads() const { return false; }
  /// Whether what runs its calls takes a batch in parts where the program says so.
  virtual bool splitsBatch() const { return true; }
  /// Whether it can be made of some layers of a model.
  virtual bool takesLayers() const { return false; }
  /// Makes those layers the emission's model, and writes of the others what it has to.
  /// False after messages.
  virtual bool cut(Emission &emission) const { return true; }
  /// The machine that it is for where `--target` names none.
  virtual llvm::StringRef machine() const { return "host"; }
  /// The device whose kernels it holds, beside the CPU that `--target` names;
  /// empty where the target says all.
  virtual llvm::StringRef device() const { return ""; }
  /// Why it can't be made for a target; empty if it can.
  virtual std::string refusal(const Target &target) const { return ""; }
  /// Who runs what is made for a target in the tests, as a README says it;
  /// empty where nobody does.
  virtual std::string checkedBy(const Target &target) const { return ""; }
  /// Who looks, where nobody runs it, at what is made for a device: "assembled by
  /// ptxas"; empty where nobody does.
  virtual std::string lookedAtBy() const { return ""; }
  /// Writes it. False after messages.
  virtual bool write(Emission &emission) const = 0;
};

/// All forms, by name.
std::vector<const Form *> allForms();

/// Puts a form into the list: `static RegisterForm<SharedLibrary> shared;`
void registerForm(std::unique_ptr<Form> form);
template <typename F> struct RegisterForm {
  RegisterForm() { registerForm(std::make_unique<F>()); }
};

/// Who runs what is linked for a target in the tests: `native` on the compiler's own
/// kind of machine, a program under qemu-user on others of Linux.
std::string whoRuns(const Target &target, llvm::StringRef native);
/// Why ELF files can't be linked for a target; empty if they can.
std::string refuseLinking(const Target &target);

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_FORM_H
