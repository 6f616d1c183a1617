//===- ScheduleParser.cpp - Text of a schedule file to its lines ----------===//

#include "compiler/tune/Schedule.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using halcyon::dsl::printable;

namespace halcyon {

namespace {
/// Reads one line after another. A mistake ends its line, not the file.
class Parser {
public:
  Parser(StringRef text, dsl::Diagnostics &diags, Schedule &schedule)
      : rest(text), diags(diags), schedule(schedule) {}

  void run();

private:
  /// A word, a number, a text in quotes, or a sign; empty at the line's end.
  struct Token {
    StringRef text; ///< as it stands in the file
    bool isWord = false, isQuoted = false;
    SMRange where() const {
      return {SMLoc::getFromPointer(text.begin()),
              SMLoc::getFromPointer(text.end())};
    }
  };

  void next();
  bool fail(const Token &at, const Twine &message) {
    diags.error(at.where(), message);
    return false;
  }
  /// What stands there, for "not ...".
  std::string found() const {
    return token.text.empty() ? "the end of the line"
                              : "'" + printable(token.text, 40) + "'";
  }
  bool accept(StringRef sign) {
    if (token.isQuoted || token.text != sign)
      return false;
    next();
    return true;
  }
  bool parseTarget();
  bool parseStep();
  bool parseLine();
  bool parseLayout(ScheduleLine &into);
  bool parseTerm(ScheduleLine &into);
  bool parseValue(ScheduleTerm &term);
  static std::string unquoted(const Token &token);

