//===- ParseTrain.cpp - How a model is trained ----------------------------===//
//
// Each line of a train block begins with a word that says what it is about;
// assignments and inputs stand between them.
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "llvm/ADT/STLExtras.h"

using namespace halcyon::dsl;
using namespace llvm;

static constexpr StringRef clauses[] = {
    "accumulate", "average",   "batch",     "clip",   "data", "decay",
    "epochs",     "freeze",    "from",      "init",   "keep", "loss",
    "metrics",    "models",    "optimizer", "penalty", "precision", "rate",
    "step",       "stop",      "validate"};

ArrayRef<StringRef> halcyon::dsl::clauseNames() { return clauses; }

bool Parser::parseTrain() {
  SMLoc begin = take().begin();
  auto training = std::make_unique<Training>();
  training->file = &file;
  if (!parseName(training->name, "the name of the model that is trained"))
    return false;
  Training &result = *training;
  result.models.kind = Definition::Model;
  result.models.name = result.name;
  result.models.file = &file;
  result.models.range = rangeFrom(begin);
  file.trainings.push_back(std::move(training));
  const Token &opening = peek();
  inTraining = true;
  result.broken = !expect(Tok::LBrace, "'{'", "and what training does") ||
                  !parseBody(result.body, opening, "'train'");
  inTraining = false;
  return !result.broken;
}

/// Whether a line begins with a word and goes on with what it is about.
bool Parser::atClause() const {
  if (!peek().is(Tok::Name))
    return false;
  switch (peek(1).kind) {
  case Tok::Name:
  case Tok::Int:
  case Tok::Float:
  case Tok::String:
  case Tok::KwIf:
  case Tok::KwTrue:
  case Tok::KwFalse:
    return true;
  case Tok::LParen:
  case Tok::LBracket:
  case Tok::Minus:
  case Tok::Newline:
  case Tok::RBrace:
    return is_contained(clauses, peek().text);
  default:
    return false;
  }
}

/// `layer1.0.conv_1`, or in quotes what no name can be.
bool Parser::parsePaths(ClauseStmt &clause) {
  do {
    if (peek().is(Tok::String)) {
      const Token &token = take();
      clause.parts.push_back({token.text.drop_front().drop_back(), token.range()});
      continue;
    }
    Identifier part;
    if (!parseName(part, "a part of the model, such as layer1.0"))
      return false;
    auto adjoins = [&] {
      bool continues = peek().is(Tok::Dot) || peek().is(Tok::Name) ||
                       peek().is(Tok::Int) || peek().is(Tok::Float);
      return continues && peek().begin() == previous().end();
    };
    while (adjoins())
      take();
    part.range = rangeFrom(part.range.Start);
    part.text = StringRef(part.range.Start.getPointer(),
                          part.range.End.getPointer() -
                              part.range.Start.getPointer());
    clause.parts.push_back(part);
  } while (accept(Tok::Comma));
  return true;
}

bool Parser::parseClauseItems(ClauseStmt &clause) {
  do {
    Argument item;
    if (peek().is(Tok::Name) && peek(1).is(Tok::Assign)) {
      parseName(item.name, "a name");
      take();
    }
    if (!(item.value = parseExpr()))
      return false;
    clause.items.push_back(item);
  } while (accept(Tok::Comma));
  return true;
}

Stmt *Parser::parseClause() {
  SMLoc begin = peek().begin();
  auto *clause = make<ClauseStmt>(peek().range());
  parseName(clause->keyword, "a word");
  StringRef word = clause->keyword.text;
  if (!is_contained(clauses, word)) {
    diags.error(clause->keyword.range, "training has no '" + word + "'" +
                                           didYouMean(word, clauses));
    return nullptr;
  }
  auto expectWord = [&](StringRef wanted, StringRef where) {
    if (peek().isWord(wanted)) {
      take();
      return true;
    }
    unexpected(("'" + wanted + "' " + where).str());
    return false;
  };
  bool good = true;
  static constexpr StringRef ofParts[] = {"rate", "decay", "from", "penalty"};
  if (is_contained(ofParts, word) && peek().isWord("of")) {
    take();
    good = parsePaths(*clause) &&
           expect(Tok::Assign, "'='", "and the " + word.str() + " of this part") &&
           parseClauseItems(*clause);
  } else if (word == "freeze") {
    good = parsePaths(*clause);
    if (good && peek().isWord("until")) {
      take();
      good = expectWord("epoch", "and its number after 'until'") &&
             (clause->until = parseExpr());
    }
  } else if (word == "step") {
    good = parsePaths(*clause) &&
           expectWord("minimize", "and what this step makes small") &&
           parseClauseItems(*clause);
  } else {
    good = parseClauseItems(*clause);
    if (good && word == "from" && peek().isWord("except")) {
      take();
      good = parsePaths(*clause);
    }
  }
  clause->range = rangeFrom(begin);
  return good ? clause : nullptr;
}

/// `1000 steps`, `5 epochs`.
void Parser::parseUnit(NumberExpr &number) {
  static constexpr StringRef units[][2] = {{"steps", "step"},
                                           {"epochs", "epoch"}};
  for (auto &unit : units)
    if (peek().isWord(unit[0]) || peek().isWord(unit[1])) {
      take();
      number.unit = unit[0];
      number.range = rangeFrom(number.range.Start);
      return;
    }
}
