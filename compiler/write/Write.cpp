//===- Write.cpp - A model of the cnn dialect as text ---------------------===//

#include "compiler/write/Write.h"
#include "compiler/dsl/Frontend.h"
#include "compiler/write/Read.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace halcyon::write {

/// What words of the language already mean.
static void takeWords(MLIRContext &context, Program &program) {
  static constexpr StringRef words[] = {
      "and", "as", "block", "else", "false", "for", "if", "import", "in",
      "instance", "model", "not", "op", "or", "return", "true", "precision",
      "weight", "train", "labels", "from", "N"};
  for (StringRef word : words)
    program.taken[word.str()] = 1;
  for (const std::string &word : dsl::builtinNames(context))
    program.taken[word] = 1;
}

/// What is wrong with the text: it is no model, or another one.
static std::string check(ModuleOp module, const std::string &text,
                         std::map<std::string, std::string> &weights) {
  std::string complaint;
  llvm::raw_string_ostream stream(complaint);
  OwningOpRef<ModuleOp> made = dsl::compileModelText(
      text, "model.cnn", *module.getContext(), {}, stream);
  if (!made)
    return complaint;
  weights.clear();
  return compareModels(module, *made, weights);
}

Written writeModel(ModuleOp source, Describe describe,
                   llvm::raw_ostream &errors) {
  OwningOpRef<ModuleOp> copy = source.clone();
  ModuleOp module = *copy;
  auto models = module.getOps<cnn::ModelOp>();
  Program program;
  takeWords(*module.getContext(), program);
  if (!readModel(*models.begin(), program, describe, errors))
    return {};
  // Each form says the same as the one before it, in fewer words; should one
  // not, what is wrong is there, and the plainer one is taken.
  std::vector<std::string> forms = {print(program)};
  findBlocks(program);
  forms.push_back(print(program));
  findLoops(program);
  forms.push_back(print(program));
  Written written;
  std::string trouble;
  for (std::string &text : llvm::reverse(forms)) {
    trouble = check(module, text, written.weights);
    if (trouble.empty()) {
      written.text = std::move(text);
      return written;
    }
  }
  errors << "error: the model cannot be written: " << trouble << "\n";
  return {};
}

} // namespace halcyon::write
