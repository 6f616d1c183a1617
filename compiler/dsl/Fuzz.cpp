//===- Fuzz.cpp - The front end on arbitrary text -------------------------===//
//
// fuzz-dsl -timeout=5 -rss_limit_mb=1024 -max_len=4096 corpus examples
//
//===----------------------------------------------------------------------===//

#include "Frontend.h"

#include "dialects/cnn/CnnOps.h"

using namespace halcyon::dsl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<halcyon::cnn::CnnDialect>();
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  std::string errors;
  llvm::raw_string_ostream os(errors);
  auto module = compileModelText(text, "fuzz.cnn", context, {}, os);
  // Every refusal has a reason, and none shows this program's insides.
  if (!module && errors.empty())
    __builtin_trap();
  if (llvm::StringRef(errors).contains("'cnn.") &&
      !text.contains("cnn."))
    __builtin_trap();
  return 0;
}
