//===- Interface.h - A model as its users see it --------------------------===//

#ifndef HALCYON_COMPILER_EMIT_INTERFACE_H
#define HALCYON_COMPILER_EMIT_INTERFACE_H

#include "compiler/emit/Form.h"

#include <map>
#include <string>
#include <vector>

namespace halcyon {

/// An input or output.
struct Port {
  std::string name, identifier; ///< the latter as C can say it
  mlir::RankedTensorType type;
  bool image = false; ///< can be made from a picture

  /// "f32[N, 1, 28, 28]"
  std::string typeText() const;
  /// Of its elements in the language: "f32".
  llvm::StringRef elementText() const;
  /// Of its elements in C: "float".
  llvm::StringRef cType() const;
};

/// What a program takes and gives.
struct Interface {
  Interface() = default;
  explicit Interface(exec::ProgramOp program);

  std::string name; ///< the program's, as C can say it
  std::string model;
  std::vector<Port> inputs, outputs;

  /// A line for each input and output, numbered as the C functions do.
  std::string portLines(llvm::StringRef indent) const;
};

/// A name in which C's rules hold.
std::string identifierOf(llvm::StringRef name);

/// A name where it is not Python's own, nor private.
std::string pythonName(const std::string &name);

/// How an element type is called in C, and in numpy.
llvm::StringRef cTypeOf(mlir::Type element);
llvm::StringRef numpyTypeOf(mlir::Type element);

void replaceAll(std::string &text, llvm::StringRef from, llvm::StringRef to);

/// Writes texts of the compiler into a form's folder. In them @NAME@ is the
/// interface's name, @PORTS@ its ports, @TARGET@ the machine, @CHECKED@ who runs
/// the form; others can be added.
class TextWriter {
public:
  TextWriter(const Form &form, const Emission &emission, const Interface &of);
  std::map<std::string, std::string> values;
  /// Writes the text of this name; returns what went wrong.
  std::string write(llvm::StringRef path, llvm::StringRef textName);
  std::string fill(std::string text) const;

private:
  OutputFolder &folder;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_EMIT_INTERFACE_H
