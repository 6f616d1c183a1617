//===- AstPrinter.cpp - A tree as text that parses to it again ------------===//

#include "Ast.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace halcyon::dsl;
using namespace llvm;

namespace {

/// How tightly what surrounds an expression binds; see precedence().
enum Context : unsigned {
  Loosest = 0,
  NotLevel = 3,
  NegLevel = 8,
  Postfix = 10
};

class Printer {
public:
  explicit Printer(raw_ostream &os) : os(os) {}

  void print(const Definition &definition);
  void print(const Training &training);

private:
  void print(const Body &body);
  void print(const Stmt &statement);
  void print(const Pattern &pattern);
  void print(const Expr &expr, unsigned context = Loosest);
  void printBinary(const BinaryExpr &expr);
  void printCall(const CallExpr &call);
  void printArgs(ArrayRef<Argument> args);
  void printAs(const CallExpr &call);
  void printIndices(ArrayRef<IndexRangeExpr> indices);
  void printIf(const IfExpr &expr);
  void printClause(const ClauseStmt &clause);
  void print(const StringExpr &expr);
  raw_ostream &line() { return os.indent(indent * 2); }

  raw_ostream &os;
  unsigned indent = 0;
};

} // namespace

/// The context in which an expression needs no parentheses, at most.
static unsigned binding(const Expr &expr) {
  if (auto *binary = dyn_cast<BinaryExpr>(&expr))
    return precedence(binary->op);
  if (auto *unary = dyn_cast<UnaryExpr>(&expr))
    return unary->op == UnaryOp::Not ? NotLevel : NegLevel;
  if (auto *call = dyn_cast<CallExpr>(&expr))
    return call->arrow || call->as ? Loosest : Postfix;
  if (isa<InstanceExpr>(expr))
    return Loosest;
  return Postfix;
}

void Printer::print(const Expr &expr, unsigned context) {
  bool parentheses = binding(expr) < context;
  if (parentheses)
    os << '(';
  switch (expr.kind) {
  case NodeKind::Number:
  case NodeKind::Name:
    os << StringRef(expr.range.Start.getPointer(),
                    expr.range.End.getPointer() -
                        expr.range.Start.getPointer());
    break;
  case NodeKind::Bool:
    os << (cast<BoolExpr>(expr).value ? "true" : "false");
    break;
  case NodeKind::String:
    print(cast<StringExpr>(expr));
    break;
  case NodeKind::Sequence: {
    auto &sequence = cast<SequenceExpr>(expr);
    os << (sequence.isList ? '[' : '(');
    interleaveComma(sequence.items, os, [&](Expr *item) { print(*item); });
    if (!sequence.isList && sequence.items.size() == 1)
      os << ',';
    os << (sequence.isList ? ']' : ')');
    break;
  }
  case NodeKind::Unary: {
    auto &unary = cast<UnaryExpr>(expr);
    bool isNot = unary.op == UnaryOp::Not;
    os << (isNot ? "not " : "-");
    print(*unary.operand, isNot ? NotLevel : NegLevel);
    break;
  }
  case NodeKind::Binary:
    printBinary(cast<BinaryExpr>(expr));
    break;
  case NodeKind::Call:
    printCall(cast<CallExpr>(expr));
    break;
  case NodeKind::Member: {
    auto &member = cast<MemberExpr>(expr);
    print(*member.base, Postfix);
    os << '.' << member.member.text;
    break;
  }
  case NodeKind::Index: {
    auto &index = cast<IndexExpr>(expr);
    print(*index.base, Postfix);
    os << '[';
    interleaveComma(index.indices, os, [&](Expr *item) { print(*item); });
    os << ']';
    break;
  }
  case NodeKind::Each: {
    auto &each = cast<EachExpr>(expr);
    os << (each.brackets ? "[" : "");
    print(*each.value);
    os << " for ";
    printIndices(each.indices);
    os << (each.brackets ? "]" : "");
    break;
  }
  case NodeKind::If:
    printIf(cast<IfExpr>(expr));
    break;
  case NodeKind::Instance: {
    const CallExpr &call = *cast<InstanceExpr>(expr).call;
    os << "instance ";
    print(*call.callee, Postfix);
    if (call.parentheses)
      printArgs(call.args);
    printAs(call);
    break;
  }
  default:
    llvm_unreachable("a statement is no expression");
  }
  if (parentheses)
    os << ')';
}

