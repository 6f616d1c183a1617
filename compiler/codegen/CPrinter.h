//===- CPrinter.h - Halide's statements as C -------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_CPRINTER_H
#define HALCYON_COMPILER_CODEGEN_CPRINTER_H

#include "compiler/codegen/CHelpers.h"

#include <map>
#include <sstream>

namespace halcyon {

/// What is known of a buffer inside the kernel.
struct Memory {
  std::string name;
  bool onHeap = false;
};

/// One function. Scalars are expressions, vectors are calls of small functions. What
/// an expression needs before it, such as a `let`, becomes lines before its statement.
class CPrinter : public Halide::Internal::IRVisitor {
public:
  std::string function(const Halide::Internal::LoweredFunc &func, bool threads);
  CHelpers helpers;

private:
  using Halide::Internal::IRVisitor::visit;

  //===--- Text ---===//
  void line(const std::string &text) { os << std::string(indent, ' ') << text << "\n"; }
  void open(const std::string &text) {
    line(text);
    indent += 2;
  }
  void close(const std::string &text = "}") {
    indent -= 2;
    line(text);
  }
  std::string fresh(const std::string &hint);
  std::string id(const std::string &name) const;
  void bind(const std::string &name, const std::string &c) { names[name] = c; }
  /// A variable of the value, for what is used more than once.
  std::string hold(const std::string &hint, const Halide::Type &type, const std::string &value);
  std::string print(const Halide::Expr &e) {
    e.accept(this);
    return out;
  }
  void printBlock(const Halide::Internal::Stmt &s) {
    if (s.defined())
      s.accept(this);
  }

  //===--- Expressions ---===//
  void visit(const Halide::Internal::IntImm *op) override;
  void visit(const Halide::Internal::UIntImm *op) override;
  void visit(const Halide::Internal::FloatImm *op) override;
  void visit(const Halide::Internal::Cast *op) override;
  void visit(const Halide::Internal::Reinterpret *op) override;
  void visit(const Halide::Internal::Variable *op) override { out = id(op->name); }
  void visit(const Halide::Internal::Add *op) override { arithmetic(op, "add", "+"); }
  void visit(const Halide::Internal::Sub *op) override { arithmetic(op, "sub", "-"); }
  void visit(const Halide::Internal::Mul *op) override { arithmetic(op, "mul", "*"); }
  void visit(const Halide::Internal::Div *op) override {
    arithmetic(op, "div", op->type.is_float() ? "/" : "");
  }
  void visit(const Halide::Internal::Mod *op) override;
  void visit(const Halide::Internal::Min *op) override { arithmetic(op, "min", ""); }
  void visit(const Halide::Internal::Max *op) override { arithmetic(op, "max", ""); }
  void visit(const Halide::Internal::EQ *op) override { comparison(op->a, op->b, "eq", "=="); }
  void visit(const Halide::Internal::NE *op) override { comparison(op->a, op->b, "ne", "!="); }
  void visit(const Halide::Internal::LT *op) override { comparison(op->a, op->b, "lt", "<"); }
  void visit(const Halide::Internal::LE *op) override { comparison(op->a, op->b, "le", "<="); }
  void visit(const Halide::Internal::GT *op) override { comparison(op->a, op->b, "gt", ">"); }
  void visit(const Halide::Internal::GE *op) override { comparison(op->a, op->b, "ge", ">="); }
  void visit(const Halide::Internal::And *op) override { logic(op->a, op->b, "and", "&&"); }
  void visit(const Halide::Internal::Or *op) override { logic(op->a, op->b, "or", "||"); }
  void visit(const Halide::Internal::Not *op) override;
  void visit(const Halide::Internal::Select *op) override;
  void visit(const Halide::Internal::Load *op) override;
  void visit(const Halide::Internal::Ramp *op) override;
  void visit(const Halide::Internal::Broadcast *op) override;
  void visit(const Halide::Internal::Call *op) override;
  void visit(const Halide::Internal::Let *op) override;
  void visit(const Halide::Internal::Shuffle *op) override;
  void visit(const Halide::Internal::VectorReduce *op) override;

  template <typename T>
  void arithmetic(const T *op, const char *name, const char *sign) {
    binary(op->type, print(op->a), print(op->b), name, sign);
  }
  void binary(Halide::Type type, const std::string &a, const std::string &b,
              const std::string &name, const std::string &sign);
  void comparison(const Halide::Expr &a, const Halide::Expr &b, const char *name, const char *sign);
  void logic(const Halide::Expr &a, const Halide::Expr &b, const char *name, const char *sign);
  void branch(const Halide::Internal::Call *op);
  void libraryCall(const Halide::Internal::Call *op);
  std::string address(const std::string &buffer, Halide::Type element, const std::string &index);
  struct Place {
    CHelpers::Access access;
    std::string first, extra;
  };
  Place placeOf(const Halide::Expr &index);

  //===--- Statements ---===//
  void visit(const Halide::Internal::LetStmt *op) override;
  void visit(const Halide::Internal::AssertStmt *) override {}
  void visit(const Halide::Internal::ProducerConsumer *op) override { printBlock(op->body); }
  void visit(const Halide::Internal::For *op) override;
  void sharedLoop(const Halide::Internal::For *op);
  /// What stands between the braces of a function: its pointers to free, `text`,
  /// and the end.
  std::string body(const std::string &text) const;
  void visit(const Halide::Internal::Store *op) override;
  void visit(const Halide::Internal::Allocate *op) override;
  void visit(const Halide::Internal::Free *op) override;
  void visit(const Halide::Internal::Block *op) override;
  void visit(const Halide::Internal::IfThenElse *op) override;
  void visit(const Halide::Internal::Evaluate *op) override;
  void visit(const Halide::Internal::Atomic *op) override { printBlock(op->body); }

  std::ostringstream os;
  unsigned indent = 2;
  std::string out;
  std::map<std::string, std::string> names; ///< Halide's to C's
  std::map<std::string, unsigned> taken;
  std::map<std::string, Memory> memories;
  std::vector<std::string> heap; ///< pointers to free at the end
  std::string kernel;            ///< its name
  std::string loops;             ///< functions of loops that threads share
  bool canFail = false;          ///< a loop of the function that threads share can
  unsigned numLoops = 0;
};


} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_CPRINTER_H
