//===- ParseStatement.cpp - Statements ------------------------------------===//

#include "Parser.h"

using namespace halcyon::dsl;
using namespace llvm;

bool Parser::parseBody(Body &body, const Token &opening, StringRef what) {
  Nested nested(*this);
  if (tooDeep())
    return false;
  skipNewlines();
  while (!peek().is(Tok::RBrace)) {
    const Token &token = peek();
    bool forgotten = token.is(Tok::KwBlock) || token.is(Tok::KwModel) ||
                     token.is(Tok::KwImport);
    if (token.is(Tok::End) || forgotten) {
      diags.error(token.range(), "expected '}' before " + spell(token),
                  {"the '{' of this " + what.str() + " is on " +
                   diags.line(opening.begin(), token.begin())});
      return forgotten;
    }
    size_t from = index;
    Stmt *statement = parseStatement();
    if (statement && !endStatement())
      statement = nullptr;
    body.push_back(statement ? statement : recover(from));
    skipNewlines();
  }
  take();
  return true;
}

bool Parser::endStatement() {
  const Token &token = peek();
  if (token.is(Tok::Newline) || token.is(Tok::RBrace) || token.is(Tok::End))
    return true;
  if (token.is(Tok::LBrace) && previous().is(Tok::Name)) {
    diags.error(token.range(), "nothing before this '{' opens a body");
    return false;
  }
  unexpected("the end of the statement");
  return false;
}

/// Skips what is left of a statement, whole bodies included. What it may have
/// assigned becomes unknown, so that its later uses are not reported.
Stmt *Parser::recover(size_t from) {
  unsigned braces = 0;
  while (!peek().is(Tok::End)) {
    const Token &token = peek();
    if (braces == 0 && index > from &&
        (token.is(Tok::Newline) || token.is(Tok::RBrace)))
      break;
    if (token.is(Tok::KwModel) || token.is(Tok::KwBlock) ||
        token.is(Tok::KwImport))
      break;
    braces += token.is(Tok::LBrace);
    braces -= token.is(Tok::RBrace) && braces != 0;
    take();
  }
  auto *broken = make<BrokenStmt>({tokens[from].begin(), previous().end()});
  for (size_t i = from; i < index; ++i) {
    bool begins = i == from || tokens[i - 1].is(Tok::Newline) ||
                  tokens[i - 1].is(Tok::LBrace) ||
                  tokens[i - 1].is(Tok::RBrace);
    if (!begins)
      continue;
    if (tokens[i].is(Tok::KwFor) || tokens[i].isWord("input"))
      ++i;
    size_t first = i;
    while (i < index &&
           (tokens[i].is(Tok::Name) || tokens[i].is(Tok::Comma) ||
            tokens[i].is(Tok::LParen) || tokens[i].is(Tok::RParen)))
      ++i;
    bool assigned =
        i < index && (tokens[i].is(Tok::Assign) || tokens[i].is(Tok::KwIn) ||
                      tokens[i].is(Tok::Colon));
    for (size_t name = first; name < i; ++name)
      if (tokens[name].is(Tok::Name) && (assigned || name == first))
        broken->names.push_back(tokens[name].text);
    i = first;
  }
  return broken;
}

bool Parser::atOutput() const {
  if (!peek().isWord("output"))
    return false;
  switch (peek(1).kind) {
  case Tok::Name:
  case Tok::LParen:
  case Tok::LBracket:
  case Tok::KwIf:
  case Tok::KwInstance:
  case Tok::Minus:
  case Tok::Int:
  case Tok::Float:
  case Tok::String:
  case Tok::Newline:
    return true;
  default:
    return false;
  }
}

Stmt *Parser::parseStatement() {
  const Token &token = peek();
  if (token.is(Tok::KwReturn))
    return parseReturn();
  if (token.is(Tok::KwFor))
    return parseFor();
  if (token.isWord("input") && peek(1).is(Tok::Name))
    return parseInput();
  if (token.isWord("precision") &&
      (peek(1).is(Tok::LBrace) ||
       (peek(1).is(Tok::Name) && peek(2).is(Tok::LBrace))))
    return parsePrecision();
  if (inTraining && atClause())
    return parseClause();
  if (atOutput())
    return parseOutput();
  return parseAssignmentOrExpression();
}

Stmt *Parser::parseReturn() {
  SMLoc begin = take().begin();
  auto *statement = make<ReturnStmt>(previous().range());
  do {
    Expr *value = parseExpr();
    if (!value)
      return nullptr;
    statement->values.push_back(value);
  } while (accept(Tok::Comma));
  statement->range = rangeFrom(begin);
  return statement;
}

bool Parser::parsePattern(Pattern &pattern) {
  Nested nested(*this);
  if (tooDeep())
    return false;
  SMLoc begin = peek().begin();
  if (!peek().is(Tok::LParen)) {
    bool ok = parseName(pattern.name, "a name");
    pattern.range = pattern.name.range;
    return ok;
  }
  const Token &opening = take();
  do {
    if (peek().is(Tok::RParen))
      break;
    if (!parsePattern(pattern.items.emplace_back()))
      return false;
  } while (accept(Tok::Comma));
  if (!expectClosing(Tok::RParen, opening))
    return false;
  pattern.range = rangeFrom(begin);
  if (!pattern.items.empty())
    return true;
  diags.error(pattern.range, "a name is missing between the parentheses");
  return false;
}