void Printer::printBinary(const BinaryExpr &expr) {
  unsigned level = precedence(expr.op);
  bool comparison =
      level == precedence(BinaryOp::Eq) || level == precedence(BinaryOp::Range);
  bool power = expr.op == BinaryOp::Pow;
  // `**` takes a postfix expression before it and a sign after it.
  print(*expr.lhs, power ? Postfix : level + comparison);
  if (expr.op == BinaryOp::Range)
    os << "..";
  else
    os << ' ' << spelling(expr.op) << ' ';
  print(*expr.rhs, power ? unsigned(NegLevel) : level + 1);
}

void Printer::printArgs(ArrayRef<Argument> args) {
  os << '(';
  interleaveComma(args, os, [&](const Argument &arg) {
    if (!arg.name.text.empty())
      os << arg.name.text << '=';
    print(*arg.value);
  });
  os << ')';
}

void Printer::printIndices(ArrayRef<IndexRangeExpr> indices) {
  interleaveComma(indices, os, [&](const IndexRangeExpr &index) {
    os << index.name.text;
    if (index.range) {
      os << " in ";
      print(*index.range);
    }
  });
}

void Printer::printAs(const CallExpr &call) {
  if (!call.as)
    return;
  os << " as ";
  print(*call.as);
}

void Printer::printCall(const CallExpr &call) {
  ArrayRef<Argument> args = call.args;
  if (call.arrow) {
    // A chain goes on from a chain; anything else that is loose needs
    // parentheses only where it is an instance.
    const Expr &receiver = *args.front().value;
    print(receiver, isa<InstanceExpr>(receiver) ? 1 : Loosest);
    os << " -> ";
    args = args.drop_front();
  }
  // `x -> (y -> f)` and a call of a call's result keep their parentheses.
  bool nested = call.arrow && !call.parentheses && isa<CallExpr>(call.callee);
  print(*call.callee, nested ? Postfix + 1 : Postfix);
  if (call.parentheses)
    printArgs(args);
  printAs(call);
}

void Printer::print(const StringExpr &expr) {
  os << '"';
  for (const StringExpr::Part &part : expr.parts) {
    for (char c : part.text) {
      if (c == '{' || c == '}')
        os << c << c;
      else if (c == '\n')
        os << "\\n";
      else if (c == '"' || c == '\\')
        os << '\\' << c;
      else
        os << c;
    }
    if (part.value) {
      os << '{';
      print(*part.value);
      os << '}';
    }
  }
  os << '"';
}

void Printer::printIf(const IfExpr &expr) {
  os << "if ";
  print(*expr.condition);
  os << ' ';
  print(expr.thenBody);
  if (!expr.hasElse)
    return;
  os << " else ";
  const auto *only = expr.elseBody.size() == 1
                         ? dyn_cast<ExprStmt>(expr.elseBody.front())
                         : nullptr;
  if (only && isa<IfExpr>(only->value))
    printIf(*cast<IfExpr>(only->value));
  else
    print(expr.elseBody);
}

void Printer::print(const Body &body) {
  // A branch that is a value stays on its line.
  auto *only = body.size() == 1 ? dyn_cast<ExprStmt>(body.front()) : nullptr;
  if (only && !isa<IfExpr>(only->value)) {
    os << "{ ";
    print(*only->value);
    os << " }";
    return;
  }
  os << "{\n";
  ++indent;
  for (const Stmt *statement : body) {
    line();
    print(*statement);
    os << '\n';
  }
  --indent;
  line() << '}';
}

void Printer::print(const Pattern &pattern) {
  if (pattern.items.empty()) {
    os << pattern.name.text;
    return;
  }
  os << '(';
  interleaveComma(pattern.items, os, [&](const Pattern &item) { print(item); });
  if (pattern.items.size() == 1)
    os << ',';
  os << ')';
}

