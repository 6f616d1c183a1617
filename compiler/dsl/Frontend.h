//===- Frontend.h - A model file to the cnn dialect -----------------------===//
//
// The language's front door: parses a `.cnn` file and what it imports, and
// elaborates one of its models to a `cnn.model`.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_FRONTEND_H
#define HALCYON_COMPILER_DSL_FRONTEND_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <utility>
#include <vector>

namespace halcyon::dsl {

struct FrontendOptions {
  /// Parameters of the model, as `--set classes=10` gives them.
  std::vector<std::pair<std::string, std::string>> set;
  /// Shapes of inputs, as `--shape image=1,3,320,480`; -1 is an open batch.
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  /// The model to compile; empty for the only or last one of the file.
  std::string model;
  /// Where `import` looks after the importing file's own folder.
  std::vector<std::string> importPaths;
  /// Elaborate how the model is trained: `cnn.train` and `cnn.rule` with it.
  bool train = false;
  /// Constants that f32 does not hold keep what was written, for `cnn-widen`.
  bool exact = false;
  /// The mean of the answers of so many sets of weights, those behind the first
  /// named "member_2.", "member_3." ...
  unsigned members = 1;
  /// ... and of mirrored pictures, and of pictures shifted by a pixel.
  bool mirror = false, shift = false;
};

/// Parses `path` and elaborates its model into a module that holds one
/// `cnn.model`. Every mistake found is reported to `errs`; null if there was
/// one. The cnn, arith and math dialects must be registered in `context`.
mlir::OwningOpRef<mlir::ModuleOp>
compileModelFile(llvm::StringRef path, mlir::MLIRContext &context,
                 const FrontendOptions &options, llvm::raw_ostream &errs);

/// The same for text that lies in no file; `name` stands for it in messages.
mlir::OwningOpRef<mlir::ModuleOp>
compileModelText(llvm::StringRef text, llvm::StringRef name,
                 mlir::MLIRContext &context, const FrontendOptions &options,
                 llvm::raw_ostream &errs);

/// An op of the library that computes one element from one of every tensor.
struct LibraryOp {
  std::string name;
  size_t required; ///< parameters that have no default, tensors among them
  std::vector<std::string> defaults; ///< names of the others
};
std::vector<LibraryOp> libraryOps();

/// The names of layers and of functions of numbers.
std::vector<std::string> builtinNames(mlir::MLIRContext &context);

/// Parses `path` and prints it to `os` in a canonical form, which parses to
/// the same tree again. Fails, with reports to `errs`, on a syntax error.
mlir::LogicalResult printModelFileAst(llvm::StringRef path,
                                      llvm::raw_ostream &os,
                                      llvm::raw_ostream &errs);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_FRONTEND_H
