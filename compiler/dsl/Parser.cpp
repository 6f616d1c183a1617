//===- Parser.cpp - Definitions, and what the parser is made of -----------===//

#include "Parser.h"

#include "llvm/ADT/STLExtras.h"

using namespace halcyon::dsl;
using namespace llvm;

/// Deeper nesting is no model; the bound keeps the stack small.
static constexpr unsigned maxNesting = 200;

void halcyon::dsl::parseFile(unsigned buffer, Diagnostics &diags, File &file) {
  const MemoryBuffer *memory = diags.sourceMgr().getMemoryBuffer(buffer);
  Parser(memory->getBuffer(), diags, file).parseItems();
}

Expr *halcyon::dsl::parseExpression(StringRef text, Diagnostics &diags,
                                    File &file) {
  return Parser(text, diags, file).parseWhole();
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

void Parser::unexpected(StringRef what, std::vector<std::string> notes) {
  const Token &token = peek();
  if (token.is(Tok::Error)) {
    // The lexer has said what is wrong.
    if (!diags.hasErrors())
      diags.error(token.range(), "expected " + what);
    return;
  }
  diags.error(token.range(), "expected " + what + ", found " + spell(token),
              std::move(notes));
}

bool Parser::expect(Tok kind, StringRef what, StringRef where) {
  if (accept(kind))
    return true;
  unexpected((what + " " + where).str());
  return false;
}

bool Parser::expectClosing(Tok kind, const Token &opening) {
  if (accept(kind))
    return true;
  StringRef closing = kind == Tok::RParen     ? "')'"
                      : kind == Tok::RBracket ? "']'"
                                              : "'}'";
  std::vector<std::string> notes;
  std::string line = diags.line(opening.begin(), peek().begin());
  if (line != diags.line(peek().begin(), peek().begin()))
    notes.push_back("'" + opening.text.str() + "' was opened on " + line);
  unexpected(closing, std::move(notes));
  return false;
}

bool Parser::parseName(Identifier &name, StringRef what) {
  if (peek().is(Tok::Name)) {
    const Token &token = take();
    name = {token.text, token.range()};
    return true;
  }
  const Token &token = peek();
  if (token.kind >= Tok::KwAnd && token.kind <= Tok::KwTrue) {
    diags.error(token.range(), "'" + token.text + "' is a word of the " +
                                   "language and cannot be " + what);
    return false;
  }
  unexpected(what);
  return false;
}

bool Parser::tooDeep() {
  if (depth <= maxNesting)
    return false;
  diags.error(peek().range(),
              "this is nested more than " + Twine(maxNesting) + " levels deep");
  return true;
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

void Parser::parseItems() {
  skipNewlines();
  while (!peek().is(Tok::End)) {
    size_t known = file.definitions.size();
    if (!parseItem()) {
      // A definition that is known to be broken is silent by itself.
      file.incomplete |= file.definitions.size() == known;
      skipItem();
    } else if (!peek().is(Tok::End) && !peek().is(Tok::Newline)) {
      unexpected("a new line after a definition");
      skipItem();
    }
    skipNewlines();
  }
}

Expr *Parser::parseWhole() {
  skipNewlines();
  Expr *expr = parseExpr();
  skipNewlines();
  if (expr && !peek().is(Tok::End)) {
    unexpected("the end of the value");
    return nullptr;
  }
  return expr;
}

bool Parser::parseItem() {
  const Token &token = peek();
  if (token.is(Tok::KwImport))
    return parseImport();
  if (token.is(Tok::KwBlock))
    return parseDefinition(Definition::Block);
  if (token.is(Tok::KwModel))
    return parseDefinition(Definition::Model);
  if (token.isWord("op"))
    return parseDefinition(Definition::Op);
  if (token.isWord("train"))
    return parseTrain();
  if (token.is(Tok::Name)) {
    static constexpr StringRef words[] = {"model", "block", "op", "import",
                                          "train"};
    StringRef near = nearest(token.text, words);
    if (!near.empty()) {
      diags.error(token.range(), "'" + token.text +
                                     "' begins no definition; did you mean '" +
                                     near + "'?");
      return false;
    }
  }
  if (token.is(Tok::RBrace)) {
    diags.error(token.range(), "this '}' closes nothing");
    take();
    return true;
  }
  unexpected("'model', 'block', 'op', 'train' or 'import'",
             {"statements stand inside a model or a block"});
  return false;
}

/// Goes on at the next line that begins a definition.
void Parser::skipItem() {
  unsigned braces = 0;
  while (!peek().is(Tok::End)) {
    const Token &token = take();
    if (token.is(Tok::LBrace))
      ++braces;
    else if (token.is(Tok::RBrace))
      braces -= braces != 0;
    else if (token.is(Tok::Newline)) {
      bool begins = peek().is(Tok::KwModel) || peek().is(Tok::KwBlock) ||
                    peek().is(Tok::KwImport);
      bool word = peek().isWord("op") || peek().isWord("train");
      if (begins || (word && braces == 0))
        return;
    }
  }
}

bool Parser::parseImport() {
  SMLoc begin = take().begin();
  StringExpr *path = peek().is(Tok::String) ? parseString() : nullptr;
  if (!path) {
    unexpected("the path of a file in quotes after 'import'");
    return false;
  }
  if (path->parts.size() != 1 || path->parts[0].value) {
    diags.error(path->range, "the path of an import is plain text");
    return false;
  }
  file.imports.push_back({path->parts[0].text, rangeFrom(begin), nullptr});
  return true;
}

bool Parser::parseParams(Definition &definition) {
  const Token &opening = take();
  while (!peek().is(Tok::RParen)) {
    Param param;
    bool isWeight = peek().isWord("weight") && peek(1).is(Tok::Name);
    if (isWeight && definition.kind != Definition::Op) {
      diags.error(peek().range(), "only an op has weights of its own",
                  {"a block has those of the layers and ops that it calls"});
      return false;
    }
    if (isWeight)
      take();
    if (!parseName(param.name, "the name of a parameter"))
      return false;
    for (const Param &other : definition.params)
      if (other.name.text == param.name.text)
        diags.error(param.name.range,
                    "there already is a parameter '" + param.name.text + "'");
    if (isWeight && !parseWeight(param))
      return false;
    if (!isWeight && accept(Tok::Assign) && !(param.defaultValue = parseExpr()))
      return false;
    definition.params.push_back(param);
    if (!accept(Tok::Comma))
      break;
  }
  return expectClosing(Tok::RParen, opening);
}

/// `weight a: f32[x.channels, 3, 3]`, from the colon on.
bool Parser::parseWeight(Param &param) {
  param.isWeight = true;
  if (!expect(Tok::Colon, "':'", "and the type of the weight") ||
      !parseName(param.elementType, "a type such as f32[x.channels]"))
    return false;
  const Token &opening = peek();
  if (!expect(Tok::LBracket, "'['", "and the sizes of the weight"))
    return false;
  while (!peek().is(Tok::RBracket)) {
    Expr *dim = parseExpr();
    if (!dim)
      return false;
    param.dims.push_back(dim);
    if (!accept(Tok::Comma))
      break;
  }
  return expectClosing(Tok::RBracket, opening);
}

/// `max_error=1e-4`, any number of them, before a body or a formula.
bool Parser::parseProperties(Definition &definition) {
  while (peek().is(Tok::Name) && peek(1).is(Tok::Assign)) {
    Argument &property = definition.properties.emplace_back();
    parseName(property.name, "the name of a property");
    take();
    if (!(property.value = parseExpr()))
      return false;
  }
  return true;
}

bool Parser::parseDefinition(Definition::Kind kind) {
  SMLoc begin = take().begin();
  StringRef what = kind == Definition::Block   ? "block"
                   : kind == Definition::Model ? "model"
                                               : "op";
  auto definition = std::make_unique<Definition>();
  definition->kind = kind;
  definition->file = &file;
  if (!parseName(definition->name, ("the name of the " + what).str()))
    return false;
  Definition &result = *definition;
  if (const Definition *other = file.find(definition->name.text))
    diags.error(
        definition->name.range,
        "'" + definition->name.text + "' is defined twice",
        {"the other is on " +
         diags.line(other->name.range.Start, definition->name.range.Start)});
  file.definitions.push_back(std::move(definition));

  // Whoever calls a definition that did not parse hears nothing more of it.
  auto broken = [&] {
    result.kind = Definition::Broken;
    return false;
  };
  if (peek().is(Tok::LParen)) {
    if (!parseParams(result))
      return broken();
  } else if (kind != Definition::Model) {
    unexpected(("'(' and the parameters of the " + what).str());
    return broken();
  }
  result.range = rangeFrom(begin);
  if (kind == Definition::Op && peek().is(Tok::LBracket)) {
    const Token &opening = take();
    unsigned below = 0;
    result.isIndexed = true;
    if (!parseIndices(result.indices, Tok::RBracket, below) ||
        !expectClosing(Tok::RBracket, opening))
      return broken();
  }
  if (kind != Definition::Block && !parseProperties(result))
    return broken();

  if (kind == Definition::Op && !peek().is(Tok::LBrace)) {
    if (!expect(Tok::Assign, "'='", "and the formula of the op"))
      return broken();
    result.formula = parseExpr();
    return result.formula || broken();
  }
  const Token &opening = peek();
  if (!expect(Tok::LBrace, "'{'", ("and the body of the " + what).str()))
    return broken();
  return parseBody(result.body, opening, what) || broken();
}
