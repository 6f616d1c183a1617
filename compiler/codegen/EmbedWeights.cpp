//===- EmbedWeights.cpp - Prepared weights in files -----------------------===//

#include "compiler/codegen/EmbedWeights.h"
#include "compiler/codegen/PrepareWeights.h"
#include "compiler/targets/Elf.h"

#include "halcyon/program.h"

#include "llvm/Object/ELFTypes.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
namespace ELF = llvm::ELF;

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

bool weightsFollowProgram(const Target &target) {
  const Elf *elf = elfOf(target);
  return elf && elf->largeSections;
}

template <class ELFT>
static std::string writeObject(exec::ProgramOp program, const WeightSource &source,
                               const Elf &elf, bool whole, const std::string &path) {
  // Headers first, then the weights at a multiple of their alignment, then the
  // symbol table and the strings.
  static const char sectionNames[] =
      "\0.ldata.halcyon\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
  static const char symbolNames[] = "\0halcyon_weights";
  const uint64_t page = 4096;
  const uint64_t size = whole ? std::max<uint64_t>(program.getWeights(), 64) : 64;
  const uint64_t symbolsAt = page + (size + 7) / 8 * 8;
  typename ELFT::Sym symbols[2] = {};
  symbols[1].st_name = 1;
  symbols[1].setBindingAndType(ELF::STB_GLOBAL, ELF::STT_OBJECT);
  symbols[1].setVisibility(ELF::STV_HIDDEN);
  symbols[1].st_shndx = 1;
  symbols[1].st_size = size;
  const uint64_t namesAt = symbolsAt + sizeof symbols;
  const uint64_t sectionNamesAt = namesAt + sizeof symbolNames;

  typename ELFT::Ehdr header = {};
  memcpy(header.e_ident, ELF::ElfMagic, 4);
  header.e_ident[ELF::EI_CLASS] = elf.bits == 64 ? ELF::ELFCLASS64 : ELF::ELFCLASS32;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = elf.machine;
  header.e_version = ELF::EV_CURRENT;
  header.e_flags = elf.flags;
  header.e_shoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(typename ELFT::Shdr);
  header.e_shnum = 6;
  header.e_shstrndx = 4;

  typename ELFT::Shdr sections[6] = {};
  auto section = [&](int i, uint32_t name, uint32_t type, uint64_t flags,
                     uint64_t at, uint64_t bytes, uint64_t align) {
    sections[i].sh_name = name;
    sections[i].sh_type = type;
    sections[i].sh_flags = flags;
    sections[i].sh_offset = at;
    sections[i].sh_size = bytes;
    sections[i].sh_addralign = align;
  };
  // Where there are large sections this is one: code and data stay within reach of
  // each other however many weights there are, and as large writable data the
  // placeholder gets the last segment for itself.
  uint64_t flags = ELF::SHF_ALLOC |
                   (elf.largeSections ? uint64_t(ELF::SHF_X86_64_LARGE) : 0) |
                   (whole ? 0 : uint64_t(ELF::SHF_WRITE));
  section(1, 1, ELF::SHT_PROGBITS, flags, page, size, page);
  section(2, 16, ELF::SHT_SYMTAB, 0, symbolsAt, sizeof symbols, 8);
  sections[2].sh_link = 3;
  sections[2].sh_info = 1;
  sections[2].sh_entsize = sizeof(typename ELFT::Sym);
  section(3, 24, ELF::SHT_STRTAB, 0, namesAt, sizeof symbolNames, 1);
  section(4, 32, ELF::SHT_STRTAB, 0, sectionNamesAt, sizeof sectionNames, 1);
  section(5, 42, ELF::SHT_PROGBITS, 0, sectionNamesAt, 0, 1);

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

std::string writeWeightsObject(exec::ProgramOp program,
                               const WeightSource &source, const Target &target,
                               WeightsObject what, const std::string &path) {
  const Elf *elf = elfOf(target);
  if (!elf)
    return "there are no objects for " + target.name;
  auto write = elf->bits == 64 ? writeObject<llvm::object::ELF64LE>
                               : writeObject<llvm::object::ELF32LE>;
  return write(program, source, *elf, what == WeightsObject::Whole, path);
}

using Ehdr = llvm::object::ELF64LE::Ehdr;
using Phdr = llvm::object::ELF64LE::Phdr;
using Shdr = llvm::object::ELF64LE::Shdr;

std::string makeRoomForWeights(const std::string &executable, uint64_t bytes,
                               uint64_t &offset) {
  auto broken = [&] { return "the linked program " + executable + " is broken"; };
  int file = open(executable.c_str(), O_RDWR | O_CLOEXEC);
  struct Closer {
    int file;
    ~Closer() { close(file); }
  } closer{file};
  struct stat info;
  Ehdr header;
  if (file < 0 || fstat(file, &info) != 0 ||
      pread(file, &header, sizeof header, 0) != sizeof header)
    return broken();
  // The placeholder is all that the last loaded segment holds.
  std::vector<Phdr> segments(header.e_phnum);
  ssize_t length = segments.size() * sizeof(Phdr);
  if (pread(file, segments.data(), length, header.e_phoff) != length)
    return broken();
  Phdr *last = nullptr;
  for (Phdr &segment : segments)
    if (segment.p_type == ELF::PT_LOAD && (!last || segment.p_vaddr > last->p_vaddr))
      last = &segment;
  const uint64_t page = 4096;
  if (!last || last->p_filesz != 64 || last->p_vaddr % page)
    return broken();
  std::vector<Shdr> sections(header.e_shnum);
  length = sections.size() * sizeof(Shdr);
  if (pread(file, sections.data(), length, header.e_shoff) != length)
    return broken();
  offset = (info.st_size + page - 1) / page * page;
  for (Shdr &section : sections)
    if (section.sh_addr == last->p_vaddr && section.sh_size == 64) {
      section.sh_offset = offset;
      section.sh_size = bytes;
      section.sh_flags = section.sh_flags & ~uint64_t(ELF::SHF_WRITE);
    }
  last->p_offset = offset;
  last->p_filesz = bytes;
  last->p_memsz = bytes;
  last->p_flags = ELF::PF_R;
  bool good =
      pwrite(file, segments.data(), segments.size() * sizeof(Phdr),
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

std::string weightsFileHeader(exec::ProgramOp program, uint64_t id) {
  const uint64_t numbers[] = {HALCYON_PROGRAM_VERSION, id, uint64_t(program.getWeights())};
  return "HALCYONW" +
         std::string(reinterpret_cast<const char *>(numbers), sizeof numbers);
}

std::string writeWeightsFile(exec::ProgramOp program, const WeightSource &source,
                             uint64_t id, const std::string &path) {
  const uint64_t size = program.getWeights();
  const std::string header = weightsFileHeader(program, id);
  WholeFile file(path);
  file.write(header.data(), header.size(), 0);
  prepareWeights(program, source, 0, 1,
                 [&](int64_t offset, StringRef bytes) {
                   return file.write(bytes.data(), bytes.size(),
                                     kWeightsFileStart + offset);
                 });
  return file.finish(kWeightsFileStart + size);
}

} // namespace halcyon
