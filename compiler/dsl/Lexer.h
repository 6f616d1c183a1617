//===- Lexer.h - Text to tokens -------------------------------------------===//
//
// Turns a file into tokens and decides which line breaks end a statement: none
// inside ( ) and [ ], none after an operator or a comma, none before `->`,
// `else` and `as`.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_LEXER_H
#define HALCYON_COMPILER_DSL_LEXER_H

#include "Diagnostics.h"

namespace halcyon::dsl {

enum class Tok {
  // clang-format off
  End, Newline, Name, Int, Float, String, Error,
  // Words that cannot be names.
  KwAnd, KwAs, KwBlock, KwElse, KwFalse, KwFor, KwIf, KwImport, KwIn,
  KwInstance, KwModel, KwNot, KwOr, KwReturn, KwTrue,
  LParen, RParen, LBracket, RBracket, LBrace, RBrace,
  Comma, Colon, Dot, DotDot, Arrow, Assign,
  Plus, Minus, Star, StarStar, Slash, Percent,
  Eq, Ne, Lt, Le, Gt, Ge,
  // clang-format on
};

struct Token {
  Tok kind;
  llvm::StringRef text;

  bool is(Tok other) const { return kind == other; }
  bool isWord(llvm::StringRef word) const {
    return kind == Tok::Name && text == word;
  }
  llvm::SMLoc begin() const {
    return llvm::SMLoc::getFromPointer(text.begin());
  }
  llvm::SMLoc end() const { return llvm::SMLoc::getFromPointer(text.end()); }
  llvm::SMRange range() const { return {begin(), end()}; }
};

/// The tokens of `text`, which must lie in a buffer of the source manager.
/// Characters that begin no token are reported and left out.
std::vector<Token> tokenize(llvm::StringRef text, Diagnostics &diags);

/// How a token is named in a message: "'->'", "the end of the line".
std::string spell(const Token &token);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_LEXER_H
