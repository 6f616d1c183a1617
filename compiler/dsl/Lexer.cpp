//===- Lexer.cpp - Text to tokens -----------------------------------------===//

#include "Lexer.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace halcyon::dsl;
using namespace llvm;

namespace {

class Lexer {
public:
  Lexer(StringRef text, Diagnostics &diags) : text(text), diags(diags) {}

  std::vector<Token> run();

private:
  void lexToken();
  void lexNumber();
  void lexString();
  void lexUnknown();
  void newline();
  void settleNewline(Tok next);
  void push(Tok kind, size_t length);
  void open(char bracket) { brackets.push_back(bracket); }
  void close(char bracket);
  bool at(StringRef prefix) const {
    return text.substr(pos).starts_with(prefix);
  }
  char peek(size_t ahead = 0) const {
    return pos + ahead < text.size() ? text[pos + ahead] : '\0';
  }
  SMRange rangeAt(size_t from, size_t length) const {
    return {SMLoc::getFromPointer(text.data() + from),
            SMLoc::getFromPointer(text.data() + from + length)};
  }

  StringRef text;
  Diagnostics &diags;
  size_t pos = 0;
  std::vector<Token> tokens;
  SmallVector<char> brackets;
  /// A line break whose meaning depends on the next token.
  std::optional<size_t> pendingNewline;
};

} // namespace

static Tok keyword(StringRef word) {
  return StringSwitch<Tok>(word)
      .Case("and", Tok::KwAnd)
      .Case("as", Tok::KwAs)
      .Case("block", Tok::KwBlock)
      .Case("else", Tok::KwElse)
      .Case("false", Tok::KwFalse)
      .Case("for", Tok::KwFor)
      .Case("if", Tok::KwIf)
      .Case("import", Tok::KwImport)
      .Case("in", Tok::KwIn)
      .Case("instance", Tok::KwInstance)
      .Case("model", Tok::KwModel)
      .Case("not", Tok::KwNot)
      .Case("or", Tok::KwOr)
      .Case("return", Tok::KwReturn)
      .Case("true", Tok::KwTrue)
      .Default(Tok::Name);
}

/// Tokens after which a statement goes on in the next line.
static bool continuesAfter(Tok kind) {
  switch (kind) {
  case Tok::Comma:
  case Tok::Colon:
  case Tok::Dot:
  case Tok::DotDot:
  case Tok::Arrow:
  case Tok::Assign:
  case Tok::Plus:
  case Tok::Minus:
  case Tok::Star:
  case Tok::StarStar:
  case Tok::Slash:
  case Tok::Percent:
  case Tok::Eq:
  case Tok::Ne:
  case Tok::Lt:
  case Tok::Le:
  case Tok::Gt:
  case Tok::Ge:
  case Tok::KwAnd:
  case Tok::KwOr:
  case Tok::KwNot:
  case Tok::KwIn:
  case Tok::KwAs:
    return true;
  default:
    return false;
  }
}

/// Tokens that begin a statement or a definition and nothing else: an open
/// parenthesis before them was forgotten.
static bool beginsStatement(Tok kind) {
  return kind == Tok::KwBlock || kind == Tok::KwModel ||
         kind == Tok::KwReturn || kind == Tok::KwImport;
}

void Lexer::push(Tok kind, size_t length) {
  settleNewline(kind);
  tokens.push_back({kind, text.substr(pos, length)});
  pos += length;
}

void Lexer::newline() {
  if (!pendingNewline)
    pendingNewline = pos;
  ++pos;
}

void Lexer::settleNewline(Tok next) {
  if (!pendingNewline)
    return;
  size_t where = *pendingNewline;
  pendingNewline.reset();
  if (beginsStatement(next))
    while (!brackets.empty() && brackets.back() != '{')
      brackets.pop_back();
  if (!brackets.empty() && brackets.back() != '{')
    return;
  if (next == Tok::Arrow || next == Tok::KwElse || next == Tok::KwAs)
    return;
  if (tokens.empty() || tokens.back().is(Tok::Newline) ||
      continuesAfter(tokens.back().kind))
    return;
  tokens.push_back({Tok::Newline, text.substr(where, 1)});
}

void Lexer::close(char bracket) {
  char opening = bracket == ')' ? '(' : bracket == ']' ? '[' : '{';
  // A `}` also closes the parentheses that were forgotten inside it.
  if (opening == '{')
    while (!brackets.empty() && brackets.back() != '{')
      brackets.pop_back();
  if (!brackets.empty() && brackets.back() == opening)
    brackets.pop_back();
}