void Printer::print(const Stmt &statement) {
  auto each = [&](const auto &items) {
    interleaveComma(items, os, [&](Expr *item) { print(*item); });
  };
  switch (statement.kind) {
  case NodeKind::Assign: {
    auto &assign = cast<AssignStmt>(statement);
    interleaveComma(assign.targets, os,
                    [&](const Pattern &target) { print(target); });
    os << " = ";
    return each(assign.values);
  }
  case NodeKind::Return:
    os << "return ";
    return each(cast<ReturnStmt>(statement).values);
  case NodeKind::For: {
    auto &loop = cast<ForStmt>(statement);
    os << "for ";
    interleaveComma(loop.targets, os,
                    [&](const Pattern &target) { print(target); });
    os << " in ";
    print(*loop.list);
    os << ' ';
    return print(loop.body);
  }
  case NodeKind::Precision: {
    auto &block = cast<PrecisionStmt>(statement);
    os << "precision " << block.name.text << ' ';
    return print(block.body);
  }
  case NodeKind::ExprStmt:
    return print(*cast<ExprStmt>(statement).value);
  case NodeKind::Input: {
    auto &input = cast<InputStmt>(statement);
    os << "input " << input.name.text << ": " << input.elementType.text << '[';
    each(input.dims);
    os << ']';
    if (input.source) {
      os << " from ";
      print(*input.source);
    }
    return;
  }
  case NodeKind::Output: {
    os << "output ";
    interleaveComma(cast<OutputStmt>(statement).items, os,
                    [&](const OutputStmt::Item &item) {
                      if (!item.name.text.empty())
                        os << item.name.text << " = ";
                      print(*item.value);
                      if (item.labels) {
                        os << " labels ";
                        print(*item.labels);
                      }
                    });
    return;
  }
  case NodeKind::Clause:
    return printClause(cast<ClauseStmt>(statement));
  default:
    llvm_unreachable("only a whole tree is printed");
  }
}

void Printer::printClause(const ClauseStmt &clause) {
  StringRef word = clause.keyword.text;
  auto parts = [&] {
    interleaveComma(clause.parts, os, [&](const Identifier &part) {
      // What was in quotes is so again.
      bool quoted = part.range.Start.getPointer() != part.text.data();
      os << (quoted ? "\"" : "") << part.text << (quoted ? "\"" : "");
    });
  };
  auto items = [&] {
    interleaveComma(clause.items, os, [&](const Argument &item) {
      if (!item.name.text.empty())
        os << item.name.text << " = ";
      print(*item.value);
    });
  };
  os << word << ' ';
  if (word == "step") {
    parts();
    os << " minimize ";
    return items();
  }
  bool behind = clause.isException();
  if (behind || clause.parts.empty())
    items();
  if (clause.parts.empty())
    return;
  if (behind)
    os << " except ";
  else if (word != "freeze")
    os << "of ";
  parts();
  if (!behind && !clause.items.empty()) {
    os << " = ";
    items();
  }
  if (clause.until) {
    os << " until epoch ";
    print(*clause.until);
  }
}

void Printer::print(const Training &training) {
  os << "train " << training.name.text << " {\n";
  ++indent;
  for (const Stmt *statement : training.body) {
    line();
    print(*statement);
    os << '\n';
  }
  --indent;
  os << "}\n";
}

void Printer::print(const Definition &definition) {
  StringRef kind = definition.kind == Definition::Op      ? "op "
                   : definition.kind == Definition::Model ? "model "
                                                          : "block ";
  os << kind << definition.name.text;
  if (!definition.params.empty() || definition.kind != Definition::Model) {
    os << '(';
    interleaveComma(definition.params, os, [&](const Param &param) {
      os << (param.isWeight ? "weight " : "") << param.name.text;
      if (param.isWeight) {
        os << ": " << param.elementType.text << '[';
        interleaveComma(param.dims, os, [&](Expr *dim) { print(*dim); });
        os << ']';
      }
      if (param.defaultValue) {
        os << " = ";
        print(*param.defaultValue);
      }
    });
    os << ')';
  }
  if (definition.isIndexed) {
    os << '[';
    printIndices(definition.indices);
    os << ']';
  }
  for (const Argument &property : definition.properties) {
    os << ' ' << property.name.text << '=';
    print(*property.value);
  }
  if (definition.formula) {
    os << " = ";
    print(*definition.formula);
    os << '\n';
    return;
  }
  os << " {\n";
  ++indent;
  for (const Stmt *statement : definition.body) {
    line();
    print(*statement);
    os << '\n';
  }
  --indent;
  os << "}\n";
}

void halcyon::dsl::printAst(const File &file, raw_ostream &os) {
  for (const ImportItem &item : file.imports) {
    os << "import \"";
    for (char c : item.path)
      os << (c == '"' || c == '\\' ? "\\"
             : c == '{'            ? "{"
             : c == '}'            ? "}"
                                   : "")
         << c;
    os << "\"\n";
  }
  bool first = file.imports.empty();
  for (const auto &definition : file.definitions) {
    if (!first)
      os << '\n';
    first = false;
    Printer(os).print(*definition);
  }
  for (const auto &training : file.trainings) {
    if (!first)
      os << '\n';
    first = false;
    Printer(os).print(*training);
  }
}