  StringRef rest;  ///< of the file
  StringRef line;  ///< what is left of the line
  std::string comment;
  Token token;
  dsl::Diagnostics &diags;
  Schedule &schedule;
  bool sawTarget = false;
};
} // namespace

static bool isWordChar(char c) {
  return isAlnum(c) || c == '_' || c == '.' || c == '#' || c == '-' || (c & 0x80);
}

void Parser::next() {
  line = line.ltrim(" \t\r");
  token = {line.take_front(0)};
  if (line.empty())
    return;
  if (line.starts_with("//")) {
    comment = line.drop_front(2).trim().str();
    line = line.drop_front(line.size());
    token = {line};
    return;
  }
  size_t size = 1;
  if (line[0] == '"') {
    while (size < line.size() && line[size] != '"')
      size += line[size] == '\\' ? 2 : 1;
    bool isClosed = size < line.size();
    size = std::min(size + 1, line.size());
    token.isQuoted = true;
    if (!isClosed)
      diags.error({SMLoc::getFromPointer(line.begin()),
                   SMLoc::getFromPointer(line.end())},
                  "this text has no closing quote");
  } else if (line.starts_with("->")) {
    size = 2;
  } else if (isWordChar(line[0])) {
    // "nchw->nhwc" is three words, and "//" begins a comment.
    while (size < line.size() && (isWordChar(line[size]) || line[size] == '/') &&
           !line.drop_front(size).starts_with("->") &&
           !line.drop_front(size).starts_with("//"))
      ++size;
    token.isWord = true;
  }
  token.text = line.take_front(size);
  line = line.drop_front(size);
}

std::string Parser::unquoted(const Token &token) {
  std::string text;
  StringRef inside = token.text.drop_front();
  for (size_t i = 0; i < inside.size() && inside[i] != '"'; ++i)
    text += inside[i] == '\\' && i + 1 < inside.size() ? inside[++i] : inside[i];
  return text;
}

void Parser::run() {
  rest.consume_front("\xEF\xBB\xBF");
  while (!rest.empty()) {
    std::tie(line, rest) = rest.split('\n');
    comment.clear();
    StringRef whole = line;
    next();
    if (token.text.empty()) {
      if (whole.trim().starts_with("//") && !sawTarget)
        schedule.comments.push_back(comment);
      continue;
    }
    bool isLayer = line.ltrim(" \t\r").starts_with(":");
    bool isTarget = token.text == "target" && !isLayer;
    bool good = isTarget                             ? parseTarget()
                : token.text == "step" && !isLayer ? parseStep()
                                                     : parseLine();
    if (good && !token.text.empty())
      fail(token, "this line ends before " + found());
    if (!isTarget && !sawTarget) {
      sawTarget = true; // said once
      diags.error(SMRange(SMLoc::getFromPointer(whole.begin()),
                          SMLoc::getFromPointer(whole.begin())),
                  "the first line says which machine the schedule is for, such "
                  "as: target \"x86-64-avx512\"");
    }
  }
  if (!sawTarget)
    diags.error("the schedule is empty; its first line says which machine it "
                "is for, such as: target \"x86-64-avx512\"");
}

// target "x86-64-avx512" threads 2 halide 21.0.0
bool Parser::parseTarget() {
  if (sawTarget)
    return fail(token, "the target is said once, in the first line");
  sawTarget = true;
  next();
  if (!token.isQuoted && !token.isWord)
    return fail(token, "the name of a target stands here, such as "
                       "\"x86-64-avx512\", not " + found());
  schedule.targetAt = token.where();
  schedule.target = token.isQuoted ? unquoted(token) : token.text.str();
  next();
  while (!token.text.empty()) {
    if (accept("threads")) {
      if (token.text.getAsInteger(10, schedule.threads) || schedule.threads < 1)
        return fail(token, "a number of threads stands here, not " + found());
      next();
    } else if (accept("halide")) {
      if (!token.isWord)
        return fail(token, "a version stands here, such as 21.0.0, not " + found());
      schedule.halide = token.text.str();
      next();
    } else {
      return fail(token, "a target has 'threads' and 'halide', not " + found());
    }
  }
  return true;
}

// step d
bool Parser::parseStep() {
  next();
  ScheduleStep step{token.isQuoted ? unquoted(token) : token.text.str(), token.where()};
  if (step.name.empty() || !(token.isQuoted || token.isWord))
    return fail(token, "the name of a step stands here, not " + found());
  if (any_of(schedule.steps,
             [&](const ScheduleStep &other) { return other.name == step.name; }))
    return fail(token, "step " + found() + " has its lines already");
  schedule.steps.push_back(std::move(step));
  next();
  return true;
}

// layer1.0.conv_1: winograd(4) layout nchw16c tile(co=2, x=14)
bool Parser::parseLine() {
  ScheduleLine made;
  if (!schedule.steps.empty())
    made.step = schedule.steps.back().name;
  if (!token.isWord && !token.isQuoted)
    return fail(token, "a line begins with a layer's name, not " + found());
  made.layerAt = token.where();
  made.layer = token.isQuoted ? unquoted(token) : token.text.str();
  next();
  if (!accept(":"))
    return fail(token, "':' stands behind a layer's name, not " + found());
  if (!token.isWord)
    return fail(token, "the name of a kernel stands here, such as 'direct', not " +
                           found());
  made.kernelAt = token.where();
  made.kernel = token.text.str();
  next();
  if (accept("(")) {
    unsigned number = 0;
    if (token.text.getAsInteger(10, number))
      return fail(token, "a number stands here, as in 'winograd(4)', not " + found());
    made.kernel += std::to_string(number);
    next();
    made.kernelAt.End = SMLoc::getFromPointer(token.text.end());
    if (!accept(")"))
      return fail(token, "')' is missing; there is " + found());
  }
  while (!token.text.empty()) {
    if (token.text == "layout" && made.layout.empty()) {
      if (!parseLayout(made))
        return false;
    } else if (!parseTerm(made)) {
      return false;
    }
  }
  made.comment = comment;
  schedule.lines.push_back(std::move(made));
  return true;
}

bool Parser::parseLayout(ScheduleLine &into) {
  next();
  if (!token.isWord)
    return fail(token, "a layout stands here, such as nchw16c, not " + found());
  into.layout = token.text.str();
  into.layoutAt = token.where();
  next();
  if (!accept("->"))
    return true;
  if (!token.isWord)
    return fail(token, "a layout stands here, such as nchw16c, not " + found());
  // What is read in the order in which it is written needs no arrow.
  if (into.layout != token.text)
    into.layout += " -> " + token.text.str();
  into.layoutAt.End = token.where().End;
  next();
  return true;
}

// tile(co=2, x=14), rows_per_task(4)
bool Parser::parseTerm(ScheduleLine &into) {
  if (!token.isWord)
    return fail(token, "a parameter stands here, such as tile(x=14), not " + found());
  Token word = token;
  next();
  if (!accept("("))
    return fail(token, "'(' stands behind '" + printable(word.text) + "', not " +
                           found());
  do {
    ScheduleTerm term;
    term.name = word.text.str();
    term.where = word.where();
    if (token.isWord && line.ltrim().starts_with("=")) {
      term.name += "_" + token.text.str();
      term.where = token.where();
      next();
      accept("=");
    }
    if (!parseValue(term))
      return false;
    bool again = any_of(into.terms, [&](const ScheduleTerm &other) {
      return other.name == term.name;
    });
    if (again)
      diags.error(term.where, "this parameter has a value already");
    else
      into.terms.push_back(std::move(term));
  } while (accept(","));
  return accept(")") || fail(token, "',' or ')' stands here, not " + found());
}

bool Parser::parseValue(ScheduleTerm &term) {
  if (token.text == "yes" || token.text == "no") {
    term.flag = true;
    term.value = token.text == "yes";
  } else if (token.text == "fit") {
    term.fit = true;
  } else if (!token.isWord || token.text.getAsInteger(10, term.value)) {
    return fail(token, "a number, fit, yes or no stands here, not " + found());
  }
  term.where.End = token.where().End;
  next();
  return true;
}

bool parseSchedule(StringRef text, dsl::Diagnostics &diags, Schedule &schedule) {
  unsigned before = diags.count();
  Parser(text, diags, schedule).run();
  return diags.count() == before;
}

} // namespace halcyon
