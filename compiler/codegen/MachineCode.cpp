//===- MachineCode.cpp - What became of a kernel --------------------------===//

#include "compiler/codegen/MachineCode.h"

#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDisassembler/MCDisassembler.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/MCTargetOptions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileOutputBuffer.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Triple.h"

#include <functional>

using namespace llvm;

namespace halcyon {
namespace {

struct Decoded {
  uint64_t address, size;
  MCInst inst;
};

/// LLVM's view of a machine, and the code of an object file.
class Reader {
public:
  Reader(const std::string &path, const Target &target) {
    static bool initialized = [] {
      InitializeAllTargetInfos();
      InitializeAllTargetMCs();
      InitializeAllDisassemblers();
      return true;
    }();
    (void)initialized;
    auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
    if (!file)
      return;
    buffer = std::move(*file);
    Expected<std::unique_ptr<object::ObjectFile>> opened =
        object::ObjectFile::createObjectFile(buffer->getMemBufferRef());
    if (!opened) {
      consumeError(opened.takeError());
      return;
    }
    object = std::move(*opened);
    triple = Triple(target.triple);
    std::string error;
    const llvm::Target *machine = TargetRegistry::lookupTarget(triple, error);
    if (!machine)
      return;
    registers.reset(machine->createMCRegInfo(triple));
    MCTargetOptions options;
    assembly.reset(machine->createMCAsmInfo(*registers, triple, options));
    instructions.reset(machine->createMCInstrInfo());
    // The CPU of the kernels' features: all that the decoder knows.
    subtarget.reset(machine->createMCSubtargetInfo(
        triple, triple.isX86() ? "sapphirerapids" : "", ""));
    context = std::make_unique<MCContext>(triple, assembly.get(), registers.get(),
                                          subtarget.get());
    decoder.reset(machine->createMCDisassembler(*subtarget, *context));
  }

  bool valid() const { return decoder != nullptr; }
  bool isX86() const { return triple.isX86(); }

  void forEachSection(
      function_ref<void(uint64_t offset, ArrayRef<Decoded>)> visit) {
    for (const object::SectionRef &section : object->sections()) {
      if (!section.isText())
        continue;
      Expected<StringRef> contents = section.getContents();
      if (!contents) {
        consumeError(contents.takeError());
        continue;
      }
      ArrayRef<uint8_t> bytes(
          reinterpret_cast<const uint8_t *>(contents->data()),
          contents->size());
      std::vector<Decoded> code;
      for (uint64_t at = 0; at < bytes.size();) {
        Decoded one = {at, 0, {}};
        auto status = decoder->getInstruction(
            one.inst, one.size, bytes.slice(at), at, nulls());
        if (status == MCDisassembler::Fail) {
          at += std::max<uint64_t>(one.size, 1);
          continue;
        }
        at += one.size;
        code.push_back(one);
      }
      visit(contents->data() - buffer->getBufferStart(), code);
    }
  }

  StringRef name(const Decoded &d) const {
    return instructions->getName(d.inst.getOpcode());
  }
  const MCInstrDesc &desc(const Decoded &d) const {
    return instructions->get(d.inst.getOpcode());
  }
  /// Whether it names the stack pointer.
  bool usesStack(const Decoded &d) const {
    for (const MCOperand &operand : d.inst)
      if (operand.isReg() && operand.getReg() &&
          StringRef(registers->getName(operand.getReg())) == "RSP")
        return true;
    return false;
  }
  StringRef bytes(uint64_t offset, uint64_t size) const {
    return buffer->getBuffer().substr(offset, size);
  }

private:
  std::unique_ptr<MemoryBuffer> buffer;
  std::unique_ptr<object::ObjectFile> object;
  Triple triple;
  std::unique_ptr<MCRegisterInfo> registers;
  std::unique_ptr<MCAsmInfo> assembly;
  std::unique_ptr<MCInstrInfo> instructions;
  std::unique_ptr<MCSubtargetInfo> subtarget;
  std::unique_ptr<MCContext> context;
  std::unique_ptr<MCDisassembler> decoder;
};

/// The loop that ends in the branch `code[end]`: where it begins, if it jumps
/// backwards.
std::optional<size_t> loopStart(const Reader &reader, ArrayRef<Decoded> code,
                                size_t end) {
  const Decoded &branch = code[end];
  if (!reader.desc(branch).isBranch() || branch.inst.getNumOperands() == 0 ||
      !branch.inst.getOperand(0).isImm())
    return std::nullopt;
  uint64_t goal =
      branch.address + branch.size + branch.inst.getOperand(0).getImm();
  if (goal >= branch.address)
    return std::nullopt;
  auto at = llvm::lower_bound(code, goal, [](const Decoded &d, uint64_t a) {
    return d.address < a;
  });
  return at - code.begin();
}

} // namespace

HotLoop readHotLoop(const std::string &path, const Target &target) {
  Reader reader(path, target);
  HotLoop hottest;
  if (!reader.valid() || !reader.isX86())
    return hottest;
  reader.forEachSection([&](uint64_t, ArrayRef<Decoded> code) {
    size_t previousEnd = 0;
    for (size_t end = 0; end < code.size(); ++end) {
      std::optional<size_t> start = loopStart(reader, code, end);
      if (!start)
        continue;
      // A loop around the one that ended before is not innermost.
      bool innermost = *start >= previousEnd;
      previousEnd = end;
      if (!innermost)
        continue;
      HotLoop loop;
      for (size_t i = *start; i <= end; ++i) {
        StringRef name = reader.name(code[i]);
        const MCInstrDesc &desc = reader.desc(code[i]);
        bool moves = name.starts_with("VMOVAPS") || name.starts_with("VMOVUPS");
        if (name.starts_with("VFMADD") || name.starts_with("VDPBF16"))
          ++loop.multiplyAdds;
        else if (moves && !desc.mayLoad() && !desc.mayStore())
          ++loop.copies;
        if (name.starts_with("V") && reader.usesStack(code[i]))
          ++loop.spills;
      }
      if (loop.multiplyAdds > hottest.multiplyAdds)
        hottest = loop;
    }
  });
  return hottest;
}

std::string fetchIntoL2(const std::string &path, const Target &target) {
  Reader reader(path, target);
  if (!reader.valid() || !reader.isX86())
    return "";
  std::vector<uint64_t> places;
  reader.forEachSection([&](uint64_t offset, ArrayRef<Decoded> code) {
    for (const Decoded &d : code)
      if (reader.name(d) == "PREFETCHNTA") {
        // 0F 18 /0, after prefixes; /2 is PREFETCHT1.
        size_t opcode =
            reader.bytes(offset + d.address, d.size).find(StringRef("\x0f\x18"));
        if (opcode != StringRef::npos)
          places.push_back(offset + d.address + opcode + 2);
      }
  });
  if (places.empty())
    return "";
  auto file = WriteThroughMemoryBuffer::getFile(path);
  if (!file)
    return "can't write " + path + ": " + file.getError().message();
  for (uint64_t place : places)
    (*file)->getBufferStart()[place] |= 2 << 3;
  return "";
}

} // namespace halcyon
