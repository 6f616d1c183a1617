//===- PrepareWeights.cpp - Evaluates a program's `prepare` ---------------===//

#include "compiler/codegen/PrepareWeights.h"
#include "dialects/cnn/Geometry.h"

#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

using namespace mlir;

namespace halcyon {

namespace {

/// A value of `prepare`, in memory of its own or of the source.
struct Evaluated {
  std::vector<float> storage;
  ArrayRef<float> values;
};

class Evaluator {
public:
  Evaluator(const WeightSource &source) : source(source) {}

  /// The value, computed if it is not there yet. Large intermediate values are
  /// dropped by `release`.
  ArrayRef<float> get(Value value) {
    auto found = done.find(value);
    if (found != done.end())
      return found->second->values;
    auto evaluated = std::make_unique<Evaluated>();
    Operation *op = value.getDefiningOp();
    if (auto weight = dyn_cast<cnn::WeightOp>(op)) {
      auto shape = cast<RankedTensorType>(weight.getType()).getShape();
      evaluated->values =
          source.read(weight.getName(), shape, evaluated->storage);
    } else {
      SmallVector<ArrayRef<float>> operands;
      for (Value operand : op->getOperands())
        operands.push_back(get(operand));
      evaluated->storage.resize(cnn::elementsOf(value.getType()));
      MutableArrayRef<float> result(evaluated->storage);
      if (failed(cast<cnn::WeightOpInterface>(op).evaluate(operands, result)))
        llvm::report_fatal_error("a weight operation failed");
      evaluated->values = evaluated->storage;
    }
    ArrayRef<float> values = evaluated->values;
    done[value] = std::move(evaluated);
    return values;
  }

  /// Drops a value, and what only it was computed from.
  void release(Value value) {
    if (--remaining[value] > 0)
      return;
    done.erase(value);
    if (Operation *op = value.getDefiningOp())
      for (Value operand : op->getOperands())
        release(operand);
  }

  void count(exec::FunctionOp prepare) {
    prepare.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        ++remaining[operand];
    });
  }

private:
  const WeightSource &source;
  llvm::DenseMap<Value, std::unique_ptr<Evaluated>> done;
  llvm::DenseMap<Value, int> remaining;
};

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
    auto *from = static_cast<const char *>(bytes);
    while (good && count) {
      ssize_t written = pwrite(file, from, count, at);
      if (written < 0 && errno == EINTR)
        continue;
      good = written > 0;
      if (good) {
        from += written;
        at += written;
        count -= written;
      }
    }
    return good;
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

bool prepareWeights(exec::ProgramOp program, const WeightSource &source,
                    llvm::function_ref<bool(int64_t, ArrayRef<float>)> sink) {
  for (auto prepare : program.getBody().front().getOps<exec::FunctionOp>()) {
    if (prepare.getSymName() != "prepare")
      continue;
    Evaluator evaluator(source);
    evaluator.count(prepare);
    for (auto store : prepare.getBody().front().getOps<exec::StoreOp>()) {
      if (!sink(store.getOffset(), evaluator.get(store.getValue())))
        return false;
      evaluator.release(store.getValue());
    }
  }
  return true;
}

std::string writeWeightsObject(exec::ProgramOp program,
                               const WeightSource &source, unsigned machine,
                               const std::string &path) {
  // Headers first, then the weights at a multiple of their alignment, then the
  // symbol table and the strings.
  static const char sectionNames[] =
      "\0.halcyon.weights\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
  static const char symbolNames[] = "\0halcyon_weights";
  const uint64_t page = 4096, size = std::max<uint64_t>(program.getWeights(), 64);
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
  header.e_machine = machine;
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
  // On x86-64 the section is marked as large, so that code and data stay within
  // reach of each other however many weights there are.
  uint64_t large = machine == EM_X86_64 ? 0x10000000 : 0;
  section(1, 1, SHT_PROGBITS, SHF_ALLOC | large, page, size, page);
  section(2, 18, SHT_SYMTAB, 0, symbolsAt, sizeof symbols, 8);
  sections[2].sh_link = 3;
  sections[2].sh_info = 1;
  sections[2].sh_entsize = sizeof(Elf64_Sym);
  section(3, 26, SHT_STRTAB, 0, namesAt, sizeof symbolNames, 1);
  section(4, 34, SHT_STRTAB, 0, sectionNamesAt, sizeof sectionNames, 1);
  section(5, 44, SHT_PROGBITS, 0, sectionNamesAt, 0, 1);

  WholeFile file(path);
  file.write(&header, sizeof header, 0);
  file.write(sections, sizeof sections, sizeof header);
  file.write(symbols, sizeof symbols, symbolsAt);
  file.write(symbolNames, sizeof symbolNames, namesAt);
  file.write(sectionNames, sizeof sectionNames, sectionNamesAt);
  prepareWeights(program, source, [&](int64_t offset, ArrayRef<float> values) {
    return file.write(values.data(), values.size() * 4, page + offset);
  });
  return file.finish(sectionNamesAt + sizeof sectionNames);
}

std::string writeWeightsFile(exec::ProgramOp program, const WeightSource &source,
                             uint64_t id, const std::string &path) {
  const uint64_t page = 4096, size = program.getWeights();
  struct {
    char magic[8];
    uint64_t version, id, bytes;
  } header = {{'H', 'A', 'L', 'C', 'Y', 'O', 'N', 'W'}, 1, id, size};
  WholeFile file(path);
  file.write(&header, sizeof header, 0);
  prepareWeights(program, source, [&](int64_t offset, ArrayRef<float> values) {
    return file.write(values.data(), values.size() * 4, page + offset);
  });
  return file.finish(page + size);
}

} // namespace halcyon