Stmt *Parser::parseFor() {
  SMLoc begin = take().begin();
  auto *statement = make<ForStmt>(previous().range());
  do {
    if (!parsePattern(statement->targets.emplace_back()))
      return nullptr;
  } while (accept(Tok::Comma));
  if (statement->targets.size() > 2) {
    diags.error(rangeFrom(begin), "'for' takes a name, or a counter and a name",
                {"put parentheses around the parts of one element: for (a, b, "
                 "c) in list"});
    return nullptr;
  }
  if (!expect(Tok::KwIn, "'in'", "and a list after 'for'"))
    return nullptr;
  if (!(statement->list = parseExpr()))
    return nullptr;
  statement->range = rangeFrom(begin);
  const Token &opening = peek();
  if (!expect(Tok::LBrace, "'{'", "and the body of the 'for'"))
    return nullptr;
  return parseBody(statement->body, opening, "'for'") ? statement : nullptr;
}

Stmt *Parser::parsePrecision() {
  SMLoc begin = take().begin();
  auto *statement = make<PrecisionStmt>(previous().range());
  if (!parseName(statement->name, "f32 or bf16"))
    return nullptr;
  statement->range = rangeFrom(begin);
  const Token &opening = take();
  return parseBody(statement->body, opening, "'precision'") ? statement
                                                            : nullptr;
}

Stmt *Parser::parseInput() {
  SMLoc begin = take().begin();
  auto *statement = make<InputStmt>(previous().range());
  if (!parseName(statement->name, "the name of the input") ||
      !expect(Tok::Colon, "':'", "and the type of the input"))
    return nullptr;
  SMLoc type = peek().begin();
  if (!parseName(statement->elementType, "a type such as f32[N, 3, 224, 224]"))
    return nullptr;
  const Token &opening = peek();
  if (!expect(Tok::LBracket, "'['", "and the sizes of the input"))
    return nullptr;
  do {
    if (peek().is(Tok::RBracket))
      break;
    Expr *dim = parseExpr();
    if (!dim)
      return nullptr;
    statement->dims.push_back(dim);
  } while (accept(Tok::Comma));
  if (!expectClosing(Tok::RBracket, opening))
    return nullptr;
  statement->typeRange = rangeFrom(type);
  if (peek().isWord("from")) {
    take();
    const Token &word = peek();
    Expr *source = parsePostfix();
    if (!source)
      return nullptr;
    statement->source = dyn_cast<CallExpr>(source);
    if (!statement->source) {
      diags.error(word.range(), "an input comes from image(...)");
      return nullptr;
    }
  }
  statement->range = rangeFrom(begin);
  return statement;
}

Stmt *Parser::parseOutput() {
  SMLoc begin = take().begin();
  auto *statement = make<OutputStmt>(previous().range());
  do {
    OutputStmt::Item &item = statement->items.emplace_back();
    if (peek().is(Tok::Name) && peek(1).is(Tok::Assign)) {
      parseName(item.name, "a name");
      take();
    }
    if (!(item.value = parseExpr()))
      return nullptr;
    if (peek().isWord("labels")) {
      take();
      if (!peek().is(Tok::String)) {
        unexpected("the label file in quotes after 'labels'");
        return nullptr;
      }
      if (!(item.labels = parseString()))
        return nullptr;
    }
  } while (accept(Tok::Comma));
  statement->range = rangeFrom(begin);
  return statement;
}

bool Parser::toPattern(Expr *expr, Pattern &pattern) {
  pattern.range = expr->range;
  if (auto *name = dyn_cast<NameExpr>(expr)) {
    pattern.name = {name->name, name->range};
    return true;
  }
  auto *tuple = dyn_cast<SequenceExpr>(expr);
  if (tuple && !tuple->isList && !tuple->items.empty()) {
    for (Expr *item : tuple->items)
      if (!toPattern(item, pattern.items.emplace_back()))
        return false;
    return true;
  }
  if (isa<IndexExpr>(expr))
    diags.error(expr->range, "an element of a list cannot be replaced",
                {"make a new list: xs = xs + [x]"});
  else
    diags.error(expr->range, "only a name can stand before '='");
  return false;
}

Stmt *Parser::parseAssignmentOrExpression() {
  SMLoc begin = peek().begin();
  std::vector<Expr *> left;
  do {
    Expr *value = parseExpr();
    if (!value)
      return nullptr;
    left.push_back(value);
  } while (accept(Tok::Comma));
  if (!peek().is(Tok::Assign)) {
    if (left.size() > 1) {
      unexpected("'=' after several names");
      return nullptr;
    }
    auto *statement = make<ExprStmt>(left.front()->range);
    statement->value = left.front();
    return statement;
  }
  auto *statement = make<AssignStmt>(take().range());
  for (Expr *target : left)
    if (!toPattern(target, statement->targets.emplace_back()))
      return nullptr;
  do {
    Expr *value = parseExpr();
    if (!value)
      return nullptr;
    statement->values.push_back(value);
  } while (accept(Tok::Comma));
  statement->range = rangeFrom(begin);
  return statement;
}
