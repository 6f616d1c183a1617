//===- Fuzz.cpp - The importer on arbitrary bytes -------------------------===//
//
// test/fuzz/run_fuzz.py onnx builds it and runs it.
//
//===----------------------------------------------------------------------===//

#include "compiler/import/onnx/Import.h"

#include "dialects/cnn/CnnOps.h"
#include "llvm/Support/FileSystem.h"

#include <fstream>

using namespace halcyon;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned runs = 0;
  if (runs++ % 500 == 0) {
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<cnn::CnnDialect, mlir::arith::ArithDialect,
                         mlir::math::MathDialect>();
  }
  llvm::SmallString<128> path;
  if (llvm::sys::fs::createTemporaryFile("fuzz", "onnx", path))
    __builtin_trap();
  std::ofstream(path.c_str(), std::ios::binary)
      .write(reinterpret_cast<const char *>(data), size);
  std::string errors;
  llvm::raw_string_ostream os(errors);
  onnx::Imported imported = onnx::importModel(path, *context, {}, os);
  llvm::sys::fs::remove(path);
  // Every refusal has a reason.
  if (!imported.module && errors.empty())
    __builtin_trap();
  return 0;
}