void Lexer::lexNumber() {
  size_t length = 0;
  auto digits = [&] {
    while (isDigit(peek(length)))
      ++length;
  };
  Tok kind = Tok::Int;
  digits();
  // `0..3` is a range, not the number `0.`.
  if (peek(length) == '.' && isDigit(peek(length + 1))) {
    kind = Tok::Float;
    ++length;
    digits();
  }
  if (peek(length) == 'e' || peek(length) == 'E') {
    size_t sign = peek(length + 1) == '-' || peek(length + 1) == '+';
    if (isDigit(peek(length + 1 + sign))) {
      kind = Tok::Float;
      length += 1 + sign;
      digits();
    }
  }
  if (isAlpha(peek(length)) || peek(length) == '_') {
    size_t bad = length;
    while (isAlnum(peek(bad)) || peek(bad) == '_')
      ++bad;
    diags.error(rangeAt(pos, bad), "'" + printable(text.substr(pos, bad)) +
                                       "' is neither a number nor a name");
    return push(Tok::Error, bad);
  }
  push(kind, length);
}

void Lexer::lexString() {
  size_t length = 1;
  while (pos + length < text.size() && peek(length) != '\n') {
    char c = peek(length);
    if (c == '"')
      return push(Tok::String, length + 1);
    if (c == '\\' && peek(length + 1) != '\n' && pos + length + 1 < text.size())
      ++length;
    ++length;
  }
  diags.error(rangeAt(pos, 1), "this text has no closing '\"'");
  while (length > 1 && isSpace(peek(length - 1)))
    --length;
  push(Tok::Error, length);
}

void Lexer::lexUnknown() {
  size_t length = 1;
  while ((peek(length) & 0xC0) == 0x80)
    ++length;
  StringRef bad = text.substr(pos, length);
  std::vector<std::string> notes;
  std::string message = "'" + printable(bad) + "' has no meaning here";
  if (bad == ";")
    message = "a statement ends with its line; ';' is not needed";
  else if (bad == "'")
    message = "text is written in double quotes";
  else if (bad == "#")
    message = "a comment begins with '//'";
  else if (bad == "&" || bad == "|")
    message = "write 'and' and 'or'";
  else if (bad == "!")
    message = "write 'not'";
  else if (static_cast<unsigned char>(bad[0]) < 0x20 || bad[0] & 0x80)
    message = "this character has no meaning here";
  diags.error(rangeAt(pos, length), message);
  push(Tok::Error, length);
}

void Lexer::lexToken() {
  struct Fixed {
    StringLiteral spelling;
    Tok kind;
  };
  // Longer spellings first.
  static constexpr Fixed fixed[] = {
      {"->", Tok::Arrow},   {"..", Tok::DotDot},  {"**", Tok::StarStar},
      {"==", Tok::Eq},      {"!=", Tok::Ne},      {"<=", Tok::Le},
      {">=", Tok::Ge},      {"(", Tok::LParen},   {")", Tok::RParen},
      {"[", Tok::LBracket}, {"]", Tok::RBracket}, {"{", Tok::LBrace},
      {"}", Tok::RBrace},   {",", Tok::Comma},    {":", Tok::Colon},
      {".", Tok::Dot},      {"=", Tok::Assign},   {"+", Tok::Plus},
      {"-", Tok::Minus},    {"*", Tok::Star},     {"/", Tok::Slash},
      {"%", Tok::Percent},  {"<", Tok::Lt},       {">", Tok::Gt},
  };

  char c = peek();
  if (c == '\n')
    return newline();
  if (c == ' ' || c == '\t' || c == '\r') {
    ++pos;
    return;
  }
  if (at("//")) {
    pos = std::min(text.find('\n', pos), text.size());
    return;
  }
  if (isAlpha(c) || c == '_') {
    size_t length = 1;
    while (isAlnum(peek(length)) || peek(length) == '_')
      ++length;
    return push(keyword(text.substr(pos, length)), length);
  }
  if (isDigit(c))
    return lexNumber();
  if (c == '"')
    return lexString();
  for (const Fixed &token : fixed) {
    if (!at(token.spelling))
      continue;
    if (c == ')' || c == ']' || c == '}') {
      // The line break before a closing bracket belongs inside it.
      settleNewline(token.kind);
      close(c);
    }
    push(token.kind, token.spelling.size());
    if (c == '(' || c == '[' || c == '{')
      open(c);
    return;
  }
  lexUnknown();
}

std::vector<Token> Lexer::run() {
  if (text.starts_with("\xEF\xBB\xBF"))
    pos = 3;
  while (pos < text.size())
    lexToken();
  brackets.clear();
  settleNewline(Tok::End);
  tokens.push_back({Tok::End, text.substr(text.size(), 0)});
  return std::move(tokens);
}

std::vector<Token> halcyon::dsl::tokenize(StringRef text, Diagnostics &diags) {
  return Lexer(text, diags).run();
}

std::string halcyon::dsl::spell(const Token &token) {
  switch (token.kind) {
  case Tok::End:
    return "the end of the file";
  case Tok::Newline:
    return "the end of the line";
  case Tok::String:
    return printable(token.text);
  default:
    return "'" + printable(token.text) + "'";
  }
}
