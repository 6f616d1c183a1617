//===- ParseExpression.cpp - Expressions ----------------------------------===//

#include "Parser.h"

#include "llvm/ADT/StringExtras.h"

using namespace halcyon::dsl;
using namespace llvm;

/// A chain of more links is split by its writer, or was made by a program
/// that can. Bounds the stack of everything that walks a tree.
static constexpr unsigned maxExprDepth = 600;

StringRef halcyon::dsl::spelling(BinaryOp op) {
  static constexpr StringRef table[] = {"or", "and", "==", "!=", "<",
                                        "<=", ">",   ">=", "..", "+",
                                        "-",  "*",   "/",  "%",  "**"};
  return table[static_cast<unsigned>(op)];
}

unsigned halcyon::dsl::precedence(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return 1;
  case BinaryOp::And:
    return 2;
  case BinaryOp::Eq:
  case BinaryOp::Ne:
  case BinaryOp::Lt:
  case BinaryOp::Le:
  case BinaryOp::Gt:
  case BinaryOp::Ge:
    return 4; // `not` is 3
  case BinaryOp::Range:
    return 5;
  case BinaryOp::Add:
  case BinaryOp::Sub:
    return 6;
  case BinaryOp::Mul:
  case BinaryOp::Div:
  case BinaryOp::Mod:
    return 7;
  case BinaryOp::Pow:
    return 9; // unary minus is 8
  }
  llvm_unreachable("an operator");
}

static std::optional<BinaryOp> binaryOp(Tok kind) {
  switch (kind) {
  case Tok::KwOr:
    return BinaryOp::Or;
  case Tok::KwAnd:
    return BinaryOp::And;
  case Tok::Eq:
    return BinaryOp::Eq;
  case Tok::Ne:
    return BinaryOp::Ne;
  case Tok::Lt:
    return BinaryOp::Lt;
  case Tok::Le:
    return BinaryOp::Le;
  case Tok::Gt:
    return BinaryOp::Gt;
  case Tok::Ge:
    return BinaryOp::Ge;
  case Tok::DotDot:
    return BinaryOp::Range;
  case Tok::Plus:
    return BinaryOp::Add;
  case Tok::Minus:
    return BinaryOp::Sub;
  case Tok::Star:
    return BinaryOp::Mul;
  case Tok::Slash:
    return BinaryOp::Div;
  case Tok::Percent:
    return BinaryOp::Mod;
  default:
    return std::nullopt;
  }
}

bool Parser::checkDepth(Expr *expr, unsigned below) {
  expr->depth = below + 1;
  if (expr->depth <= maxExprDepth)
    return true;
  diags.error(expr->range, "this expression has more than " +
                               Twine(maxExprDepth) +
                               " steps; split it with an assignment");
  return false;
}

/// `a -> f(b) as "name" -> g`: the weakest binding of all.
Expr *Parser::parseExpr() {
  Nested nested(*this);
  if (tooDeep())
    return nullptr;
  SMLoc begin = peek().begin();
  Expr *expr = parseBinary(1);
  if (expr)
    expr = parseAs(expr);
  bool chained = false;
  while (expr && accept(Tok::Arrow)) {
    chained = true;
    Expr *target = parsePostfix();
    if (!target)
      return nullptr;
    auto *call = dyn_cast<CallExpr>(target);
    // `x -> f` and `x -> (y -> f)` call what stands there.
    if (!call || call->arrow) {
      call = make<CallExpr>(target->range);
      call->callee = target;
      call->parentheses = false;
    }
    call->args.insert(call->args.begin(), Argument{{}, expr});
    call->arrow = true;
    call->range = rangeFrom(begin);
    if (!checkDepth(call, std::max(expr->depth, target->depth)))
      return nullptr;
    expr = parseAs(call);
  }
  if (expr && chained && binaryOp(peek().kind)) {
    diags.error(peek().range(),
                "put parentheses around the '->' chain before '" + peek().text +
                    "'",
                {"(x -> f) + y, or f(x) + y"});
    return nullptr;
  }
  return expr;
}

