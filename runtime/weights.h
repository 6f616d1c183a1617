//===- weights.h - Where the weights lie while a program runs -------------===//

#ifndef HALCYON_RUNTIME_WEIGHTS_H
#define HALCYON_RUNTIME_WEIGHTS_H

#include "halcyon/halcyon.h"

#include <cstddef>
#include <cstdint>

namespace halcyon {

/// Weights in a file: a header of 4096 bytes, then the prepared weights as the
/// program's views address them.
struct WeightsHeader {
  char Magic[8]; ///< "HALCYONW"
  uint64_t Version;
  uint64_t Id;
  uint64_t Bytes;
};
constexpr uint64_t WeightsOffset = 4096;

/// A read-only mapping of a weights file.
class MappedWeights {
public:
  halcyon_status open(const halcyon_program &Program, const char *Path,
                      halcyon_error &Error);
  void close();
  const uint8_t *data() const { return Data; }

private:
  void *Mapping = nullptr;
  size_t MappedBytes = 0;
  const uint8_t *Data = nullptr;
};

/// By what sessions know that their weights are the same: those within a program by
/// their place, those of a file by their hash.
struct WeightsIdentity {
  const void *Place = nullptr;
  uint64_t Hash = 0;
  bool operator==(const WeightsIdentity &) const = default;
};

/// Weights copied to huge pages, once for all sessions of the process that read
/// the same ones. A network passes over all its weights in every run: out of
/// 4 KB pages each step from page to page waits for the page's address.
class PlacedWeights {
public:
  /// Where to read `Bytes` bytes of `Source`: there, or in the copy. Weights
  /// that fit a huge page, systems without such pages and failure to get memory
  /// leave them where they are.
  const uint8_t *place(const uint8_t *Source, uint64_t Bytes,
                       WeightsIdentity Whose);
  void release();
  bool isCopy() const { return Held; }

private:
  struct Copy;
  static Copy *Copies;
  Copy *Held = nullptr;
};

} // namespace halcyon

#endif // HALCYON_RUNTIME_WEIGHTS_H
