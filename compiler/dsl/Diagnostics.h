//===- Diagnostics.h - Mistakes in the user's terms -----------------------===//
//
// Collects errors and warnings while a model is parsed and elaborated, and
// prints them once, in the order of the file:
//
//   unet.cnn:14:11: error: 'concat' joins feature maps of one height and width
//      14 |   x = concat(skip, x) -> double_conv(64)
//         |       ^~~~~~ skip is 64x57x57 (line 9), x is 64x56x56 (line 13)
//      note: ...
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_DSL_DIAGNOSTICS_H
#define HALCYON_COMPILER_DSL_DIAGNOSTICS_H

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/SMLoc.h"
#include "llvm/Support/SourceMgr.h"

#include <string>
#include <vector>

namespace halcyon::dsl {

class Diagnostics {
public:
  Diagnostics(llvm::SourceMgr &sources, llvm::raw_ostream &os)
      : sources(sources), os(os) {}
  ~Diagnostics() { flush(); }

  /// Reports a mistake. Text after a line break in `message` is printed beside
  /// the caret. A place is reported once: a block that is called eight times
  /// does not repeat its mistake eight times.
  void error(llvm::SMRange where, const llvm::Twine &message,
             std::vector<std::string> notes = {});
  void warning(llvm::SMRange where, const llvm::Twine &message,
               std::vector<std::string> notes = {});

  /// A mistake on the command line or with a file as a whole.
  void error(const llvm::Twine &message, std::vector<std::string> notes = {});

  bool hasErrors() const { return numErrors != 0; }
  unsigned count() const { return numErrors; }

  /// "line 9", with the file's name where it is not the file of `from`.
  std::string line(llvm::SMLoc where, llvm::SMLoc from) const;

  /// Prints what has been collected, in the order of the files.
  void flush();

  llvm::SourceMgr &sourceMgr() const { return sources; }

private:
  struct Entry {
    bool isError;
    llvm::SMRange where;
    std::string message;
    std::vector<std::string> notes;
    size_t order; ///< in which it was found
  };

  void print(const Entry &entry);

  llvm::SourceMgr &sources;
  llvm::raw_ostream &os;
  std::vector<Entry> entries;
  llvm::DenseSet<const char *> errorPlaces, warningPlaces;
  unsigned numErrors = 0;
};

/// The candidate nearest to a misspelt `word`; empty where none is near.
llvm::StringRef nearest(llvm::StringRef word,
                        llvm::ArrayRef<llvm::StringRef> candidates);

/// "; did you mean 'conv'?", or nothing where no candidate is near.
std::string didYouMean(llvm::StringRef word,
                       llvm::ArrayRef<llvm::StringRef> candidates);

/// "a, b and c"
std::string joinWords(llvm::ArrayRef<std::string> words,
                      llvm::StringRef last = "and");

/// Removes what a terminal would misread from text that a user wrote.
std::string printable(llvm::StringRef text, size_t limit = 60);

} // namespace halcyon::dsl

#endif // HALCYON_COMPILER_DSL_DIAGNOSTICS_H