Expr *Parser::parseAs(Expr *expr) {
  if (!peek().is(Tok::KwAs))
    return expr;
  const Token &word = take();
  auto *call = dyn_cast<CallExpr>(expr);
  if (auto *instance = dyn_cast<InstanceExpr>(expr))
    call = instance->call;
  if (!call || call->as) {
    diags.error(word.range(), "'as' names a call: conv(64, 3) as \"conv1\"");
    return nullptr;
  }
  if (!peek().is(Tok::String)) {
    unexpected("a name in quotes after 'as'");
    return nullptr;
  }
  call->as = parseString();
  return call->as ? expr : nullptr;
}

Expr *Parser::parseBinary(unsigned minPrecedence) {
  Expr *lhs;
  if (minPrecedence <= 3 && peek().is(Tok::KwNot)) {
    Nested nested(*this);
    if (tooDeep())
      return nullptr;
    SMLoc begin = take().begin();
    Expr *operand = parseBinary(3);
    if (!operand)
      return nullptr;
    auto *unary = make<UnaryExpr>(rangeFrom(begin));
    unary->op = UnaryOp::Not;
    unary->operand = operand;
    if (!checkDepth(unary, operand->depth))
      return nullptr;
    lhs = unary;
  } else {
    lhs = parseUnary();
  }
  bool compared = false;
  while (lhs) {
    std::optional<BinaryOp> op = binaryOp(peek().kind);
    if (!op || precedence(*op) < minPrecedence)
      return lhs;
    bool comparison = precedence(*op) == precedence(BinaryOp::Eq);
    bool range = *op == BinaryOp::Range;
    if (compared && (comparison || range)) {
      diags.error(peek().range(),
                  "'" + peek().text + "' cannot follow another one",
                  {comparison ? "write: a < b and b < c" : "write: a..b"});
      return nullptr;
    }
    compared = comparison || range;
    SMRange opRange = take().range();
    Nested nested(*this);
    if (tooDeep())
      return nullptr;
    Expr *rhs = parseBinary(precedence(*op) + 1);
    if (!rhs)
      return nullptr;
    auto *binary = make<BinaryExpr>({lhs->range.Start, rhs->range.End});
    binary->op = *op;
    binary->opRange = opRange;
    binary->lhs = lhs;
    binary->rhs = rhs;
    if (!checkDepth(binary, std::max(lhs->depth, rhs->depth)))
      return nullptr;
    lhs = binary;
  }
  return lhs;
}

Expr *Parser::parseUnary() {
  if (peek().is(Tok::Plus)) {
    take();
    unexpected("a value after '+'");
    return nullptr;
  }
  if (!peek().is(Tok::Minus))
    return parsePower();
  Nested nested(*this);
  if (tooDeep())
    return nullptr;
  SMLoc begin = take().begin();
  Expr *operand = parseUnary();
  if (!operand)
    return nullptr;
  auto *unary = make<UnaryExpr>(rangeFrom(begin));
  unary->operand = operand;
  return checkDepth(unary, operand->depth) ? unary : nullptr;
}

Expr *Parser::parsePower() {
  Expr *base = parsePostfix();
  if (!base || !peek().is(Tok::StarStar))
    return base;
  Nested nested(*this);
  if (tooDeep())
    return nullptr;
  SMRange opRange = take().range();
  Expr *exponent = parseUnary();
  if (!exponent)
    return nullptr;
  auto *power = make<BinaryExpr>({base->range.Start, exponent->range.End});
  power->op = BinaryOp::Pow;
  power->opRange = opRange;
  power->lhs = base;
  power->rhs = exponent;
  return checkDepth(power, std::max(base->depth, exponent->depth)) ? power
                                                                   : nullptr;
}

Expr *Parser::parsePostfix() {
  SMLoc begin = peek().begin();
  Expr *expr = parsePrimary();
  while (expr) {
    unsigned below = expr->depth;
    if (peek().is(Tok::LParen)) {
      auto *call = make<CallExpr>(peek().range());
      call->callee = expr;
      if (!parseArguments(*call))
        return nullptr;
      for (const Argument &arg : call->args)
        below = std::max(below, arg.value->depth);
      expr = call;
    } else if (accept(Tok::Dot)) {
      auto *member = make<MemberExpr>(previous().range());
      member->base = expr;
      if (!parseName(member->member, "a property after '.'"))
        return nullptr;
      expr = member;
    } else if (peek().is(Tok::LBracket)) {
      const Token &opening = take();
      auto *access = make<IndexExpr>(previous().range());
      access->base = expr;
      do {
        if (!access->indices.empty() && peek().is(Tok::RBracket))
          break;
        Expr *index = parseExpr();
        if (!index)
          return nullptr;
        access->indices.push_back(index);
        below = std::max(below, index->depth);
      } while (accept(Tok::Comma));
      if (!expectClosing(Tok::RBracket, opening))
        return nullptr;
      expr = access;
    } else {
      return expr;
    }
    expr->range = rangeFrom(begin);
    if (!checkDepth(expr, below))
      return nullptr;
  }
  return expr;
}

