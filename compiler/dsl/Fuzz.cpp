//===- Fuzz.cpp - The front end on arbitrary text -------------------------===//
//
// test/fuzz/run_fuzz.py dsl builds it and runs it.
//
//===----------------------------------------------------------------------===//

#include "Frontend.h"

#include "dialects/cnn/CnnOps.h"

using namespace halcyon::dsl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A context keeps every type that it has seen; a fresh one for each input
  // would take longer than the input.
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned runs = 0;
  if (runs++ % 500 == 0) {
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<halcyon::cnn::CnnDialect>();
  }
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  std::string errors;
  llvm::raw_string_ostream os(errors);
  auto module = compileModelText(text, "fuzz.cnn", *context, {}, os);
  // Every refusal has a reason, and none shows this program's insides.
  if (!module && errors.empty())
    __builtin_trap();
  if (llvm::StringRef(errors).contains("'cnn.") && !text.contains("cnn."))
    __builtin_trap();
  return 0;
}
