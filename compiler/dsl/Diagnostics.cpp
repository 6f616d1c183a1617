//===- Diagnostics.cpp - Mistakes in the user's terms ---------------------===//

#include "Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace halcyon::dsl;
using namespace llvm;

/// Past this many the reader starts again anyway.
static constexpr unsigned maxErrors = 100;
/// A longer line is cut to this many characters around its caret.
static constexpr size_t maxLineWidth = 110;

void Diagnostics::error(SMRange where, const Twine &message,
                        std::vector<std::string> notes) {
  ++numErrors;
  if (!errorPlaces.insert(where.Start.getPointer()).second)
    return;
  entries.push_back(
      {true, where, message.str(), std::move(notes), entries.size()});
}

void Diagnostics::warning(SMRange where, const Twine &message,
                          std::vector<std::string> notes) {
  if (!warningPlaces.insert(where.Start.getPointer()).second)
    return;
  entries.push_back(
      {false, where, message.str(), std::move(notes), entries.size()});
}

void Diagnostics::error(const Twine &message, std::vector<std::string> notes) {
  ++numErrors;
  entries.push_back(
      {true, SMRange(), message.str(), std::move(notes), entries.size()});
}

std::string Diagnostics::line(SMLoc where, SMLoc from) const {
  unsigned buffer = sources.FindBufferContainingLoc(where);
  if (!buffer)
    return "an unknown line";
  std::string text =
      "line " + std::to_string(sources.getLineAndColumn(where, buffer).first);
  if (from.isValid() && sources.FindBufferContainingLoc(from) != buffer)
    text += " of " + sys::path::filename(
                         sources.getMemoryBuffer(buffer)->getBufferIdentifier())
                         .str();
  return text;
}

void Diagnostics::flush() {
  auto place = [&](const Entry &entry) {
    unsigned buffer = entry.where.isValid()
                          ? sources.FindBufferContainingLoc(entry.where.Start)
                          : 0;
    return std::tuple(buffer, entry.where.Start.getPointer(), entry.order);
  };
  llvm::sort(entries, [&](const Entry &a, const Entry &b) {
    return place(a) < place(b);
  });
  unsigned printed = 0;
  for (const Entry &entry : entries) {
    if (printed == maxErrors) {
      os << "error: too many mistakes; the first " << maxErrors
         << " are shown\n";
      break;
    }
    print(entry);
    printed += entry.isError;
  }
  entries.clear();
}

/// The number of code points in `text`.
static size_t columns(StringRef text) {
  return llvm::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
}

void Diagnostics::print(const Entry &entry) {
  StringRef kind = entry.isError ? "error" : "warning";
  auto [message, label] = StringRef(entry.message).split('\n');
  unsigned buffer = entry.where.isValid()
                        ? sources.FindBufferContainingLoc(entry.where.Start)
                        : 0;
  if (!buffer) {
    os << "halcyon: " << kind << ": " << message << '\n';
  } else {
    const MemoryBuffer *memory = sources.getMemoryBuffer(buffer);
    const char *start = entry.where.Start.getPointer();
    const char *begin = start, *end = start;
    while (begin != memory->getBufferStart() && begin[-1] != '\n')
      --begin;
    while (end != memory->getBufferEnd() && *end != '\n')
      ++end;
    StringRef text(begin, end - begin);
    text = text.rtrim("\r");
    size_t caret = std::min<size_t>(start - begin, text.size());
    size_t length = 1;
    const char *stop = entry.where.End.getPointer();
    if (stop && stop > start)
      length = std::max<size_t>(
          1, std::min<size_t>(stop - start, text.size() - caret));
    unsigned number = sources.getLineAndColumn(entry.where.Start, buffer).first;
    os << memory->getBufferIdentifier() << ':' << number << ':'
       << columns(text.take_front(caret)) + 1 << ": " << kind << ": " << message
       << '\n';

    // A generated file may hold a line of any length.
    size_t from = 0;
    if (text.size() > maxLineWidth)
      from = caret > maxLineWidth / 2 ? caret - maxLineWidth / 2 : 0;
    while (from < caret && (text[from] & 0xC0) == 0x80)
      ++from;
    StringRef shown = text.substr(from, maxLineWidth);
    while (!shown.empty() && shown.size() == maxLineWidth &&
           (shown.back() & 0x80))
      shown = shown.drop_back();
    std::string clean = printable(shown, maxLineWidth);
    os << format("%5u | ", number) << clean << '\n' << "      | ";
    for (char c : text.slice(from, caret))
      if ((c & 0xC0) != 0x80)
        os << (c == '\t' ? '\t' : ' ');
    os << '^';
    size_t marked = columns(text.substr(caret, length)
                                .slice(0, shown.size() > caret - from
                                              ? shown.size() - (caret - from)
                                              : 0));
    for (size_t i = 1; i < marked; ++i)
      os << '~';
    if (!label.empty())
      os << ' ' << label;
    os << '\n';
  }
  for (const std::string &note : entry.notes)
    os << "   note: " << note << '\n';
}

StringRef halcyon::dsl::nearest(StringRef word,
                                ArrayRef<StringRef> candidates) {
  StringRef best;
  const unsigned limit = std::max<size_t>(1, word.size() / 3) + 1;
  unsigned bestDistance = limit;
  if (word.size() > 64)
    return best;
  for (StringRef candidate : candidates) {
    unsigned distance =
        word.equals_insensitive(candidate)
            ? 0
            : word.edit_distance(candidate, /*AllowReplacements=*/true, limit);
    // Letters in the wrong order are one slip of the fingers, not two.
    if (distance == 2 && word.size() == candidate.size() &&
        std::is_permutation(word.begin(), word.end(), candidate.begin()))
      distance = 1;
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string halcyon::dsl::didYouMean(StringRef word,
                                     ArrayRef<StringRef> candidates) {
  StringRef best = nearest(word, candidates);
  return best.empty() ? "" : ("; did you mean '" + best + "'?").str();
}

std::string halcyon::dsl::joinWords(ArrayRef<std::string> words,
                                    StringRef last) {
  std::string text;
  for (auto [i, word] : llvm::enumerate(words)) {
    if (i)
      text += i + 1 == words.size() ? " " + last.str() + " " : ", ";
    text += word;
  }
  return text;
}

std::string halcyon::dsl::printable(StringRef text, size_t limit) {
  std::string clean;
  const auto *bytes = reinterpret_cast<const UTF8 *>(text.begin());
  bool valid =
      isLegalUTF8String(&bytes, reinterpret_cast<const UTF8 *>(text.end()));
  for (char c : text.take_front(limit)) {
    bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\t') ||
                   c == 0x7F || (!valid && (c & 0x80));
    clean += control ? '?' : c;
  }
  if (text.size() > limit)
    clean += "...";
  return clean;
}