bool Parser::parseArguments(CallExpr &call) {
  const Token &opening = take();
  while (!peek().is(Tok::RParen)) {
    Argument arg;
    if (peek().is(Tok::Name) && peek(1).is(Tok::Assign)) {
      parseName(arg.name, "a name");
      take();
    }
    if (!(arg.value = parseExpr()))
      return false;
    if (peek().is(Tok::KwFor) && !(arg.value = parseEach(arg.value, Tok::RParen)))
      return false;
    call.args.push_back(arg);
    if (!accept(Tok::Comma))
      break;
  }
  return expectClosing(Tok::RParen, opening);
}

/// Indices up to `closing`: `u in -1..1, k`.
bool Parser::parseIndices(std::vector<IndexRangeExpr> &indices, Tok closing,
                          unsigned &below) {
  while (!peek().is(closing)) {
    IndexRangeExpr &index = indices.emplace_back();
    if (!parseName(index.name, "the name of an index"))
      return false;
    for (const IndexRangeExpr &other : ArrayRef(indices).drop_back())
      if (other.name.text == index.name.text) {
        diags.error(index.name.range,
                    "there already is an index '" + index.name.text + "'");
        return false;
      }
    if (accept(Tok::KwIn)) {
      if (!(index.range = parseExpr()))
        return false;
      below = std::max(below, index.range->depth);
    }
    if (!accept(Tok::Comma))
      break;
  }
  return true;
}

/// `value for u in -1..1, k`, from `for` on.
Expr *Parser::parseEach(Expr *value, Tok closing) {
  take();
  auto *each = make<EachExpr>({value->range.Start, value->range.End});
  each->value = value;
  unsigned below = value->depth;
  if (!peek().is(Tok::Name)) {
    unexpected("an index after 'for'",
               {"sum(x[n, k] for k), mean(x[n, c, i + u, j] for u in -1..1)"});
    return nullptr;
  }
  if (!parseIndices(each->indices, closing, below))
    return nullptr;
  each->range = rangeFrom(value->range.Start);
  return checkDepth(each, below) ? each : nullptr;
}

Expr *Parser::parsePrimary() {
  const Token &token = peek();
  switch (token.kind) {
  case Tok::Int:
  case Tok::Float:
    return parseNumber();
  case Tok::String:
    return parseString();
  case Tok::KwTrue:
  case Tok::KwFalse: {
    auto *value = make<BoolExpr>(take().range());
    value->value = token.is(Tok::KwTrue);
    return value;
  }
  case Tok::Name: {
    auto *name = make<NameExpr>(take().range());
    name->name = token.text;
    return name;
  }
  case Tok::LParen:
  case Tok::LBracket:
    return parseSequence();
  case Tok::KwIf:
    return parseIf();
  case Tok::KwInstance:
    return parseInstance();
  default:
    unexpected("a value");
    return nullptr;
  }
}

Expr *Parser::parseNumber() {
  const Token &token = take();
  auto *number = make<NumberExpr>(token.range());
  number->isInt = token.is(Tok::Int);
  if (number->isInt && token.text.getAsInteger(10, number->integer)) {
    diags.error(token.range(), "this number is too large");
    return nullptr;
  }
  if (!number->isInt && token.text.getAsDouble(number->real)) {
    diags.error(token.range(), "this number cannot be represented");
    return nullptr;
  }
  if (inTraining)
    parseUnit(*number);
  return number;
}

