//===- Zip.cpp - Archives -------------------------------------------------===//

#include "compiler/emit/Zip.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CRC.h"

using namespace llvm;

namespace halcyon {

namespace {
/// Little-endian numbers, one after another.
class Bytes {
public:
  Bytes &u16(uint16_t n) { return number(n, 2); }
  Bytes &u32(uint32_t n) { return number(n, 4); }
  std::string text;

private:
  Bytes &number(uint32_t n, int bytes) {
    for (int i = 0; i != bytes; ++i)
      text += char(n >> 8 * i & 0xff);
    return *this;
  }
};
} // namespace

std::string zipOf(const std::vector<std::pair<std::string, std::string>> &files) {
  std::string archive, directory;
  const uint16_t date = 1 << 5 | 1; // the first day of 1980, the first there is
  for (const auto &[name, content] : files) {
    if (archive.size() + content.size() > UINT32_MAX - (1 << 20))
      return "";
    Bytes both; // what a file's header and the directory share
    both.u16(20).u16(0x800).u16(0).u16(0).u16(date);
    both.u32(crc32(arrayRefFromStringRef(content)));
    both.u32(content.size()).u32(content.size()).u16(name.size()).u16(0);
    const uint32_t at = archive.size();
    archive += Bytes().u32(0x04034b50).text + both.text + name + content;
    directory += Bytes().u32(0x02014b50).u16(0x314).text + both.text +
                 Bytes().u16(0).u16(0).u16(0).u32(0100644u << 16).u32(at).text + name;
  }
  const uint32_t at = archive.size();
  return archive + directory +
         Bytes().u32(0x06054b50).u16(0).u16(0).u16(files.size()).u16(files.size())
             .u32(directory.size()).u32(at).u16(0).text;
}

} // namespace halcyon
