//===- Parser.h - Tokens to a tree ----------------------------------------===//
//
// Recursive descent with a bound on nesting. After a mistake it goes on with
// the next statement, so that one run reports them all.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_PARSER_H
#define HALCYON_COMPILER_DSL_PARSER_H

#include "Ast.h"
#include "Diagnostics.h"
#include "Lexer.h"

namespace halcyon::dsl {

/// Parses a buffer of the source manager into `file`. Mistakes are reported;
/// what could be parsed is in the file all the same.
void parseFile(unsigned buffer, Diagnostics &diags, File &file);

/// Parses `text`, which must lie in a buffer of the source manager, as one
/// expression. Null, with a report, where it is none.
Expr *parseExpression(llvm::StringRef text, Diagnostics &diags, File &file);

/// The words that begin the lines of a train block.
llvm::ArrayRef<llvm::StringRef> clauseNames();

class Parser {
public:
  Parser(llvm::StringRef text, Diagnostics &diags, File &file,
         unsigned depth = 0)
      : diags(diags), file(file), tokens(tokenize(text, diags)), depth(depth) {}

  void parseItems();
  Expr *parseWhole();

private:
  // Items (Parser.cpp).
  bool parseItem();
  bool parseImport();
  bool parseDefinition(Definition::Kind kind);
  bool parseParams(Definition &definition);
  bool parseWeight(Param &param);
  bool parseProperties(Definition &definition);
  void skipItem();

  // Statements (ParseStatement.cpp). A null statement was reported.
  bool parseBody(Body &body, const Token &opening, llvm::StringRef what);
  Stmt *parseStatement();
  Stmt *parseReturn();
  Stmt *parseFor();
  Stmt *parsePrecision();
  Stmt *parseInput();
  Stmt *parseOutput();
  Stmt *parseAssignmentOrExpression();
  bool parsePattern(Pattern &pattern);
  bool toPattern(Expr *expr, Pattern &pattern);
  bool endStatement();
  Stmt *recover(size_t from);
  bool atOutput() const;

  // Training (ParseTrain.cpp).
  bool parseTrain();
  bool atClause() const;
  Stmt *parseClause();
  bool parseClauseItems(ClauseStmt &clause);
  bool parsePaths(ClauseStmt &clause);
  void parseUnit(NumberExpr &number);

  // Expressions (ParseExpression.cpp). A null expression was reported.
  Expr *parseExpr();
  Expr *parseBinary(unsigned minPrecedence);
  Expr *parseUnary();
  Expr *parsePower();
  Expr *parsePostfix();
  Expr *parsePrimary();
  Expr *parseNumber();
  StringExpr *parseString();
  Expr *parseSequence();
  Expr *parseIf();
  Expr *parseInstance();
  bool parseArguments(CallExpr &call);
  Expr *parseEach(Expr *value, Tok closing);
  bool parseIndices(std::vector<IndexRangeExpr> &indices, Tok closing,
                    unsigned &below);
  Expr *parseAs(Expr *expr);
  bool checkDepth(Expr *expr, unsigned below);

  // Tokens.
  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(index + ahead, tokens.size() - 1)];
  }
  const Token &previous() const { return tokens[index ? index - 1 : 0]; }
  const Token &take() {
    const Token &token = peek();
    if (index + 1 < tokens.size())
      ++index;
    return token;
  }
  bool accept(Tok kind) {
    if (!peek().is(kind))
      return false;
    take();
    return true;
  }
  void skipNewlines() {
    while (accept(Tok::Newline))
      ;
  }
  bool expect(Tok kind, llvm::StringRef what, llvm::StringRef where);
  bool expectClosing(Tok kind, const Token &opening);
  bool parseName(Identifier &name, llvm::StringRef what);
  /// Reports that `what` was expected here; quiet where the lexer already did.
  void unexpected(llvm::StringRef what, std::vector<std::string> notes = {});
  llvm::SMRange rangeFrom(llvm::SMLoc begin) const {
    return {begin, previous().end()};
  }

  template <typename T> T *make(llvm::SMRange range) {
    auto node = std::make_unique<T>(range);
    T *result = node.get();
    file.nodes.push_back(std::move(node));
    return result;
  }

  /// Counts nesting for the lifetime of a parse function.
  struct Nested {
    explicit Nested(Parser &parser) : parser(parser) { ++parser.depth; }
    ~Nested() { --parser.depth; }
    Parser &parser;
  };
  bool tooDeep();

  Diagnostics &diags;
  File &file;
  std::vector<Token> tokens;
  size_t index = 0;
  unsigned depth = 0;
  bool inTraining = false;
};

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_PARSER_H
