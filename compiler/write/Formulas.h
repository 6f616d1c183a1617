//===- Formulas.h - Elementwise and indexed operations as ops -------------===//

#ifndef HALCYON_COMPILER_WRITE_FORMULAS_H
#define HALCYON_COMPILER_WRITE_FORMULAS_H

#include "compiler/write/Program.h"

#include "compiler/dsl/Frontend.h"

namespace halcyon::write {

/// A formula as text, cut where whole numbers stand that may vary from one
/// operation to another: pieces[0] numbers[0] pieces[1] ...
struct Template {
  std::vector<std::string> pieces = {""};
  std::vector<int64_t> numbers;
};

/// Finds calls for `cnn.map` and `cnn.indexed`: of an operator, of a function or
/// an op of the library, or of an op that is defined for them.
class Formulas {
public:
  explicit Formulas(Program &program) : program(program) {}

  /// Joins elementwise operations that the language has one op for.
  void recombine(cnn::ModelOp model);
  /// Gives the node its call, or says why there is none. The call of an op of
  /// its own is left open until `define`.
  std::string spell(mlir::Operation *op, Node &node);
  /// Defines the ops that are needed.
  void define(Body &body);

private:
  bool asOperator(cnn::MapOp map, Node &node);
  bool asLibraryOp(cnn::MapOp map, Node &node);
  /// An op of the library, elaborated with numbers that tell its parameters.
  struct Candidate {
    std::string name;
    std::vector<std::string> params; ///< numbers
    size_t required;                 ///< of them
    std::vector<double> probes;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    cnn::MapOp map;
  };
  std::vector<Candidate> &candidates(size_t tensors);
  mlir::OwningOpRef<mlir::ModuleOp>
  elaborate(llvm::StringRef op, size_t tensors,
            llvm::ArrayRef<double> numbers, mlir::MLIRContext &context);

  /// Operations that need one op: equal but for numbers.
  struct Group {
    std::string function;
    Template first;
    std::vector<std::pair<size_t, std::vector<int64_t>>> uses; ///< nodes
    std::vector<std::vector<int64_t>> shapes; ///< of their first inputs
  };

  Program &program;
  std::map<std::vector<std::string>, Group> groups;
  std::vector<dsl::LibraryOp> library;
  std::map<size_t, std::vector<Candidate>> byTensors;
  size_t nodes = 0;
};

/// The definition of an op that computes the operation; its name and the
/// parameters of numbers are left to `Formulas`. Says what has no form.
std::string templateOf(mlir::Operation *op, Template &result);

} // namespace halcyon::write

#endif // HALCYON_COMPILER_WRITE_FORMULAS_H