/// `"layer{i + 1}.0"`: `{{` and `}}` are braces.
StringExpr *Parser::parseString() {
  const Token &token = take();
  auto *string = make<StringExpr>(token.range());
  StringRef text = token.text.drop_front().drop_back();
  std::string plain;
  auto rangeOf = [](StringRef part) {
    return SMRange(SMLoc::getFromPointer(part.begin()),
                   SMLoc::getFromPointer(part.end()));
  };
  while (!text.empty()) {
    if (text.starts_with("{{") || text.starts_with("}}")) {
      plain += text[0];
      text = text.drop_front(2);
    } else if (text[0] == '\\' && text.size() > 1) {
      plain += text[1] == 'n' ? '\n' : text[1];
      text = text.drop_front(2);
    } else if (text[0] == '{') {
      size_t end = text.find('}');
      if (end == StringRef::npos) {
        diags.error(rangeOf(text.take_front(1)),
                    "this '{' has no '}'; '{{' stands for a brace in text");
        return nullptr;
      }
      Nested nested(*this);
      if (tooDeep())
        return nullptr;
      Expr *value = Parser(text.slice(1, end), diags, file, depth).parseWhole();
      if (!value || !checkDepth(string, std::max(string->depth, value->depth)))
        return nullptr;
      string->parts.push_back({plain, value});
      plain.clear();
      text = text.drop_front(end + 1);
    } else {
      plain += text[0];
      text = text.drop_front();
    }
  }
  if (!plain.empty() || string->parts.empty())
    string->parts.push_back({plain, nullptr});
  return string;
}

/// A list, a tuple, or an expression in parentheses.
Expr *Parser::parseSequence() {
  const Token &opening = take();
  bool isList = opening.is(Tok::LBracket);
  Tok closing = isList ? Tok::RBracket : Tok::RParen;
  auto *sequence = make<SequenceExpr>(opening.range());
  sequence->isList = isList;
  bool comma = false;
  unsigned below = 0;
  while (!peek().is(closing)) {
    Expr *item = parseExpr();
    if (!item)
      return nullptr;
    if (isList && sequence->items.empty() && peek().is(Tok::KwFor)) {
      auto *each = cast_or_null<EachExpr>(parseEach(item, closing));
      if (!each || !expectClosing(closing, opening))
        return nullptr;
      each->brackets = true;
      each->range = rangeFrom(opening.begin());
      return each;
    }
    sequence->items.push_back(item);
    below = std::max(below, item->depth);
    comma = accept(Tok::Comma);
    if (!comma)
      break;
  }
  if (!expectClosing(closing, opening))
    return nullptr;
  if (!isList && sequence->items.size() == 1 && !comma)
    return sequence->items.front();
  sequence->range = rangeFrom(opening.begin());
  return checkDepth(sequence, below) ? sequence : nullptr;
}

Expr *Parser::parseIf() {
  Nested nested(*this);
  if (tooDeep())
    return nullptr;
  SMLoc begin = take().begin();
  auto *expr = make<IfExpr>(previous().range());
  if (!(expr->condition = parseExpr()))
    return nullptr;
  const Token &opening = peek();
  if (!expect(Tok::LBrace, "'{'", "after the condition of 'if'") ||
      !parseBody(expr->thenBody, opening, "'if'"))
    return nullptr;
  unsigned below = expr->condition->depth;
  if (accept(Tok::KwElse)) {
    expr->hasElse = true;
    if (peek().is(Tok::KwIf)) {
      Expr *chained = parseIf();
      if (!chained)
        return nullptr;
      auto *statement = make<ExprStmt>(chained->range);
      statement->value = chained;
      expr->elseBody.push_back(statement);
      below = std::max(below, chained->depth);
    } else {
      const Token &elseOpening = peek();
      if (!expect(Tok::LBrace, "'{'", "after 'else'") ||
          !parseBody(expr->elseBody, elseOpening, "'else'"))
        return nullptr;
    }
  }
  expr->range = rangeFrom(begin);
  return checkDepth(expr, below) ? expr : nullptr;
}

Expr *Parser::parseInstance() {
  SMLoc begin = take().begin();
  const Token &word = peek();
  Expr *target = parsePostfix();
  if (!target)
    return nullptr;
  auto *call = dyn_cast<CallExpr>(target);
  if (!call) {
    if (!isa<NameExpr>(target)) {
      diags.error(word.range(),
                  "'instance' takes a call: instance encoder(64)");
      return nullptr;
    }
    call = make<CallExpr>(target->range);
    call->callee = target;
    call->parentheses = false;
  }
  auto *instance = make<InstanceExpr>(rangeFrom(begin));
  instance->call = call;
  return checkDepth(instance, target->depth) ? instance : nullptr;
}
