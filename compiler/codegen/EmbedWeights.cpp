//===- EmbedWeights.cpp - Prepared weights in files -----------------------===//

#include "compiler/codegen/EmbedWeights.h"
#include "compiler/codegen/PrepareWeights.h"

#include "halcyon/program.h"

#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;

namespace halcyon {

static bool writeAll(int file, const void *bytes, size_t count, uint64_t at) {
  auto *from = static_cast<const char *>(bytes);
  while (count) {
    ssize_t written = pwrite(file, from, count, at);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    from += written;
    at += written;
    count -= written;
  }
  return true;
}

namespace {

/// A file that appears under its name only once it is whole.
class WholeFile {
public:
  explicit WholeFile(const std::string &path)
      : path(path), temporary(path + ".tmp" + std::to_string(getpid())) {
    file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    good = file >= 0;
  }
  ~WholeFile() {
    if (file >= 0)
      close(file);
    unlink(temporary.c_str());
  }

  bool write(const void *bytes, size_t count, uint64_t at) {
    return good = good && writeAll(file, bytes, count, at);
  }

  /// Gives the file its length and its name; returns what went wrong.
  std::string finish(uint64_t length) {
    good = good && ftruncate(file, length) == 0 && close(file) == 0;
    file = -1;
    good = good && rename(temporary.c_str(), path.c_str()) == 0;
    return good ? "" : "can't write " + path + ": " + strerror(errno);
  }

private:
  std::string path, temporary;
  int file;
  bool good;
};

} // namespace

static bool isX86(const Target &target) {
  return StringRef(target.triple).starts_with("x86_64");
}

bool weightsFollowProgram(const Target &target) { return isX86(target); }

std::string writeWeightsObject(exec::ProgramOp program,
                               const WeightSource &source, const Target &target,
                               WeightsObject what, const std::string &path) {
  // Headers first, then the weights at a multiple of their alignment, then the
  // symbol table and the strings.
  static const char sectionNames[] =
      "\0.ldata.halcyon\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
  static const char symbolNames[] = "\0halcyon_weights";
  const bool whole = what == WeightsObject::Whole;
  const uint64_t page = 4096;
  const uint64_t size = whole ? std::max<uint64_t>(program.getWeights(), 64) : 64;
  const uint64_t symbolsAt = page + (size + 7) / 8 * 8;
  Elf64_Sym symbols[2] = {};
  symbols[1].st_name = 1;
  symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  symbols[1].st_other = STV_HIDDEN;
  symbols[1].st_shndx = 1;
  symbols[1].st_size = size;
  const uint64_t namesAt = symbolsAt + sizeof symbols;
  const uint64_t sectionNamesAt = namesAt + sizeof symbolNames;

  Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = isX86(target) ? EM_X86_64 : EM_AARCH64;
  header.e_version = EV_CURRENT;
  header.e_shoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 6;
  header.e_shstrndx = 4;

  Elf64_Shdr sections[6] = {};
  auto section = [&](int i, uint32_t name, uint32_t type, uint64_t flags,
                     uint64_t at, uint64_t bytes, uint64_t align) {
    sections[i].sh_name = name;
    sections[i].sh_type = type;
    sections[i].sh_flags = flags;
    sections[i].sh_offset = at;
    sections[i].sh_size = bytes;
    sections[i].sh_addralign = align;
  };
  // On x86-64 the section is marked as large: code and data stay within reach of
  // each other however many weights there are, and as large writable data the
  // placeholder gets the last segment for itself.
  const uint64_t large = 0x10000000;
  uint64_t flags = SHF_ALLOC | (isX86(target) ? large : 0) |
                   (whole ? 0 : SHF_WRITE);
  section(1, 1, SHT_PROGBITS, flags, page, size, page);
  section(2, 16, SHT_SYMTAB, 0, symbolsAt, sizeof symbols, 8);
  sections[2].sh_link = 3;
  sections[2].sh_info = 1;
  sections[2].sh_entsize = sizeof(Elf64_Sym);
  section(3, 24, SHT_STRTAB, 0, namesAt, sizeof symbolNames, 1);
  section(4, 32, SHT_STRTAB, 0, sectionNamesAt, sizeof sectionNames, 1);
  section(5, 42, SHT_PROGBITS, 0, sectionNamesAt, 0, 1);

  WholeFile file(path);
  file.write(&header, sizeof header, 0);
  file.write(sections, sizeof sections, sizeof header);
  file.write(symbols, sizeof symbols, symbolsAt);
  file.write(symbolNames, sizeof symbolNames, namesAt);
  file.write(sectionNames, sizeof sectionNames, sectionNamesAt);
  auto put = [&](int64_t offset, StringRef bytes) {
    return file.write(bytes.data(), bytes.size(), page + offset);
  };
  if (whole)
    prepareWeights(program, source, 0, 1, put);
  return file.finish(sectionNamesAt + sizeof sectionNames);
}

std::string makeRoomForWeights(const std::string &executable, uint64_t bytes,
                               uint64_t &offset) {
  auto broken = [&] { return "the linked program " + executable + " is broken"; };
  int file = open(executable.c_str(), O_RDWR | O_CLOEXEC);
  struct Closer {
    int file;
    ~Closer() { close(file); }
  } closer{file};
  struct stat info;
  Elf64_Ehdr header;
  if (file < 0 || fstat(file, &info) != 0 ||
      pread(file, &header, sizeof header, 0) != sizeof header)
    return broken();
  // The placeholder is all that the last loaded segment holds.
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  ssize_t length = segments.size() * sizeof(Elf64_Phdr);
  if (pread(file, segments.data(), length, header.e_phoff) != length)
    return broken();
  Elf64_Phdr *last = nullptr;
  for (Elf64_Phdr &segment : segments)
    if (segment.p_type == PT_LOAD && (!last || segment.p_vaddr > last->p_vaddr))
      last = &segment;
  const uint64_t page = 4096;
  if (!last || last->p_filesz != 64 || last->p_vaddr % page)
    return broken();
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  length = sections.size() * sizeof(Elf64_Shdr);
  if (pread(file, sections.data(), length, header.e_shoff) != length)
    return broken();
  offset = (info.st_size + page - 1) / page * page;
  for (Elf64_Shdr &section : sections)
    if (section.sh_addr == last->p_vaddr && section.sh_size == 64) {
      section.sh_offset = offset;
      section.sh_size = bytes;
      section.sh_flags &= ~uint64_t(SHF_WRITE);
    }
  last->p_offset = offset;
  last->p_filesz = last->p_memsz = bytes;
  last->p_flags = PF_R;
  bool good =
      pwrite(file, segments.data(), segments.size() * sizeof(Elf64_Phdr),
             header.e_phoff) > 0 &&
      pwrite(file, sections.data(), length, header.e_shoff) == length &&
      ftruncate(file, offset + bytes) == 0;
  return good ? "" : "can't write " + executable + ": " + strerror(errno);
}

std::string writeWeightsPart(exec::ProgramOp program, const WeightSource &source,
                             unsigned part, unsigned parts,
                             const std::string &path, uint64_t offset) {
  int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  bool good = file >= 0;
  good = good && prepareWeights(program, source, part, parts,
                                [&](int64_t at, StringRef bytes) {
                                  return writeAll(file, bytes.data(),
                                                  bytes.size(), offset + at);
                                });
  good = file >= 0 && close(file) == 0 && good;
  return good ? "" : "can't write " + path + ": " + strerror(errno);
}

std::string writeWeightsFile(exec::ProgramOp program, const WeightSource &source,
                             uint64_t id, const std::string &path) {
  const uint64_t page = 4096, size = program.getWeights();
  struct {
    char magic[8];
    uint64_t version, id, bytes;
  } header = {{'H', 'A', 'L', 'C', 'Y', 'O', 'N', 'W'},
              HALCYON_PROGRAM_VERSION, id, size};
  WholeFile file(path);
  file.write(&header, sizeof header, 0);
  prepareWeights(program, source, 0, 1,
                 [&](int64_t offset, StringRef bytes) {
                   return file.write(bytes.data(), bytes.size(), page + offset);
                 });
  return file.finish(page + size);
}

} // namespace halcyon
